//! The programs that read: ours in several ways, libkdumpfile, drgn.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::dumps::Made;
use super::places::Job;
use crate::error::{Context, Result, failed};
use crate::{repo, rust, shell};

const LIBKDUMPFILE: &str = include_str!("../../../peers/libkdumpfile_read.c");
const DRGN: &str = include_str!("../../../peers/drgn_read.py");
/// The release from PyPI.
const DRGN_RELEASE: &str = "drgn==0.3.0";

/// Seconds for a list, and a checksum over the bytes.
#[derive(Clone, Debug)]
pub(super) struct Took {
    pub(super) wall: f64,
    /// Of all processors.
    pub(super) processor: f64,
    pub(super) checksum: String,
}

/// A program, and its name in the table.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) is_ours: bool,
    program: Vec<PathBuf>,
    ways: &'static [&'static str],
}

impl Reader {
    /// Reads the list of the job and takes the time.
    pub(super) fn run(&self, made: &Made, job: &Job) -> Result<Took> {
        let (first, rest) = self.program.split_first().context("no program")?;
        let mut command = Command::new(first);
        command.args(rest).arg(&made.path).args([job.space, &job.threads.to_string()]);
        command.arg(u8::from(job.warm).to_string()).arg(&job.list).args(self.ways);
        let line = shell::describe(&command);
        let text = shell::text(&mut command)?;
        let wrong = || format!("{line} said {text:?}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[wall, processor, checksum, lost] = words.as_slice() else { return Err(failed(wrong())) };
        if lost != "0" {
            return Err(failed(format!("{line}: {lost} of {} reads failed", job.reads)));
        }
        let number = |text: &str| text.parse::<f64>().context(wrong());
        Ok(Took { wall: number(wall)?, processor: number(processor)?, checksum: checksum.to_owned() })
    }
}

/// All programs.
#[derive(Debug)]
pub(super) struct Readers {
    ours: PathBuf,
    libkdumpfile: PathBuf,
    drgn: [PathBuf; 2],
}

impl Readers {
    pub(super) fn build(dir: &Path) -> Result<Self> {
        let mut cargo = rust::cargo()?;
        cargo.args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "kdump-bench",
            "--bin",
            "kdump-bench-read",
        ]);
        shell::run(&mut cargo)?;
        let ours = repo::target()?.join("release/kdump-bench-read");
        let (source, libkdumpfile) = (dir.join("libkdumpfile_read.c"), dir.join("libkdumpfile_read"));
        std::fs::write(&source, LIBKDUMPFILE).context(source.display())?;
        let mut cc = shell::tool("cc")?;
        cc.args(["-O2", "-Wall", "-Werror", "-pthread", "-o"]).arg(&libkdumpfile).arg(&source);
        shell::stdout(cc.arg("-lkdumpfile"))?;
        let (venv, script) = (dir.join("venv"), dir.join("drgn_read.py"));
        std::fs::write(&script, DRGN).context(script.display())?;
        let python = venv.join("bin/python");
        if !python.exists() {
            shell::stdout(shell::tool("python3")?.args(["-m", "venv"]).arg(&venv))?;
        }
        let pip = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", DRGN_RELEASE];
        shell::stdout(Command::new(&python).args(pip))?;
        Ok(Self { ours, libkdumpfile, drgn: [python, script] })
    }

    /// Compresses the pages of an uncompressed dump.
    pub(super) fn recompress(&self, raw: &Path, codec: &str, out: &Path) -> Result {
        let mut command = Command::new(&self.ours);
        shell::stdout(command.arg("recompress").arg(raw).arg(codec).arg(out)).map(|_| ())
    }

    /// Those that can read the list of `job` from `made`.
    pub(super) fn of(&self, made: &Made, job: &Job) -> Vec<Reader> {
        let ours = |ways: &'static [&'static str]| Reader {
            name: [&["ours"], ways].concat().join(" "),
            is_ours: true,
            program: vec![self.ours.clone()],
            ways,
        };
        let peer = |name: &str, program: &[PathBuf]| Reader {
            name: name.to_owned(),
            is_ours: false,
            program: program.to_vec(),
            ways: &[],
        };
        let mut all = vec![peer("libkdumpfile", core::slice::from_ref(&self.libkdumpfile))];
        // Python runs one thread at a time; of compressed dumps drgn asks libkdumpfile.
        if made.is_elf() && job.threads == 1 {
            all.push(peer("drgn", &self.drgn));
        }
        all.extend([ours(&[]), ours(&["c"]), ours(&["mmap"]), ours(&["c", "mmap"])]);
        if !made.is_elf() && job.name == "1 MiB" && job.threads == 1 {
            all.push(ours(&["helpers"]));
        }
        all
    }
}
