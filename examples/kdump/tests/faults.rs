//! The fault matrix: whatever a source or a target does, each command says what is true, ends with
//! the status that says so, and loses nothing.
//!
//! Faults of the system are made by a library of faults/shim.c, which is preloaded.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/told.rs"]
mod told;

use core::cell::Cell;
use core::time::Duration;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use dumpgen::{CoreFile, Segment, Wire, note};
use serde_json::Value;

/// The memory of the sample begins here in the machine and in its file.
const AT: u64 = 0x10_0000;
const OFFSET: u64 = 0x2000;
const MEMORY: u64 = 0x4_0000;
/// What is left out of the sample, behind its memory.
const EXCLUDED: u64 = 0x1000;

fn pattern() -> Vec<u8> {
    (0..MEMORY).map(|at| (at ^ (at >> 8) ^ (at >> 14)) as u8 | 1).collect()
}

fn sample() -> Vec<u8> {
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n");
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&info))
        .with(Segment { p_memsz: Some(MEMORY + EXCLUDED), ..Segment::load(AT, &pattern()) })
        .build();
    assert_eq!(file.len() as u64, OFFSET + MEMORY);
    file
}

/// An older dump, larger than the sample and full of other bytes.
fn older() -> Vec<u8> {
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=5.0\nPAGESIZE=4096\n");
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() };
    file.with(Segment::notes(&info)).with(Segment::load(AT, &vec![0xee; 2 * MEMORY as usize])).build()
}

fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&out).arg(source).output();
        let made = made.unwrap_or_else(|error| panic!("cc is needed to make faults: {error}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        out
    })
}

thread_local! {
    /// What every `save` is asked for besides.
    static FORMAT: Cell<&'static [&'static str]> = const { Cell::new(&[]) };
}

/// Does the same in each format that can be written to a file and to a device.
fn in_each_format(test: impl Fn()) {
    for format in [&[] as &[&str], &["--format", "kdump"], &["--format", "kdump", "--threads", "2"]] {
        FORMAT.set(format);
        test();
    }
    FORMAT.set(&[]);
}

/// A directory of its own, with the sample as `src`.
struct Case {
    dir: PathBuf,
    faults: Vec<(&'static str, String)>,
}

impl Case {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let case = Self { dir, faults: vec![] };
        case.put("src", &sample());
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.at(name), bytes).unwrap();
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn fault(&mut self, name: &'static str, value: impl ToString) {
        self.faults.push((name, value.to_string()));
    }

    /// The command, with the faults of this case. SIGINT is what it is at a terminal, also where
    /// whoever runs the tests ignores it.
    fn command(&self, args: &[&str]) -> Command {
        let mut kdump = Command::new("env");
        kdump.current_dir(&self.dir).arg("--default-signal=INT");
        if !self.faults.is_empty() {
            kdump.arg(format!("LD_PRELOAD={}", shim().display()));
            kdump.args(self.faults.iter().map(|(name, value)| format!("{name}={value}")));
        }
        kdump.arg(env!("CARGO_BIN_EXE_kdump")).args(args);
        if args.first() == Some(&"save") {
            kdump.args(FORMAT.get());
        }
        kdump
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert_ne!(output.status.code(), Some(101), "{args:?} panicked: {}", said(&output));
        output
    }

