//! Commands of the tool under limits.

use core::cell::RefCell;
use core::time::Duration;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Address space of a command, in KiB as `ulimit -v` takes it.
const MEMORY: u64 = 256 << 10;
/// A command that takes longer hangs: no limit of its speed, which depends on the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds on a processor. Judged of an optimised program only, and of one that writes no more
/// than this many bytes: that is what its time goes into otherwise.
const MAX_SECONDS: f64 = 1.0;
const LITTLE_OUTPUT: u64 = 256 << 20;
/// Names the file that a line about each command is appended to: `cargo xtask amplify` shows them.
const TABLE: &str = "KDUMP_COST_TABLE";
/// Clock ticks of /proc/PID/stat in a second (`sysconf(_SC_CLK_TCK)`, the same on all of Linux's
/// architectures that Rust knows).
const TICKS: f64 = 100.0;
/// Bytes that a map of a memory in two pieces for each byte of a file of 1 MB takes as JSON.
const MAX_OUTPUT: u64 = 384 << 20;
/// Lines on standard error: the first of each kind of defect.
const MAX_LINES: usize = 40;

pub(crate) const DUMP_COMMANDS: &[&[&str]] = &[
    &["info", "dump"],
    &["info", "--json", "dump"],
    &["notes", "dump"],
    &["notes", "--json", "dump"],
    &["dmesg", "dump"],
    &["dmesg", "--json", "dump"],
    &["map", "dump"],
    &["map", "--json", "dump"],
    &["map", "--svg", "svg", "dump"],
    &["read", "dump", "--phys", "0x1000", "--len", "64M"],
    &["read", "dump", "--virt", "0xffff888000100000", "--len", "64M"],
    &["verify", "--progress", "none", "dump"],
    &["verify", "--progress", "none", "--json", "dump"],
    &["save", "--progress", "none", "dump", "copy"],
];

/// Of a dump whose log alone is odd.
pub(crate) const LOG_COMMANDS: &[&[&str]] = &[&["dmesg", "--json", "dump"]];

pub(crate) const QUICK_COMMANDS: &[&[&str]] = &[
    &["notes", "--json", "dump"],
    &["dmesg", "--json", "dump"],
    &["map", "--json", "dump"],
    &["verify", "--progress", "none", "--json", "dump"],
    &["save", "--progress", "none", "dump", "copy"],
];

/// A directory of this test, where its commands run.
pub(crate) struct Case {
    dir: PathBuf,
    /// What was put there, with its sizes.
    sizes: RefCell<Vec<(String, u64)>>,
}

/// What a command took.
#[derive(Clone, Copy, Default)]
struct Usage {
    /// On a processor.
    seconds: f64,
    /// The most bytes of memory it had at once.
    peak: u64,
}

