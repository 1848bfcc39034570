//! `cargo xtask licences`: every linked package offers a licence of the list in deny.toml, and
//! supports the minimum compiler version.
//!
//! Each source file of kdump-elf says its licence itself, for kernels that take files and not packages.
//!
//! The list is the one cargo-deny reads; this check needs nothing that is not already there.

use std::fs;
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::metadata::{self, Package};
use crate::{repo, shell};

pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let path = repo::root()?.join("deny.toml");
    let text = fs::read_to_string(&path).context(path.display())?;
    let allowed = allow_list(&text).context("deny.toml has no list of allowed licences")?;
    let packages = metadata::packages()?;
    let minimum = packages.iter().find(|p| p.name == "kdump-elf").and_then(minimum_rust);
    let minimum = minimum.context("kdump-elf names no minimum compiler version")?;
    let mut broken = Vec::new();
    let foreign: Vec<&Package> = packages.iter().filter(|package| package.foreign).collect();
    for package in &foreign {
        match &package.licence {
            Some(licence) if permits(licence, &allowed) => {}
            other => broken.push(format!("{package}: licence {other:?} is not allowed")),
        }
        if minimum_rust(package).is_some_and(|version| version > minimum) {
            let version = package.rust_version.as_deref().unwrap_or_default();
            broken.push(format!("{package}: needs Rust {version}"));
        }
    }
    broken.extend(without_licence(&packages)?);
    if !broken.is_empty() {
        return Err(failed(broken.join("\n")));
    }
    let (major, minor) = minimum;
    println!("licences: {} packages allowed, none needs more than Rust {major}.{minor}", foreign.len());
    Ok(())
}

/// Source files of kdump-elf whose first line is not the licence of the package.
fn without_licence(packages: &[Package]) -> Result<Vec<String>> {
    let package = packages.iter().find(|package| package.name == "kdump-elf").context("no kdump-elf")?;
    let licence = package.licence.as_deref().context("kdump-elf names no licence")?;
    let root = repo::root()?;
    let mut git = Command::new("git");
    git.current_dir(&root).args(["ls-files", "--cached", "--others", "--exclude-standard", "kdump-elf/*.rs"]);
    let mut broken = Vec::new();
    for name in shell::text(&mut git)?.lines() {
        let path = root.join(name);
        // Removed, but not committed yet.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if !says_licence(&text, licence) {
            broken.push(format!("{name}: does not begin with {SPDX}{licence}"));
        }
    }
    Ok(broken)
}

const SPDX: &str = "// SPDX-License-Identifier: ";

fn says_licence(text: &str, licence: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix(SPDX)) == Some(licence)
}

/// Major and minor number of the compiler a package asks for.
fn minimum_rust(package: &Package) -> Option<(u32, u32)> {
    let mut numbers = package.rust_version.as_deref()?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next().unwrap_or(Ok(0)).ok()?))
}

/// The strings of the line `allow = ["…", …]`.
fn allow_list(text: &str) -> Option<Vec<&str>> {
    let line = text.lines().find_map(|line| line.strip_prefix("allow = ["))?;
    Some(line.split('"').skip(1).step_by(2).collect())
}

/// Whether an SPDX expression can be satisfied with `allowed` licences alone.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    // The slash is how older packages spell OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) == Some(true) && rest.is_empty()
}

/// `all (OR all)*`; `None` when the words are no expression.
fn any(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut value = all(rest, allowed)?;
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        value |= all(rest, allowed)?;
    }
    Some(value)
}

/// `one (AND one)*`.
fn all(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut value = one(rest, allowed)?;
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        value &= one(rest, allowed)?;
    }
    Some(value)
}

/// A licence, a licence with an exception (which only ever permits more), or parentheses.
fn one(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let value = any(rest, allowed)?;
            let [")", tail @ ..] = *rest else { return None };
            *rest = tail;
            Some(value)
        }
        [licence, "WITH", _, tail @ ..] | [licence, tail @ ..] => {
            *rest = tail;
            Some(allowed.contains(licence))
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{allow_list, permits, says_licence};

    #[test]
    fn the_first_line_is_the_licence() {
        let licence = "MIT OR Apache-2.0";
        assert!(says_licence("// SPDX-License-Identifier: MIT OR Apache-2.0\n//! x", licence));
        for bad in [
            "",
            "//! x\n// SPDX-License-Identifier: MIT OR Apache-2.0\n",
            "// SPDX-License-Identifier: MIT\n",
        ] {
            assert!(!says_licence(bad, licence), "{bad:?}");
        }
    }

    #[test]
    fn expressions() {
        let allowed = allow_list("x\nallow = [\"MIT\", \"Unicode-3.0\"]\n").unwrap();
        assert_eq!(allowed, ["MIT", "Unicode-3.0"]);
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "Apache-2.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert!(permits(good, &allowed), "{good}");
        }
        for bad in [
            "Apache-2.0",
            "GPL-2.0-only",
            "MIT AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "MIT OR",
            "(MIT",
            "",
        ] {
            assert!(!permits(bad, &allowed), "{bad}");
        }
    }
}