    /// Without faults.
    fn plainly(&self) -> Self {
        Self { dir: self.dir.clone(), faults: vec![] }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a dump is expected to be, as each command tells it.
#[derive(Clone, Debug)]
struct Told {
    /// `info`: exit status, and whether it says complete.
    info: (i32, bool),
    /// `verify`: exit status.
    verify: i32,
    /// `map`: bytes stored, missing and unreadable.
    map: [u64; 3],
    /// `read` of all memory: exit status, and how many bytes are printed.
    read: (i32, u64),
}

const WHOLE: Told = Told { info: (0, true), verify: 0, map: [MEMORY, 0, 0], read: (0, MEMORY) };

/// `info`, `verify`, `map` and `read` of a dump tell what is expected.
#[track_caller]
fn tells(case: &Case, what: &str, dump: &str, expected: &Told) {
    let info = case.run(&["info", "--json", dump]);
    assert_eq!(info.status.code(), Some(expected.info.0), "{what}: info: {}", said(&info));
    let verify = case.run(&["verify", "--json", "--progress", "none", dump]);
    assert_eq!(verify.status.code(), Some(expected.verify), "{what}: verify: {}", said(&verify));
    let map = case.run(&["map", "--json", dump]);
    assert_eq!(map.status.code(), Some(expected.info.0), "{what}: map: {}", said(&map));
    let length = MEMORY.to_string();
    // Zeros for what was left out are asked for: what is lost must not be among them.
    let read = case.run(&["read", "--zero-excluded", "--phys", "0x100000", "--len", &length, dump]);
    assert_eq!(read.status.code(), Some(expected.read.0), "{what}: read: {}", said(&read));
    assert_eq!(read.stdout.len() as u64, expected.read.1, "{what}: read: {}", said(&read));
    assert!(read.stdout == pattern()[..read.stdout.len()], "{what}: other bytes");
    if expected.info.0 != 0 {
        return;
    }
    let json = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    let info = json(&info);
    assert_eq!(info["completeness"]["complete"], expected.info.1, "{what}: info");
    assert_eq!(json(&verify)["sound"], expected.verify == 0, "{what}: verify");
    let map = json(&map);
    let bytes = |kind: &str| map["totals"][kind].as_u64().unwrap_or(0);
    assert_eq!(["stored", "missing", "unreadable"].map(bytes), expected.map, "{what}: map");
    let text = case.run(&["info", dump]).stdout;
    let complete = String::from_utf8_lossy(&text).contains("complete     yes");
    assert_eq!(complete, expected.info.1, "{what}: {}", String::from_utf8_lossy(&text));
}

/// Saves and returns the output, whose status is as expected.
#[track_caller]
fn saves(case: &Case, what: &str, args: &[&str], status: i32) -> Output {
    let output = case.run(&[&["save", "--progress", "none"], args].concat());
    assert_eq!(output.status.code(), Some(status), "{what}: {}", said(&output));
    output
}

const PAGE: u64 = 0x1000;

/// Fault, how it is made, what the source tells, the status of `save`, what the copy tells.
type Row = (&'static str, Vec<(&'static str, String)>, Told, i32, Option<Told>);

#[test]
fn sources() {
    in_each_format(sources_in_one);
}

fn sources_in_one() {
    let cut = MEMORY - 7 * PAGE;
    let lost = |kind: usize, bytes: u64, at: u64| {
        let mut map = [MEMORY - bytes, 0, 0];
        map[kind] = bytes;
        Told { info: (0, false), verify: 3, map, read: (1, at) }
    };
    let unknown = |verify: i32, read: u64| Told { verify, read: (1, read), ..WHOLE };
    let refused = Told { info: (1, false), verify: 1, map: [0; 3], read: (1, 0) };
    let (page, end) = (OFFSET + 5 * PAGE, OFFSET + MEMORY);
    let rows: Vec<Row> = vec![
        ("short reads", vec![("FAULT_READ", "short".into())], WHOLE, 0, Some(WHOLE)),
        (
            "EIO at a page",
            vec![("FAULT_READ", format!("eio:{page}:{}", page + PAGE))],
            // Nobody knows before it is read.
            unknown(3, 5 * PAGE),
            3,
            Some(lost(2, PAGE, 5 * PAGE)),
        ),
        (
            "EIO in all memory",
            vec![("FAULT_READ", format!("eio:{OFFSET}:{end}"))],
            unknown(3, 0),
            3,
            Some(lost(2, MEMORY, 0)),
        ),
        ("EIO in the header", vec![("FAULT_READ", "eio:0:1".into())], refused.clone(), 1, None),
        (
            "shrinks",
            vec![("FAULT_READ", format!("end:{}", OFFSET + cut))],
            unknown(3, cut),
            3,
            Some(lost(1, MEMORY - cut, cut)),
        ),
        (
            "shrinks to its header",
            vec![("FAULT_READ", format!("end:{OFFSET}"))],
            unknown(3, 0),
            3,
            Some(lost(1, MEMORY, 0)),
        ),
        // What it had when it was opened is what is saved, and what it lacked is told.
        (
            "grows",
            vec![("FAULT_SIZE", (OFFSET + cut).to_string())],
            lost(1, MEMORY - cut, cut),
            3,
            Some(lost(1, MEMORY - cut, cut)),
        ),
    ];
    for (what, faults, source, status, copy) in rows {
        let mut case = Case::new("sources");
        case.fault("FAULT_SRC", case.at("src").display());
        case.faults.extend(faults);
        // A read stops where it is, not at the start of a batch.
        let read = Told { read: (source.read.0, source.read.1), ..source };
        tells(&case, what, "src", &read);
        let output = saves(&case, what, &["src", "copy"], status);
        assert!(!case.at("copy.incomplete").exists(), "{what}");
        match copy {
            None => assert!(!case.at("copy").exists(), "{what}"),
            Some(copy) => {
                let plain = case.plainly();
                tells(&plain, what, "copy", &copy);
                let lacking = copy.map[1] + copy.map[2];
                assert_eq!(said(&output).contains(&format!("lacked {lacking} bytes")), status == 3, "{what}");
                // A copy of the copy is the same, and says the same.
                saves(&plain, what, &["copy", "again"], status);
                tells(&plain, what, "again", &copy);
            }
        }
    }
}

#[test]
fn sources_that_go_away_or_are_none() {
    in_each_format(sources_that_go_away_or_are_none_in_one);
}

fn sources_that_go_away_or_are_none_in_one() {
    for command in ["info", "verify", "map", "read", "save"] {
        let mut case = Case::new("vanish");
        case.fault("FAULT_SRC", case.at("src").display());
        case.fault("FAULT_READ", "unlink");
        let mut args = vec![command, "src"];
        match command {
            "read" => args.extend(["--phys", "0x100000", "--len", "0x40000"]),
            "save" => args.push("copy"),
            _ => {}
        }
        // An open file stays until it is closed.
        let output = case.run(&args);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
        assert!(!case.at("src").exists());
        let plain = case.plainly();
        if command == "save" {
            tells(&plain, "vanishes", "copy", &WHOLE);
        }
        // Now it is not there; and what is there is nothing to read from.
        let fifo = Command::new("mkfifo").arg(case.at("fifo")).status().unwrap();
        assert!(fifo.success());
        fs::create_dir(case.at("directory")).unwrap();
        case.put("nothing", &[]);
        case.put("text", b"hello, world, this is no dump");
        for (name, part) in [
            ("src", "No such file"),
            ("fifo", "FIFO"),
            ("directory", "directory"),
            ("nothing", "truncated"),
            ("text", "not a dump"),
            ("", ""),
        ] {
            args[1] = name;
            let output = plain.run(&args);
            let refused = if name.is_empty() { [1, 2].map(Some) } else { [1, 1].map(Some) };
            assert!(refused.contains(&output.status.code()), "{args:?}: {}", said(&output));
            assert!(said(&output).contains(part), "{args:?}: {}", said(&output));
        }
    }
}

/// Places in the middle of what is written of the sample: the first block, the header, memory, the
/// last writes.
const POINTS: [u64; 5] = [0, 600, 30_000, 200_000, 302_000];

/// A file that is told to be unfinished by all commands, and whose bytes are the sample's. Returns
/// whether its header was written.
#[track_caller]
fn unfinished(case: &Case, what: &str, name: &str) {
    let info = case.run(&["info", "--json", name]);
    assert_eq!(info.status.code(), Some(0), "{what}: {}", said(&info));
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["completeness"]["complete"], false, "{what}");
    assert_eq!(info["completeness"]["unfinished"], true, "{what}");
    let verify = case.run(&["verify", "--json", "--progress", "none", name]);
    assert_eq!(verify.status.code(), Some(3), "{what}");
    let map: Value = serde_json::from_slice(&case.run(&["map", "--json", name]).stdout).unwrap();
    let stored = map["totals"]["stored"].as_u64().unwrap_or(0);
    let length = MEMORY.to_string();
    let read = case.run(&["read", "--zero-excluded", "--phys", "0x100000", "--len", &length, name]);
    assert_eq!(read.stdout.len() as u64, stored, "{what}: {}", said(&read));
    assert_eq!(read.status.success(), stored == MEMORY, "{what}");
    assert!(read.stdout == pattern()[..read.stdout.len()], "{what}: not the memory of the machine");
    // A copy of it does not become complete.
    let copy = case.run(&["save", "--progress", "none", name, "copy-of-unfinished"]);
    if stored > 0 || copy.status.code() != Some(1) {
        assert_eq!(copy.status.code(), Some(3), "{what}: {}", said(&copy));
        let verify = case.run(&["verify", "--progress", "none", "copy-of-unfinished"]);
        assert_eq!(verify.status.code(), Some(3), "{what}");
    }
}

