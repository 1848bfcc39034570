//! Reading a machine from disk and recording it: what is read, what is left, what is told.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail anywhere"
)]

mod machine_support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kdump_elf::Arch;
use kdump_segments::{Error, Machine, MachineFiles, Source};
use machine_support::Kcore;

/// A directory that is gone when the test is over.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let place =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("machine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        Self(place)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let place = self.0.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
        place
    }

    fn small(name: &str) -> Self {
        let dir = Self::new(name);
        dir.put("proc/iomem", "00001000-1ffdffff : System RAM\n");
        dir.put("proc/sys/kernel/arch", "x86_64\n");
        dir
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn recorded(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name)
}

/// Records `from` and checks that the recording describes the same machine.
fn record(from: &Path, name: &str) -> (Dir, kdump_segments::Recorded) {
    let to = Dir::new(name);
    let report = Machine::record(from, &to.0.join("bundle")).unwrap();
    assert_eq!(Machine::collect(&to.0.join("bundle")).unwrap(), Machine::collect(from).unwrap());
    (to, report)
}

#[test]
fn a_recording_describes_the_same_machine() {
    for name in ["bios-512m", "efi-1g-612"] {
        let (to, report) = record(&recorded(name), name);
        let size =
            |path: &str| report.copied.iter().find(|(copied, _)| copied == path).map(|(_, size)| *size);
        let notes_end = if name == "bios-512m" { 0x200 + 0x2fc8 } else { 0x4d8 + 0x2fb8 };
        assert_eq!(size("proc/kcore"), Some(notes_end));
        assert_eq!(report.unreadable, []);
        assert!(report.missing.iter().any(|path| path == "sys/kernel/kexec/crash_loaded"));
        let lines = fs::read_to_string(to.0.join("bundle/proc/kallsyms")).unwrap();
        assert_eq!(lines.lines().count(), 4);
        let manifest = fs::read_to_string(to.0.join("bundle/kdump-collect.txt")).unwrap();
        assert_eq!(manifest.lines().count(), report.copied.len() + report.missing.len());
        let verbatim = "sys/kernel/boot_params/data";
        assert_eq!(
            fs::read(to.0.join("bundle").join(verbatim)).unwrap(),
            fs::read(recorded(name).join(verbatim)).unwrap()
        );
    }
}

#[test]
fn recordings_do_not_mix() {
    let dir = Dir::small("mix");
    let error = Machine::record(&dir.0, &dir.0).unwrap_err();
    assert!(
        matches!(error, Error::File { ref cause, .. } if cause.contains("an older recording would mix")),
        "{error}"
    );
    let mut files = MachineFiles::new();
    files.insert("../outside", "x");
    let error = files.write(&dir.0.join("new")).unwrap_err();
    assert!(error.to_string().contains("plain relative path"), "{error}");
}

#[test]
fn what_cannot_be_read_is_told_and_stays_told() {
    let dir = Dir::small("unreadable");
    fs::create_dir_all(dir.0.join("sys/kernel/vmcoreinfo")).unwrap();
    dir.put("proc/kcore", b"not an ELF file");
    let machine = Machine::collect(&dir.0).unwrap();
    for path in ["sys/kernel/vmcoreinfo", "proc/kcore"] {
        let told =
            machine.remarks.iter().any(|note| note.path == path && note.text.starts_with("cannot be read"));
        assert!(told, "{path}: {:?}", machine.remarks);
    }
    let (_to, report) = record(&dir.0, "unreadable-copy");
    assert_eq!(report.unreadable.len(), 2);

    fs::remove_file(dir.0.join("proc/iomem")).unwrap();
    assert!(matches!(Machine::collect(&dir.0), Err(Error::Missing { path }) if path == "proc/iomem"));
    fs::create_dir(dir.0.join("proc/iomem")).unwrap();
    assert!(matches!(Machine::collect(&dir.0), Err(Error::File { .. })));
}

#[test]
fn a_recorded_root_has_to_say_its_architecture() {
    let dir = Dir::small("arch");
    fs::remove_file(dir.0.join("proc/sys/kernel/arch")).unwrap();
    assert!(matches!(Machine::collect(&dir.0), Err(Error::UnknownArch)));
    dir.put("proc/sys/kernel/arch", "vax\n");
    let error = Machine::collect(&dir.0).unwrap_err();
    assert!(matches!(&error, Error::UnsupportedArch { value, .. } if value == "vax"), "{error}");
    dir.put("proc/sys/kernel/arch", "ppc64le\n");
    let machine = Machine::collect(&dir.0).unwrap();
    assert_eq!((machine.arch, machine.endian), (Arch::Ppc64, kdump_elf::Endian::Little));
}

