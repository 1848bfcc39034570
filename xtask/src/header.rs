//! The C headers: made by cbindgen, tidied, committed, and compared.
//!
//! In Rust a parameter such as `Out<u64>` is a type of its own that knows how it may be used.
//! To C it is a pointer, which is what the tidying makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::{repo, shell, tools};

struct Header {
    name: &'static str,
    package: &'static str,
    config: &'static str,
}

const CORE: Header =
    Header { name: "kdump-core.h", package: "kdump-ffi-core", config: "kdump-ffi/core/cbindgen.toml" };
const FULL: Header = Header { name: "kdump.h", package: "kdump-ffi", config: "kdump-ffi/cbindgen.toml" };

/// `cargo xtask header [--check]`
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let check = args.flag("--check");
    args.finish()?;
    let core = tidy(&generate(&CORE)?, &BTreeSet::new());
    let known = blocks(&core).map(str::to_owned).collect();
    let full = tidy(&generate(&FULL)?, &known);
    for (header, text) in [(CORE, core), (FULL, full)] {
        let path = repo::root()?.join("include").join(header.name);
        if !check {
            fs::write(&path, text).context(path.display())?;
        } else if fs::read_to_string(&path).context(path.display())? != text {
            let advice = "differs from what the sources say; run `cargo xtask header` and commit";
            return Err(failed(format!("{}: {advice}", path.display())));
        }
    }
    Ok(())
}

fn generate(header: &Header) -> Result<String> {
    let root = repo::root()?;
    let mut command = Command::new(tools::CBINDGEN.path()?);
    command.current_dir(root.join(header.config).parent().context("a file has a directory")?);
    command.arg("--config").arg(root.join(header.config)).args(["--crate", header.package, "--quiet"]);
    shell::text(&mut command)
}

/// Replaces the names of pointer types by pointers and leaves out blocks that are in `known`.
fn tidy(text: &str, known: &BTreeSet<String>) -> String {
    let aliases: BTreeMap<&str, &str> = blocks(text).filter_map(alias).collect();
    let mut out = String::new();
    for block in blocks(text).filter(|block| alias(block).is_none()) {
        let block = replace_aliases(block, &aliases);
        // What frames the file stands in both.
        if known.contains(&block) && !block.starts_with('#') && !block.starts_with('}') {
            continue;
        }
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(&block);
    }
    out.push('\n');
    out
}

/// Pieces of the header between blank lines.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty())
}

/// Name and pointer of a block like `typedef uint64_t *Out_u64;` with its comment.
fn alias(block: &str) -> Option<(&str, &str)> {
    let last = block.lines().last()?;
    let typedef = last.strip_prefix("typedef ")?.strip_suffix(';')?;
    let (pointer, name) = typedef.split_at_checked(typedef.rfind('*')?.checked_add(1)?)?;
    let kind = name.split('_').next()?;
    let ours = [
        "Out", "In", "InOut", "Items", "ItemsMut", "Bytes", "BytesMut", "Chars", "CharsMut", "Lent", "Given",
    ];
    ours.contains(&kind).then_some((name, pointer))
}

/// The block with every alias outside comments replaced.
fn replace_aliases(block: &str, aliases: &BTreeMap<&str, &str>) -> String {
    let is_comment = |line: &str| line.trim_start().starts_with(['*', '/']);
    let line = |line: &str| if is_comment(line) { line.to_owned() } else { replace_words(line, aliases) };
    block.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn replace_words(block: &str, aliases: &BTreeMap<&str, &str>) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut out = String::with_capacity(block.len());
    let mut rest = block;
    while !rest.is_empty() {
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        match aliases.get(word) {
            // `Out_u64 bytes` becomes `uint64_t *bytes`.
            Some(pointer) => {
                out.push_str(pointer);
                rest = tail.strip_prefix(' ').unwrap_or(tail);
            }
            None => {
                out.push_str(word);
                let other = tail.find(is_word).unwrap_or(tail.len());
                let (between, next) = tail.split_at(other);
                out.push_str(between);
                rest = next;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_types_become_pointers() {
        let text = "/* A place. */\ntypedef uint64_t *Out_u64;\n\n#define X 1\n\n\
                    int f(Out_u64 a,\n      Outer b, Chars c);\n\ntypedef const char *Chars;\n\n\
                    /**\n * Chars of a text.\n */\nint g(void);\n";
        assert_eq!(
            tidy(text, &BTreeSet::new()),
            "#define X 1\n\nint f(uint64_t *a,\n      Outer b, const char *c);\n\n\
             /**\n * Chars of a text.\n */\nint g(void);\n"
        );
    }

    #[test]
    fn what_the_other_header_has_is_left_out() {
        let known = BTreeSet::from(["struct a {\n};".to_owned(), "#endif".to_owned()]);
        assert_eq!(tidy("struct a {\n};\n\nstruct b {\n};\n\n#endif", &known), "struct b {\n};\n\n#endif\n");
    }
}
