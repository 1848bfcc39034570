//! Where packages come from: the lists of this machine, or those of another architecture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::{repo, shell};

/// Debian's packages for one architecture.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    /// What replaces apt's configuration.
    config: Option<PathBuf>,
}

impl Archive {
    /// Those for this machine.
    pub(crate) const HOST: Self = Self { config: None };

    /// Those for `arch`, in Debian's words, from the sources of this machine. Their lists are kept
    /// apart: were the architecture made known to dpkg, every other call of apt would want the
    /// lists of both to be of the same hour.
    pub(crate) fn foreign(arch: &str) -> Result<Self> {
        let dir = repo::scratch("apt")?.join(arch);
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(name)).context(dir.display())?;
        }
        let status = dir.join("status");
        fs::write(&status, "").context(status.display())?;
        let text = format!(
            "APT::Architecture \"{arch}\";\nAPT::Architectures {{ \"{arch}\"; }};\n\
             Dir::State::lists \"{0}/lists\";\nDir::State::status \"{0}/status\";\n\
             Dir::Cache \"{0}/cache\";\nAPT::Sandbox::User \"root\";\n",
            dir.display()
        );
        let config = dir.join("apt.conf");
        fs::write(&config, text).context(config.display())?;
        Ok(Self { config: Some(config) })
    }

    /// The package of the versioned name that `meta` stands for and that starts with `prefix`.
    pub(crate) fn resolve(&self, meta: &str, prefix: &str) -> Result<String> {
        self.with_fresh_lists(|| {
            let text = shell::text(self.tool("apt-cache")?.args(["depends", meta]))?;
            let mut depends = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
            let name = depends.find(|name| name.starts_with(prefix));
            name.map(str::to_owned).context(format!("{meta} depends on no {prefix}* package"))
        })
    }

    /// Fetches `package` and unpacks it under `dir`, which must exist. Nothing is installed.
    pub(crate) fn unpack(&self, package: &str, dir: &Path) -> Result {
        let mut download = self.tool("apt-get")?;
        // The unprivileged user of apt may not write below the checkout.
        download.args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
        shell::stdout(download.current_dir(dir))?;
        let entries = fs::read_dir(dir).context(dir.display())?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let deb = paths.find(|path| path.extension().is_some_and(|end| end == "deb"));
        let deb = deb.context(format!("apt-get left no package in {}", dir.display()))?;
        shell::run(shell::tool("dpkg")?.arg("-x").arg(&deb).arg(dir))?;
        fs::remove_file(&deb).context(deb.display())
    }

    /// Fetches `package` unless an earlier run did, and returns the directory it is unpacked in.
    pub(crate) fn shelved(&self, package: &str, shelf: &Path) -> Result<PathBuf> {
        let dir = shelf.join(package);
        if dir.exists() {
            return Ok(dir);
        }
        // Beside it and renamed, so that an interrupted run leaves nothing half done. A version
        // has dots, which would be cut off as an extension.
        let part = shelf.join(format!("{package}.part"));
        if part.exists() {
            fs::remove_dir_all(&part).context(part.display())?;
        }
        fs::create_dir_all(&part).context(part.display())?;
        self.unpack(package, &part)?;
        fs::rename(&part, &dir).context(dir.display())?;
        Ok(dir)
    }

    /// Runs `attempt`; when it fails, fetches the package lists and runs it once more.
    pub(crate) fn with_fresh_lists<T>(&self, attempt: impl Fn() -> Result<T>) -> Result<T> {
        if let Ok(value) = attempt() {
            return Ok(value);
        }
        println!("fetching the package lists");
        let updated = shell::stdout(self.tool("apt-get")?.args(["update", "-q"]));
        match (attempt(), updated) {
            // A mirror may lag in one of its parts, and the package be in another.
            (Err(_), Err(cause)) => Err(cause),
            (result, _) => result,
        }
    }

    /// A program of apt that looks here.
    pub(super) fn tool(&self, program: &str) -> Result<Command> {
        let mut command = shell::tool(program)?;
        command.env("LC_ALL", "C");
        if let Some(config) = &self.config {
            command.env("APT_CONFIG", config);
        }
        Ok(command)
    }
}
