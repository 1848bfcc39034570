//! What `cargo metadata` says about this workspace and everything it links.

use core::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Context, Result};
use crate::{repo, rust, shell};

/// A package of the workspace or of a registry.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its Cargo.toml.
    pub(crate) manifest: PathBuf,
    pub(crate) licence: Option<String>,
    /// Whether it comes from a registry.
    pub(crate) foreign: bool,
    /// The names it depends on for more than its tests.
    pub(crate) dependencies: Vec<String>,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Every package in the lock file of the workspace.
pub(crate) fn packages() -> Result<Vec<Package>> {
    said(&[])?.iter().map(package).collect()
}

/// Package and name of each file of tests in the workspace.
pub(crate) fn tests() -> Result<Vec<(String, String)>> {
    let text = |value: &Value, name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut tests = Vec::new();
    for package in said(&["--no-deps"])? {
        let name = text(&package, "name").context("a package without a name")?;
        let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
        let files = targets.filter(|target| target.get("kind") == Some(&json!(["test"])));
        tests.extend(files.filter_map(|target| Some((name.clone(), text(target, "name")?))));
    }
    Ok(tests)
}

/// The packages that `cargo metadata` tells of.
fn said(options: &[&str]) -> Result<Vec<Value>> {
    let mut cargo = rust::cargo()?;
    cargo.args(["metadata", "--quiet", "--format-version", "1"]).args(options);
    let document: Value = serde_json::from_slice(&shell::stdout(&mut cargo)?).context("metadata")?;
    document.get("packages").and_then(Value::as_array).cloned().context("no packages")
}

/// Where a package of the workspace lives, from the root.
pub(crate) fn place(package: &Package) -> Result<PathBuf> {
    let root = repo::root()?;
    let dir = package.manifest.parent().unwrap_or(Path::new(""));
    dir.strip_prefix(&root).map(Path::to_owned).context(dir.display())
}

fn package(value: &Value) -> Result<Package> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let dependencies = value.get("dependencies").and_then(Value::as_array);
    let dependencies = dependencies.into_iter().flatten();
    let linked = dependencies.filter(|d| d.get("kind").and_then(Value::as_str) != Some("dev"));
    Ok(Package {
        name: text("name").context("a package without a name")?,
        version: text("version").context("a package without a version")?,
        manifest: text("manifest_path").context("a package without a manifest")?.into(),
        licence: text("license"),
        foreign: text("source").is_some(),
        dependencies: linked
            .filter_map(|d| d.get("name").and_then(Value::as_str).map(str::to_owned))
            .collect(),
    })
}
