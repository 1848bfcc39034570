//! What the hand-over becomes in the symbols of a purgatory, ours and a minimal foreign one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use common::Object;
use kdump_elf::Arch;
use kdump_purgatory::{Error, ObjectPurgatory, digest};
use kdump_segments::purgatory::{
    BackupCopy, DigestRegion, Entry, Handover, LinkedPurgatory, MismatchAction, Purgatory, Serial, SerialPort,
};

const LOW: u64 = 0x3000_0000;
const HIGH: u64 = 0x23_4567_8000;
const KERNEL: Entry = Entry::X86Bits64 { rip: 0x1_0000_0200, boot_params: 0x1_5555_0000 };
const KERNEL32: Entry = Entry::X86Bits32 { eip: 0x100_0000, boot_params: 0x9_1230 };

fn plain(entry: Entry) -> Handover<'static> {
    Handover::new(&[], entry)
}

fn builtin() -> ObjectPurgatory {
    ObjectPurgatory::builtin(Arch::X86_64).expect("built in")
}

/// An object with these symbols, one behind the other.
fn foreign(symbols: &[(&'static str, u64)]) -> ObjectPurgatory {
    let mut object = Object::default();
    object.section(".data", 16, &[0xee; 1024]);
    let mut at = 0;
    for (name, size) in symbols {
        object.symbol(name, 1, at, *size);
        at += size;
    }
    ObjectPurgatory::from_object(object.build()).expect("parses")
}

/// The least a purgatory has.
const MINIMAL: [(&str, u64); 5] = [
    ("purgatory_start", 0),
    ("stack_end", 0),
    ("entry64_regs", 136),
    ("sha256_regions", 256),
    ("sha256_digest", 32),
];

fn link(purgatory: &ObjectPurgatory, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, Error> {
    purgatory.link(base, handover).map_err(|error| *error.downcast::<Error>().expect("our error"))
}

/// Values of symbols of the linked program.
struct Fields<'a> {
    purgatory: &'a ObjectPurgatory,
    base: u64,
    linked: LinkedPurgatory,
}

impl<'a> Fields<'a> {
    fn new(purgatory: &'a ObjectPurgatory, base: u64, handover: &Handover<'_>) -> Self {
        let linked = link(purgatory, base, handover).expect("links");
        Self { purgatory, base, linked }
    }

    fn address(&self, symbol: &str) -> u64 {
        self.purgatory.object().link(self.base).expect("links").address(symbol).expect(symbol)
    }

    fn bytes(&self, symbol: &str) -> &[u8] {
        let image = self.purgatory.object().link(self.base).expect("links");
        let size = image.get(symbol).expect(symbol).len();
        let at = usize::try_from(self.address(symbol) - self.base).expect("small");
        &self.linked.bytes[at..at + size]
    }

    fn number(&self, symbol: &str) -> u64 {
        let mut wide = [0; 8];
        let bytes = self.bytes(symbol);
        wide[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(wide)
    }

    fn longs(&self, symbol: &str) -> Vec<u64> {
        self.bytes(symbol).chunks(8).map(|b| u64::from_le_bytes(b.try_into().expect("8"))).collect()
    }

    fn words(&self, symbol: &str) -> Vec<u32> {
        self.bytes(symbol).chunks(4).map(|b| u32::from_le_bytes(b.try_into().expect("4"))).collect()
    }
}

#[test]
fn builtin_exists_for_what_is_planned_only() {
    for arch in Arch::all() {
        let known = matches!(arch, Arch::X86_64 | Arch::Arm64 | Arch::I386 | Arch::Ppc64 | Arch::Riscv64);
        match ObjectPurgatory::builtin(arch) {
            Ok(purgatory) => assert_eq!((known, purgatory.arch()), (true, arch)),
            Err(error) => assert_eq!((known, error), (false, Error::NoBuiltin { arch })),
        }
    }
}

#[test]
fn all_of_the_builtin_object_is_in_its_bytes() {
    let purgatory = builtin();
    let linked = link(&purgatory, HIGH, &plain(KERNEL)).expect("links above 4 GiB");
    assert_eq!(linked.bytes.len() as u64, purgatory.memsz());
    assert!(purgatory.align().is_power_of_two() && purgatory.align() <= 4096);
}

#[test]
fn kernel_is_entered_in_64_bit_mode() {
    let purgatory = builtin();
    let fields = Fields::new(&purgatory, HIGH, &plain(KERNEL));
    let mut expected = [0; 17];
    expected[4] = 0x1_5555_0000; // rsi
    expected[6] = fields.address("stack_end"); // rsp
    expected[16] = 0x1_0000_0200; // rip
    assert_eq!(fields.longs("entry64_regs"), expected);
    assert_eq!(fields.linked.entry, fields.address("purgatory_start"));
    assert_eq!(fields.address("stack_end"), fields.address("stack") + 4096);
}

#[test]
fn kernel_is_entered_in_32_bit_mode_only_from_below_4_gib() {
    let purgatory = builtin();
    let fields = Fields::new(&purgatory, LOW, &plain(KERNEL32));
    let stack = u32::try_from(fields.address("stack_end")).expect("low");
    assert_eq!(fields.words("entry32_regs"), [0, 0, 0, 0, 0x9_1230, 0, stack, 0, 0x100_0000]);
    assert_eq!(fields.longs("entry64_regs")[16], 0, "rip 0 chooses the 32-bit entry");

    let memsz = purgatory.memsz();
    for base in [HIGH, (1 << 32) - (memsz & !0xfff)] {
        assert_eq!(
            link(&purgatory, base, &plain(KERNEL32)).expect_err("out of reach"),
            Error::BeyondAddressSpace { base, memsz, limit: u64::from(u32::MAX) }
        );
    }
}

#[test]
fn regions_are_joined_counted_and_hashed() {
    let purgatory = builtin();
    let data = [0x5a_u8; 40];
    let region = |start: u64, len: usize| DigestRegion { start, bytes: &data[..len] };
    let regions =
        [region(0x1000, 16), region(0x1010, 0), region(0x1010, 8), region(0x2000, 1), region(0x1018, 4)];
    let handover = plain(KERNEL).regions(&regions);
    let fields = Fields::new(&purgatory, HIGH, &handover);
    let table = fields.longs("sha256_regions");
    assert_eq!(table[..6], [0x1000, 24, 0x2000, 1, 0x1018, 4]);
    assert!(table[6..].iter().all(|value| *value == 0));
    assert_eq!(fields.bytes("sha256_digest"), digest(&regions));

    let scattered: Vec<_> = (0..17).map(|i| region(i << 20, 40)).collect();
    let handover = plain(KERNEL).regions(&scattered[..16]);
    link(&purgatory, HIGH, &handover).expect("sixteen fit");
    let handover = plain(KERNEL).regions(&scattered);
    assert_eq!(
        link(&purgatory, HIGH, &handover).expect_err("seventeen do not"),
        Error::TooManyRegions { count: 17, limit: 16 }
    );
}

#[test]
fn impossible_regions_are_refused() {
    let purgatory = builtin();
    let memsz = purgatory.memsz();
    let refused = |start: u64, refused: bool| {
        let regions = [DigestRegion { start, bytes: &[1; 32] }];
        let result = link(&purgatory, HIGH, &plain(KERNEL).regions(&regions));
        match result {
            Err(Error::Region { start: found, size: 32, .. }) => assert!(refused && found == start),
            other => assert!(!refused && other.is_ok(), "{start:#x}: {other:?}"),
        }
    };
    refused(u64::MAX - 30, true);
    refused(HIGH - 32, false);
    refused(HIGH - 31, true);
    refused(HIGH + memsz - 1, true);
    refused(HIGH + memsz, false);
}

#[test]
fn backup_serial_and_mismatch_of_the_builtin_object() {
    let purgatory = builtin();
    let quiet = Fields::new(&purgatory, HIGH, &plain(KERNEL));
    for symbol in ["panic_kernel", "console_serial", "mismatch_action", "skip_checks"] {
        assert_eq!(quiet.number(symbol), 0, "{symbol}");
    }
    let handover = plain(KERNEL)
        .backup(Some(BackupCopy { source: 0x1000, size: 0x9_f000, destination: 0x2_0000_0000 }))
        .serial(Some(Serial { port: SerialPort::Port(0x2f8), baud: Some(9600) }))
        .on_mismatch(MismatchAction::Reset);
    let fields = Fields::new(&purgatory, HIGH, &handover);
    for (symbol, value) in [
        ("panic_kernel", 1),
        ("backup_src_start", 0x1000),
        ("backup_src_size", 0x9_f000),
        ("backup_start", 0x2_0000_0000),
        ("console_serial", 1),
        ("serial_base", 0x2f8),
        ("serial_baud", 9600),
        ("mismatch_action", 1),
        ("skip_checks", 0),
    ] {
        assert_eq!(fields.number(symbol), value, "{symbol}");
    }
    let handover = plain(KERNEL).on_mismatch(MismatchAction::Continue);
    let fields = Fields::new(&purgatory, HIGH, &handover);
    assert_eq!((fields.number("mismatch_action"), fields.number("skip_checks")), (2, 0));
}

#[test]
fn the_sha_instructions_are_off_unless_asked_for() {
    let purgatory = builtin();
    for sha_instructions in [false, true] {
        let handover = plain(KERNEL).sha_instructions(sha_instructions);
        let fields = Fields::new(&purgatory, HIGH, &handover);
        assert_eq!(fields.number("sha_instructions"), u64::from(sha_instructions));
    }
    // A loader that does not know the symbol leaves the object as it is.
    let untouched = purgatory.object().link(HIGH).expect("links");
    assert_eq!(untouched.get("sha_instructions").expect("there"), [0; 4]);
    link(&foreign(&MINIMAL), LOW, &plain(KERNEL).sha_instructions(true)).expect("links");
}

#[test]
fn caches_stay_on_where_they_always_are() {
    let error = link(&builtin(), HIGH, &plain(KERNEL).caches(false)).expect_err("refused");
    assert!(matches!(error, Error::Unsupported { arch: Arch::X86_64, .. }), "{error}");
}

#[test]
fn line_speeds_divide_the_clock() {
    let purgatory = builtin();
    let with = |baud| {
        let serial = Some(Serial { port: SerialPort::Port(0x3f8), baud });
        link(&purgatory, LOW, &plain(KERNEL).serial(serial))
    };
    for baud in [None, Some(1), Some(9600), Some(115_200)] {
        assert!(with(baud).is_ok(), "{baud:?}");
    }
    for baud in [0, 9601, 230_400] {
        assert_eq!(with(Some(baud)).expect_err("no divisor"), Error::Baud { baud, limit: 115_200 });
    }
}

#[test]
fn a_serial_port_in_memory_is_refused_where_there_are_io_ports() {
    let serial = Some(Serial { port: SerialPort::Mmio(0x900_0000), baud: None });
    let error = link(&builtin(), LOW, &plain(KERNEL).serial(serial)).expect_err("no such port");
    assert_eq!(error, Error::SerialPort { address: 0x900_0000, arch: Arch::X86_64 });
}

#[test]
fn a_foreign_object_needs_only_what_is_asked_for() {
    let minimal = foreign(&MINIMAL);
    link(&minimal, LOW, &plain(KERNEL)).expect("nothing else asked");
    let missing = |symbol: &str| Error::SymbolMissing { symbol: symbol.to_owned() };
    let fails = |handover: &Handover<'_>, symbol: &str| {
        assert_eq!(link(&minimal, LOW, handover).expect_err(symbol), missing(symbol));
    };
    fails(&plain(KERNEL32), "entry32_regs");
    fails(&plain(KERNEL).on_mismatch(MismatchAction::Reset), "mismatch_action");
    fails(&plain(KERNEL).on_mismatch(MismatchAction::Continue), "skip_checks");
    let serial = Some(Serial { port: SerialPort::Port(0x3f8), baud: None });
    fails(&plain(KERNEL).serial(serial), "console_serial");
    let backup = Some(BackupCopy { source: 0, size: 1, destination: 2 });
    fails(&plain(KERNEL).backup(backup), "panic_kernel");
    for (i, (symbol, _)) in MINIMAL.iter().enumerate() {
        let mut fewer = MINIMAL.to_vec();
        fewer.remove(i);
        assert_eq!(link(&foreign(&fewer), LOW, &plain(KERNEL)).expect_err(symbol), missing(symbol));
    }
}

#[test]
fn a_foreign_object_continues_by_checking_nothing() {
    let mut symbols = MINIMAL.to_vec();
    symbols.push(("skip_checks", 4));
    let purgatory = foreign(&symbols);
    let halting = Fields::new(&purgatory, LOW, &plain(KERNEL));
    assert_eq!(halting.number("skip_checks"), 0);
    let handover = plain(KERNEL).on_mismatch(MismatchAction::Continue);
    assert_eq!(Fields::new(&purgatory, LOW, &handover).number("skip_checks"), 1);
}

#[test]
fn a_symbol_of_another_size_is_another_symbol() {
    let mut symbols = MINIMAL;
    symbols[2].1 = 128;
    assert_eq!(
        link(&foreign(&symbols), LOW, &plain(KERNEL)).expect_err("size"),
        Error::SymbolSize { symbol: "entry64_regs".to_owned(), size: 128, value: 136 }
    );
}

#[test]
fn a_kernel_of_another_architecture_is_refused_as_such() {
    let entry = Entry::Arm64 { kernel: 0x4020_0000, dtb: 0x4800_0000 };
    let error = link(&builtin(), LOW, &plain(entry)).expect_err("refused");
    assert_eq!(error, Error::Entry { arch: Arch::X86_64 });
}