#[test]
fn files_that_cannot_be_written_to_the_end() {
    in_each_format(files_that_cannot_be_written_to_the_end_in_one);
}

fn files_that_cannot_be_written_to_the_end_in_one() {
    for fault in ["enospc", "eio"] {
        for point in POINTS {
            let what = format!("{fault} at {point}");
            let mut case = Case::new("full");
            case.put("copy", &older());
            case.fault("FAULT_WRITE", format!("{fault}:{point}"));
            let output = case.run(&["save", "--progress", "none", "src", "copy"]);
            if output.status.code() == Some(0) {
                assert!(point > MEMORY, "{what}");
                continue;
            }
            assert!(case.get("copy") == older(), "{what}: the older dump is lost");
            let plain = case.plainly();
            let kept = case.at("copy.incomplete").exists();
            assert_eq!(output.status.code(), Some(if kept { 4 } else { 1 }), "{what}");
            assert_eq!(kept, said(&output).contains("copy.incomplete"), "{what}: {}", said(&output));
            if kept {
                unfinished(&plain, &what, "copy.incomplete");
            }
            let output = saves(&plain, &what, &["src", "copy"], 0);
            assert_eq!(said(&output).contains("left unfinished"), kept, "{what}: {}", said(&output));
            assert!(!case.at("copy.incomplete").exists());
            tells(&plain, &what, "copy", &WHOLE);
        }
    }
    let mut case = Case::new("full");
    case.put("copy", &older());
    case.fault("FAULT_CREATE", 1);
    let output = saves(&case, "read-only", &["src", "copy"], 1);
    assert!(said(&output).contains("Read-only"), "{}", said(&output));
    let output = case.run(&["map", "--svg", "copy", "src"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(case.get("copy") == older() && !case.at("copy.incomplete").exists());
}

/// What an earlier save left is there until a later one begins to write, and its end is told.
#[test]
fn a_save_that_fails_tells_what_it_removed() {
    let mut case = Case::new("leftover");
    case.fault("FAULT_WRITE", "kill:200000");
    case.run(&["save", "--progress", "none", "src", "copy"]);
    let left = case.get("copy.incomplete");
    let mut plain = case.plainly();
    plain.put("nothing", &CoreFile::x86_64().build());
    let output = saves(&plain, "no memory", &["nothing", "copy"], 1);
    assert!(!said(&output).contains("left unfinished"), "{}", said(&output));
    assert!(case.get("copy.incomplete") == left, "the unfinished dump is lost for nothing");
    plain.fault("FAULT_WRITE", "enospc:60000");
    let output = saves(&plain, "full", &["src", "copy"], 4);
    assert!(said(&output).contains("left unfinished"), "{}", said(&output));
}

#[test]
fn saves_that_are_killed() {
    in_each_format(saves_that_are_killed_in_one);
}

fn saves_that_are_killed_in_one() {
    for (signal, number) in [("kill", 9), ("int", 2)] {
        for point in POINTS {
            let what = format!("{signal} at {point}");
            let mut case = Case::new("killed");
            case.put("copy", &older());
            case.fault("FAULT_WRITE", format!("{signal}:{point}"));
            let output = case.run(&["save", "--progress", "none", "src", "copy"]);
            if output.status.code() == Some(0) {
                assert!(point > MEMORY, "{what}");
                continue;
            }
            assert_eq!(output.status.signal(), Some(number), "{what}");
            assert!(case.get("copy") == older(), "{what}: the older dump is lost");
            let plain = case.plainly();
            if fs::metadata(case.at("copy.incomplete")).unwrap().len() >= 64 {
                unfinished(&plain, &what, "copy.incomplete");
            } else {
                let info = plain.run(&["info", "copy.incomplete"]);
                assert_eq!(info.status.code(), Some(1), "{what}");
            }
            let output = saves(&plain, &what, &["src", "copy"], 0);
            assert!(said(&output).contains("left unfinished"), "{what}: {}", said(&output));
            assert!(!case.at("copy.incomplete").exists());
            tells(&plain, &what, "copy", &WHOLE);
        }
    }
}

#[test]
fn targets_that_are_refused() {
    in_each_format(targets_that_are_refused_in_one);
}

fn targets_that_are_refused_in_one() {
    let case = Case::new("refused");
    fs::hard_link(case.at("src"), case.at("hard")).unwrap();
    symlink("src", case.at("link")).unwrap();
    symlink("nowhere", case.at("dangling")).unwrap();
    fs::create_dir(case.at("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(case.at("fifo")).status().unwrap().success());
    let rows = [
        ("src", "destroy"),
        ("./directory/../src", "destroy"),
        ("hard", "destroy"),
        ("link", "symbolic link"),
        ("dangling", "symbolic link"),
        ("directory", "directory"),
        ("new/", "no name"),
        ("..", "no name"),
        ("no/such/place", "No such file"),
        ("fifo", "no regular file"),
        ("/dev/null", "no regular file"),
        ("/dev/full", "no regular file"),
    ];
    let before = names(&case);
    for (target, part) in rows {
        let output = saves(&case, target, &["src", target], 1);
        assert!(said(&output).contains(part), "{target}: {}", said(&output));
        let output = case.run(&["map", "--svg", target, "src"]);
        assert_eq!(output.status.code(), Some(1), "map --svg {target}");
        assert_eq!(names(&case), before, "{target}");
        assert!(case.get("src") == sample(), "{target}");
    }
    let output = case.run(&["save", "src", ""]);
    assert!(matches!(output.status.code(), Some(1 | 2)) && !said(&output).is_empty());
    assert_eq!(names(&case), before);
    // What has the name of the draft and is no draft.
    fs::create_dir(case.at("copy.incomplete")).unwrap();
    assert!(said(&saves(&case, "draft", &["src", "copy"], 1)).contains("move it away"));
    fs::remove_dir(case.at("copy.incomplete")).unwrap();
    symlink("src", case.at("copy.incomplete")).unwrap();
    saves(&case, "draft", &["src", "copy"], 1);
    // What is to be read is called like the draft.
    fs::rename(case.at("src"), case.at("dump.incomplete")).unwrap();
    assert!(said(&saves(&case, "draft", &["dump.incomplete", "dump"], 1)).contains("destroy"));
    assert!(case.get("dump.incomplete") == sample());
}

fn names(case: &Case) -> Vec<String> {
    let entries = fs::read_dir(&case.dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits for a process to be stopped.
fn wait_stopped(pid: u32) {
    for _ in 0..1000 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(')').next().unwrap().trim_start().starts_with('T') {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} did not stop");
}

fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_second_writer() {
    in_each_format(a_second_writer_in_one);
}

fn a_second_writer_in_one() {
    for point in [0, 600, 100_000] {
        let mut case = Case::new("second");
        case.put("copy", &older());
        case.fault("FAULT_WRITE", format!("stop:{point}"));
        let mut first = case.command(&["save", "--progress", "none", "src", "copy"]);
        let first = first.stderr(Stdio::piped()).spawn().unwrap();
        wait_stopped(first.id());
        let plain = case.plainly();
        let output = saves(&plain, "second writer", &["src", "copy"], 1);
        assert!(said(&output).contains("another process"), "{}", said(&output));
        let output = plain.run(&["map", "--svg", "copy", "src"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(case.get("copy") == older());
        if point == 600 {
            // Somebody takes the draft away: what is in its place is not put in place of the dump.
            fs::remove_file(case.at("copy.incomplete")).unwrap();
            case.put("copy.incomplete", b"somebody else's");
        }
        send("-CONT", first.id());
        let output = first.wait_with_output().unwrap();
        if point == 600 {
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(case.get("copy") == older() && case.get("copy.incomplete") == b"somebody else's");
        } else {
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            tells(&plain, "second writer", "copy", &WHOLE);
        }
    }
}

/// Standard output that is full or has no reader, standard error that is full or gone: the work is
/// done and the status is the same.
#[test]
fn streams() {
    let case = Case::new("streams");
    let whole = sample();
    case.put("cut", &whole[..whole.len() - 0x3000]);
    let length = MEMORY.to_string();
    let commands: [(&[&str], i32); 6] = [
        (&["info", "cut"], 0),
        (&["map", "cut"], 0),
        (&["verify", "cut"], 3),
        (&["verify", "--progress", "json", "cut"], 3),
        (&["read", "--phys", "0x100000", "--len", &length, "cut"], 1),
        (&["save", "--progress", "json", "cut", "copy"], 3),
    ];
    for (args, status) in commands {
        let shell = |redirect: &str| {
            let script = format!("exec \"$0\" \"$@\" {redirect}");
            let mut bash = Command::new("bash");
            bash.current_dir(&case.dir).args(["-c", &script, env!("CARGO_BIN_EXE_kdump")]).args(args);
            bash.output().unwrap()
        };
        let usual = shell("");
        assert_eq!(usual.status.code(), Some(status), "{args:?}: {}", said(&usual));
        for redirect in ["2>&-", "2>/dev/full", "2> >(exec true; exit)"] {
            let output = shell(redirect);
            assert_eq!(output.status.code(), Some(status), "{args:?} {redirect}");
            assert_eq!(output.stdout, usual.stdout, "{args:?} {redirect}");
            if args[0] == "save" {
                let copy = Told {
                    info: (0, false),
                    verify: 3,
                    map: [MEMORY - 0x3000, 0x3000, 0],
                    read: (1, MEMORY - 0x3000),
                };
                tells(&case, redirect, "copy", &copy);
                fs::remove_file(case.at("copy")).unwrap();
            }
        }
        if args[0] == "save" {
            continue;
        }
        // No output is no success.
        let output = shell(">/dev/full");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        // Closed before there is anything to read, or little output would still go somewhere.
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let mut child = case.command(args);
        let mut child = child.stdout(OwnedFd::from(writer)).stderr(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(1), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

/// A dump to standard output: a reader that goes away is told, and what arrived is no whole dump.
#[test]
fn a_dump_as_a_stream() {
    for format in [&[] as &[&str], &["--format", "elf"]] {
        FORMAT.set(format);
        a_dump_as_a_stream_in_one();
    }
    FORMAT.set(&[]);
}

fn a_dump_as_a_stream_in_one() {
    let case = Case::new("stdout");
    let output = case.run(&["save", "--progress", "none", "src", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    case.put("flat", &output.stdout);
    tells(&case, "stream", "flat", &WHOLE);
    saves(&case, "stream as a file", &["--flattened", "src", "file"], 0);
    assert!(case.get("file") == output.stdout);
    // Put together by a save, in each format, and by makedumpfile.
    let format = FORMAT.replace(&[]);
    saves(&case, "put together", &["flat", "elf"], 0);
    tells(&case, "put together", "elf", &WHOLE);
    saves(&case, "put together", &["--format", "kdump", "flat", "kdump"], 0);
    tells(&case, "put together", "kdump", &WHOLE);
    if format.is_empty() {
        saves(&case, "the same by name", &["--format", "flattened", "src", "named"], 0);
        saves(&case, "the same by name", &["--format", "kdump", "--flattened", "src", "named2"], 0);
        assert!(case.get("named") == output.stdout && case.get("named2") == output.stdout);
    } else {
        saves(&case, "whole", &["src", "whole"], 0);
        assert!(case.get("whole") == case.get("elf"), "not the core that a file gets");
    }
    let arranged = Command::new("makedumpfile")
        .current_dir(&case.dir)
        .args(["-R", "arranged"])
        .stdin(fs::File::open(case.at("flat")).unwrap())
        .stdout(Stdio::null())
        .status();
    let arranged =
        arranged.unwrap_or_else(|error| panic!("makedumpfile: {error}: cargo xtask setup installs it"));
    assert!(arranged.success());
    tells(&case, "put together by makedumpfile", "arranged", &WHOLE);
    FORMAT.set(format);
    for cut in [4096, 4200, 60_000, output.stdout.len() - 1] {
        case.put("cut", &output.stdout[..cut]);
        let info = case.run(&["info", "--json", "cut"]);
        if info.status.success() {
            let info: Value = serde_json::from_slice(&info.stdout).unwrap();
            assert_eq!(info["completeness"]["complete"], false, "cut at {cut}");
        }
        assert_ne!(case.run(&["verify", "cut"]).status.code(), Some(0), "cut at {cut}");
    }
    // How much a pipe took before its reader went away is not the writer's to choose: a part, or nothing.
    let failures: [(&str, &str, &[i32]); 3] = [
        (">/dev/full", "No space left", &[1]),
        ("| exec true", "Broken pipe", &[1, 4]),
        (">&-", "standard output is closed", &[1]),
    ];
    for (redirect, why, statuses) in failures {
        let format = FORMAT.get().join(" ");
        let script = format!("set -o pipefail; \"$0\" save --progress none {format} src - {redirect}");
        let mut bash = Command::new("bash");
        bash.current_dir(&case.dir).args(["-c", &script, env!("CARGO_BIN_EXE_kdump")]);
        let output = bash.output().unwrap();
        let status = output.status.code().unwrap();
        assert!(statuses.contains(&status), "{status} {redirect}: {}", said(&output));
        assert!(said(&output).contains(why), "{redirect}: {}", said(&output));
    }
    let format = FORMAT.get().join(" ");
    let some =
        format!("set -o pipefail; \"$0\" save --progress none {format} src - | head -c 100000 >arrived");
    let mut bash = Command::new("bash");
    bash.current_dir(&case.dir).args(["-c", &some, env!("CARGO_BIN_EXE_kdump")]);
    let output = bash.output().unwrap();
    assert!(said(&output).contains("bytes of the stream were written"), "{}", said(&output));
    assert_ne!(case.run(&["verify", "arrived"]).status.code(), Some(0));
    // What is lost is told in the stream, too.
    let whole = sample();
    case.put("short", &whole[..whole.len() - 0x3000]);
    let output = case.run(&["save", "--progress", "none", "short", "-"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    case.put("flat", &output.stdout);
    let lost = MEMORY - 0x3000;
    tells(
        &case,
        "short",
        "flat",
        &Told { info: (0, false), verify: 3, map: [lost, 0x3000, 0], read: (1, lost) },
    );
}

/// What is asked for and cannot be had is refused before anything is written.
#[test]
fn formats_that_are_refused() {
    let case = Case::new("formats-refused");
    for (args, part) in [
        (&["--format", "elf", "--compress", "lzo", "src", "copy"] as &[&str], "--format kdump"),
        (&["--format", "raw", "--flattened", "src", "copy"], "flattened"),
        (&["--format", "raw", "--compress", "lzo", "src", "copy"], "--format kdump"),
        (&["--format", "raw", "src", "-"], "flattened"),
        (&["--format", "raw", "-d", "31", "src", "copy"], "cannot tell what is left out"),
        // What the kernel does not tell is not guessed.
        (&["-d", "31", "src", "copy"], "SIZE(page)"),
        (&["--format", "elf", "-d", "31", "src", "copy"], "SIZE(page)"),
        (&["--dry-run", "-d", "31", "src", "copy"], "SIZE(page)"),
        (&["--exclude", "zero,free", "src", "copy"], "SIZE(page)"),
        (&["--split", "2", "--format", "elf", "src", "copy"], "--format kdump"),
        (&["--split", "2", "--format", "raw", "src", "copy"], "--format kdump"),
        (&["--split", "2", "src", "-"], "no set of files"),
        (&["--split", "2", "--flattened", "src", "copy"], "no set of files"),
        (&["--split", "2", "--resume", "src", "copy"], "--resume"),
        (&["--split", "2", "--min-free", "1", "src", "copy"], "--min-free"),
        (&["--split", "2", "--order", "kernel-first", "src", "copy"], "--order"),
        (&["--format", "elf", "--order", "kernel-first", "src", "copy"], "--format kdump"),
        (&["--format", "raw", "--order", "kernel-first", "src", "copy"], "--format kdump"),
    ] {
        let status = if args.contains(&"--split") { 2 } else { 1 };
        let output = saves(&case, "refused", args, status);
        assert!(said(&output).contains(part), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty());
        assert_eq!(names(&case), ["src"], "{args:?}");
    }
    // Beside what is no file there is no place for parts.
    let mut odd = Case::new("split-refused");
    device(&mut odd, &[]);
    fs::create_dir(odd.at("dir")).unwrap();
    assert!(Command::new("mkfifo").arg(odd.at("fifo")).status().unwrap().success());
    let before = names(&odd);
    for (name, part) in [
        ("device", "a block device"),
        ("dir", "a directory"),
        ("fifo", "a FIFO"),
        ("/dev/null", "no regular file"),
    ] {
        let output = saves(&odd, name, &["--split", "2", "src", name], 2);
        assert!(said(&output).contains(part), "{name}: {}", said(&output));
        assert_eq!(names(&odd), before, "{name}");
    }
    saves(&odd, "one file", &["--split", "1", "src", "copy"], 0);
    assert!(odd.at("copy").exists() && !odd.at("copy-1").exists());
    // Parts have names of their own, and are the dump together.
    let output = saves(&case, "split", &["--split", "3", "src", "copy"], 0);
    assert!(said(&output).contains("saved "), "{}", said(&output));
    assert_eq!(names(&case), ["copy-1", "copy-2", "copy-3", "src"]);
    let info = case.run(&["info", "copy-2", "copy-3", "copy-1"]);
    assert!(
        String::from_utf8_lossy(&info.stdout).contains("complete     yes"),
        "{}",
        String::from_utf8_lossy(&info.stdout)
    );
    let info = case.run(&["info", "copy-3", "copy-1"]);
    assert!(
        String::from_utf8_lossy(&info.stdout).contains("was not given"),
        "{}",
        String::from_utf8_lossy(&info.stdout)
    );
    for name in ["copy-1", "copy-2", "copy-3"] {
        fs::remove_file(case.at(name)).unwrap();
    }
    // Levels that a compression does not have make no sense, nor does one without a compression.
    for args in [
        &["--level", "3", "src", "copy"] as &[&str],
        &["--compress", "lzo", "--level", "2", "src", "copy"],
        &["--compress", "zstd", "--level", "99", "src", "copy"],
    ] {
        let output = saves(&case, "refused", args, 2);
        assert!(said(&output).contains("--level"), "{args:?}: {}", said(&output));
        assert_eq!(names(&case), ["src"], "{args:?}");
    }
    // Nothing is written when that is asked for, and what would be is told.
    let output = saves(&case, "tried", &["--dry-run", "src", "copy"], 0);
    assert!(said(&output).contains("would save"), "{}", said(&output));
    assert_eq!(names(&case), ["src"]);
    // A terminal gets none: script(1) lends one.
    let script = format!("{} save --progress none src -", env!("CARGO_BIN_EXE_kdump"));
    let mut terminal = Command::new("script");
    terminal.current_dir(&case.dir).args(["-qec", &script, "/dev/null"]);
    let output = terminal.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("terminal"), "{output:?}");
}

/// Room that is to stay free is not written to, and who wants all or nothing gets nothing.
#[test]
fn room_that_others_need() {
    let case = Case::new("room");
    let (stop, all) = (["--on-full", "stop"], ["--min-free", "16383T"]);
    for format in [&[] as &[&str], &["--format", "kdump"], &["--format", "flattened"], &["--format", "raw"]] {
        // What an earlier save left is not lost for one that cannot begin.
        case.put("copy.incomplete", b"left");
        for args in [&all as &[&str], &[all, stop].concat()] {
            let output = saves(&case, "no room", &[format, args, &["src", "copy"]].concat(), 1);
            assert!(said(&output).contains("are to stay free"), "{format:?}: {}", said(&output));
            // A warning is for those who go on.
            let warned = said(&output).contains("may need");
            assert_eq!(warned, args.len() == 2, "{format:?}: {}", said(&output));
            assert_eq!(names(&case), ["copy.incomplete", "src"], "{format:?}");
        }
        saves(&case, "room", &[format, &stop, &["src", "copy"]].concat(), 0);
        fs::remove_file(case.at("copy")).unwrap();
    }
    for args in [&stop as &[&str], &["--min-free", "1"]] {
        let output = saves(&case, "of a stream", &[args, &["src", "-"]].concat(), 2);
        assert!(said(&output).contains(args[0]), "{}", said(&output));
    }
    saves(&case, "no number", &["--min-free", "much", "src", "copy"], 2);
}

/// A file that the shim calls a block device, of one MiB.
fn device(case: &mut Case, content: &[u8]) {
    let mut bytes = content.to_vec();
    bytes.resize(1 << 20, 0);
    case.put("device", &bytes);
    case.fault("FAULT_DEVICE", case.at("device").display());
}

#[test]
fn devices() {
    in_each_format(devices_in_one);
}

fn devices_in_one() {
    let mut ext4 = older();
    ext4.resize(ext4.len().max(0x1000), 0);
    ext4[1080..1082].copy_from_slice(b"\x53\xef");
    // What it holds, and whether that is asked for.
    let rows: [(&str, Vec<u8>, Option<&str>); 5] = [
        ("zeros", vec![], None),
        ("an older dump", older(), None),
        ("an older dump and a file system", ext4, Some("file system")),
        ("noise", vec![0xee; 1 << 20], Some("no dump")),
        ("something late", [vec![0; (1 << 20) - 1], vec![1]].concat(), Some("no dump")),
    ];
    for (what, old, refused) in rows {
        let mut case = Case::new("devices");
        device(&mut case, &old);
        let before = case.get("device");
        if let Some(part) = refused {
            let output = saves(&case, what, &["src", "device"], 1);
            assert!(said(&output).contains(part) && said(&output).contains("--force"), "{}", said(&output));
            assert!(case.get("device") == before, "{what}");
            saves(&case, what, &["--force", "src", "device"], 0);
        } else {
            saves(&case, what, &["src", "device"], 0);
        }
        assert_eq!(case.get("device").len(), 1 << 20);
        tells(&case, what, "device", &WHOLE);
        // Onto a disk, as onto a file, comes what the source lacked, too.
        let whole = sample();
        case.put("cut", &whole[..whole.len() - 0x3000]);
        saves(&case, what, &["cut", "device"], 3);
        let lost = Told {
            info: (0, false),
            verify: 3,
            map: [MEMORY - 0x3000, 0x3000, 0],
            read: (1, MEMORY - 0x3000),
        };
        tells(&case, what, "device", &lost);
    }
}

#[test]
fn devices_that_are_refused() {
    in_each_format(devices_that_are_refused_in_one);
}

fn devices_that_are_refused_in_one() {
    let mut case = Case::new("devices-refused");
    device(&mut case, &older());
    let before = case.get("device");
    case.fault("FAULT_BUSY", 1);
    let output = saves(&case, "mounted", &["src", "device"], 1);
    assert!(said(&output).contains("exclusive"), "{}", said(&output));
    case.faults.pop();
    // A dump on the device itself, by this and another node of it.
    case.put("node", &before);
    case.faults.clear();
    case.fault("FAULT_DEVICE", format!("{}:{}", case.at("device").display(), case.at("node").display()));
    for (source, target) in [("device", "device"), ("device", "node"), ("node", "device")] {
        let output = saves(&case, "same device", &["--force", source, target], 1);
        assert!(said(&output).contains("destroy"), "{}", said(&output));
    }
    assert!(case.get("device") == before && case.get("node") == before);
    // Too small.
    fs::File::options().write(true).open(case.at("device")).unwrap().set_len(0x4000).unwrap();
    let output = saves(&case, "small", &["--force", "src", "device"], 1);
    assert!(said(&output).contains("size of the dump"), "{}", said(&output));
    assert!(case.get("device") == before[..0x4000]);
}

/// A device has as much free as it is large: who wants all or nothing gets nothing, before the first byte.
#[test]
fn devices_that_may_be_too_small() {
    let mut case = Case::new("devices-small");
    device(&mut case, &older());
    let kdump = ["--format", "kdump"];
    let stop = ["--on-full", "stop"];
    saves(&case, "large enough", &[&kdump as &[&str], &stop, &["src", "device"]].concat(), 0);
    // Between what is written in any case and what may be.
    fs::File::options().write(true).open(case.at("device")).unwrap().set_len(0x1_0000).unwrap();
    let before = case.get("device");
    let output = saves(&case, "stop", &[&kdump as &[&str], &stop, &["src", "device"]].concat(), 1);
    assert!(said(&output).contains("no room"), "{}", said(&output));
    let output = saves(&case, "min-free", &["--min-free", "4K", "src", "device"], 2);
    assert!(said(&output).contains("--min-free") && said(&output).contains("device"), "{}", said(&output));
    assert!(case.get("device") == before);
    let output = case.run(&["save", "--progress", "none", "--format", "kdump", "src", "device"]);
    assert!(said(&output).contains("the device has 64.0 KiB"), "{}", said(&output));
}

/// However a save to a device ends early, what was there before is neither complete nor memory.
#[test]
fn devices_that_are_interrupted() {
    in_each_format(devices_that_are_interrupted_in_one);
}

fn devices_that_are_interrupted_in_one() {
    for fault in ["kill", "int", "eio"] {
        for point in [1, 512, 513, 5000, 30_000, 60_000, 200_000, 299_000, 302_000, 320_000] {
            // What was there does not matter to how it ends.
            for old in if fault == "kill" { vec![older(), vec![]] } else { vec![older()] } {
                let what = format!("{fault} at {point}");
                let mut case = Case::new("devices-interrupted");
                device(&mut case, &old);
                case.fault("FAULT_WRITE", format!("{fault}:{point}"));
                let output = case.run(&["save", "--progress", "none", "--force", "src", "device"]);
                let faults = core::mem::take(&mut case.faults);
                case.faults.extend(faults.into_iter().filter(|(name, _)| *name == "FAULT_DEVICE"));
                if output.status.success() {
                    assert!(point > MEMORY, "{what}");
                    tells(&case, &what, "device", &WHOLE);
                    continue;
                }
                assert_eq!(output.status.code().is_some(), fault == "eio", "{what}");
                if point >= 512 {
                    unfinished(&case, &what, "device");
                }
                // It is a dump, and may be written over by the next.
                if point >= 512 {
                    saves(&case, &what, &["src", "device"], 0);
                    tells(&case, &what, "device", &WHOLE);
                }
            }
        }
    }
}

/// A real block device; the stand-ins above must do where the system lends none.
#[test]
#[ignore = "needs root and a free loop device"]
fn a_loop_device() {
    let case = Case::new("loop");
    let image = case.at("image");
    fs::File::create(&image).unwrap().set_len(2 << 20).unwrap();
    let run = |program: &str, args: &[&str]| Command::new(program).args(args).output();
    let lent = run("losetup", &["--find", "--show", image.to_str().unwrap()]).unwrap();
    assert!(lent.status.success(), "no loop device can be had here: {lent:?}");
    let node = String::from_utf8(lent.stdout).unwrap().trim().to_owned();
    let outcome = std::panic::catch_unwind(|| {
        saves(&case, "loop", &["src", &node], 0);
        tells(&case, "loop", &node, &WHOLE);
        saves(&case, "same device", &[&node, &node], 1);
        fs::File::options().write(true).open(&image).unwrap().write_all_at(b"LABELONE", 512).unwrap();
        assert!(said(&saves(&case, "LVM", &["src", &node], 1)).contains("LVM"));
        saves(&case, "LVM", &["--force", "src", &node], 0);
        tells(&case, "loop", &node, &WHOLE);
    });
    run("losetup", &["--detach", &node]).unwrap();
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed);
    }
}

/// `kdump makedumpfile` with two levels: the second is for a full disk, and for nothing else.
#[test]
fn a_full_disk_asks_for_the_next_level() {
    for (fault, levels, again) in [("enospc", "0,1", true), ("enospc", "0", false), ("eio", "0,1", false)] {
        let mut case = Case::new("levels");
        case.fault("FAULT_WRITE", format!("{fault}:1000"));
        let output = case.run(&["makedumpfile", "-d", levels, "src", "copy"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(said(&output).contains("trying -d 1"), again, "{fault} {levels}: {}", said(&output));
        assert!(!case.at("copy").exists());
    }
}
