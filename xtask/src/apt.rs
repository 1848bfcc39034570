//! Debian packages: installing programs, and fetching packages without installing them.

use std::path::Path;
use std::process::Command;

use crate::error::{Context, Result, failed};
use crate::shell;

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
        let mut apt = apt("apt-get")?;
        apt.args(["install", "-y", "-q", "--no-install-recommends"]).args(&packages);
        shell::stdout(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    with_fresh_lists(attempt)?;
    match missing.iter().find(|need| !need.is_met()) {
        Some(need) => Err(failed(format!("{} is not in package {}", need.what, need.package))),
        None => Ok(()),
    }
}

/// The package of the versioned name that `meta` stands for and that starts with `prefix`.
pub(crate) fn resolve(meta: &str, prefix: &str) -> Result<String> {
    with_fresh_lists(|| {
        let text = shell::text(apt("apt-cache")?.args(["depends", meta]))?;
        let mut depends = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let name = depends.find(|name| name.starts_with(prefix));
        name.map(str::to_owned).context(format!("{meta} depends on no {prefix}* package"))
    })
}

/// Fetches `package` and unpacks it under `dir`, which must exist. Nothing is installed.
pub(crate) fn unpack(package: &str, dir: &Path) -> Result {
    let mut download = apt("apt-get")?;
    // The unprivileged user of apt may not write below the checkout.
    download.args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
    shell::stdout(download.current_dir(dir))?;
    let entries = std::fs::read_dir(dir).context(dir.display())?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = paths.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let deb = deb.context(format!("apt-get left no package in {}", dir.display()))?;
    shell::run(shell::tool("dpkg")?.arg("-x").arg(&deb).arg(dir))?;
    std::fs::remove_file(&deb).context(deb.display())
}

/// Runs `attempt`; when it fails, fetches the package lists and runs it once more.
pub(crate) fn with_fresh_lists<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    if let Ok(value) = attempt() {
        return Ok(value);
    }
    println!("fetching the package lists");
    shell::stdout(apt("apt-get")?.args(["update", "-q"]))?;
    attempt()
}

fn apt(program: &str) -> Result<Command> {
    let mut command = shell::tool(program)?;
    command.env("LC_ALL", "C");
    Ok(command)
}
