//! `crashkernel=`: the grammar as the kernel reads it, and what it would reserve.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::PathBuf;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::{CrashkernelLimits, CrashkernelRequest, Error, Machine, RangeSet, memparse};

const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

fn parse(cmdline: &str, ram: u64) -> Result<Option<CrashkernelRequest>, Error> {
    CrashkernelRequest::parse(cmdline, ram, Arch::X86_64)
}

fn plain(size: u64) -> CrashkernelRequest {
    CrashkernelRequest::new(size)
}

#[test]
fn numbers_are_read_like_the_kernel() {
    for (text, value, read) in [
        ("64M", 64 * M, 3),
        ("64m@", 64 * M, 3),
        ("0x10", 16, 4),
        ("0X1fK", 31 << 10, 5),
        ("010", 8, 3),
        ("08", 0, 1),
        ("0xg", 0, 1),
        ("1G,", G, 2),
        ("2T", 2 << 40, 2),
        ("1P", 1 << 50, 2),
        ("1e", 1 << 60, 2),
        ("12MM", 12 * M, 3),
        ("", 0, 0),
        ("M", 0, 0),
        ("-1", 0, 0),
    ] {
        assert_eq!(memparse(text.as_bytes()), Some((value, read)), "{text}");
    }
    assert_eq!(memparse(b"18446744073709551615"), Some((u64::MAX, 20)));
    assert_eq!(memparse(b"18446744073709551616"), None);
    assert_eq!(memparse(b"16E"), None);
}

#[test]
fn accepted_words() {
    let high = |size, low| plain(size).high(true).low(low);
    for (cmdline, ram, request) in [
        ("", G, None),
        ("ro quiet", G, None),
        ("crashkernel=160M ro", G, Some(plain(160 * M))),
        ("crashkernel=64M@16M", G, Some(plain(64 * M).base(Some(16 * M)))),
        ("crashkernel=64M@0", G, Some(plain(64 * M))),
        ("crashkernel=64M@16Mjunk", G, Some(plain(64 * M).base(Some(16 * M)))),
        ("crashkernel=128M crashkernel=256M", G, Some(plain(256 * M))),
        // Found inside another word and inside quotes.
        ("nocrashkernel=96M", G, Some(plain(96 * M))),
        ("dyndbg=\"x crashkernel=96M y\"", G, Some(plain(96 * M))),
        ("crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M", 2 * G, Some(plain(192 * M))),
        ("crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M", 4 * G, Some(plain(256 * M))),
        ("crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M", 900 * G, Some(plain(512 * M))),
        ("crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M", 800 * M, None),
        // RAM counts rounded up to 128 MiB.
        ("crashkernel=1G-:192M", G - 100 * M, Some(plain(192 * M))),
        ("crashkernel=1G-:192M", G - 200 * M, None),
        // Ranges behind the one that matches are not read.
        ("crashkernel=1G-4G:192M,what", 2 * G, Some(plain(192 * M))),
        ("crashkernel=1G-4G:0,4G-:1G", 2 * G, None),
        ("crashkernel=1G-4G:192M,4G-:256M@32M", 2 * G, Some(plain(192 * M).base(Some(32 * M)))),
        ("crashkernel=1G,high", 8 * G, Some(high(G, None))),
        ("crashkernel=1G,high crashkernel=72M,low", 8 * G, Some(high(G, Some(72 * M)))),
        ("crashkernel=0,low crashkernel=1G,high", 8 * G, Some(high(G, Some(0)))),
        ("crashkernel=72M,low", 8 * G, None),
        // A plain word wins over high and low, wherever it stands.
        ("crashkernel=256M crashkernel=1G,high crashkernel=72M,low", 8 * G, Some(plain(256 * M))),
        ("crashkernel=256M crashkernel=1G,cma", 8 * G, Some(plain(256 * M).cma(G))),
        ("crashkernel=1G,high crashkernel=2G,cma crashkernel=1G,cma", 8 * G, Some(high(G, None).cma(G))),
    ] {
        assert_eq!(parse(cmdline, ram).unwrap(), request, "{cmdline} with {ram:#x} of RAM");
    }
}

#[test]
fn refused_words() {
    for (cmdline, offset) in [
        ("crashkernel=auto", 0),
        ("crashkernel=", 0),
        ("crashkernel=64Mb", 3),
        ("crashkernel=64M,128M", 3),
        ("crashkernel=64M@", 4),
        ("crashkernel=1G:64M", 2),
        ("crashkernel=4G-1G:64M", 5),
        ("crashkernel=1G-4G64M:x", 5),
        ("crashkernel=1G-4G:x", 6),
        ("crashkernel=1G-:64M@x", 8),
        ("crashkernel=64M@16M,high", 3),
        ("crashkernel=1G,high crashkernel=x,low", 0),
        ("crashkernel=99999999999999999999", 0),
    ] {
        let error = parse(cmdline, 8 * G).unwrap_err();
        assert!(matches!(error, Error::Crashkernel { offset: at, .. } if at == offset), "{cmdline}: {error}");
    }
    for cmdline in [
        "crashkernel=0",
        "crashkernel=8G",
        "crashkernel=1G-:9G",
        // A size counts even where its range does not match.
        "crashkernel=0-1G:8G,1G-:1G",
        "crashkernel=8G,high",
    ] {
        let error = parse(cmdline, 8 * G).unwrap_err();
        assert!(matches!(error, Error::CrashkernelSize { .. }), "{cmdline}: {error}");
    }
}

