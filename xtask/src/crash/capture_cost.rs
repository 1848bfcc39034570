//! `cargo xtask bench capture`: saving /proc/vmcore in the capture kernel itself, by `kdump` and by the
//! distribution's makedumpfile in the same boot; then the smallest crash region in which each saves.

mod cells;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use super::initramfs;
use super::kernel::Kernel;
use super::modules::{self, Module};
use super::options::{Options, Series};
use super::programs::{self, Programs, stripped};
use super::region_sizes::DEATHS;
use super::setup::Setup;
use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Context, Result, failed, usage};
use crate::progress::Clock;
use crate::{consumers, repo, shell};
use ::lab::disk::Disk;
use ::lab::guest::Guest;
use cells::{Cell, Saver, Taken, Target};

/// How long the first kernel may take to boot, fill its memory and panic.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long one run of the capture kernel may take, or its boot.
const CAPTURE: Duration = Duration::from_secs(900);
/// The region in which both are compared, in MiB, and where the search for the smallest begins.
const REGION: u64 = 192;
const TOO_SMALL: u64 = 64;
/// How far apart the sizes are that are told from each other.
const STEP: u64 = 4;
/// Directories in memory, so that the kernel has slab to save.
const OBJECTS: u64 = 20_000;

pub(crate) const NEEDS: &[Need] = &[Need { what: "makedumpfile", package: "makedumpfile" }];

/// Times in seconds, memory and the file in KiB.
const HEAD: [&str; 11] = [
    "program",
    "-d",
    "to",
    "exit",
    "wall",
    "user",
    "system",
    "host cpu",
    "resident",
    "anonymous",
    "charged      file",
];

const USAGE: &str = "bench capture [--kernel 6.1|6.12] [--mem 2G] [--region MIB] [--rounds N] [--kdump PROGRAM] \
                     [--only compare|search] [--sizes MIB,…]";

struct Request {
    options: Options,
    region: u64,
    rounds: u64,
    /// A static `kdump` that is there already.
    kdump: Option<PathBuf>,
    /// One of the two parts alone.
    only: Option<String>,
    /// The regions in which each is tried, instead of a search.
    sizes: Vec<u64>,
}

impl Request {
    fn parse(args: &[String]) -> Result<Self> {
        let mut args = Args::new(args);
        let series = args.value("--kernel")?.map_or(Ok(Series::V6_1), |name| Series::parse(&name))?;
        let mem = args.value("--mem")?.unwrap_or_else(|| "2G".to_owned());
        let region = args.number("--region")?.unwrap_or(REGION);
        let rounds = args.number("--rounds")?.unwrap_or(1).clamp(1, 9);
        let kdump = args.value("--kdump")?.map(PathBuf::from);
        let only = args.value("--only")?;
        if let Some(other) = only.as_ref().filter(|&part| part != "compare" && part != "search") {
            return Err(usage(format!("--only knows compare and search, not {other}")));
        }
        let number =
            |text: &str| text.trim().parse().map_err(|_| usage(format!("--sizes: {text:?} is no number")));
        let sizes = args.value("--sizes")?.unwrap_or_default();
        let sizes: Result<Vec<u64>> = sizes.split(',').filter(|text| !text.is_empty()).map(number).collect();
        let sizes = sizes?;
        args.finish()?;
        if region <= TOO_SMALL {
            return Err(usage(format!("--region {region}: more than {TOO_SMALL} MiB")));
        }
        let guest = [format!("--kernel={}", series.name()), format!("--mem={mem}")];
        Ok(Self { options: Options::parse(&guest)?, region, rounds, kdump, only, sizes })
    }
}

pub(crate) fn run(args: &[String]) -> Result {
    if args.iter().any(|arg| arg == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let request = Request::parse(args)?;
    let clock = Clock::start();
    apt::ensure(&super::needs())?;
    apt::ensure(NEEDS)?;
    let kernel = Kernel::fetch(request.options.series, clock)?;
    clock.say("building kdump for the guest, as it is shipped");
    let programs = programs::build_shipped(request.kdump.as_deref())?;
    let dir = repo::scratch("capture-cost")?.join(request.options.label());
    fs::create_dir_all(&dir).context(dir.display())?;
    let modules = modules::collect(&kernel)?;
    let lab = Lab { request: &request, kernel, programs, modules, dir: &dir, clock };
    let asked = |part: &str| request.only.as_ref().is_none_or(|only| only == part);
    if asked("compare") {
        lab.compare()?;
    }
    if request.sizes.is_empty() && asked("search") {
        lab.search()?;
    }
    for &mib in &request.sizes {
        for saver in Saver::ALL {
            lab.fails(mib, Cell { saver, level: "31", target: Target::File })?;
        }
    }
    Ok(())
}

/// What all guests have in common.
struct Lab<'a> {
    request: &'a Request,
    kernel: Kernel,
    programs: Programs,
    modules: Vec<Module>,
    dir: &'a Path,
    clock: Clock,
}

