//! What a capture kernel is said to need, against what guests showed and against real files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::capture_need::{
    Basis, CaptureNeed, Fit, InitrdSize, NeedInputs, UNKNOWN_FACTOR, suggest,
};
use kdump_segments::cmdline::CommandLine;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::{Error, Machine, RangeSet};
use proptest::prelude::*;

use plan_support::{TestPurgatory, bzimage, machine, options, synthetic};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Bytes of the text in tests/initrds.
const TEXT: u64 = 300_001;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/initrds").join(name)).unwrap()
}

fn ram(start: u64, size: u64) -> RangeSet {
    RangeSet::from_ranges(PhysRange::from_len(start, size)).unwrap()
}

/// Each format tells its size; what it says exactly is exact.
#[test]
fn every_format_tells_how_large_it_becomes() {
    let block = 128 << 10;
    for (name, unpacked, basis) in [
        ("text.gz", TEXT..=TEXT, Basis::Exact),
        ("text.xz", TEXT..=TEXT, Basis::Exact),
        ("blocks.xz", TEXT..=TEXT, Basis::Exact),
        ("sized.zst", TEXT..=TEXT, Basis::Exact),
        ("piped.zst", TEXT..=TEXT + block, Basis::Estimated),
        ("long.zst", TEXT..=TEXT + block, Basis::Estimated),
        ("text.lzo", TEXT..=TEXT, Basis::Exact),
        // Legacy frames do not say how large the last block of up to 8 MiB becomes.
        ("text.lz4", TEXT..=8 * MIB, Basis::Estimated),
    ] {
        let bytes = file(name);
        let size = InitrdSize::of(&bytes);
        assert!(unpacked.contains(&size.unpacked), "{name}: {size:?}");
        assert_eq!((size.packed, size.basis), (bytes.len() as u64, basis), "{name}");
        assert!(size.window > 0, "{name}");
    }
}

/// Digits where an archive has its sizes do not make one.
#[test]
fn only_what_begins_as_an_archive_is_one() {
    let mut bytes = file("early.cpio");
    assert_eq!(InitrdSize::of(&bytes).source, "cpio");
    bytes[0] = b'1';
    let size = InitrdSize::of(&bytes);
    assert!(!size.source.contains("cpio") && size.basis != Basis::Exact, "{size:?}");
}

/// Files by lz4 one behind the other repeat the magic, and zeros fill up what is before the next.
#[test]
fn blocks_of_lz4_end_at_zeros_and_go_on_behind_a_magic() {
    let (one, cpio) = (file("text.lz4"), file("early.cpio"));
    let single = InitrdSize::of(&one).unpacked;
    let twice = InitrdSize::of(&[one.clone(), one.clone()].concat());
    assert_eq!((twice.unpacked, twice.source.as_str()), (2 * single, "lz4, at most"));
    let padded = InitrdSize::of(&[one, vec![0; 8], cpio].concat());
    assert_eq!((padded.unpacked, padded.source.as_str()), (single + 3 * 4096, "lz4, at most + cpio"));
}

/// What does not tell is guessed, and says so.
#[test]
fn a_format_that_does_not_tell_is_guessed_by_a_stated_factor() {
    let noise = vec![0x55; 1000];
    assert_eq!(UNKNOWN_FACTOR, 4);
    for bytes in [file("text.bz2"), file("text.lzma"), noise] {
        let size = InitrdSize::of(&bytes);
        assert_eq!(size.unpacked, bytes.len() as u64 * UNKNOWN_FACTOR);
        assert!(size.source.ends_with("4 times its size assumed"), "{}", size.source);
        assert_eq!(size.basis, Basis::Estimated);
    }
    // A trailer that cannot be true is not believed.
    let mut bytes = file("text.gz");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(InitrdSize::of(&bytes).basis, Basis::Estimated);
    let mut bytes = file("text.xz");
    let end = bytes.len();
    bytes[end - 1] = b'!';
    assert_eq!(InitrdSize::of(&bytes).basis, Basis::Estimated);
}

