//! Image files are judged before they are read or given to the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::cmdline::CommandLine;
use kdump_segments::load::{FileCandidate, FileLoad, ImageFile, check_files, load_files, refusal};
use kdump_segments::preflight::{Environment, Report, Verdict};
use kdump_segments::{Errno, Error, Machine, Source, Sourced};

use proptest::prelude::*;

use plan_support::{bzimage, synthetic};

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-files-{name}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn only_regular_files_are_opened() {
    let dir = dir("kinds");
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = dir.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, kind) in [
        (dir.as_path(), "a directory"),
        (Path::new("/dev/zero"), "a character device"),
        (&pipe, "a pipe"),
        (&socket, "a socket"),
    ] {
        let error = ImageFile::open(path).unwrap_err().to_string();
        assert!(error.contains(kind) && error.contains(path.to_str().unwrap()), "{error}");
    }
    let missing = ImageFile::open(&dir.join("none")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.to_string().contains("none"), "{missing}");
}

/// A ramdisk of 1 TiB takes no memory and no time when the region has 256 MiB.
#[test]
fn what_is_larger_than_the_region_is_not_read() {
    let path = dir("large").join("initrd");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let file = ImageFile::open(&path).unwrap();
    let error = file.read(256 << 20).unwrap_err();
    assert!(
        matches!(error, Error::ImageTooLarge { size: 0x100_0000_0000, limit: 0x1000_0000, .. }),
        "{error}"
    );
    assert!(matches!(file.read_kernel(256 << 20), Err(Error::ImageTooLarge { .. })));
    file.check_end().unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let path = dir("changes").join("image");
    fs::write(&path, [7; 100]).unwrap();
    let file = ImageFile::open(&path).unwrap();
    assert_eq!(file.read(100).unwrap(), [7; 100]);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(99).unwrap();
    assert!(file.read(100).unwrap_err().to_string().contains("fewer"));
    assert!(file.check_end().unwrap_err().to_string().contains("fewer"));
    fs::write(&path, [7; 101]).unwrap();
    assert!(file.read(100).unwrap_err().to_string().contains("more"));
    // A file of /proc has content and says that it has none.
    let proc = ImageFile::open(Path::new("/proc/self/status")).unwrap();
    assert_eq!(proc.size(), 0);
    assert!(proc.read(100).unwrap_err().to_string().contains("more"));
}