/// 64 KiB of header hold 1169 program headers; machines have more, and more than e_phnum counts.
#[test]
fn kcore_with_many_program_headers() {
    for count in [1_200_u64, 70_000] {
        let base = 0xffff_8880_0000_0000;
        let loads: Vec<_> = (0..count).map(|index| (base + (index << 16), index << 16, 0x8000)).collect();
        let dir = Dir::small("many");
        dir.put("proc/kcore", Kcore::new(Arch::X86_64, &loads, "OSRELEASE=1.2.3\n").build().0);
        let machine = Machine::collect(&dir.0).unwrap();
        assert_eq!(machine.kernel.direct_map_base.unwrap().value, base, "{count}");
        assert_eq!(machine.release.as_deref(), Some("1.2.3"), "{count}");
    }
}

#[test]
fn kcore_that_is_cut_off() {
    let kcore = Kcore::new(Arch::X86_64, &[(0xffff_8880_0000_1000, 0x1000, 0x1000)], "OSRELEASE=1.2.3\n");
    let (bytes, notes_at) = kcore.build();
    let told = |length: usize| {
        let dir = Dir::small("cut");
        dir.put("proc/kcore", &bytes[..length]);
        let machine = Machine::collect(&dir.0).unwrap();
        let notes =
            machine.remarks.iter().filter(|note| note.path == "proc/kcore").map(|note| note.text.clone());
        (machine.kernel.direct_map_base.is_some(), machine.release, notes.collect::<Vec<_>>().join("; "))
    };
    let (base, release, notes) = told(notes_at);
    assert!(base && release.is_none() && notes.contains("notes"), "{notes}");
    let (base, _, notes) = told(notes_at - 1);
    assert!(!base && notes.contains("program header table"), "{notes}");
    let (base, _, notes) = told(10);
    assert!(!base && notes.contains("e_ident at offset 0x0"), "{notes}");
}

/// The notes of a kcore may lie anywhere, but not so far that reading on makes no sense.
#[test]
fn kcore_with_distant_notes() {
    for (gap, found) in [(1 << 20, true), (65 << 20, false)] {
        let loads = [(0xffff_8880_0000_1000, 0x1000, 0x1000)];
        let kcore = Kcore { gap, ..Kcore::new(Arch::X86_64, &loads, "OSRELEASE=1.2.3\n") };
        let dir = Dir::small("distant");
        dir.put("proc/kcore", kcore.build().0);
        let machine = Machine::collect(&dir.0).unwrap();
        assert!(machine.kernel.direct_map_base.is_some());
        assert_eq!(machine.release.is_some(), found);
        assert_eq!(machine.remarks.iter().any(|note| note.text.contains("its notes at offset")), !found);
    }
}

/// The value of page_offset_base is behind what a recording holds, so it is written down.
#[test]
fn kernel_memory_is_read_through_kcore() {
    let base = 0xff11_0000_4000_0000_u64;
    let text = 0xffff_ffff_8100_0000_u64;
    let loads = [(text, 0x100_0000, 0x200_0000), (base + 0x1000, 0x1000, 0x1000)];
    let dir = Dir::small("memory");
    let place = dir.put("proc/kcore", Kcore::new(Arch::X86_64, &loads, "").build().0);
    let symbol = text + 0x1_5740;
    dir.put(
        "proc/kallsyms",
        format!("{symbol:016x} D page_offset_base\n{:016x} D page_offset_base [module]\n", 1),
    );
    let offset = (text & 0x00ff_ffff) + 0x0100_0000 + 0x1_5740;
    File::options().write(true).open(place).unwrap().write_all_at(&base.to_le_bytes(), offset).unwrap();
    let found = Machine::collect(&dir.0).unwrap().kernel.direct_map_base.unwrap();
    assert_eq!(
        (found.value, found.source, found.others),
        (base, Source::KcorePhdrs, vec![Source::KcoreMemory])
    );
    let (to, _) = record(&dir.0, "memory-copy");
    assert!(to.0.join("bundle/proc/kcore.values").exists());
}

