//! `cargo xtask licences`: what is linked offers a licence of deny.toml and comes from where it should.
//!
//! Each source file of kdump-elf says its licence itself, for kernels that take files and not packages.

use std::fs;
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::metadata;
use crate::{repo, shell, tools};

/// `advisories` is left out: its database lies where not every machine may look.
const CHECKS: &[&str] = &["licenses", "bans", "sources"];

pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let mut deny = Command::new(tools::CARGO_DENY.path()?);
    shell::run(deny.current_dir(repo::root()?).args(["check", "--hide-inclusion-graph"]).args(CHECKS))?;
    let broken = without_licence()?;
    if broken.is_empty() { Ok(()) } else { Err(failed(broken.join("\n"))) }
}

/// Source files of kdump-elf whose first line is not the licence of the package.
fn without_licence() -> Result<Vec<String>> {
    let packages = metadata::packages()?;
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

#[cfg(test)]
mod tests {
    use super::says_licence;

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
}