#[test]
fn high_means_nothing_where_the_kernel_does_not_know_it() {
    let cmdline = "crashkernel=1G,high";
    assert_eq!(CrashkernelRequest::parse(cmdline, 8 * G, Arch::Arm).unwrap(), None);
    assert!(CrashkernelRequest::parse(cmdline, 8 * G, Arch::Arm64).unwrap().is_some());
}

fn ram(ranges: &[(u64, u64)]) -> RangeSet {
    RangeSet::from_ranges(ranges.iter().map(|&(start, end)| PhysRange::from_half_open(start, end).unwrap()))
        .unwrap()
}

fn reserve(cmdline: &str, free: &RangeSet) -> Result<(String, Option<String>), Error> {
    let request = parse(cmdline, 64 * G).unwrap().unwrap();
    let limits = CrashkernelLimits::of(Arch::X86_64).unwrap();
    let found = request.would_reserve(free, &limits)?;
    Ok((found.main.to_string(), found.low.map(|low| low.to_string())))
}

#[test]
fn plain_size_goes_low_and_only_then_high() {
    let free = ram(&[(M, 2 * G), (4 * G, 16 * G)]);
    assert_eq!(reserve("crashkernel=256M", &free).unwrap(), ("0x70000000-0x7fffffff".into(), None));
    let found = reserve("crashkernel=2G", &free);
    assert_eq!(found.unwrap(), ("0x380000000-0x3ffffffff".into(), Some("0x70000000-0x7fffffff".into())));
}

#[test]
fn high_goes_high_with_the_low_region_asked_for() {
    let free = ram(&[(M, 2 * G), (4 * G, 16 * G)]);
    let main = "0x3e0000000-0x3ffffffff";
    for (low, region) in [
        ("", Some("0x70000000-0x7fffffff")),
        (" crashkernel=64M,low", Some("0x7c000000-0x7fffffff")),
        (" crashkernel=0,low", None),
    ] {
        let found = reserve(&format!("crashkernel=512M,high{low}"), &free);
        assert_eq!(found.unwrap(), (main.into(), region.map(Into::into)), "{low}");
    }
    // A region that begins right at the limit is a high one.
    let found = reserve("crashkernel=12G,high", &free);
    assert_eq!(found.unwrap(), ("0x100000000-0x3ffffffff".into(), Some("0x70000000-0x7fffffff".into())));
    let little = ram(&[(M, 2 * G)]);
    assert_eq!(reserve("crashkernel=512M,high", &little).unwrap(), ("0x60000000-0x7fffffff".into(), None));
}

#[test]
fn no_room_is_an_error_and_a_missing_low_region_too() {
    let free = ram(&[(M, 64 * M), (4 * G, 16 * G)]);
    let error = reserve("crashkernel=512M,high", &free).unwrap_err();
    assert!(matches!(error, Error::NoFreeMemory { what: "the low crash region", .. }), "{error}");
    let error = reserve("crashkernel=60G", &free).unwrap_err();
    assert!(matches!(error, Error::NoFreeMemory { what: "the crash region", .. }), "{error}");
    let error = reserve("crashkernel=64M@32M", &free).unwrap_err();
    assert!(matches!(error, Error::NoFreeMemory { from, .. } if from == 32 * M), "{error}");
    assert_eq!(reserve("crashkernel=16M@33M", &free).unwrap(), ("0x2100000-0x30fffff".into(), None));
}

/// What the estimate says for a recorded machine, after its kernel did it.
fn predicted(name: &str, occupied: &RangeSet) -> (Vec<PhysRange>, Vec<PhysRange>) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name);
    let machine = Machine::collect(&root).unwrap();
    let request = parse(&machine.cmdline, machine.ram().unwrap().total()).unwrap().unwrap();
    let limits = CrashkernelLimits::of(machine.arch).unwrap();
    let free = machine.free_at_boot().unwrap().subtract(occupied).unwrap();
    let found = request.would_reserve(&free, &limits).unwrap();
    (vec![found.main], machine.crash_regions)
}

#[test]
fn bios_machine_reserved_what_is_predicted() {
    let (predicted, found) = predicted("bios-512m", &RangeSet::new());
    assert_eq!(predicted, found);
}

/// Its firmware loader left two setup_data items in RAM; /proc/iomem shows them as borders
/// between ranges, not as what they are.
#[test]
fn efi_machine_reserved_what_is_predicted() {
    let setup_data = ram(&[(0x3bd3_f018, 0x3bd7_c058), (0x3cbf_e018, 0x3cc0_7c58)]);
    let (predicted, found) = predicted("efi-1g-612", &setup_data);
    assert_eq!(predicted, found);
}