#[test]
fn the_window_is_that_of_the_header() {
    let window = |name| InitrdSize::of(&file(name)).window;
    // No window is larger than what it is for.
    assert!(window("long.zst") < 2 * MIB && window("text.xz") < MIB);
    // LZMA2 (0x21) with one byte of properties: a dictionary of 4 KiB instead of more than the whole.
    let mut small = file("text.xz");
    let filter = 12 + small[12..30].windows(2).position(|pair| pair == [0x21, 1]).unwrap();
    small[filter + 2] = 0;
    let (small, whole) = (InitrdSize::of(&small), InitrdSize::of(&file("text.xz")));
    assert_eq!(whole.window - small.window, TEXT - 4096, "{small:?}");
    let mut long = file("long.zst");
    // A frame of 2^24 bytes window, with as many raw-length blocks as make use of it.
    long.truncate(6);
    for _ in 0..200 {
        long.extend_from_slice(&((128_u32 << 10) << 3 | 1 << 1).to_le_bytes()[..3]);
        long.push(0);
    }
    long.extend_from_slice(&[1, 0, 0]);
    let size = InitrdSize::of(&long);
    assert_eq!(size.unpacked, 200 * (128 << 10));
    assert!((16 * MIB..17 * MIB).contains(&size.window), "{size:?}");
}

/// Microcode in an archive of its own, then the ramdisk proper.
#[test]
fn archives_one_behind_the_other_add_up() {
    let cpio = file("early.cpio");
    let size = InitrdSize::of(&cpio);
    // 5000 bytes are two pages and 3 bytes are one.
    assert_eq!((size.unpacked, size.basis, size.source.as_str()), (3 * 4096, Basis::Exact, "cpio"));
    let both =
        [cpio.clone(), file("piped.zst"), file("sized.zst"), file("text.lzo"), file("text.gz")].concat();
    let size = InitrdSize::of(&both);
    assert_eq!(size.source, "cpio + zstd, at most + zstd + lzop + gzip");
    let least = 3 * 4096 + 4 * TEXT;
    assert!((least..=least + (128 << 10)).contains(&size.unpacked), "{size:?}");
    // Of several xz streams the last one lists itself alone.
    assert_eq!(InitrdSize::of(&[file("text.xz"), file("text.xz")].concat()).basis, Basis::Estimated);
    assert_eq!(InitrdSize::of(&[]).unpacked, 0);
    assert_eq!(InitrdSize::of(&[0; 512]).unpacked, 0);
}

