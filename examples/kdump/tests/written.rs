//! What commands leave on disk: for its owner only, whole or not at all, never through a link and
//! never over what they read.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bzimage;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dumpgen::{ElfCoreHdr, Wire};

struct Case(PathBuf);

impl Case {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("written-{name}"));
        let _ = fs::remove_dir_all(&dir);
        let case = Self(dir);
        case.put("root/proc/iomem", "00100000-1ffdffff : System RAM\n  09000000-12ffffff : Crash kernel\n");
        case.put("root/proc/sys/kernel/arch", "x86_64\n");
        case.put("root/sys/kernel/vmcoreinfo", "0x134e000 1024\n");
        case.put("root/sys/devices/system/cpu/cpu0/crash_notes", "1000000\n");
        case.put("bzImage", bzimage::bzimage());
        let source =
            ElfCoreHdr::new(Wire::LE64, 62, 0x3000).with_notes(0, &[0; 16]).with_load(0x1000, 0x1000, 0x1800);
        case.put("header", source.header.build());
        case.put("memory", [7; 0x3000]);
        case
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    /// Runs kdump with the usual umask and, if given, a limit on the size of files in KiB.
    fn kdump(&self, limit: Option<u32>, args: &[&str]) -> Output {
        let limit = limit.map_or("unlimited".to_owned(), |kib| kib.to_string());
        let script = format!("umask 022; trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
        let mut bash = Command::new("bash");
        bash.current_dir(&self.0).args(["-c", &script, env!("CARGO_BIN_EXE_kdump")]).args(args);
        bash.output().unwrap()
    }

    fn view(&self, limit: Option<u32>, out: &str) -> Output {
        self.kdump(limit, &["view", "--elfcorehdr", "header", "--memory", "memory", "--out", out])
    }

    fn plan(&self, limit: Option<u32>, kernel: &str, out: &str) -> Output {
        self.kdump(limit, &["plan", "--root", "root", "--kernel", kernel, "--seed", "a5", "--out", out])
    }

    fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.at(path)).unwrap().mode() & 0o777
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(dir)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[track_caller]
fn refused(output: &Output, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn a_view_is_for_its_owner_and_replaces_what_was_there() {
    let case = Case::new("view");
    case.put("out", "older");
    for out in ["out", "new"] {
        let output = case.view(None, out);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(case.mode(out), 0o600, "{out}");
        assert!(fs::read(case.at(out)).unwrap().starts_with(b"\x7fELF"), "{out}");
    }
}

#[test]
fn a_view_that_cannot_be_written_leaves_the_old_one() {
    let case = Case::new("view-full");
    case.put("out", "older");
    let before = case.names(".");
    let output = case.view(Some(2), "out");
    refused(&output, "out");
    assert_eq!(fs::read(case.at("out")).unwrap(), b"older");
    assert_eq!(case.names("."), before, "no draft is left");
}

#[test]
fn a_view_goes_into_files_only() {
    let case = Case::new("view-links");
    case.put("target", "older");
    symlink("target", case.at("link")).unwrap();
    symlink("nowhere", case.at("dangling")).unwrap();
    symlink("memory", case.at("input")).unwrap();
    fs::hard_link(case.at("memory"), case.at("hard")).unwrap();
    fs::create_dir(case.at("dir")).unwrap();
    refused(&case.view(None, "link"), "symbolic link");
    refused(&case.view(None, "dangling"), "symbolic link");
    refused(&case.view(None, "dir"), "no regular file");
    refused(&case.view(None, "/dev/null"), "no regular file");
    refused(&case.view(None, ".."), "no name");
    assert_eq!(case.view(None, "").status.code(), Some(2));
    for input in ["memory", "header", "hard", "input", "./dir/../memory"] {
        assert_eq!(case.view(None, input).status.code(), Some(1), "{input}");
    }
    assert_eq!(fs::read(case.at("target")).unwrap(), b"older");
    assert_eq!(fs::read(case.at("memory")).unwrap(), [7; 0x3000]);
    assert!(!case.at("nowhere").exists());
}

#[test]
fn a_plan_is_for_its_owner() {
    let case = Case::new("plan");
    let output = case.plan(None, "bzImage", "deep/out");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for dir in ["deep", "deep/out"] {
        assert_eq!(case.mode(dir), 0o700, "{dir}");
    }
    for name in case.names("deep/out") {
        assert_eq!(case.mode(&format!("deep/out/{name}")), 0o600, "{name}");
    }
}

#[test]
fn a_plan_that_cannot_be_written_leaves_the_old_one() {
    let case = Case::new("plan-full");
    assert!(case.plan(None, "bzImage", "out").status.success());
    let before = case.names("out");
    let kernel = before.iter().find(|name| name.ends_with("kernel.bin")).unwrap();
    let old: Vec<Vec<u8>> =
        before.iter().map(|name| fs::read(case.at(&format!("out/{name}"))).unwrap()).collect();
    // Files up to 20 KiB: not the kernel of 64 KiB.
    refused(&case.plan(Some(20), "bzImage", "out"), kernel);
    assert_eq!(case.names("out"), before);
    for (name, old) in before.iter().zip(old) {
        assert!(fs::read(case.at(&format!("out/{name}"))).unwrap() == old, "{name}");
    }
}

#[test]
fn a_plan_is_not_written_over_its_inputs_or_through_links() {
    let case = Case::new("plan-links");
    case.put("out/00-kernel.bin", bzimage::bzimage());
    let output = case.plan(None, "out/00-kernel.bin", "out");
    refused(&output, "destroy");
    assert_eq!(fs::read(case.at("out/00-kernel.bin")).unwrap(), bzimage::bzimage());
    assert_eq!(case.names("out"), ["00-kernel.bin"]);

    case.put("target", "older");
    fs::create_dir(case.at("dir")).unwrap();
    symlink("../target", case.at("dir/plan.txt")).unwrap();
    refused(&case.plan(None, "bzImage", "dir"), "symbolic link");
    assert_eq!(fs::read(case.at("target")).unwrap(), b"older");
    assert_eq!(case.names("dir"), ["plan.txt"]);
    symlink("dir", case.at("to-dir")).unwrap();
    refused(&case.plan(None, "bzImage", "to-dir"), "symbolic link");
}

#[test]
fn a_recording_is_for_its_owner_and_nothing_is_no_recording() {
    let case = Case::new("collect");
    let output = case.kdump(None, &["collect", "--root", "root", "copy"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        [case.mode("copy"), case.mode("copy/proc"), case.mode("copy/proc/iomem")],
        [0o700, 0o700, 0o600]
    );
    fs::create_dir(case.at("empty")).unwrap();
    for root in ["empty", "not-there"] {
        refused(&case.kdump(None, &["collect", "--root", root, "other"]), "nothing to record");
        assert!(!case.at("other").exists());
    }
    // A disk that is full: nothing of it stays.
    case.put("root/proc/mounts", [b'x'; 5000]);
    refused(&case.kdump(Some(2), &["collect", "--root", "root", "other"]), "proc/mounts");
    assert!(!case.at("other").exists() && !case.names(".").iter().any(|name| name.contains("part")));
}
