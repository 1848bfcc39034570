//! Where things are: the root of the checkout and the directory for what is built.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// The root of the checkout this program was built from.
pub(crate) fn root() -> Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map(Path::to_owned).context("xtask has no parent directory")
}

/// Cargo's target directory.
pub(crate) fn target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(&dir).context(PathBuf::from(dir).display()),
        None => Ok(root()?.join("target")),
    }
}

/// A directory of our own below the target directory; made when missing.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let dir = target()?.join("xtask").join(name);
    fs::create_dir_all(&dir).context(dir.display())?;
    Ok(dir)
}
