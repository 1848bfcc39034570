//! Debian packages: installing programs, and fetching packages without installing them.

mod archive;

use std::path::Path;

use crate::error::{Result, failed};
use crate::shell;
pub(crate) use archive::Archive;

/// Something the machine must have, and the package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// A program, or an absolute path.
    pub(crate) what: &'static str,
    pub(crate) package: &'static str,
}

impl Need {
    fn is_met(self) -> bool {
        if self.what.starts_with('/') {
            Path::new(self.what).exists()
        } else {
            shell::find(self.what).is_some()
        }
    }
}

/// Installs the packages of all needs that are not met.
pub(crate) fn ensure(needs: &[Need]) -> Result {
    let missing: Vec<_> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    println!("installing {}", packages.join(" "));
    let attempt = || {
        let mut apt = Archive::HOST.tool("apt-get")?;
        apt.args(["install", "-y", "-q", "--no-install-recommends"]).args(&packages);
        shell::stdout(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    with_fresh_lists(attempt)?;
    match missing.iter().find(|need| !need.is_met()) {
        Some(need) => Err(failed(format!("{} is not in package {}", need.what, need.package))),
        None => Ok(()),
    }
}

/// As [`Archive::resolve`], for this machine.
pub(crate) fn resolve(meta: &str, prefix: &str) -> Result<String> {
    Archive::HOST.resolve(meta, prefix)
}

/// As [`Archive::unpack`], for this machine.
pub(crate) fn unpack(package: &str, dir: &Path) -> Result {
    Archive::HOST.unpack(package, dir)
}

/// As [`Archive::with_fresh_lists`], for this machine.
pub(crate) fn with_fresh_lists<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    Archive::HOST.with_fresh_lists(attempt)
}