#[test]
fn both_places_of_the_kexec_files() {
    let dir = Dir::small("kexec");
    dir.put("sys/kernel/kexec_crash_loaded", "0\n");
    dir.put("sys/kernel/kexec_crash_size", "1048576\n");
    dir.put("sys/kernel/kexec/crash_loaded", "1\n");
    dir.put("sys/kernel/kexec/loaded", "0\n");
    dir.put("sys/kernel/kexec/crash_elfcorehdr_size", "917616\n");
    dir.put("sys/devices/system/cpu/crash_hotplug", "1\n");
    dir.put("sys/kernel/kexec/crash_cma_ranges", "00200000-002fffff\n00400000-004fffff\nwhat\n");
    let machine = Machine::collect(&dir.0).unwrap();
    assert_eq!(machine.kexec.crash_loaded, Some(true));
    assert_eq!(machine.kexec.loaded, Some(false));
    assert_eq!(machine.kexec.crash_size, Some(1 << 20));
    assert_eq!(machine.kexec.elfcorehdr_size, Some(917_616));
    assert_eq!((machine.kexec.cpu_hotplug, machine.kexec.memory_hotplug), (Some(true), None));
    assert_eq!(machine.cma_ranges.total(), 2 << 20);
    assert_eq!(machine.dump_ranges().unwrap().len(), 3);
    assert!(machine.remarks.iter().any(|note| note.text.contains("`what`")));
}

#[test]
fn boot_params_in_debugfs() {
    let dir = Dir::small("debugfs");
    dir.put("proc/mounts", "proc /proc proc rw 0 0\nnone /somewhere debugfs rw 0 0\n");
    dir.put("somewhere/boot_params/data", [7; 4096]);
    dir.put("somewhere/boot_params/version", "0x020c\n");
    let machine = Machine::collect(&dir.0).unwrap();
    assert_eq!(machine.boot_params.unwrap(), [7; 4096]);
    assert_eq!(machine.boot_protocol, Some(0x20c));
    record(&dir.0, "debugfs-copy");
    // Those of sysfs are the kernel's own; debugfs may be anything that is mounted by that name.
    dir.put("sys/kernel/boot_params/data", [1; 4096]);
    assert_eq!(Machine::collect(&dir.0).unwrap().boot_params.unwrap(), [1; 4096]);
}

#[test]
fn numbered_directories_are_walked() {
    let dir = Dir::small("cpus");
    let lacking = |machine: &Machine| {
        machine.remarks.iter().any(|note| note.text.contains("this CPU's registers will be missing"))
    };
    // A kernel without crash_notes at all has none to miss.
    dir.put("sys/devices/system/cpu/cpu7/online", "1\n");
    assert!(!lacking(&Machine::collect(&dir.0).unwrap()));
    dir.put("sys/devices/system/cpu/cpu0/crash_notes", "1000\n");
    assert!(lacking(&Machine::collect(&dir.0).unwrap()));
    for cpu in [0, 3, 4095] {
        dir.put(&format!("sys/devices/system/cpu/cpu{cpu}/crash_notes"), format!("{:x}\n", 0x1000 + cpu));
    }
    dir.put("sys/devices/system/cpu/cpuidle/crash_notes", "1\n");
    let machine = Machine::collect(&dir.0).unwrap();
    assert_eq!(machine.cpu_notes.iter().map(|note| note.cpu).collect::<Vec<_>>(), [0, 3, 4095]);
    // Registers that end behind the last address are nowhere.
    dir.put("sys/devices/system/cpu/cpu3/crash_notes", "fffffffffffffff0\n");
    let machine = Machine::collect(&dir.0).unwrap();
    assert_eq!(machine.cpu_notes.iter().map(|note| note.cpu).collect::<Vec<_>>(), [0, 4095]);
    assert!(
        machine.remarks.iter().any(|note| note.text.contains("registers will be missing")),
        "{:?}",
        machine.remarks
    );
}

/// The machine this test runs on: whatever it shows, there is an answer or a reason.
#[test]
fn the_running_machine() {
    match Machine::collect(Path::new("/")) {
        Ok(machine) => assert!(machine.ram().unwrap().total() > 0),
        Err(error) => assert!(
            matches!(error, Error::AddressesHidden { .. } | Error::Missing { .. } | Error::File { .. }),
            "{error}"
        ),
    }
}

#[test]
fn the_sha_instructions_of_every_cpu_are_recorded() {
    let dir = Dir::small("sha");
    let able = "processor\t: 0\nflags\t\t: fpu sse2 ssse3 sse4_1 sha_ni\n\n";
    for (cpuinfo, expected) in
        [("", false), (able, true), (&able.repeat(3), true), (&[able, "processor: 1\n"].concat(), false)]
    {
        dir.put("proc/cpuinfo", cpuinfo);
        assert_eq!(Machine::collect(&dir.0).unwrap().sha_instructions, expected, "{cpuinfo}");
        record(&dir.0, "sha-copy");
    }
}
