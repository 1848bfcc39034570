//! The dumps that are read: one guest's memory in every format.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::readers::Readers;
use crate::error::{Context, Result, failed, usage};
use crate::progress::Clock;
use crate::{repo, shell};

/// A dump in one format.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
}

impl Made {
    pub(super) fn is_elf(&self) -> bool {
        self.name == "elf"
    }
}

/// Formats, and the option of makedumpfile for each.
const FORMATS: [(&str, &str); 5] =
    [("elf", "-E"), ("zlib", "-c"), ("lzo", "-l"), ("snappy", "-p"), ("zstd", "-z")];

/// An ELF core of a guest: the one given, or that of a guest that crashes now.
pub(super) fn guest(given: Option<PathBuf>, mem: Option<String>, clock: Clock) -> Result<PathBuf> {
    let dump = match given {
        Some(dump) => std::path::absolute(&dump).context(dump.display())?,
        None => {
            let mem = mem.unwrap_or_else(|| "1G".to_owned());
            let keep = repo::scratch("bench-read")?.join("guest");
            clock.say(&format!("a guest with {mem} of memory crashes"));
            let args = ["--mem", &mem, "--no-la57", "--keep", &keep.display().to_string()];
            crate::crash::run(&args.map(str::to_owned))?;
            keep.join("disk/dump.elf")
        }
    };
    if dump.is_file() { Ok(dump) } else { Err(failed(format!("{}: no such file", dump.display()))) }
}

/// `dump` in every format, or only in one. What makedumpfile is built without is made from its
/// uncompressed dump with the distribution's compression libraries.
pub(super) fn convert(
    dump: &Path,
    level: u64,
    only: Option<&str>,
    readers: &Readers,
    dir: &Path,
    clock: Clock,
) -> Result<Vec<Made>> {
    let help = shell::text(shell::tool("makedumpfile")?.arg("--help"))?;
    let mut all = Vec::new();
    for (name, flag) in FORMATS.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        clock.say(&format!("{name} at level {level}"));
        let path = dir.join(name);
        // It cannot make an ELF core that lacks nothing, and need not.
        if name == "elf" && level == 0 {
            all.push(Made { name, path: dump.to_owned() });
            continue;
        }
        if help.contains(&format!("('{flag}' option will be ignored")) {
            let raw = dir.join("none");
            make(&["-d", &level.to_string()], dump, &raw)?;
            readers.recompress(&raw, name, &path)?;
            fs::remove_file(&raw).context(raw.display())?;
        } else {
            make(&["-d", &level.to_string(), flag], dump, &path)?;
        }
        all.push(Made { name, path });
    }
    match (all.is_empty(), only) {
        (true, Some(only)) => Err(usage(format!("--only {only}: elf, zlib, lzo, snappy or zstd"))),
        _ => Ok(all),
    }
}

fn make(options: &[&str], dump: &Path, out: &Path) -> Result {
    let mut command = shell::tool("makedumpfile")?;
    command.arg("-f").args(options).arg(dump).arg(out);
    shell::stdout(&mut command).map(|_| ())
}

/// Brings all of a file into the system's page cache: disks are not what is compared.
pub(super) fn warm(path: &Path) -> Result {
    let mut file = File::open(path).context(path.display())?;
    let mut piece = vec![0; 1 << 20];
    while file.read(&mut piece).context(path.display())? != 0 {}
    Ok(())
}
