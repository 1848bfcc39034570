//! `kdump makedumpfile` and the distribution's makedumpfile end alike: command lines that make no sense,
//! and files that are no dumps. Dumps of a real kernel: `cargo xtask crash --kdump-tools`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dumpgen::{CoreFile, KdumpFile, PageCodec, Record, Segment, Wire, note, prstatus_x86_64};

const THEIRS: &str = "/usr/bin/makedumpfile";

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("makedumpfile-{name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// A whole ELF core with a log.
fn core(dir: &Path) {
    let ring = dumpgen::PrintkRing::new(Wire::LE64, 0xffff_8880_0010_0000);
    let (memory, ring_info) = ring.build(&[Record::new(1, "first"), Record::new(2, "last")]);
    let info = format!("OSRELEASE=6.1\nPAGESIZE=4096\n{ring_info}");
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [7; 27])),
        note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes()),
    ];
    let file = CoreFile::x86_64()
        .with(Segment::notes(&notes.concat()))
        .with(Segment { p_vaddr: 0xffff_8880_0010_0000, ..Segment::load(0x10_0000, &memory) });
    fs::write(dir.join("CORE"), file.build()).unwrap();
}

fn end(mut command: Command, dir: &Path, line: &str) -> Output {
    for name in ["OUT", "OUT2", "OUT.incomplete"] {
        let _ = fs::remove_file(dir.join(name));
    }
    fs::write(dir.join("OLD"), b"old").unwrap();
    let (words, input) = line.split_once(" < ").unwrap_or((line, "/dev/null"));
    command.current_dir(dir).args(words.split_whitespace());
    command.stdin(File::open(dir.join(input)).unwrap()).stdout(Stdio::piped()).output().unwrap()
}

fn ours(dir: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kdump"));
    command.arg("makedumpfile");
    end(command, dir, line)
}

