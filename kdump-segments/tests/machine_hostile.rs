//! Recordings that a stranger packed: links that lead elsewhere, files without end, and what is
//! written in turn.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail anywhere"
)]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use kdump_segments::load::{Status, probe_environment};
use kdump_segments::{Error, Machine, MachineFiles};

/// What lies outside the recording and must stay there.
const SECRET: &str = "secret";

/// A directory with a recording in `root` and something else in `outside`.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let place =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stranger-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let dir = Self(place);
        dir.put("root/proc/iomem", "00001000-1ffdffff : System RAM\n");
        dir.put("root/proc/sys/kernel/arch", "x86_64\n");
        dir.put("outside/secret", SECRET);
        dir
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    /// A symbolic link in the recording.
    fn link(&self, path: &str, to: impl AsRef<Path>) {
        let place = self.at("root").join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(to, place).unwrap();
    }

    fn sparse(&self, path: &str, len: u64) {
        let place = self.at("root").join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        File::create(place).unwrap().set_len(len).unwrap();
    }

    fn read(&self) -> MachineFiles {
        MachineFiles::read(&self.at("root")).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(files: &MachineFiles, path: &str) -> Option<String> {
    files.unreadable().find(|(other, _)| *other == path).map(|(_, cause)| cause.to_owned())
}

#[test]
fn links_do_not_leave_the_recording() {
    let dir = Dir::new("links");
    dir.link("proc/cmdline", dir.at("outside/secret"));
    dir.link("sys/kernel/vmcoreinfo", "../../../outside/secret");
    dir.put("outside/cpu/cpu0/crash_notes", SECRET);
    dir.link("sys/devices/system/cpu", dir.at("outside/cpu"));
    dir.put("outside/boot_params/data", SECRET);
    dir.put("root/proc/mounts", "none /../outside debugfs rw 0 0\n");
    let files = dir.read();
    let leaked: Vec<&str> =
        files.iter().filter(|(_, content)| *content == SECRET.as_bytes()).map(|(path, _)| path).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[test]
fn a_place_of_vmcoreinfo_that_cannot_be_is_told_and_left_out() {
    let machine = |text: &str| {
        let mut files = MachineFiles::new();
        files.insert("proc/iomem", "00100000-1ffdffff : System RAM\n");
        files.insert("proc/sys/kernel/arch", "x86_64\n");
        files.insert("sys/kernel/vmcoreinfo", text);
        Machine::from_files(&files).unwrap()
    };
    assert_eq!(
        machine("0x100000 400\n").vmcoreinfo.map(|note| (note.paddr, note.size)),
        Some((0x10_0000, 0x400))
    );
    for text in ["0xfffffffffffff000 1001\n", "0x100000 0\n"] {
        let machine = machine(text);
        assert!(machine.vmcoreinfo.is_none(), "{text}");
        let told = machine.remarks.iter().any(|note| note.text.starts_with("cannot be: "));
        assert!(told, "{:?}", machine.remarks);
    }
}

#[test]
fn links_inside_the_recording_are_followed_as_if_it_were_the_root() {
    let dir = Dir::new("inside");
    dir.put("root/elsewhere/cmdline", "quiet\n");
    dir.link("proc/cmdline", "/elsewhere/cmdline");
    dir.put("root/elsewhere/cpu/cpu3/crash_notes", "1000\n");
    dir.link("sys/devices/system/cpu", "../../../elsewhere/cpu");
    dir.link("proc/mounts", "self/mounts");
    dir.put("root/proc/self/mounts", "none /dbg debugfs rw 0 0\n");
    dir.put("root/dbg/boot_params/version", "0x020c\n");
    let machine = Machine::collect(&dir.at("root")).unwrap();
    assert_eq!((machine.cmdline.as_str(), machine.boot_protocol), ("quiet", Some(0x20c)));
    assert_eq!(machine.cpu_notes.iter().map(|note| note.cpu).collect::<Vec<_>>(), [3]);
}

#[test]
fn neither_the_environment_nor_the_status_is_read_from_elsewhere() {
    let dir = Dir::new("probe");
    dir.put("outside/meminfo", "MemTotal:         482712 kB\n");
    dir.link("proc/meminfo", dir.at("outside/meminfo"));
    let machine = Machine::collect(&dir.at("root")).unwrap();
    assert_eq!(probe_environment(&machine, &dir.at("root")).unwrap().total_ram, None);

    dir.put("root/proc/iomem", "00000000-00000000 : System RAM\n");
    dir.put("outside/loaded", "1\n");
    dir.link("sys/kernel/kexec_crash_loaded", dir.at("outside/loaded"));
    assert_eq!(Status::collect(&dir.at("root")).unwrap().kexec.crash_loaded, None);
}

#[test]
fn many_large_files_cost_no_more_than_a_few() {
    let dir = Dir::new("large");
    dir.put("root/proc/cmdline", "quiet\n");
    for cpu in 0..100 {
        dir.sparse(&format!("sys/devices/system/cpu/cpu{cpu}/crash_notes"), 60 << 20);
        dir.sparse(&format!("sys/devices/system/cpu/cpu{cpu}/crash_notes_size"), 15 << 20);
    }
    let files = dir.read();
    let kept: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert!(kept <= 64 << 20, "{kept:#x} bytes are held");
    assert!(files.get("proc/cmdline").is_some());
    let one = told(&files, "sys/devices/system/cpu/cpu0/crash_notes").unwrap();
    assert!(one.contains("more than 0x1000000 bytes"), "{one}");
    let all = told(&files, "sys/devices/system/cpu/cpu99/crash_notes_size").unwrap();
    assert!(all.contains("0x4000000 bytes in all"), "{all}");
    let machine = Machine::from_files(&files).unwrap();
    assert!(machine.remarks.iter().any(|note| note.text.contains("in all")), "told in the plan, too");
}

/// The size that a file claims is not what it costs.
#[test]
fn endless_files_are_cut_off_where_their_size_says_nothing() {
    let dir = Dir::new("pipes");
    dir.link("proc/cmdline", "/dev/zero");
    dir.sparse("proc/kallsyms", 1 << 40);
    dir.sparse("proc/kcore", 1 << 40);
    dir.sparse("proc/mounts", (16 << 20) + 1);
    let files = dir.read();
    assert!(files.get("proc/cmdline").is_none(), "/dev/zero of the host");
    for path in ["proc/kallsyms", "proc/kcore", "proc/mounts"] {
        assert!(told(&files, path).is_some(), "{path}");
    }
    dir.sparse("proc/iomem", (16 << 20) + 1);
    let error = MachineFiles::read(&dir.at("root")).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 0x100_0000, .. }), "{error}");
}

