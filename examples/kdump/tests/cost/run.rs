//! Commands of the tool under limits.

use core::time::Duration;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Address space of a command, in KiB as `ulimit -v` takes it.
const MEMORY: u64 = 256 << 10;
/// A command that takes longer hangs: no limit of its speed, which depends on the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that the largest log takes as JSON: that of 32 MiB of text in a million records.
const MAX_OUTPUT: u64 = 256 << 20;
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
        Self { dir }
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let place = self.dir.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    /// A file that begins with `content` and is zero up to `size`.
    pub(crate) fn put_sparse(&self, path: &str, content: &[u8], size: u64) {
        self.put(path, b"");
        let file = File::options().write(true).open(self.dir.join(path)).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(content, 0).unwrap();
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
        let code = wait(&mut child, begun, args, what);
        let ((stdout, size), (stderr, _)) = (out.join().unwrap(), err.join().unwrap());
        let name = self.dir.display();
        // 1 is a defect that is told; a panic is 101 and a signal, as of an abort, is none.
        assert!(matches!(code, Some(0 | 1 | 3)), "{name} {args:?} {what}: {code:?} {stderr}");
        assert!(size <= MAX_OUTPUT, "{name} {args:?} {what}: {size} bytes");
        let lines = stderr.lines().count();
        // `save` has three lists: defects, program headers, ranges.
        let most = if args.first() == Some(&"save") { 3 * MAX_LINES } else { MAX_LINES };
        assert!(lines <= most, "{name} {args:?} {what}: {lines} lines");
        ["copy", "plan"].iter().for_each(|name| self.remove(name));
        Outcome { code, stdout, stderr }
    }

    fn remove(&self, name: &str) {
        let path = self.dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

fn wait(child: &mut Child, begun: Instant, args: &[&str], what: &str) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args:?} {what}: still running after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
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