fn theirs(dir: &Path, line: &str) -> Output {
    assert!(Path::new(THEIRS).exists(), "{THEIRS} is missing: cargo xtask setup installs it");
    end(Command::new(THEIRS), dir, line)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What both refuse: usage, and files that are no dumps or not there.
const BAD: &[&str] = &[
    "",
    "CORE",
    "CORE OUT OUT2",
    "-F CORE OUT",
    "-F",
    "-R",
    "-R OUT OUT2",
    "--dump-dmesg CORE",
    "--reassemble OUT",
    "--split CORE OUT",
    "-F --split CORE OUT OUT2",
    "--split -E CORE OUT OUT2",
    "--split -c CORE OUT OLD",
    "-E -c CORE OUT",
    "-E -l CORE OUT",
    "-E -p CORE OUT",
    "-d",
    "-d 32 CORE OUT",
    "-d 1,99 CORE OUT",
    "-l31 CORE OUT",
    "--message-level 32 CORE OUT",
    "--message-level CORE",
    "--vtop",
    "--num-threads",
    "--bogus CORE OUT",
    "-q CORE OUT",
    "-g info",
    "-x missing -g",
    "-c missing OUT",
    "-c EMPTY OUT",
    "-c JUNK OUT",
    "-c . OUT",
    "--dump-dmesg JUNK OUT",
    "--dump-dmesg missing OUT",
    "-c CORE OLD",
    "-c CORE CORE",
    "-c CORE nodir/OUT",
    "--dump-dmesg CORE OLD",
    "--mem-usage JUNK",
    "--mem-usage missing",
    "--reassemble JUNK OUT",
    "--reassemble missing OUT",
    "--reassemble JUNK OLD",
    "-R OLD < JUNK",
    "-R OUT < JUNK",
    "-R nodir/OUT < JUNK",
    "--check-params -E -c CORE OUT",
    "--check-params",
    "--config missing -x missing CORE OUT",
    "--xen-syms missing CORE OUT",
    "--xen-vmcoreinfo missing CORE OUT",
    "--diskset missing --diskset missing -x missing OUT",
];

/// What both do without a look into a kernel's memory.
const GOOD: &[&str] = &[
    "-h",
    "--help",
    "-v",
    "--check-params -c -d 31 CORE OUT",
    "--check-params -ld31 CORE OUT",
    "--check-params -F -c -d 31 CORE",
    "--check-params -F -E CORE",
    "--check-params -E -F -d 31 CORE",
    "--check-params -F -c -F CORE",
    "--check-params -l --message-level 7 -d 31 CORE OUT",
    "--check-params -l --message-level=1 -d 11,31 CORE OUT",
    "--check-params --num-threads 4 -c CORE OUT",
    "--check-params --mess 1 -c -c CORE OUT",
    "--check-params --non-mmap --cyclic-buffer 1024 --work-dir /tmp -b 4 -D --show-stats -c CORE OUT",
    "--check-params --split --splitblock-size 1024 -c CORE OUT OUT2",
    "-R OUT < STREAM",
    "-f -R OLD < STREAM",
];

fn inputs(dir: &Path) {
    core(dir);
    fs::write(dir.join("EMPTY"), b"").unwrap();
    fs::write(dir.join("JUNK"), [0x5a; 10_000]).unwrap();
    let stream = ours(dir, "-F -c CORE");
    assert!(stream.status.success(), "{}", text(&stream.stderr));
    fs::write(dir.join("STREAM"), stream.stdout).unwrap();
}

#[test]
fn bad_command_lines_end_alike() {
    let dir = scratch("bad");
    inputs(&dir);
    for line in BAD {
        let (theirs, ours) = (theirs(&dir, line), ours(&dir, line));
        assert_eq!(theirs.status.code(), ours.status.code(), "{line}: {}", text(&ours.stderr));
        assert_eq!(ours.status.code(), Some(1), "{line}");
        assert!(!dir.join("OUT").exists() && fs::read(dir.join("OLD")).unwrap() == b"old", "{line}");
        let said = text(&ours.stdout) + &text(&ours.stderr);
        assert!(said.contains("makedumpfile Failed."), "{line}: {said}");
        // Not the last words alone: a reason, too.
        assert!(!ours.stderr.is_empty(), "{line}");
    }
}

#[test]
fn good_command_lines_end_alike() {
    let dir = scratch("good");
    inputs(&dir);
    for line in GOOD {
        let (theirs, ours) = (theirs(&dir, line), ours(&dir, line));
        assert_eq!(theirs.status.code(), ours.status.code(), "{line}: {}", text(&ours.stderr));
        assert_eq!(ours.status.code(), Some(0), "{line}");
    }
}

/// Under the other name, as scripts call it.
#[test]
fn a_dump_is_saved_under_the_other_name() {
    let dir = scratch("name");
    inputs(&dir);
    let program = dir.join("makedumpfile");
    symlink(env!("CARGO_BIN_EXE_kdump"), &program).unwrap();
    for (line, format) in [("-c -d 1 CORE OUT", "kdump"), ("-E CORE OUT", "elf"), ("-zd0 CORE OUT", "kdump")]
    {
        let saved = end(Command::new(&program), &dir, line);
        assert_eq!(saved.status.code(), Some(0), "{line}: {}", text(&saved.stderr));
        let ending = "\nThe dumpfile is saved to OUT.\n\nmakedumpfile Completed.\n";
        assert!(text(&saved.stdout).ends_with(ending), "{line}: {}", text(&saved.stdout));
        assert!(text(&saved.stderr).contains("[100.0 %]"), "{}", text(&saved.stderr));
        let info = Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(&dir).args(["info", "OUT"]).output();
        let info = text(&info.unwrap().stdout);
        assert!(info.contains("complete     yes") && info.contains(format), "{line}: {info}");
    }
    let saved = end(Command::new(&program), &dir, "--split -c CORE OUT OUT2");
    assert_eq!(saved.status.code(), Some(0), "{}", text(&saved.stderr));
    let ending = "\nThe dumpfiles are saved to OUT, and OUT2.\n\nmakedumpfile Completed.\n";
    assert!(text(&saved.stdout).ends_with(ending), "{}", text(&saved.stdout));
    // Nothing is said where nothing is asked for, and errors are no messages.
    let quiet = end(Command::new(&program), &dir, "--message-level 0 -c CORE OUT");
    assert!(quiet.status.success() && quiet.stdout.is_empty() && quiet.stderr.is_empty());
    let quiet = end(Command::new(&program), &dir, "--message-level 2 -c CORE OLD");
    assert!(!quiet.status.success() && quiet.stderr.is_empty() && !quiet.stdout.is_empty());
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let dir = scratch("refused");
    inputs(&dir);
    for (line, name) in
        [("-L 100 -c CORE OUT", "-L"), ("--dry-run -c CORE OUT", "--dry-run"), ("-X -E CORE OUT", "-X")]
    {
        let refused = ours(&dir, line);
        assert_eq!(refused.status.code(), Some(1), "{line}");
        assert!(text(&refused.stderr).contains(name), "{line}: {}", text(&refused.stderr));
        assert!(!dir.join("OUT").exists() && !dir.join("OUT.incomplete").exists(), "{line}");
    }
}

/// What one program splits the other one puts together.
#[test]
fn parts_are_put_together_by_the_other() {
    let dir = scratch("split");
    inputs(&dir);
    let info = |name: &str| {
        let info = Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(&dir).args(["info", name]).output();
        text(&info.unwrap().stdout)
    };
    let pages = |names: &[&str]| {
        let read = ["read", "--phys", "0x100000", "--len", "0xa40"];
        let read = Command::new(env!("CARGO_BIN_EXE_kdump"))
            .current_dir(&dir)
            .arg(read[0])
            .args(names)
            .args(&read[1..])
            .output();
        let read = read.unwrap();
        assert!(read.status.success(), "{}", text(&read.stderr));
        read.stdout
    };
    let expected = pages(&["CORE"]);
    let split = ours(&dir, "--split -c CORE OUT OUT2");
    assert!(split.status.success(), "{}", text(&split.stderr));
    assert!(pages(&["OUT2", "OUT"]) == expected);
    fs::rename(dir.join("OUT"), dir.join("A")).unwrap();
    fs::rename(dir.join("OUT2"), dir.join("B")).unwrap();
    for program in [ours, theirs] {
        let whole = program(&dir, "--reassemble A B OUT");
        assert!(whole.status.success(), "{}{}", text(&whole.stdout), text(&whole.stderr));
        assert!(info("OUT").contains("complete     yes"), "{}", info("OUT"));
        assert!(pages(&["OUT"]) == expected);
    }
    assert!(info("A").contains("was not given"), "{}", info("A"));
}

/// Standard output is the dump alone, and both programs put it together to the same file.
#[test]
fn a_stream_is_put_together_as_by_the_other() {
    let dir = scratch("stream");
    inputs(&dir);
    for line in ["-R OUT < STREAM", "-f -R OLD < STREAM"] {
        let out = line.split_whitespace().find(|word| word.starts_with('O')).unwrap();
        let theirs = theirs(&dir, line);
        let expected = fs::read(dir.join(out)).unwrap();
        let ours = ours(&dir, line);
        assert!(theirs.status.success() && ours.status.success(), "{}", text(&ours.stderr));
        assert!(fs::read(dir.join(out)).unwrap() == expected, "{line}");
        let info = Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(&dir).args(["info", out]).output();
        assert!(text(&info.unwrap().stdout).contains("complete     yes"));
    }
}

/// A stream of an ELF core is put together by both programs to the same file, and is read in place.
#[test]
fn a_stream_of_an_elf_core() {
    let dir = scratch("stream-elf");
    inputs(&dir);
    for line in ["-E -F CORE", "-F -E -d 0 CORE"] {
        let stream = ours(&dir, line);
        assert!(stream.status.success(), "{line}: {}", text(&stream.stderr));
        fs::write(dir.join("ELF"), stream.stdout).unwrap();
        let theirs = theirs(&dir, "-R OUT < ELF");
        assert!(theirs.status.success());
        let expected = fs::read(dir.join("OUT")).unwrap();
        assert!(expected.starts_with(b"\x7fELF"));
        let ours = ours(&dir, "-R OUT < ELF");
        assert!(ours.status.success() && fs::read(dir.join("OUT")).unwrap() == expected, "{line}");
        for name in ["ELF", "OUT"] {
            let info =
                Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(&dir).args(["info", name]).output();
            let info = text(&info.unwrap().stdout);
            assert!(info.contains("complete     yes") && info.contains("elf"), "{line}: {info}");
        }
    }
}

/// What has come through a pipe is not thrown away because the disk is full.
#[test]
fn what_arrived_of_a_stream_stays() {
    let dir = scratch("stream-full");
    inputs(&dir);
    let mut bash = Command::new("bash");
    let script = "ulimit -f 4; exec \"$0\" makedumpfile -R OUT <STREAM";
    let full = bash.current_dir(&dir).args(["-c", script, env!("CARGO_BIN_EXE_kdump")]).output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", text(&full.stderr));
    let said = text(&full.stderr);
    assert!(said.contains("File too large") && said.contains("OUT.incomplete"), "{said}");
    assert!(!dir.join("OUT").exists() && dir.join("OUT.incomplete").exists());
}

/// makedumpfile itself waits for ever for the rest of a stream that was cut.
#[test]
fn a_stream_that_was_cut_or_is_impossible_is_told() {
    let dir = scratch("cut");
    inputs(&dir);
    let stream = fs::read(dir.join("STREAM")).unwrap();
    for len in [0, 100, 4096, 4100, 4112, 5000, stream.len() - 16, stream.len() - 1] {
        fs::write(dir.join("CUT"), &stream[..len]).unwrap();
        let cut = ours(&dir, "-R OUT < CUT");
        let said = text(&cut.stderr);
        assert_eq!(cut.status.code(), Some(1), "{len}: {said}");
        assert!(said.contains(&format!("behind {len} bytes")) && said.contains("OUT.incomplete"), "{said}");
        assert!(!dir.join("OUT").exists() && dir.join("OUT.incomplete").exists(), "{len}");
    }
    for (at, bytes) in [(4096, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), (4104, [0x80; 8])] {
        let mut wrong = stream.clone();
        wrong[at..at + 8].copy_from_slice(&bytes);
        fs::write(dir.join("CUT"), &wrong).unwrap();
        let refused = ours(&dir, "-R OUT < CUT");
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("record 0"), "{}", text(&refused.stderr));
        assert!(!dir.join("OUT").exists());
    }
}

