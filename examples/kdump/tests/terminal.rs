//! Nothing that comes from a dump, a recording or a file name commands the terminal it is shown on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bzimage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dumpgen::{CoreFile, Record, Segment, Wire, note, prstatus_x86_64};
use serde_json::Value;

/// Escape, DEL, CSI as one character of C1, an override of the writing direction and an isolate.
const EVIL: &str = "a\x1b[2J\x7f\u{9b}31m\u{202e}b\u{2067}c\rd";

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("terminal-{name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn kdump(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kdump")).current_dir(dir).args(args).output().unwrap()
}

/// Whether a terminal would do something for this character other than show it.
fn commands(c: char) -> bool {
    let direction = ['\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'].iter().any(|range| range.contains(&c));
    !matches!(c, '\n' | '\t') && (c.is_control() || direction)
}

#[track_caller]
fn harmless(bytes: &[u8]) -> String {
    let text = core::str::from_utf8(bytes).unwrap().to_owned();
    let found: String = text.chars().filter(|&c| commands(c)).flat_map(char::escape_unicode).collect();
    assert!(found.is_empty(), "{found} in {text:?}");
    text
}

/// Both streams of a command are harmless; returns them.
#[track_caller]
fn quiet(dir: &Path, args: &[&str]) -> (String, String) {
    let output = kdump(dir, args);
    (harmless(&output.stdout), harmless(&output.stderr))
}

/// A dump whose notes, release and log are hostile.
fn dump(dir: &Path) {
    let ring = dumpgen::PrintkRing::new(Wire::LE64, 0xffff_8880_0010_0000);
    let (memory, ring_info) = ring.build(&[Record::new(1, EVIL)]);
    let info = format!("OSRELEASE=6.1{EVIL}\nPAGESIZE=4096\nKEY{EVIL}=1\n{ring_info}");
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [7; 27])),
        note(Wire::LE64, &format!("N{EVIL}"), 9, b"x"),
        note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes()),
    ];
    let file = CoreFile::x86_64()
        .with(Segment::notes(&notes.concat()))
        .with(Segment { p_vaddr: 0xffff_8880_0010_0000, ..Segment::load(0x10_0000, &memory) });
    fs::write(dir.join("dump"), file.build()).unwrap();
}

/// A recorded machine whose texts are hostile, and a kernel.
fn bundle(dir: &Path) {
    let put = |path: &str, text: &str| {
        let place = dir.join("root").join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    };
    put("proc/iomem", "00100000-1ffdffff : System RAM\n  09000000-12ffffff : Crash kernel\n");
    put("proc/sys/kernel/arch", "x86_64\n");
    put("proc/cmdline", &format!("root=/dev/sda1 title={EVIL}\n"));
    put("proc/sys/kernel/osrelease", EVIL);
    put("sys/kernel/vmcoreinfo", "0x134e000 1024\n");
    put("sys/devices/system/cpu/cpu0/crash_notes", EVIL);
    put("kdump-collect.txt", &format!("unreadable proc/{EVIL} because {EVIL}\n"));
    fs::write(dir.join("bzImage"), bzimage::bzimage()).unwrap();
}

#[test]
fn dumps() {
    let dir = scratch("dumps");
    dump(&dir);
    for args in [["info", "dump"], ["notes", "dump"], ["dmesg", "dump"], ["map", "dump"], ["verify", "dump"]]
    {
        let (said, _) = quiet(&dir, &args);
        assert!(!said.is_empty(), "{args:?}");
        if !matches!(args[0], "map" | "verify") {
            assert!(
                said.contains("9b}31m") || said.contains("\\x9b31m"),
                "{args:?}: the text itself is lost: {said}"
            );
        }
        let (document, _) = quiet(&dir, &[args[0], "--json", args[1]]);
        serde_json::from_str::<Value>(&document).unwrap();
    }
    let (document, _) = quiet(&dir, &["info", "--json", "dump"]);
    assert!(document.contains("\\u009b") && document.contains("\\u202e") && document.contains("\\u007f"));
    let release: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(release["release"], format!("6.1{EVIL}"), "readers of the document get it as it was");
}

#[test]
fn recordings() {
    let dir = scratch("recordings");
    bundle(&dir);
    let plan = ["plan", "--root", "root", "--kernel", "bzImage", "--reuse-cmdline", "--out", "out"];
    let (text, _) = quiet(&dir, &plan);
    assert!(text.contains("title=a\\u{1b}[2J"), "{text}");
    let (document, _) = quiet(&dir, &[&plan[..], &["--json"]].concat());
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(document["cmdline"].as_str().unwrap().contains("\u{9b}31m"));
    harmless(&fs::read(dir.join("out/plan.txt")).unwrap());
    harmless(&fs::read(dir.join("out/plan.json")).unwrap());
    quiet(&dir, &["status", "--root", "root"]);
    quiet(&dir, &["status", "--root", "root", "--json"]);
    let (_, said) = quiet(&dir, &["collect", "--root", "root", "copy"]);
    assert_eq!(said, "");
}

#[test]
fn names_of_files_and_words_of_the_command_line() {
    let dir = scratch("names");
    dump(&dir);
    let name = format!("x{EVIL}");
    fs::rename(dir.join("dump"), dir.join(&name)).unwrap();
    fs::write(dir.join(format!("y{EVIL}")), "no dump").unwrap();
    for args in [
        ["info", &format!("y{EVIL}")],
        ["info", &format!("z{EVIL}")],
        ["info", &format!("--{EVIL}")],
        ["plan", &format!("--kernel={EVIL}")],
        ["collect", &format!("no{EVIL}/\0").replace('\0', "../x/..")],
        ["status", &format!("--root={EVIL}")],
    ] {
        let (_, said) = quiet(&dir, &args);
        assert!(!said.is_empty(), "{args:?}");
    }
    quiet(&dir, &[EVIL]);
    quiet(&dir, &["save", "--progress", "none", &name, "copy"]);
}
