//! abi/layout.c states the layout of every structure; C compiles it, this test compares it.

use core::fmt::Write;
use std::path::Path;

use kdump_ffi_core::Field;

const FILE: &str = "abi/layout.c";

/// The bytes up to `offset`, those of pointers told apart.
fn bytes(fields: &[Field], offset: usize) -> String {
    let before: Vec<_> = fields.iter().filter(|field| field.offset < offset).collect();
    let words = before.iter().filter(|field| field.word).count();
    let fixed: usize = before.iter().filter(|field| !field.word).map(|field| field.size).sum();
    if words == 0 { fixed.to_string() } else { format!("{fixed} + {words} * WORD") }
}

fn expected() -> String {
    let mut out = String::from(
        "/* SPDX-License-Identifier: MIT OR Apache-2.0\n \
         * Where Rust puts every field of every structure. Compiling this file is the test.\n \
         * Written by the test kdump-ffi layout when UPDATE_LAYOUT is set. */\n#include <kdump.h>\n\n\
         /* A pointer: all that differs between machines. */\n#define WORD sizeof(void *)\n\n\
         #define FIELD(type, name, at, bytes) \\\n    \
         _Static_assert(offsetof(struct type, name) == at, #type \".\" #name); \\\n    \
         _Static_assert(sizeof(((struct type *)0)->name) == bytes, #type \".\" #name)\n",
    );
    for layout in crate::layouts() {
        let name = layout.name;
        let total = layout.fields.iter().map(|field| field.offset + field.size).max().unwrap();
        let total = bytes(layout.fields, total);
        write!(out, "\n_Static_assert(sizeof(struct {name}) == {total}, \"{name}\");\n").unwrap();
        for field in layout.fields {
            let at = bytes(layout.fields, field.offset);
            let size = if field.word { "WORD".to_owned() } else { field.size.to_string() };
            writeln!(out, "FIELD({name}, {}, {at}, {size});", field.name).unwrap();
        }
    }
    out
}

#[test]
fn the_stated_layout_is_that_of_rust() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_LAYOUT").is_some() {
        std::fs::write(&path, expected()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected(), "{FILE} is stale: run UPDATE_LAYOUT=1 cargo test -p kdump-ffi layout");
}

#[test]
fn every_structure_of_the_headers_is_listed() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include");
    let listed: Vec<&str> = crate::layouts().map(|layout| layout.name).collect();
    let mut count = 0;
    for header in ["kdump-core.h", "kdump.h"] {
        let text = std::fs::read_to_string(include.join(header)).unwrap();
        for line in text.lines() {
            let name = line.strip_prefix("struct ").and_then(|rest| rest.strip_suffix(" {"));
            if let Some(name) = name {
                assert!(listed.contains(&name), "{name} is missing in layouts()");
                count += 1;
            }
        }
    }
    assert_eq!(count, listed.len());
}