#[test]
fn the_log_is_written() {
    let dir = scratch("log");
    inputs(&dir);
    let written = ours(&dir, "--dump-dmesg CORE OUT");
    assert!(
        text(&written.stdout).contains("\nThe dmesg log is saved to OUT.\n"),
        "{}",
        text(&written.stderr)
    );
    let log = fs::read_to_string(dir.join("OUT")).unwrap();
    assert!(log.contains("] first\n") && log.ends_with("] last\n"), "{log}");
}

/// A source that lacks something is saved: scripts throw away what has failed.
#[test]
fn what_the_source_lacked_is_told_and_saved() {
    let dir = scratch("lacking");
    inputs(&dir);
    let mut bytes = fs::read(dir.join("CORE")).unwrap();
    bytes.truncate(bytes.len() - 64);
    fs::write(dir.join("SHORT"), bytes).unwrap();
    let saved = ours(&dir, "-c SHORT OUT");
    assert_eq!(saved.status.code(), Some(0), "{}", text(&saved.stderr));
    assert!(text(&saved.stderr).contains("OUT is saved, but the source lacked"), "{}", text(&saved.stderr));
    assert!(dir.join("OUT").exists());
}

#[test]
fn parts_are_put_together_when_none_is_missing() {
    let dir = scratch("parts");
    let whole = KdumpFile::new(Wire::LE64, 32).with_pages(0..32, &[PageCodec::Zlib]);
    fs::write(dir.join("PART1"), whole.part(0..16).build()).unwrap();
    fs::write(dir.join("PART2"), whole.part(16..32).build()).unwrap();
    for line in ["--reassemble PART1 PART2 OUT", "--reassemble PART2 PART1 OUT"] {
        let saved = ours(&dir, line);
        assert_eq!(saved.status.code(), Some(0), "{line}: {}", text(&saved.stderr));
        let info = Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(&dir).args(["info", "OUT"]).output();
        let info = text(&info.unwrap().stdout);
        assert!(info.contains("complete     yes") && info.contains("zlib"), "{line}: {info}");
    }
    for line in ["--reassemble PART1 OUT", "--reassemble PART2 OUT"] {
        let refused = ours(&dir, line);
        assert_eq!(refused.status.code(), Some(1), "{line}");
        assert!(text(&refused.stderr).contains("was not given"), "{line}: {}", text(&refused.stderr));
        assert!(!dir.join("OUT").exists(), "{line}");
        // The other one is there, and it may not have been finished.
        let other = if line.contains("PART1") { "PART2" } else { "PART1" };
        let given = if line.contains("PART1") { "PART1" } else { "PART2" };
        assert!(text(&refused.stderr).contains(&format!("are {other}")), "{line}: {}", text(&refused.stderr));
        let unfinished = format!("{other}.incomplete");
        fs::rename(dir.join(other), dir.join(&unfinished)).unwrap();
        let refused = ours(&dir, line);
        assert!(text(&refused.stderr).contains(&unfinished), "{line}: {}", text(&refused.stderr));
        fs::rename(dir.join(&unfinished), dir.join(other)).unwrap();
        // One that is named and is not there.
        let missing = ours(&dir, &format!("--reassemble {given} PART9 OUT"));
        assert_eq!(missing.status.code(), Some(1));
        assert!(text(&missing.stderr).contains("PART9: No such file"), "{}", text(&missing.stderr));
        assert!(!dir.join("OUT").exists(), "{line}");
    }
}