proptest! {
    /// Any bytes get an answer, in a bounded time.
    #[test]
    fn hostile_ramdisks_get_an_answer(
        which in 0_usize..10,
        cuts in prop::collection::vec((0_usize..1500, any::<u8>()), 0..8),
        len in 0_usize..1500,
    ) {
        let names = [
            "text.gz", "text.xz", "blocks.xz", "sized.zst", "piped.zst", "long.zst", "text.lzo", "text.lz4",
            "early.cpio", "text.lzma",
        ];
        let mut bytes = file(names[which]);
        for (at, value) in cuts {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(len.max(1));
        let size = InitrdSize::of(&bytes);
        prop_assert_eq!(size.packed, bytes.len() as u64);
    }
}

/// A capture kernel of a guest of `cargo xtask region-sizes`.
struct Guest {
    kernel: u64,
    packed: u64,
    unpacked: u64,
    /// The largest region it failed in and the smallest it saved the dump in, MiB.
    failed: u64,
    saved: u64,
}

/// Debian's 6.1.0-56 and 6.12.117, 1 GiB of memory, nr_cpus=1, initial ramdisks by zstd, TCG; the
/// last one's failure is a ramdisk of which only a part was unpacked.
const GUESTS: [Guest; 4] = [
    Guest { kernel: 53_440 << 10, packed: 2_715 << 10, unpacked: 7_241_380, failed: 92, saved: 95 },
    Guest { kernel: 45_248 << 10, packed: 2_723 << 10, unpacked: 7_500_160, failed: 75, saved: 76 },
    Guest { kernel: 53_440 << 10, packed: 21_147 << 10, unpacked: 26_115_908, failed: 128, saved: 132 },
    Guest { kernel: 45_248 << 10, packed: 21_155 << 10, unpacked: 26_374_528, failed: 120, saved: 127 },
];

impl Guest {
    fn need(&self, mib: u64, cmdline: &str) -> CaptureNeed {
        let mut initrd = InitrdSize::of(&[]);
        (initrd.packed, initrd.unpacked, initrd.basis) = (self.packed, self.unpacked, Basis::Exact);
        initrd.window = (2 << 20) + (512 << 10);
        let end = 0x3f00_0000;
        let (cmdline, ram) = (CommandLine::new(cmdline).unwrap(), ram(end - mib * MIB, mib * MIB));
        let kernel = (self.kernel, Basis::Exact, String::new());
        let inputs = NeedInputs::new(Arch::X86_64, kernel, &cmdline, &ram)
            .initrd(Some(&initrd))
            .cpus(2)
            .parts((48 << 10, Basis::Exact))
            .machine_last(0x3ffd_bfff);
        CaptureNeed::estimate(&inputs).unwrap().unwrap()
    }
}

/// The error that must not happen: calling enough what then fails.
#[test]
fn every_region_in_which_a_guest_failed_is_called_unlikely() {
    for guest in &GUESTS {
        for mib in 16..=guest.failed {
            let need = guest.need(mib, "nr_cpus=1");
            assert_eq!(need.fit(), Fit::Unlikely, "{need}");
            assert!(
                need.to_string().ends_with(&format!("the region has {mib} MiB: unlikely to boot")),
                "{need}"
            );
        }
    }
}

/// A verdict that never says yes would be no help.
#[test]
fn sixteen_mib_above_the_largest_failure_are_called_enough() {
    for guest in &GUESTS {
        assert!(guest.failed < guest.saved);
        for mib in guest.failed + 16..512 {
            let need = guest.need(mib, "nr_cpus=1");
            assert_eq!(need.fit(), Fit::Enough, "{need}");
            assert!(need.to_string().ends_with("enough"), "{need}");
        }
    }
}

fn bytes_of(need: &CaptureNeed, name: &str) -> u64 {
    need.items.iter().find(|item| item.name == name).map_or(0, |item| item.bytes)
}

#[test]
fn the_command_line_decides_about_cpus_and_the_root_file_system() {
    let guest = &GUESTS[3];
    let cpus = |line| bytes_of(&guest.need(128, line), "per-CPU memory") / MIB;
    for (line, count) in [
        ("", 2),
        ("nr_cpus=1", 1),
        ("maxcpus=1", 2),
        ("nosmp", 1),
        ("nr_cpus=64", 2),
        ("nr_cpus=x", 2),
        ("-- nr_cpus=1", 2),
    ] {
        assert_eq!(cpus(line), count, "{line}");
    }
    // With much to unpack, half of the memory is what counts.
    let large = Guest { unpacked: 80 * MIB, ..GUESTS[3] };
    let tmpfs = |line| bytes_of(&large.need(300, line), "room behind the root file system");
    assert!(tmpfs("nr_cpus=1") > 32 * MIB);
    assert_eq!((tmpfs("root=/dev/sda1"), tmpfs("rootfstype=ramfs")), (0, 0));
}

#[test]
fn memory_above_4_gib_takes_bounce_buffers() {
    let need_on = |machine_last, start, line: &str| {
        let kernel = (50 * MIB, Basis::Exact, String::new());
        let (line, ram) = (CommandLine::new(line).unwrap(), ram(start, 256 * MIB));
        let inputs = NeedInputs::new(Arch::X86_64, kernel, &line, &ram);
        assert_eq!(inputs.machine_last, start + 256 * MIB - 1, "that of the RAM, unless another is told");
        CaptureNeed::estimate(&inputs.machine_last(machine_last)).unwrap().unwrap()
    };
    let need = |start, line| need_on(start + 256 * MIB, start, line);
    // The region may be low: the guest of two nodes and 6 GiB had its buffers in 192 MiB below 3 GiB.
    assert_eq!(bytes_of(&need_on(7 * GIB - 1, 0xb200_0000, ""), "bounce buffers"), 64 * MIB);
    let bounce = |start, line| bytes_of(&need(start, line), "bounce buffers") / MIB;
    assert_eq!((bounce(GIB, ""), bounce(8 * GIB, "")), (0, 64));
    assert_eq!((bounce(8 * GIB, "swiotlb=noforce"), bounce(8 * GIB, "swiotlb=4096")), (0, 8));
    assert_eq!(bounce(GIB, "swiotlb=force"), 64);
    // The lowest section, and one or two for the region.
    let sections = |start| bytes_of(&need(start, ""), "page descriptions") / (2 * MIB);
    assert_eq!((sections(GIB), sections(GIB - MIB)), (3, 4));
}

fn other_arch(arch: Arch) -> Option<CaptureNeed> {
    let (cmdline, ram) = (CommandLine::default(), ram(GIB, GIB));
    let inputs = NeedInputs::new(arch, (50 * MIB, Basis::Exact, String::new()), &cmdline, &ram);
    CaptureNeed::estimate(&inputs.machine_last(4 * GIB - 1)).unwrap()
}

#[test]
fn an_architecture_that_was_not_measured_gets_no_number() {
    assert!(other_arch(Arch::X86_64).is_some() && other_arch(Arch::Arm64).is_some());
    for arch in [Arch::I386, Arch::Ppc64, Arch::S390x, Arch::LoongArch64] {
        assert_eq!(other_arch(arch), None, "{}", arch.name());
    }
    // Nor do kernels of arm64 with pages of another size than those that were.
    let (cmdline, ram) = (CommandLine::default(), ram(GIB, GIB));
    let inputs = NeedInputs::new(Arch::Arm64, (50 * MIB, Basis::Exact, String::new()), &cmdline, &ram);
    for (size, known) in [(4 << 10, true), (16 << 10, false), (64 << 10, false)] {
        assert_eq!(CaptureNeed::estimate(&inputs.clone().page_size(Some(size))).unwrap().is_some(), known);
    }
}

/// An archive with one file (Documentation/driver-api/early-userspace/buffer-format.rst).
fn archive(size: usize) -> Vec<u8> {
    let entry = |name: &str, size: usize| {
        let numbers = [1, 0o100_755, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() + 1, 0];
        let mut bytes =
            format!("070701{}{name}\0", numbers.map(|number| format!("{number:08X}")).concat()).into_bytes();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.resize((bytes.len() + size).next_multiple_of(4), 7);
        bytes
    };
    [entry("file", size), entry("TRAILER!!!", 0)].concat()
}

/// Guests of 1 GiB that crashed: image_size, bytes of the initrd and of the other segments, MiB of the largest
/// region in which the capture kernel died and of the smallest in which it read /proc/vmcore to its end.
#[test]
fn the_verdict_is_what_guests_showed() {
    let guests = [(Arch::Arm64, 0x7080_0000, 0x201_0000, 8_573_124, 0x2_2000, 64, 72)];
    for (arch, end, image, initrd, parts, died, lived) in guests {
        let (initrd, cmdline) = (archive(initrd), CommandLine::new("nr_cpus=1").unwrap());
        let initrd = InitrdSize::of(&initrd);
        let verdict = |mib: u64| {
            let ram = ram(end - mib * MIB, mib * MIB);
            let inputs = NeedInputs::new(arch, (image, Basis::Exact, String::new()), &cmdline, &ram);
            let inputs = inputs.initrd(Some(&initrd)).cpus(2).parts((parts, Basis::Exact));
            CaptureNeed::estimate(&inputs).unwrap().unwrap().fit()
        };
        assert_eq!(verdict(died), Fit::Unlikely, "{}", arch.name());
        assert!(lived > died && (died..=died + 16).any(|mib| verdict(mib) == Fit::Enough), "{}", arch.name());
    }
}

fn inputs<'a>(
    machine: &'a Machine,
    kernel: &'a [u8],
    initrd: &'a [u8],
    options: &'a PlanOptions,
) -> PlanInputs<'a> {
    PlanInputs::new(machine, kernel, &TestPurgatory).initrd(Some(initrd)).options(options)
}

