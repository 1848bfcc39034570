//! Ramdisks, images and command lines as they are found in the field, and damaged ones: what is called
//! exact is, and what is called enough was counted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_segments::Error;
use kdump_segments::capture_need::{Basis, Fit, InitrdSize, UNKNOWN_FACTOR, suggest};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};

use plan_support::{TestPurgatory, bzimage, machine, options};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/initrds").join(name)).unwrap()
}

/// One gzip member (RFC 1952) that claims to become `size` bytes: ten bytes of header, noise in
/// the place of compressed bytes, check sum, size.
fn member(noise: usize, size: u32) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    let mut state = 0x9e37_79b9_u32;
    bytes.extend((0..noise).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes.extend_from_slice(&0xdead_beef_u32.to_le_bytes());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes
}

/// The high byte of such a size is zero, which is no padding.
#[test]
fn gzip_that_becomes_less_than_16_mib_is_told_exactly() {
    for size in [1 << 16, 0x00ff_ffff, 4_000_352, 0x0001_0000, 0x0100_0000, 20 << 20] {
        for noise in [size / 2, size / 4, size / 300] {
            let told = InitrdSize::of(&member(noise as usize, size));
            assert_eq!((told.unpacked, told.basis), (u64::from(size), Basis::Exact), "{size:#x} of {noise}");
        }
    }
}

/// A boot loader pads to whole words or pages. Where padding could be part of the size, the
/// larger is taken, and not called exact.
#[test]
fn padded_gzip_is_not_called_exact_where_it_is_not_clear() {
    let mut bytes = member(1_000_000, 4_000_352);
    bytes.resize(bytes.len() + 512, 0);
    let told = InitrdSize::of(&bytes);
    assert!(told.unpacked >= 4_000_352, "{told:?}");
    assert_eq!(told.basis, Basis::Estimated);
    let mut bytes = member(1_000_000, 0x0400_0000);
    bytes.resize(bytes.len() + 512, 0);
    let told = InitrdSize::of(&bytes);
    assert_eq!(told.unpacked, 0x0400_0000, "{told:?}");
}

#[test]
fn every_member_of_a_gzip_file_counts() {
    let two = [member(5_000_000, 50_000_000), member(1_000_000, 4_000_352)].concat();
    let told = InitrdSize::of(&two);
    assert_eq!((told.unpacked, told.basis), (54_000_352, Basis::Estimated), "{told:?}");
}

/// What stands behind a member has no size of it.
#[test]
fn an_archive_behind_gzip_is_not_taken_for_its_size() {
    let mut bytes = member(4_000_000, 10_000_000);
    bytes.extend_from_slice(b"070701");
    bytes.extend_from_slice(&[b'0'; 104]);
    bytes.extend_from_slice(b"TRAILER!!!\0\0\0\0");
    let told = InitrdSize::of(&bytes);
    assert_eq!(told.unpacked, bytes.len() as u64 * UNKNOWN_FACTOR, "{told:?}");
    assert_eq!(told.basis, Basis::Estimated);
}

/// A file that is cut in the middle, as a full disk leaves it, is not what was meant.
#[test]
fn a_ramdisk_that_is_cut_says_so_where_its_format_tells() {
    for name in ["early.cpio", "sized.zst", "piped.zst", "long.zst", "text.lz4", "text.lzo"] {
        let whole = file(name);
        assert_eq!(InitrdSize::of(&whole).defects, Vec::<String>::new(), "{name}");
        for keep in [whole.len() / 2, whole.len() / 4 * 3] {
            let defects = InitrdSize::of(&whole[..keep]).defects;
            // In an archive the end of a file and the next header may be where it is cut.
            assert!(name == "early.cpio" || defects.len() == 1, "{name}, {keep} bytes: {defects:?}");
            assert!(defects.iter().all(|what| what.contains("cut or damaged")), "{defects:?}");
        }
    }
    let cpio = file("early.cpio");
    // In the middle of the name, of the header and of a file's bytes.
    for keep in [112, 60, cpio.len() / 2] {
        assert_eq!(InitrdSize::of(&cpio[..keep]).defects.len(), 1, "{keep}");
    }
    let both = [cpio, file("sized.zst"), vec![0; 700]].concat();
    assert_eq!(InitrdSize::of(&both).defects, Vec::<String>::new());
}