/// What became of a guest.
struct Outcome {
    taken: Vec<(Cell, Taken)>,
    /// Why it did not come to the end of its cells.
    died: Option<String>,
    /// What the capture kernel said of its memory.
    memory: String,
}

impl Lab<'_> {
    /// Both programs in one boot, cell by cell.
    fn compare(&self) -> Result {
        let cells: Vec<Cell> = (0..self.request.rounds).flat_map(|_| Cell::all()).collect();
        let outcome = self.guest(self.request.region, &Saver::ALL, &cells)?;
        if let Some(why) = outcome.died {
            return Err(failed(format!("the capture kernel did not come to its end: {why}")));
        }
        let release = &self.kernel.release;
        let (mem, region) = (self.request.options.mem_mib, self.request.region);
        println!("\nLinux {release}, {mem} MiB, crashkernel={region}M, one emulated CPU; {}", outcome.memory);
        let line = |cells: [String; 11]| {
            let [program, level, to, rest @ ..] = cells;
            let rest: Vec<String> = rest.iter().map(|cell| format!("{cell:>9}")).collect();
            println!("  {program:12} {level:>3} {to:6}{}", rest.join(" "));
        };
        line(HEAD.map(str::to_owned));
        for (cell, taken) in &outcome.taken {
            let seconds = |seconds: f64| format!("{seconds:.2}");
            line([
                cell.saver.name().to_owned(),
                cell.level.to_owned(),
                cell.target_name().to_owned(),
                taken.code.to_string(),
                seconds(taken.wall),
                seconds(taken.user),
                seconds(taken.system),
                seconds(taken.host.as_secs_f64()),
                taken.resident_kib.to_string(),
                taken.anonymous_kib.to_string(),
                format!("{} {:>9}", taken.charged >> 10, taken.size >> 10),
            ]);
        }
        match outcome.taken.iter().find(|(_, taken)| taken.code != 0) {
            Some((cell, taken)) => {
                Err(failed(format!("{} ended with exit code {}", cell.name(), taken.code)))
            }
            None => Ok(()),
        }
    }

    /// The smallest region of each, alone in its initramfs.
    fn search(&self) -> Result {
        let mut lines = Vec::new();
        for saver in Saver::ALL {
            let mut bad = (TOO_SMALL, "not tried, taken for too small".to_owned());
            // What is too small for little is too small for more.
            for level in ["31", "0"] {
                let cell = Cell { saver, level, target: Target::File };
                let good;
                (bad, good) = self.smallest(cell, bad)?;
                let (name, (mib, why)) = (saver.name(), &bad);
                lines.push(format!("  {name:12} {level:>3} crashkernel={good}M; in {mib}M: {why}"));
            }
        }
        println!(
            "\nthe smallest region that saves, in steps of {STEP} MiB, each program alone in its initramfs"
        );
        lines.iter().for_each(|line| println!("{line}"));
        Ok(())
    }

    /// The largest region that is too small for a cell and what happens there, and the smallest that is not; `bad` is
    /// too small.
    fn smallest(&self, cell: Cell, mut bad: (u64, String)) -> Result<((u64, String), u64)> {
        let (mut good, mut tried) = (self.request.region, false);
        // The next one first: of the second level it is the one.
        let mut next = bad.0.saturating_add(STEP);
        if cell.level == "31" {
            next = bad.0.midpoint(good).next_multiple_of(STEP);
        }
        while good.saturating_sub(bad.0) > STEP {
            match self.fails(next, cell)? {
                Some(text) => bad = (next, text),
                None => (good, tried) = (next, true),
            }
            next = bad.0.midpoint(good).next_multiple_of(STEP);
        }
        if !tried {
            if let Some(text) = self.fails(good, cell)? {
                return Err(failed(format!("{} does not save in {good} MiB: {text}", cell.name())));
            }
        }
        Ok((bad, good))
    }

    /// Why a region is too small.
    fn fails(&self, mib: u64, cell: Cell) -> Result<Option<String>> {
        let outcome = self.guest(mib, &[cell.saver], &[cell])?;
        let exit = outcome.taken.first().filter(|(_, taken)| taken.code != 0);
        let failed = outcome.died.or_else(|| exit.map(|(_, taken)| format!("exit code {}", taken.code)));
        let said = failed.as_deref().unwrap_or("saved");
        self.clock.say(&format!("{} in {mib} MiB: {said}; {}", cell.name(), outcome.memory));
        Ok(failed)
    }

    /// The files of the capture initramfs beside busybox and the modules.
    fn files(&self, savers: &[Saver], cells: &[Cell]) -> Result<Vec<(String, Vec<u8>)>> {
        let text: String = cells.iter().map(|cell| cell.line()).collect();
        let mut files = vec![("cells".to_owned(), text.into_bytes())];
        for saver in savers {
            match saver {
                Saver::Kdump => {
                    files.push(("bin/kdump".to_owned(), stripped(&self.programs.kdump, self.dir)?))
                }
                Saver::Makedumpfile => {
                    let program = shell::find("makedumpfile").context("makedumpfile: no such program")?;
                    for file in consumers::installed("bin/makedumpfile", &program)? {
                        files.push((file.path, fs::read(&file.host).context(file.host.display())?));
                    }
                }
            }
        }
        Ok(files)
    }

    fn guest(&self, mib: u64, savers: &[Saver], cells: &[Cell]) -> Result<Outcome> {
        let options = &self.request.options;
        let script = ("bench-capture", include_str!("../../guest/bench-capture"));
        let files = self.files(savers, cells)?;
        let (initramfs, size) =
            initramfs::write_of(self.dir, &self.kernel, &self.modules, &self.programs, script, &files)?;
        let disk = Disk::create(self.dir, options.mem_mib)?;
        // What the dead kernel had matters little for what the capture kernel needs, and takes long.
        let (held, objects) = if savers.len() > 1 { (options.mem_mib / 4, OBJECTS) } else { (16, 16) };
        let cmdline = format!(
            "console=ttyS0 crashkernel={mib}M panic=5 printk.devkmsg=on lab.bench=1 lab.loader=kdump lab.backup=auto \
             lab.objects={objects} lab.held={held}"
        );
        let names: Vec<&str> = savers.iter().map(|saver| saver.name()).collect();
        self.clock.say(&format!("crashkernel={mib}M, {} in {} KiB", names.join(" and "), size >> 10));
        let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
        let log = self.dir.join(format!("{}-{mib}M.log", names.join("-")));
        let (image, disk, gdb) = (self.kernel.image.as_path(), disk.path(), socket.as_path());
        let setup = Setup { image, initramfs: &initramfs, cmdline: &cmdline, disk, gdb, log: &log };
        let mut guest = setup.start(options)?;
        if guest.wait_for(&["lab: loaded", "lab: refused"], PATIENCE)?.contains("lab: refused") {
            let died = Some("the capture kernel was not loaded".to_owned());
            return Ok(Outcome { taken: Vec::new(), died, memory: String::new() });
        }
        guest.wait_for(&["Kernel panic - not syncing"], PATIENCE)?;
        self.capture(&mut guest, cells)
    }

    /// Listens to the capture kernel.
    fn capture(&self, guest: &mut Guest, cells: &[Cell]) -> Result<Outcome> {
        let mut outcome = Outcome { taken: Vec::new(), died: None, memory: String::new() };
        let mut next = |texts: &[&str]| -> Result<core::result::Result<(String, Duration), String>> {
            let heard = guest.hear(&[DEATHS.as_slice(), texts].concat(), CAPTURE)?;
            let Some(line) = heard else { return Ok(Err("silent, or QEMU ended".to_owned())) };
            let text = line.split_once("] ").map_or(line.as_str(), |(_, text)| text).to_owned();
            let good = texts.iter().any(|wanted| line.contains(wanted));
            Ok(if good { Ok((text, guest.processor_time()?)) } else { Err(text) })
        };
        match next(&["lab: memory"])? {
            Ok((line, _)) => line.trim_start_matches("lab: ").clone_into(&mut outcome.memory),
            Err(died) => return Ok(Outcome { died: Some(died), ..outcome }),
        }
        for &cell in cells {
            let name = cell.name();
            let mut lines = Vec::new();
            for word in ["begin", "end", "size"] {
                match next(&[&format!("lab: {word} {name} ")])? {
                    Ok(line) => lines.push(line),
                    Err(died) => return Ok(Outcome { died: Some(died), ..outcome }),
                }
            }
            let [(_, before), (end, after), (size, _)] = lines.as_slice() else {
                return Err(failed(format!("{name}: not three lines")));
            };
            let taken = Taken::read(end, size, after.saturating_sub(*before))?;
            self.clock.say(end);
            outcome.taken.push((cell, taken));
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    fn parse(line: &str) -> crate::error::Result<Request> {
        Request::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn requests() {
        let usual = parse("").unwrap();
        assert_eq!(
            (usual.options.mem_mib, usual.region, usual.rounds, usual.only.is_none()),
            (2048, 192, 1, true)
        );
        let other =
            parse("--kernel 6.12 --mem 1G --region 256 --rounds 3 --only search --sizes 96,80").unwrap();
        assert_eq!(other.sizes, [96, 80]);
        assert_eq!(
            (other.options.mem_mib, other.region, other.rounds, other.only.is_none()),
            (1024, 256, 3, false)
        );
        for line in ["--kernel 5.10", "--region 64", "--rounds x", "--only all", "--sizes 96,x", "extra"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