#[test]
fn cpus_without_a_note_are_told_in_a_few_lines() {
    let dir = Dir::new("cpus");
    for cpu in 0..100 {
        fs::create_dir_all(dir.at(&format!("root/sys/devices/system/cpu/cpu{cpu}"))).unwrap();
    }
    dir.put("root/sys/devices/system/cpu/cpu5/crash_notes", "1000\n");
    let files = dir.read();
    assert_eq!(files.unreadable().count(), 17);
    let rest = told(&files, "sys/devices/system/cpu/cpu*/crash_notes").unwrap();
    assert!(rest.starts_with("83 more"), "{rest}");
}

#[test]
fn a_recording_of_nothing_is_a_failure() {
    let dir = Dir::new("nothing");
    fs::create_dir_all(dir.at("empty")).unwrap();
    for root in ["empty", "not-there"] {
        let error = Machine::record(&dir.at(root), &dir.at("to")).unwrap_err();
        assert!(error.to_string().contains(root), "{error}");
        assert!(!dir.at("to").exists(), "{root}: nothing is left behind");
    }
}

#[test]
fn a_recording_is_for_its_owner_only() {
    let dir = Dir::new("modes");
    dir.put("root/proc/cmdline", "password=1\n");
    Machine::record(&dir.at("root"), &dir.at("to")).unwrap();
    let mode = |path: &str| fs::metadata(dir.at(path)).unwrap().mode() & 0o777;
    for path in ["to", "to/proc", "to/proc/sys/kernel"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    for path in ["to/proc/cmdline", "to/proc/sys/kernel/arch", "to/kdump-collect.txt"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
    // A directory that is there stays as it is; what it gets is for its owner.
    fs::create_dir(dir.at("made")).unwrap();
    let before = mode("made");
    Machine::record(&dir.at("root"), &dir.at("made/")).unwrap();
    assert_eq!([mode("made"), mode("made/proc"), mode("made/kdump-collect.txt")], [before, 0o700, 0o600]);
    assert_eq!(fs::read_dir(dir.at("made")).unwrap().count(), 2, "no draft is left");
}

#[test]
fn a_recording_is_there_whole_or_not_at_all() {
    let dir = Dir::new("whole");
    let mut files = dir.read();
    files.insert("proc/../../outside/written", "x");
    files.write(&dir.at("to")).unwrap_err();
    let mut left: Vec<String> = fs::read_dir(&dir.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["outside", "root"]);
    assert_eq!(fs::read_dir(dir.at("outside")).unwrap().count(), 1);
}

#[test]
fn a_recording_is_not_written_through_a_link() {
    let dir = Dir::new("through");
    fs::create_dir(dir.at("target")).unwrap();
    symlink(dir.at("target"), dir.at("to")).unwrap();
    let error = Machine::record(&dir.at("root"), &dir.at("to")).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read_dir(dir.at("target")).unwrap().count(), 0);
}