/// Of an ELF kernel only what is loaded counts and is read, not its debugging information.
#[test]
fn an_elf_kernel_may_be_larger_than_the_region() {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64 + 56, 0);
    for (at, value) in [(16, 2), (18, 62), (20, 1), (32, 64), (52, 64), (54, 56), (56, 1), (64, 1)] {
        file[at] = value;
    }
    for (at, word) in
        [(24, 0x100_0000_u64), (72, 120), (80, u64::MAX << 31), (88, 0x100_0000), (96, 4), (104, 4096)]
    {
        file[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(b"text");
    let loaded = file.clone();
    let path = dir("elf").join("vmlinux");
    fs::write(&path, &file).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(ImageFile::open(&path).unwrap().read_kernel(0x1000).unwrap(), loaded);
    assert!(matches!(
        ImageFile::open(&path).unwrap().read_kernel(100),
        Err(Error::ImageTooLarge { size: 124, .. })
    ));
}

/// A machine with a region of 256 MiB and everything allowed.
fn good() -> (Machine, Environment) {
    let machine = synthetic(9, 2);
    let mut environment = Environment::of_machine(&machine).unwrap();
    environment.capable = Some(true);
    environment.load_disabled = Some(false);
    environment.load_limit = Some(-1);
    environment.locked_down = Some(false);
    environment.gib_pages = Some(true);
    (machine, environment)
}

/// Puts a PE header with a certificate table of `size` bytes at `offset` into the real-mode code.
fn sign(image: &mut [u8], offset: u32, size: u32) {
    image[0x3c..0x40].copy_from_slice(&0x400_u32.to_le_bytes());
    image[0x400..0x404].copy_from_slice(b"PE\0\0");
    image[0x418..0x41a].copy_from_slice(&0x20b_u16.to_le_bytes());
    image[0x4a8..0x4ac].copy_from_slice(&offset.to_le_bytes());
    image[0x4ac..0x4b0].copy_from_slice(&size.to_le_bytes());
}

struct Case {
    image: Vec<u8>,
    size: u64,
    initrd: u64,
    cmdline: u64,
    machine: Machine,
    environment: Environment,
}

fn judged(change: impl FnOnce(&mut Case)) -> Report {
    let (machine, environment) = good();
    let mut image = bzimage(0x100_0000, 0x10_0000);
    image[0x1f4..0x1f8].copy_from_slice(&0x1_0000_u32.to_le_bytes());
    let size = image.len() as u64;
    let mut case = Case { image, size, initrd: 3 << 20, cmdline: 100, machine, environment };
    change(&mut case);
    let candidate = FileCandidate::new(&case.image[..case.image.len().min(0x1_0000)], case.size)
        .initrd_size(case.initrd)
        .cmdline_len(case.cmdline);
    check_files(&candidate, &case.machine, &case.environment).unwrap()
}

#[test]
fn each_bad_input_of_a_file_load_has_its_rule() {
    let report = judged(|_| {});
    assert!(report.findings.iter().all(|finding| finding.verdict == Verdict::Pass), "{report:#?}");
    assert_eq!((report.errno, report.armed_image_lost), (None, false));
    type Change = fn(&mut Case);
    let cases: [(&str, Option<Errno>, Change); 18] = [
        ("capability", Some(Errno::EPERM), |case| case.environment.capable = Some(false)),
        ("load_disabled", Some(Errno::EPERM), |case| case.environment.load_disabled = Some(true)),
        ("load_limit", Some(Errno::EPERM), |case| case.environment.load_limit = Some(0)),
        ("crash_region", Some(Errno::EADDRNOTAVAIL), |case| case.machine.crash_regions.clear()),
        ("image_format", Some(Errno::ENOEXEC), |case| case.image.fill(0x5a)),
        ("image_format", Some(Errno::ENOEXEC), |case| (case.image, case.size) = (Vec::new(), 0)),
        ("image_format", Some(Errno::ENOEXEC), |case| case.image[..0x206].fill(0x7f)),
        ("image_format", Some(Errno::ENOEXEC), |case| case.image[0x236] = 0),
        ("image_format", Some(Errno::ENOEXEC), |case| case.image[0x206] = 0x0b),
        ("image_complete", None, |case| case.size -= 1),
        ("image_complete", None, |case| sign(&mut case.image, 0x10_5000, 1472)),
        ("image_paging", Some(Errno::ENOEXEC), |case| {
            case.image[0x236] = 0x1f;
            case.machine.kernel.direct_map_base =
                Some(Sourced::new(0xff11_0000_0000_0000, Source::BootParams));
        }),
        ("image_signature", Some(Errno::EPERM), |case| case.environment.locked_down = Some(true)),
        ("command_line", Some(Errno::EINVAL), |case| case.cmdline = 2017),
        ("command_line", Some(Errno::EINVAL), |case| case.cmdline = u64::MAX),
        ("room", Some(Errno::EADDRNOTAVAIL), |case| case.initrd = 256 << 20),
        ("room", Some(Errno::EADDRNOTAVAIL), |case| case.initrd = u64::MAX),
        ("room", Some(Errno::EADDRNOTAVAIL), |case| {
            case.image[0x260..0x264].copy_from_slice(&[0, 0, 0, 0x10])
        }),
    ];
    for (rule, errno, change) in cases {
        let report = judged(change);
        let found = report.failure().map(|finding| finding.rule);
        assert_eq!((found, report.errno), (Some(rule), errno), "{report:#?}");
        let early = ["capability", "load_disabled", "load_limit"].contains(&rule);
        assert_eq!(report.armed_image_lost, errno.is_some() && !early, "{rule}");
        assert!(matches!(refusal(&report), Some(Error::Preflight { rule: named, .. }) if named == rule));
    }
    // Where `syssize` does not tell, the place of the compressed kernel does.
    let cut = judged(|case| {
        case.image[0x1f4..0x1f8].fill(0);
        case.image[0x248..0x24c].copy_from_slice(&0x400_u32.to_le_bytes());
        case.image[0x24c..0x250].copy_from_slice(&0x10_0000_u32.to_le_bytes());
    });
    assert_eq!(cut.failure().map(|finding| finding.rule), Some("image_complete"), "{cut:#?}");
    let fits = judged(|case| case.cmdline = 2016);
    assert_eq!(fits.failure(), None, "the longest command line");
    let signed = judged(|case| {
        sign(&mut case.image, 0x10_5000, 1472);
        (case.size, case.environment.locked_down) = (0x10_5000 + 1472, Some(true));
    });
    assert_eq!(signed.failure(), None);
    // A table of certificates where the PE format has none: in another header, in one of 32 bits.
    for (at, byte) in [(0x400, b'N'), (0x418, 0)] {
        let other = judged(|case| {
            sign(&mut case.image, 0x10_5000, 1472);
            case.image[at] = byte;
            (case.size, case.environment.locked_down) = (0x10_5000 + 1472, Some(true));
        });
        assert_eq!(other.failure().map(|finding| finding.rule), Some("image_signature"), "{at:#x}");
    }
}

#[test]
fn images_of_other_architectures_are_not_judged() {
    let report = judged(|case| {
        case.machine.arch = Arch::Riscv64;
        case.image.fill(0);
    });
    assert_eq!(report.failure(), None);
    assert!(report.findings.iter().any(|finding| finding.verdict == Verdict::Unknown));
    // Also where another kernel would refuse it: where its signature stands is not known.
    let locked = judged(|case| {
        (case.machine.arch, case.environment.locked_down) = (Arch::Riscv64, Some(true));
    });
    let signature = locked.findings.iter().find(|finding| finding.rule == "image_signature").unwrap();
    assert_eq!(signature.verdict, Verdict::Unknown);
    let large = judged(|case| {
        (case.machine.arch, case.initrd) = (Arch::Riscv64, 256 << 20);
    });
    assert_eq!(large.failure().map(|finding| finding.rule), Some("room"));
}

/// An Image for arm64 with the header fields of Debian's.
fn arm64(case: &mut Case) {
    (case.machine.arch, case.machine.page_size) = (Arch::Arm64, 0x1000);
    case.image = vec![0; 0x10_0000];
    case.image[..2].copy_from_slice(b"MZ");
    for (at, value) in [(16, 0x201_0000_u64), (24, 0xa)] {
        case.image[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    case.image[56..60].copy_from_slice(b"ARM\x64");
    case.size = case.image.len() as u64;
}

#[test]
fn each_bad_input_of_a_file_load_on_arm64_has_its_rule() {
    let judged = |change: fn(&mut Case)| {
        judged(|case| {
            arm64(case);
            change(case);
        })
    };
    let good = judged(|_| {});
    let unknown = |report: &Report| {
        let rules = report.findings.iter().filter(|finding| finding.verdict == Verdict::Unknown);
        rules.map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!((good.failure(), good.errno, unknown(&good)), (None, None, vec!["image_complete"]));
    type Change = fn(&mut Case);
    let cases: [(&str, Option<Errno>, &str, Change); 11] = [
        ("capability", Some(Errno::EPERM), "CAP_SYS_BOOT", |case| case.environment.capable = Some(false)),
        ("image_format", Some(Errno::ENOEXEC), "no Image", |case| case.image[56] = 0),
        ("image_format", Some(Errno::ENOEXEC), "gzip", |case| case.image[..2].copy_from_slice(&[0x1f, 0x8b])),
        ("image_format", Some(Errno::ENOEXEC), "empty", |case| (case.image, case.size) = (Vec::new(), 0)),
        ("image_format", Some(Errno::ENOEXEC), "for riscv64", |case| {
            case.image[56..60].copy_from_slice(b"RSC\x05");
        }),
        ("image_complete", None, "image_size", |case| case.image[16..24].fill(0)),
        ("image_complete", None, "byte order", |case| case.image[24] |= 1),
        ("image_signature", Some(Errno::EPERM), "locked down", |case| {
            case.environment.locked_down = Some(true);
        }),
        ("command_line", None, "2047", |case| case.cmdline = 2048),
        ("room", Some(Errno::EADDRNOTAVAIL), "initrd", |case| case.initrd = 256 << 20),
        ("room", Some(Errno::EADDRNOTAVAIL), "kernel", |case| {
            case.image[16..24].copy_from_slice(&[0, 0, 0, 32, 0, 0, 0, 0])
        }),
    ];
    for (rule, errno, what, change) in cases {
        let report = judged(change);
        let failure = report.failure().unwrap();
        assert_eq!((failure.rule, report.errno), (rule, errno), "{report:#?}");
        assert!(failure.detail.contains(what), "{what}: {failure:?}");
    }
    // All of the region for the kernel: whether the others fit depends on what the kernel does.
    let full = judged(|case| {
        case.image[16..24].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 0]);
        case.initrd = 0;
    });
    assert_eq!((full.failure(), unknown(&full)), (None, vec!["image_complete", "room"]));
    // Whether the CPU has other pages, and whether the kernel unpacks, no file tells.
    assert_eq!(unknown(&judged(|case| case.image[24] = 6)), ["image_complete", "image_paging"]);
    let zboot = judged(|case| case.image[4..8].copy_from_slice(b"zimg"));
    assert!(unknown(&zboot).contains(&"image_format"), "{zboot:#?}");
    let fits = judged(|case| case.cmdline = 2047);
    assert_eq!(fits.failure(), None, "the longest command line");
    let signed = judged(|case| {
        sign(&mut case.image, 0x10_0000, 1472);
        case.environment.locked_down = Some(true);
    });
    assert_eq!(signed.failure(), None, "{signed:#?}");
}

proptest! {
    /// Any damage to an image or to the numbers around it gives verdicts, never a panic.
    #[test]
    fn damaged_file_loads_are_judged(
        changes in prop::collection::vec((0_usize..0x600, any::<u8>()), 0..24),
        signed in any::<Option<(u32, u32)>>(),
        cut in prop::option::of(0_usize..0x600),
        numbers in any::<[u64; 3]>(),
    ) {
        let report = judged(|case| {
            if let Some((offset, size)) = signed {
                sign(&mut case.image, offset, size);
            }
            for (at, byte) in &changes {
                case.image[*at] = *byte;
            }
            case.image.truncate(cut.unwrap_or(usize::MAX));
            [case.size, case.initrd, case.cmdline] = numbers;
        });
        prop_assert_eq!(report.findings.len(), 10);
    }
}

/// The whole way with files; the kernel is not asked when a rule fails.
#[test]
fn a_file_load_that_a_rule_forbids_is_not_attempted_and_names_the_file() {
    let dir = dir("whole");
    let (kernel, initrd, empty) = (dir.join("vmlinuz"), dir.join("initrd"), dir.join("empty"));
    fs::write(&kernel, &bzimage(0x100_0000, 0x10_0000)[..0x5000]).unwrap();
    fs::write(&initrd, b"ramdisk").unwrap();
    fs::write(&empty, b"").unwrap();
    let (machine, environment) = good();
    let load = FileLoad::open(&kernel, Some(&initrd), CommandLine::new("quiet").unwrap()).unwrap();
    let error = load_files(&load, &load.preflight(&machine, &environment).unwrap()).unwrap_err().to_string();
    assert!(error.contains("image_complete") && error.contains("vmlinuz"), "{error}");
    let error = FileLoad::open(&kernel, Some(&empty), CommandLine::default()).unwrap_err().to_string();
    assert!(error.contains("empty is empty: make it again"), "{error}");
    assert!(FileLoad::open(&dir, None, CommandLine::default()).is_err());
    assert!(FileLoad::open(&kernel, Some(&dir), CommandLine::default()).is_err());
}

/// The kernel puts its own `elfcorehdr=` in front: one behind it would be believed instead, and name
/// no header.
#[test]
fn a_file_load_never_names_another_header() {
    let dir = dir("another-header");
    let kernel = dir.join("vmlinuz");
    fs::write(&kernel, bzimage(0x100_0000, 0x10_0000)).unwrap();
    let line = CommandLine::new("quiet elfcorehdr=1K crashkernel=1G -- elfcorehdr=2").unwrap();
    let load = FileLoad::open(&kernel, None, line).unwrap();
    assert_eq!(load.cmdline().as_str(), "quiet -- elfcorehdr=2");
    assert_eq!(load.remarks.len(), 2, "{:?}", load.remarks);
}

/// Advice that cannot help is worse than none.
#[test]
fn what_forbids_a_load_says_what_to_do() {
    let said = |change: fn(&mut Case)| refusal(&judged(change)).unwrap().to_string();
    assert!(
        said(|case| case.environment.capable = Some(false))
            .contains("CAP_SYS_BOOT: the caller does not have it; run as root")
    );
    assert!(said(|case| case.environment.load_disabled = Some(true)).contains("reboot"));
    assert!(said(|case| case.environment.load_limit = Some(0)).contains("cannot be raised"));
    assert!(said(|case| case.environment.locked_down = Some(true)).contains("signed by a key"));
    let failed = said(|case| {
        case.machine.crash_regions.clear();
        case.machine.cmdline = "quiet crashkernel=64G -- crashkernel=1".to_owned();
    });
    assert!(
        failed.contains("crashkernel=64G is on the command line") && !failed.contains("add crashkernel"),
        "{failed}"
    );
    assert!(said(|case| case.machine.crash_regions.clear()).contains("add crashkernel="));
    let high = PhysRange::from_len(0x100_0000, 0x10_0000).unwrap();
    let mut machine = synthetic(2, 1);
    machine.crash_regions = vec![high];
    assert!(matches!(machine.why_no_region(), Error::NoCrashRegion));
}
