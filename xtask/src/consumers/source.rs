//! Source packages of Debian, fetched without changing how the machine's apt is set up.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result, failed};
use crate::shell;

/// The keys of Debian's archive, where they are not those apt trusts anyway.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches and unpacks the newest source of `package` that the machine's archives have below
/// `dir`, unless an earlier run did. Returns the unpacked directory.
pub(crate) fn unpack(package: &str, dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    if tree.is_dir() {
        return Ok(tree);
    }
    let lists = dir.join("lists");
    fs::create_dir_all(&lists).context(lists.display())?;
    let sources = dir.join("sources.list");
    fs::write(&sources, entries()?).context(sources.display())?;
    let apt = || -> Result<Command> {
        let mut apt = shell::tool("apt-get")?;
        apt.env("LC_ALL", "C").current_dir(dir).arg("-q");
        apt.arg("-o").arg(format!("Dir::Etc::sourcelist={}", sources.display()));
        apt.args(["-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=root", "-o"]);
        apt.arg(format!("Dir::State::lists={}", lists.display()));
        Ok(apt)
    };
    shell::stdout(apt()?.arg("update"))?;
    shell::stdout(apt()?.args(["source", "--download-only", package]))?;
    let description = only(dir, "dsc")?;
    let part = dir.join("part");
    if part.exists() {
        fs::remove_dir_all(&part).context(part.display())?;
    }
    shell::stdout(shell::tool("dpkg-source")?.arg("-x").arg(&description).arg(&part))?;
    fs::rename(&part, &tree).context(tree.display())?;
    Ok(tree)
}

/// A deb-src line for each archive the machine has packages from.
fn entries() -> Result<String> {
    let mut apt = shell::tool("apt-get")?;
    apt.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let text = shell::text(&mut apt)?;
    let archives: BTreeSet<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if archives.is_empty() {
        return Err(failed("apt knows no archive; is there a list below /etc/apt?"));
    }
    let signed = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    Ok(archives.into_iter().map(|archive| format!("deb-src {signed}{archive}\n")).collect())
}

/// The only file in `dir` with this extension.
fn only(dir: &Path, extension: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).context(dir.display())?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = entries.filter(|path| path.extension().is_some_and(|end| end == extension));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        (None, _) => Err(failed(format!("no .{extension} file in {}", dir.display()))),
        _ => Err(failed(format!("several .{extension} files in {}", dir.display()))),
    }
}
