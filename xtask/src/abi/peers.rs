//! One process may hold libkdump, libkdumpfile and crash: their names must not meet.

use std::collections::BTreeSet;

use crate::error::{Result, failed};
use crate::install::{self, Places};
use crate::{repo, shell};

/// Both headers in one file, both libraries in one program, both called.
pub(super) fn link_with_libkdumpfile(places: &Places) -> Result<String> {
    let root = repo::root()?;
    let program = repo::scratch("capi")?.join("no-clash");
    for (compiler, standard) in [("gcc", "-std=c11"), ("g++", "-std=c++17")] {
        let mut cc = shell::tool(compiler)?;
        cc.args([standard, "-Wall", "-Wextra", "-Werror", "-I"]).arg(places.dir("include"));
        cc.args(["-x", if compiler == "gcc" { "c" } else { "c++" }]);
        cc.arg("-o").arg(&program).arg(root.join("kdump-ffi/abi/no-clash.c"));
        cc.arg("-L").arg(places.dir("lib")).args(["-lkdump", "-lkdumpfile"]);
        shell::stdout(&mut cc)?;
        let run = std::process::Command::new(&program);
        shell::stdout(&mut install::with_library(run, places))?;
    }
    Ok("runs with libkdumpfile, headers together in C and C++".to_owned())
}

/// crash exports thousands of names to its extensions.
pub(super) fn compare_with_crash() -> Result<String> {
    let crash = shell::find("crash").ok_or_else(|| failed("crash: no such program"))?;
    let text = shell::text(shell::tool("nm")?.args(["--dynamic", "--defined-only"]).arg(&crash))?;
    let theirs: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    if theirs.is_empty() {
        return Err(failed(format!("nm shows no names of {}", crash.display())));
    }
    let ours = install::functions()?;
    match ours.iter().find(|name| theirs.contains(name.as_str())) {
        Some(name) => Err(failed(format!("crash exports {name} too"))),
        None => Ok(format!("none of its {} names is ours", theirs.len())),
    }
}
