//! `cargo xtask layers`: the direction of dependency among the crates of the workspace, and
//! among the rooms of kdump-vmcore; that no library speaks of the tool, that each uses what it links; and that its modules do not
//! need each other in circles.

mod cycles;
mod imports;
mod unused;
mod words;

pub(crate) use words::sources;

use std::fs;
use std::path::Path;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::metadata::{self, Package};
use crate::repo;

/// Each library and the libraries it may build on.
const RULES: &[(&str, &[&str])] = &[
    ("kdump-elf", &[]),
    ("kdump-vmcore", &["kdump-elf"]),
    ("kdump-segments", &["kdump-elf"]),
    ("kdump-purgatory", &["kdump-elf", "kdump-segments"]),
    ("kdump-ffi-core", &["kdump-elf"]),
    ("kdump-ffi", &["kdump-elf", "kdump-vmcore", "kdump-segments", "kdump-purgatory", "kdump-ffi-core"]),
];

/// Arrows that close a circle of modules and stay, by crate.
const CIRCLES: &[(&str, &[cycles::Accepted])] = &[
    (
        "kdump-ffi-core",
        &[("", "layout", "*", "the list of all structures; the pointers ask for a row of it")],
    ),
    (
        "kdump-purgatory",
        &[
            ("", "patch", "*", "chooses the architecture, whose folder builds on it"),
            ("", "reloc", "*", "the same"),
        ],
    ),
    (
        "kdump-segments",
        &[
            (
                "",
                "target",
                "*",
                "the rows of the architectures name functions of every step, and every step asks its row",
            ),
            ("", "machine", "iomem", "reads with what it gives to those who read its files"),
            ("", "machine", "kernel_layout", "the same"),
            ("", "capture_need", "plan", "a suggestion is found by laying out plans, which tell their need"),
            ("", "preflight", "plan", "judges plans, which leave room by its search for control pages"),
        ],
    ),
    (
        "kdump-vmcore",
        &[
            ("dump", "flattened", "signature", "a stream holds a dump of any format"),
            ("dump", "format", "kdump", "what a thread keeps for one format, without a price for each read"),
            ("dump", "parallel", "reader", "those who help are readers themselves"),
            ("save", "plan", "cuts", "a plan is made of parts that are told of its options"),
            ("save/kdump", "plan", "*", "the same"),
            ("save/kdump", "threads", "write", "threads hand to the writer, which starts them"),
        ],
    ),
];

fn accepted(member: &str) -> &'static [cycles::Accepted] {
    CIRCLES.iter().find(|(name, _)| *name == member).map_or(&[], |(_, accepted)| accepted)
}

pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let packages = metadata::packages()?;
    let members: Vec<&Package> = packages.iter().filter(|package| !package.foreign).collect();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut broken = Vec::new();
    for member in &members {
        let place = metadata::place(member)?;
        broken.extend(judge(member, &place, &names));
        if RULES.iter().any(|(name, _)| *name == member.name) {
            let src = repo::root()?.join(&place).join("src");
            broken.extend(words::broken(&src)?);
            let circles = cycles::broken(&src, accepted(&member.name))?;
            broken.extend(circles.iter().map(|circle| format!("{}: {circle}", member.name)));
            let unused = unused::dependencies(&member.dependencies, &src)?;
            broken.extend(
                unused.iter().map(|name| format!("{} lists {name} and does not use it", member.name)),
            );
        }
    }
    let elf = repo::root()?.join("kdump-elf/src");
    broken.extend(allocators(&elf)?);
    broken.extend(imports::broken(&repo::root()?.join("kdump-vmcore/src"), imports::VMCORE)?);
    if !broken.is_empty() {
        return Err(failed(broken.join("\n")));
    }
    println!(
        "layers: {} crates depend downwards only; so do the rooms of kdump-vmcore; no modules need each \
         other in a circle but where it is accepted; kdump-elf does without alloc; \
         no library names options or commands of the tool, and each uses what it links",
        names.len()
    );
    Ok(())
}

/// The edges of one member that point where they must not.
fn judge(member: &Package, place: &Path, members: &[&str]) -> Vec<String> {
    // Tools, examples and tests may use everything.
    if ["examples", "tests", "xtask"].iter().any(|dir| place.starts_with(dir)) {
        return Vec::new();
    }
    let Some((_, allowed)) = RULES.iter().find(|(name, _)| *name == member.name) else {
        return vec![format!("{}: no rule says what it may depend on", member.name)];
    };
    let inner = member.dependencies.iter().filter(|name| members.contains(&name.as_str()));
    let wrong = inner.filter(|name| !allowed.contains(&name.as_str()));
    wrong.map(|name| format!("{} must not depend on {name}", member.name)).collect()
}

/// Files below `dir` that bring in the allocator.
fn allocators(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        if path.is_dir() {
            found.extend(allocators(&path)?);
        } else if fs::read_to_string(&path).context(path.display())?.contains("extern crate alloc") {
            found.push(format!("{}: kdump-elf has no alloc", path.display()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Package, judge};

    fn member(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            manifest: PathBuf::new(),
            licence: None,
            foreign: false,
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn upward_and_unruled_edges_are_broken() {
        let members = ["kdump-elf", "kdump-vmcore", "kdump-segments", "kdump-new", "xtask"];
        let broken = |name, dependencies: &[&str], place| {
            judge(&member(name, dependencies), Path::new(place), &members).len()
        };
        assert_eq!(broken("kdump-vmcore", &["kdump-elf", "thiserror"], "kdump-vmcore"), 0);
        assert_eq!(broken("kdump-vmcore", &["kdump-segments"], "kdump-vmcore"), 1);
        assert_eq!(broken("kdump-elf", &["kdump-vmcore", "kdump-segments"], "kdump-elf"), 2);
        assert_eq!(broken("kdump-new", &[], "kdump-new"), 1);
        assert_eq!(broken("xtask", &["kdump-vmcore"], "xtask"), 0);
    }
}