/// The release of the recorded machine in the image's version text.
fn with_release(mut image: Vec<u8>, release: &str) -> Vec<u8> {
    image[0x20e..0x210].copy_from_slice(&0x1000_u16.to_le_bytes());
    image[0x1200..0x1200 + release.len()].copy_from_slice(release.as_bytes());
    image
}

/// Only the running kernel shows what a kernel takes once it runs; another one's init_size bounds it.
#[test]
fn the_image_of_the_running_release_takes_what_the_running_kernel_takes() {
    let machine = machine("bios-512m");
    let release = machine.release.clone().unwrap();
    let (options, initrd) = (options(BackupPolicy::Auto), file("text.gz"));
    let plain = bzimage(0x3f9_8000, 0x7d_87c0);
    for (kernel, basis, kib) in [
        (with_release(plain.clone(), &format!("{release} (builder) #1")), Basis::Exact, 53_440),
        (with_release(plain.clone(), "6.1.0-57-amd64 #1"), Basis::Estimated, 0x3f98 * 4),
        (plain, Basis::Estimated, 0x3f98 * 4),
    ] {
        let plan = Plan::new(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
        let item = plan.need.as_ref().unwrap().items[0].clone();
        assert_eq!((item.name, item.basis, item.bytes >> 10), ("kernel image", basis, kib), "{item:?}");
    }
}

/// The plan is made all the same, with a note that has the numbers.
#[test]
fn a_plan_for_a_region_too_small_to_live_in_says_so() {
    let mut machine = synthetic(2, 1);
    let (kernel, options, initrd) =
        (bzimage(0x3f9_8000, 0x1000), options(BackupPolicy::Never), file("text.gz"));
    for (mib, fit) in [(80, Fit::Unlikely), (96, Fit::Unlikely), (112, Fit::Enough), (256, Fit::Enough)] {
        machine.crash_regions = vec![PhysRange::from_len(0x2000_0000, mib * MIB).unwrap()];
        let plan = Plan::new(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
        let need = plan.need.as_ref().unwrap();
        assert_eq!((need.fit(), need.room >> 20), (fit, mib), "{need}");
        let noted = plan.remarks.iter().find(|note| note.contains("unlikely to boot"));
        assert_eq!(noted.is_some(), fit == Fit::Unlikely, "{noted:?}");
        assert!(noted.is_none_or(|note| note.contains(&format!("the region has {mib} MiB"))), "{noted:?}");
    }
}

/// What is suggested is enough, in the place the kernel would put it, and 16 MiB less are not.
#[test]
fn what_is_suggested_is_enough_and_not_too_much() {
    for with_region in [true, false] {
        let mut machine = synthetic(2, 4);
        if !with_region {
            machine.crash_regions.clear();
        }
        for (init_size, line) in [(0x3f9_8000, "nr_cpus=1"), (0x100_0000, ""), (0x800_0000, "nr_cpus=2")] {
            let (kernel, initrd) = (bzimage(init_size, 0x1000), file("text.xz"));
            let options = options(BackupPolicy::Always).cmdline(line.into());
            let suggestion = suggest(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
            assert_eq!(suggestion.to_string(), format!("crashkernel={}M", suggestion.size >> 20));
            assert_eq!((suggestion.size % (16 * MIB), suggestion.remarks.len()), (0, 0), "{suggestion:?}");
            assert_eq!(suggestion.need.room, suggestion.size);
            assert!(suggestion.need.total() + 16 * MIB > suggestion.size, "{}", suggestion.need);
            let mut machine = machine.clone();
            let start = 0x3000_0000 - suggestion.size;
            machine.crash_regions = vec![PhysRange::from_len(start, suggestion.size).unwrap()];
            let plan = Plan::new(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
            assert_eq!(plan.need.unwrap().fit(), Fit::Enough);
        }
    }
}

#[test]
fn a_suggestion_a_machine_has_no_room_for_says_so() {
    let mut machine = synthetic(2, 1);
    machine.crash_regions.clear();
    let (kernel, options, initrd) =
        (bzimage(0x4000_0000, 0x1000), options(BackupPolicy::Never), file("text.gz"));
    let suggestion = suggest(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
    assert!(suggestion.size > GIB);
    assert!(suggestion.remarks.iter().any(|note| note.contains("may not have room")), "{suggestion:?}");
}

/// A running kernel that was asked for memory above 4 GiB gets the same again; a kernel that cannot
/// be moved gets its address.
#[test]
fn a_suggestion_keeps_high_and_names_the_address_of_a_fixed_kernel() {
    let mut machine = synthetic(4000, 1);
    machine.cmdline = "ro crashkernel=256M,high quiet".into();
    let (mut kernel, options, initrd) =
        (bzimage(0x100_0000, 0x1000), options(BackupPolicy::Never), file("text.gz"));
    let suggestion = suggest(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
    assert!(suggestion.to_string().ends_with("M,high"), "{suggestion}");
    assert_eq!(bytes_of(&suggestion.need, "bounce buffers"), 0, "they lie in the low region");
    kernel[0x234] = 0;
    let suggestion = suggest(&inputs(&machine, &kernel, &initrd, &options)).unwrap();
    assert!(suggestion.to_string().ends_with("M@16M"), "{suggestion}");
    assert_eq!(bytes_of(&suggestion.need, "bounce buffers"), 64 * MIB);
}

/// No size helps when the addresses a part may have lie elsewhere.
#[test]
fn a_region_that_no_size_makes_fit_says_so() {
    let machine = synthetic(2, 1);
    let (kernel, initrd) = (bzimage(0x100_0000, 0x1000), file("text.gz"));
    let options = options(BackupPolicy::Never).mem_max(Some(0x20ff_ffff));
    let error = Plan::new(&inputs(&machine, &kernel, &initrd, &options)).unwrap_err();
    assert!(matches!(&error, Error::NoRoom { all: Some(all), .. } if all.fits_mib.is_none()), "{error}");
    assert!(error.to_string().contains("a larger region does not help"), "{error}");
}