/// The first bytes of a damaged file are of no format either, and the plan tells.
#[test]
fn a_ramdisk_of_no_known_format_says_so() {
    let cpio = file("early.cpio");
    let behind = [cpio.clone(), vec![0; 8], vec![7; 5000]].concat();
    for (bytes, from) in [(vec![7; 5000], 0), (behind, cpio.len() + 8)] {
        let told = InitrdSize::of(&bytes);
        let [defect] = &told.defects[..] else { panic!("{told:?}") };
        assert!(defect.contains(&format!("at byte {from:#x}: ")) && defect.contains("no format"), "{defect}");
        let (machine, kernel, options) =
            (machine("bios-512m"), bzimage(0x200_0000, 1 << 20), options(BackupPolicy::Auto));
        let plan = Plan::new(&inputs(&machine, &kernel, &options).initrd(Some(&bytes))).unwrap();
        assert!(plan.warnings.contains(defect) && plan.remarks.contains(defect), "{:?}", plan.warnings);
    }
}

#[test]
fn a_ramdisk_of_zeros_is_not_exact() {
    let told = InitrdSize::of(&[0; 5000]);
    assert_eq!(told.basis, Basis::Estimated);
    assert!(told.defects[0].contains("5000 bytes are all zero"), "{told:?}");
    assert!(!told.source.is_empty());
}

fn inputs<'a>(
    machine: &'a kdump_segments::Machine,
    kernel: &'a [u8],
    options: &'a PlanOptions,
) -> PlanInputs<'a> {
    PlanInputs::new(machine, kernel, &TestPurgatory).options(options)
}

/// What is loaded is the compressed kernel: it takes more once it runs, told or not.
#[test]
fn an_image_without_init_size_is_not_said_to_run_in_its_compressed_bytes() {
    let machine = machine("bios-512m");
    let options = options(BackupPolicy::Auto);
    for init_size in [0, 4096, 8 << 20] {
        let kernel = bzimage(init_size, 8 << 20);
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
        let need = plan.need.unwrap();
        let image = need.items.iter().find(|item| item.name == "kernel image").unwrap();
        assert_eq!(image.bytes, (8 << 20) * UNKNOWN_FACTOR, "{image:?}");
        assert!(image.source.contains("assumed"), "{image:?}");
    }
}

/// `mem=` takes memory from the capture kernel as well.
#[test]
fn memory_above_mem_is_not_room() {
    let machine = machine("bios-512m");
    let kernel = bzimage(0x200_0000, 1 << 20);
    let plan = |text: &str| {
        let options = options(BackupPolicy::Auto).cmdline(text.to_owned());
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
        (plan.need.clone().unwrap(), plan.warnings.clone(), plan.remarks)
    };
    let (free, warnings, _) = plan("nr_cpus=1");
    assert_eq!((free.fit(), warnings), (Fit::Enough, vec![]));
    for text in ["mem=64M", "mem=4G mem=0x4000000", "mem=65536k quiet"] {
        let (need, warnings, notes) = plan(text);
        assert_eq!((need.room, need.fit()), (0, Fit::Unlikely), "{text}");
        assert!(
            warnings[0].contains("mem= on the command line leaves the capture kernel 0 MiB"),
            "{warnings:?}"
        );
        assert!(notes.contains(&warnings[0]));
    }
    let (half, ..) = plan("mem=224M");
    assert_eq!(half.room, 80 << 20);
    for text in ["mem=nopentium", "mem=", "mem=0", "mem=1G", "-- mem=64M", "mem=99999999999999999999"] {
        let (need, warnings, _) = plan(text);
        assert_eq!((need.room, warnings), (free.room, vec![]), "{text}");
    }
}

/// What is removed from the user's own text is more than a note.
#[test]
fn what_was_asked_for_and_is_left_out_is_a_warning() {
    let machine = machine("bios-512m");
    let kernel = bzimage(0x200_0000, 1 << 20);
    let options = options(BackupPolicy::Auto).cmdline("crashkernel=1G quiet".to_owned());
    let zeros = [0; 4096];
    let plan = Plan::new(&inputs(&machine, &kernel, &options).initrd(Some(&zeros))).unwrap();
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
    assert!(plan.warnings.iter().all(|warning| plan.remarks.contains(warning)), "{:?}", plan.remarks);
}

/// A number no region can have is told as what it is.
#[test]
fn a_need_beyond_all_memory_is_not_called_unknown() {
    let machine = machine("bios-512m");
    let kernel = bzimage(0x200_0000, 1 << 20);
    let options = options(BackupPolicy::Auto).cmdline("swiotlb=18446744073709551615,force".to_owned());
    let error = suggest(&inputs(&machine, &kernel, &options)).unwrap_err();
    assert!(matches!(&error, Error::Conflict { what: "suggest", .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("no region has") && error.contains("bounce buffers"), "{error}");
}
