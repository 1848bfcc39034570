//! Programs of crates.io that check or generate: pinned, built once, kept below the target directory.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Result;
use crate::{repo, rust, shell};

/// A program, the crate of the same name, and the version whose output is known.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What `cargo install` is told besides.
    pub(crate) options: &'static [&'static str],
}

/// What it makes is compared byte for byte.
pub(crate) const CBINDGEN: Tool = Tool { name: "cbindgen", version: "0.29.4", options: &[] };
/// Without what fetches its database of advisories: that lies where not every machine may look.
pub(crate) const CARGO_DENY: Tool =
    Tool { name: "cargo-deny", version: "0.20.2", options: &["--no-default-features"] };

/// Installs all of them.
pub(crate) fn prepare() -> Result {
    [CBINDGEN, CARGO_DENY].iter().try_for_each(|tool| tool.path().map(drop))
}

impl Tool {
    /// Its path, after it was installed if it was not there.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let root = repo::scratch("tools")?;
        let program = root.join("bin").join(self.name);
        let said = shell::text(Command::new(&program).arg("--version")).ok();
        if said.is_none_or(|said| said.trim() != format!("{} {}", self.name, self.version)) {
            println!("installing {} {}", self.name, self.version);
            let mut install = rust::cargo()?;
            // They run for seconds: optimising them would take a minute each.
            install.args(["install", "--quiet", "--locked", "--force", "--debug"]).args(self.options);
            install.args(["--version", self.version, self.name]);
            install.env("CARGO_PROFILE_DEV_DEBUG", "0");
            // One place for all: they are made of some of the same packages.
            install.arg("--target-dir").arg(root.join("build"));
            shell::run(install.arg("--root").arg(&root))?;
        }
        Ok(program)
    }
}