/// What became of a command.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// Its beginning and its end.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cost-{name}"));
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        Self { dir, sizes: RefCell::default() }
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let place = self.dir.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
        self.note_size(path, content.len() as u64);
    }

    fn note_size(&self, path: &str, size: u64) {
        let mut sizes = self.sizes.borrow_mut();
        sizes.retain(|(name, _)| name != path);
        sizes.push((path.to_owned(), size));
    }

    /// A file that begins with `content` and is zero up to `size`.
    pub(crate) fn put_sparse(&self, path: &str, content: &[u8], size: u64) {
        self.put(path, b"");
        let file = File::options().write(true).open(self.dir.join(path)).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(content, 0).unwrap();
        self.note_size(path, size);
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_as(args, "")
    }

    /// Runs a command on the case `what`.
    pub(crate) fn run_as(&self, args: &[&str], what: &str) -> Outcome {
        let outcome = self.run_with(args, what, MEMORY);
        assert!(!outcome.stderr.contains("no memory for"), "{args:?} {what}: {}", outcome.stderr);
        outcome
    }

    /// With `memory` KiB of address space.
    pub(crate) fn run_with(&self, args: &[&str], what: &str, memory: u64) -> Outcome {
        ["copy", "plan"].iter().for_each(|name| self.remove(name));
        let begun = Instant::now();
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {memory} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_kdump")])
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = std::thread::spawn(move || drain(out));
        let err = std::thread::spawn(move || drain(err));
        let (code, usage) = wait(&mut child, begun, args, what);
        let ((stdout, size), (stderr, _)) = (out.join().unwrap(), err.join().unwrap());
        let name = self.dir.display();
        // 1 is a defect that is told; a panic is 101 and a signal, as of an abort, is none.
        assert!(matches!(code, Some(0 | 1 | 3)), "{name} {args:?} {what}: {code:?} {stderr}");
        assert!(size <= MAX_OUTPUT, "{name} {args:?} {what}: {size} bytes");
        let lines = stderr.lines().count();
        // `save` has three lists: defects, program headers, ranges.
        let most = if args.first() == Some(&"save") { 3 * MAX_LINES } else { MAX_LINES };
        assert!(lines <= most, "{name} {args:?} {what}: {lines} lines");
        let copied = fs::metadata(self.dir.join("copy")).map_or(0, |found| found.blocks() * 512);
        self.judge(args, what, usage, size + copied);
        ["copy", "plan"].iter().for_each(|name| self.remove(name));
        Outcome { code, stdout, stderr }
    }

    fn judge(&self, args: &[&str], what: &str, usage: Usage, output: u64) {
        let (Usage { seconds, peak }, name) = (usage, self.dir.file_name().unwrap().to_string_lossy());
        let case = format!("{} {what}", name.trim_start_matches("cost-"));
        let slow = !cfg!(debug_assertions) && seconds > MAX_SECONDS && output <= LITTLE_OUTPUT;
        let Some(table) = std::env::var_os(TABLE) else {
            assert!(!slow, "{case} {args:?}: {seconds} seconds on a processor");
            return;
        };
        // Whoever wants the table wants all of it, and judges by it.
        let verdict = if slow { "slow" } else { "ok" };
        let input: u64 = self.sizes.borrow().iter().map(|(_, size)| size).sum();
        let (case, command) = (case.trim(), args.join(" "));
        let line = format!("{case}\t{command}\t{input}\t{output}\t{seconds:.2}\t{peak}\t{verdict}\n");
        // One write, so that lines of several tests do not meet.
        let mut file = File::options().append(true).create(true).open(table).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        let path = self.dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

fn wait(child: &mut Child, begun: Instant, args: &[&str], what: &str) -> (Option<i32>, Usage) {
    let place = PathBuf::from(format!("/proc/{}", child.id()));
    let mut usage = Usage::default();
    loop {
        // What has ended and was not waited for still has its times, but no memory.
        let peak = fs::read_to_string(place.join("status")).ok().and_then(|status| high_water(&status));
        usage.peak = usage.peak.max(peak.unwrap_or(0));
        let stat = fs::read_to_string(place.join("stat")).unwrap();
        let (state, seconds) = times(&stat);
        usage.seconds = seconds;
        if state == "Z" {
            return (child.wait().unwrap().code(), usage);
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args:?} {what}: still running after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// `VmHWM` of /proc/PID/status, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// State and seconds on a processor of /proc/PID/stat (`proc_pid_stat(5)`: fields 3, 14 and 15).
fn times(stat: &str) -> (&str, f64) {
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (fields[0], (ticks(11) + ticks(12)) / TICKS)
}

/// Reads all of a pipe; of more than 1 MiB the beginning and the end. Returns its size, too.
fn drain(mut pipe: impl Read) -> (String, u64) {
    let (mut kept, mut size) = (Vec::new(), 0);
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = pipe.read(&mut piece).unwrap();
        if count == 0 {
            return (String::from_utf8_lossy(&kept).into_owned(), size);
        }
        size += count as u64;
        kept.extend(&piece[..count]);
        if kept.len() > 1 << 20 {
            kept.drain(1 << 19..kept.len() - (1 << 18));
        }
    }
}
