//! Kernel images: ELF kernels fixed and relocatable, and hostile bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::image::{Image, elf_extent};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs};
use kdump_segments::purgatory::{
    Entry, Handover, LinkedPurgatory, Purgatory, PurgatoryError, Serial, SerialPort,
};
use kdump_segments::segment::SegmentKind;
use kdump_segments::{Error, Machine};
use proptest::prelude::*;

use plan_support::{bzimage, options, synthetic};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
/// Start of the crash region of the synthetic machine.
const REGION: u64 = 0x2000_0000;

/// Its content is the address it was told to enter.
struct EntryPurgatory;

impl Purgatory for EntryPurgatory {
    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    fn memsz(&self) -> u64 {
        0x1000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        let entry = match handover.entry {
            Entry::X86Bits64 { rip, .. } => rip,
            Entry::X86Bits32 { eip, .. } => u64::from(eip),
            _ => 0,
        };
        Ok(LinkedPurgatory { bytes: entry.to_le_bytes().to_vec(), entry: base })
    }
}

/// Its content is whether it may use the SHA instructions.
struct ShaPurgatory;

impl Purgatory for ShaPurgatory {
    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    fn memsz(&self) -> u64 {
        0x1000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        Ok(LinkedPurgatory { bytes: vec![u8::from(handover.sha_instructions)], entry: base })
    }
}

#[test]
fn the_purgatory_is_told_what_the_cpus_have() {
    let (kernel, options) = (bzimage(0x100_0000, 0x1000), options(BackupPolicy::Never));
    let mut machine = synthetic(2, 1);
    for sha in [false, true] {
        machine.sha_instructions = sha;
        let inputs = PlanInputs::new(&machine, &kernel, &ShaPurgatory).options(&options);
        let plan = Plan::new(&inputs).unwrap();
        assert_eq!(*plan.segment(SegmentKind::Purgatory).unwrap().data, [u8::from(sha)]);
        let said = plan.remarks.iter().filter(|note| note.contains("SHA instructions")).count();
        assert_eq!(said, 1, "{:?}", plan.remarks);
    }
}

/// An x86_64 ELF file with a PT_LOAD per (paddr, memsz, content).
fn vmlinux(e_type: u16, entry: u64, loads: &[(u64, u64, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 64 + 56 * loads.len()];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&e_type.to_le_bytes());
    file[18..20].copy_from_slice(&62_u16.to_le_bytes());
    file[20] = 1;
    file[24..32].copy_from_slice(&entry.to_le_bytes());
    file[32] = 64;
    file[52] = 64;
    file[54] = 56;
    file[56..58].copy_from_slice(&u16::try_from(loads.len()).unwrap().to_le_bytes());
    for (index, (paddr, memsz, content)) in loads.iter().enumerate() {
        let offset = file.len() as u64;
        let at = 64 + 56 * index;
        file[at] = 1;
        let vaddr = paddr.wrapping_add(0xffff_ffff_8000_0000);
        for (word, value) in
            [offset, vaddr, *paddr, content.len() as u64, *memsz, 0x20_0000].iter().enumerate()
        {
            file[at + 8 + word * 8..at + 16 + word * 8].copy_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(content);
    }
    file
}

fn plan<T>(kernel: &[u8], check: impl FnOnce(Result<Plan<'_>, Error>) -> T) -> T {
    let (machine, options) = (synthetic(2, 1), options(BackupPolicy::Always));
    check(Plan::new(&inputs(&machine, kernel, &options)))
}

fn inputs<'a>(
    machine: &'a Machine,
    kernel: &'a [u8],
    options: &'a kdump_segments::plan::PlanOptions,
) -> PlanInputs<'a> {
    PlanInputs::new(machine, kernel, &EntryPurgatory).options(options)
}

fn kernel_segments(plan: &Plan<'_>) -> Vec<(PhysRange, Vec<u8>)> {
    let kernel = plan.segments.iter().filter(|segment| segment.kind == SegmentKind::Kernel);
    kernel.map(|segment| (segment.range, segment.data.to_vec())).collect()
}

fn entered(plan: &Plan<'_>) -> u64 {
    let data = &plan.segment(SegmentKind::Purgatory).unwrap().data;
    u64::from_le_bytes(data[..8].try_into().unwrap())
}

fn pages(start: u64, size: u64) -> PhysRange {
    PhysRange::from_len(start, size).unwrap()
}

#[test]
fn a_fixed_kernel_lies_where_it_was_linked() {
    let base = REGION + 0x100_0000;
    let kernel = vmlinux(ET_EXEC, base, &[(base + 0x20_0000, 0x3800, b"data"), (base, 0x1000, b"text")]);
    plan(&kernel, |plan| {
        let plan = plan.unwrap();
        let expected =
            [(pages(base, 0x1000), b"text".to_vec()), (pages(base + 0x20_0000, 0x4000), b"data".to_vec())];
        assert_eq!(kernel_segments(&plan), expected);
        assert_eq!(entered(&plan), base);
        let page = &plan.segment(SegmentKind::BootParams).unwrap().data;
        assert_eq!((&page[0x202..0x206], page[0x206]), (&b"HdrS"[..], 6), "a setup header it can use");
        assert!(plan.cmdline.as_str().contains("elfcorehdr="), "always told where the header is");
    });
}

#[test]
fn a_fixed_kernel_outside_the_region_is_refused() {
    let kernel = vmlinux(ET_EXEC, 0x100_0000, &[(0x100_0000, 0x1000, b"text")]);
    plan(&kernel, |plan| {
        let error = plan.unwrap_err();
        assert!(matches!(error, Error::OutsideRegion { start: 0x100_0000, .. }), "{error}");
    });
}

#[test]
fn a_relocatable_kernel_is_moved_as_a_whole() {
    let kernel = vmlinux(
        ET_DYN,
        0xffff_ffff_8100_0010,
        &[(0x100_0000, 0x1000, &[0x90; 0x20]), (0x120_0000, 0x2000, b"data")],
    );
    plan(&kernel, |plan| {
        let plan = plan.unwrap();
        let segments = kernel_segments(&plan);
        let base = segments[0].0.start();
        assert!(base >= REGION && base % 0x20_0000 == 0, "{base:#x}");
        assert_eq!(segments[1].0, pages(base + 0x20_0000, 0x2000));
        assert_eq!(entered(&plan), base + 0x10, "a virtual entry is entered at its physical address");
    });
}

#[test]
fn loads_that_share_a_page_become_one_segment() {
    let base = REGION + 0x100_0000;
    let kernel =
        vmlinux(ET_EXEC, base + 0x10, &[(base + 0x10, 0x20, b"text"), (base + 0x100, 0x1f00, b"data")]);
    plan(&kernel, |plan| {
        let segments = kernel_segments(&plan.unwrap());
        assert_eq!(segments.len(), 1);
        let (range, bytes) = &segments[0];
        assert_eq!((*range, bytes.len()), (pages(base, 0x2000), 0x104));
        assert_eq!((&bytes[0x10..0x15], &bytes[0x100..]), (&b"text\0"[..], &b"data"[..]));
    });
}

#[test]
fn overlapping_loads_and_cut_files_are_refused() {
    let overlapping = vmlinux(ET_EXEC, REGION, &[(REGION, 0x2000, b"a"), (REGION + 0x1fff, 0x1000, b"b")]);
    assert!(matches!(Image::parse(&overlapping, 0x1000), Err(Error::ImageField { field: "p_paddr", .. })));
    let whole = vmlinux(ET_EXEC, REGION, &[(REGION, 0x2000, b"abc")]);
    let error = Image::parse(&whole[..whole.len() - 1], 0x1000).unwrap_err();
    assert!(matches!(error, Error::ImageTruncated { what: "PT_LOAD", need: 3, have: 2, .. }), "{error}");
    for phentsize in [0, 8, 57] {
        let mut odd = whole.clone();
        odd[54] = phentsize;
        let error = Image::parse(&odd, 0x1000).unwrap_err();
        assert!(matches!(error, Error::ImageField { field: "e_phentsize", .. }), "{error}");
    }
    let elsewhere = vmlinux(ET_EXEC, 0x42, &[(REGION, 0x2000, b"abc")]);
    assert!(matches!(Image::parse(&elsewhere, 0x1000), Err(Error::ImageField { field: "e_entry", .. })));
}

#[test]
fn sizes_of_a_load_that_cannot_be_are_refused() {
    let refused =
        |loads: &[(u64, u64, &[u8])]| Image::parse(&vmlinux(ET_EXEC, REGION, loads), 0x1000).map(|_| ());
    let more_in_the_file = refused(&[(REGION, 2, b"abc")]);
    assert!(matches!(more_in_the_file, Err(Error::ImageField { field: "p_filesz", value: 3, .. })));
    let behind_the_end = refused(&[(REGION, 0x1000, b"abc"), (u64::MAX - 0xfff, 0x1001, b"")]);
    assert!(matches!(behind_the_end, Err(Error::ImageField { field: "p_memsz", value: 0x1001, .. })));
    // The last page ends where no address is any more.
    let rounded = refused(&[(REGION, 0x1000, b"abc"), (u64::MAX - 0xfff, 0x800, b"")]);
    assert!(matches!(rounded, Err(Error::ImageField { field: "p_memsz", value: 0x800, .. })));
}

#[test]
fn an_alignment_that_is_none_is_refused() {
    let mut file = vmlinux(ET_DYN, REGION, &[(REGION, 0x1000, b"abc")]);
    assert!(Image::parse(&file, 0x1000).is_ok());
    let p_align = 64 + 48;
    file[p_align..p_align + 8].copy_from_slice(&0x30_0000_u64.to_le_bytes());
    let error = Image::parse(&file, 0x1000).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::ImageField { field: "p_align", value: 0x30_0000, .. }), "{error}");
}

/// Without it the capture kernel must be told where the tables of ACPI are.
#[test]
fn efi_is_handed_over_to_kernels_that_take_it() {
    let (machine, options) = (plan_support::machine("efi-1g-612"), options(BackupPolicy::Never));
    for (xloadflags, taken) in [(0x7f, true), (0x7f & !0x10, false)] {
        let mut kernel = bzimage(0x37d_c000, 0x1000);
        kernel[0x236] = xloadflags;
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
        assert_eq!(
            !plan.remarks.iter().any(|note| note.contains("XLF_EFI_KEXEC")),
            taken,
            "{:?}",
            plan.remarks
        );
        assert_eq!(!plan.cmdline.as_str().contains("acpi_rsdp="), taken);
    }
}

#[test]
fn a_serial_port_has_all_its_registers() {
    let (machine, kernel) = (synthetic(2, 1), bzimage(0x100_0000, 0x1000));
    let planned = |port| {
        let serial = Some(Serial { port: SerialPort::Port(port), baud: None });
        let options = options(BackupPolicy::Always).serial(serial);
        Plan::new(&inputs(&machine, &kernel, &options)).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!((planned(0x3f8), planned(0xfff8)), (Ok(()), Ok(())));
    let error = planned(0xfff9).unwrap_err();
    assert!(error.contains("0xfff9 is above 0xfff8"), "{error}");
}

/// A foreign purgatory, which may be wrong in what it says of itself.
struct OddPurgatory {
    arch: Arch,
    len: usize,
    /// From the start of the purgatory.
    entry: u64,
}

impl Purgatory for OddPurgatory {
    fn arch(&self) -> Arch {
        self.arch
    }

    fn memsz(&self) -> u64 {
        0x1000
    }

    fn align(&self) -> u64 {
        0x1000
    }

    fn link(&self, base: u64, _: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        Ok(LinkedPurgatory { bytes: vec![0; self.len], entry: base.wrapping_add(self.entry) })
    }
}

#[test]
fn a_purgatory_that_is_not_what_it_said_is_refused() {
    let (kernel, options, machine) =
        (bzimage(0x100_0000, 0x1000), options(BackupPolicy::Never), synthetic(2, 1));
    let plan = |arch, len, entry| {
        let purgatory = OddPurgatory { arch, len, entry };
        let inputs = inputs(&machine, &kernel, &options).purgatory(&purgatory);
        Plan::new(&inputs).map(|_| ())
    };
    assert!(plan(Arch::X86_64, 0x1000, 0xfff).is_ok());
    for (len, entry) in [(0x1001, 0), (0x1000, 0x1000), (0x1000, u64::MAX)] {
        let error = plan(Arch::X86_64, len, entry).unwrap_err();
        assert!(matches!(error, Error::Purgatory(_)), "{error}");
        assert!(error.to_string().contains("do not fit 0x1000 bytes"), "{error}");
    }
    let error = plan(Arch::Arm64, 0x1000, 0).unwrap_err();
    assert!(matches!(error, Error::Conflict { what: "purgatory", .. }), "{error}");
}

/// An empty line would boot without a root file system, console or anything else it was to have.
#[test]
fn a_command_line_that_is_not_there_is_not_reused() {
    let kernel = bzimage(0x100_0000, 0x1000);
    let reuse = options(BackupPolicy::Never).reuse_cmdline(true);
    let mut machine = synthetic(2, 1);
    let error = Plan::new(&inputs(&machine, &kernel, &reuse)).unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("proc/cmdline is empty"), "{error}");
    machine.cmdline = "quiet".to_owned();
    assert!(Plan::new(&inputs(&machine, &kernel, &reuse)).is_ok());
}

#[test]
fn what_a_bzimage_lacks_is_named() {
    let good = bzimage(0x100_0000, 0x1000);
    let with = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        Image::parse(&file, 0x1000).unwrap_err().to_string()
    };
    for (at, field) in [(0x1fe, "boot_flag"), (0x202, "HdrS"), (0x207, "version"), (0x211, "loadflags")] {
        assert!(with(at, 0).contains(field), "{}", with(at, 0));
    }
    assert!(with(0x230, 1).contains("kernel_alignment"));
    let error = Image::parse(&good[..40 * 512 + 0x200], 0x1000).unwrap_err().to_string();
    assert!(error.contains("protected-mode part"), "{error}");
}

/// Without a 64-bit entry the 32-bit one is used, which needs memory below 4 GiB.
#[test]
fn an_image_without_64bit_entry_is_entered_in_32bit_mode() {
    let mut kernel = bzimage(0x100_0000, 0x1000);
    kernel[0x236] = 0;
    plan(&kernel, |plan| {
        let plan = plan.unwrap();
        assert_eq!(entered(&plan), kernel_segments(&plan)[0].0.start());
    });
    let mut machine = synthetic(4000, 1);
    machine.crash_regions = vec![pages(0x1_0000_0000, 0x10_0000)];
    let options = options(BackupPolicy::Never);
    let error = Plan::new(&inputs(&machine, &kernel, &options)).unwrap_err().to_string();
    assert!(
        error.starts_with("32-bit entry: ") && error.contains("a larger region does not help"),
        "{error}"
    );
    assert!(error.contains("take a kernel with a 64-bit entry"), "{error}");
    let asked = options.entry_32bit(true);
    let whole = bzimage(0x100_0000, 0x1000);
    let error = Plan::new(&inputs(&machine, &whole, &asked)).unwrap_err().to_string();
    assert!(error.contains("enter it in 64-bit mode"), "{error}");
}

/// Adds a program header of type `kind` without content.
fn with_phdr(mut file: Vec<u8>, kind: u32) -> Vec<u8> {
    let count = u16::from_le_bytes([file[56], file[57]]);
    let at = file.len() as u64;
    let table = file[64..64 + 56 * usize::from(count)].to_vec();
    file.extend_from_slice(&table);
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&[0; 52]);
    file[32..40].copy_from_slice(&at.to_le_bytes());
    file[56..58].copy_from_slice(&(count + 1).to_le_bytes());
    file
}

#[test]
fn a_program_is_no_kernel() {
    let base = REGION + 0x100_0000;
    let good = || vmlinux(ET_DYN, base, &[(base, 0x1000, b"text")]);
    Image::parse(&with_phdr(good(), 0x6474_e551), 0x1000).unwrap();
    let reason = |file: &[u8]| match Image::parse(file, 0x1000) {
        Err(Error::NotAnImage { vmlinux, .. }) => vmlinux,
        other => panic!("{other:?}"),
    };
    for (kind, name) in [(3, "PT_INTERP"), (7, "PT_TLS"), (2, "PT_DYNAMIC")] {
        assert!(reason(&with_phdr(good(), kind)).contains(name), "{name}");
    }
    // A static program lies where it is linked, in the lower half.
    for e_type in [ET_EXEC, ET_DYN] {
        let mut file = vmlinux(e_type, base, &[(base, 0x1000, b"text")]);
        file[80..88].copy_from_slice(&base.to_le_bytes());
        assert!(reason(&file).contains("kernel's half"), "{}", reason(&file));
    }
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(reason(&own).contains("program"), "{}", reason(&own));
}

#[test]
fn an_elf_kernel_for_another_machine_is_named() {
    let base = REGION + 0x100_0000;
    let mut file = vmlinux(ET_DYN, base, &[(base, 0x1000, b"text")]);
    let machine = synthetic(2, 1);
    let asked = options(BackupPolicy::Never).entry_32bit(true);
    let error = Plan::new(&inputs(&machine, &file, &asked)).unwrap_err().to_string();
    assert!(error.contains("enter it in 64-bit mode"), "{error}");
    file[18] = 183;
    plan(&file, |plan| {
        let error = plan.unwrap_err().to_string();
        assert!(error.contains("for arm64, which x86_64 cannot enter"), "{error}");
    });
}

#[test]
fn an_elf_kernel_is_read_up_to_its_last_load_and_must_be_whole() {
    let base = REGION + 0x100_0000;
    let mut file = vmlinux(ET_DYN, base, &[(base, 0x1000, b"text"), (base + 0x1000, 0x1000, b"data!")]);
    let needed = file.len() as u64;
    file.extend_from_slice(&[0; 1000]);
    let sections = file.len() as u64;
    file[40..48].copy_from_slice(&sections.to_le_bytes());
    file[58..62].copy_from_slice(&[64, 0, 5, 0]);
    file.extend_from_slice(&[0; 5 * 64]);
    let size = file.len() as u64;
    assert_eq!(elf_extent(&file[..200], size).unwrap(), needed);
    Image::parse(&file[..usize::try_from(needed).unwrap()], 0x1000).unwrap();
    let error = elf_extent(&file[..200], size - 1).unwrap_err();
    assert!(matches!(error, Error::ImageTruncated { need: 320, have: 319, .. }), "{error}");
    let error = elf_extent(&file[..200], needed - 1).unwrap_err();
    assert!(matches!(error, Error::ImageTruncated { what: "PT_LOAD", need: 5, have: 4, .. }), "{error}");
    assert!(elf_extent(&file[..100], size).is_err(), "the program headers are not in the head");
    file[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(elf_extent(&file, size).is_err());
}

/// The jump byte says where the header ends; fields behind that are code.
#[test]
fn a_header_that_ends_before_its_own_fields_is_refused() {
    for (version, end) in [(0x206_u16, 0x23c_u16), (0x20a, 0x264), (0x20f, 0x26c)] {
        let mut file = bzimage(0x100_0000, 0x1000);
        file[0x206..0x208].copy_from_slice(&version.to_le_bytes());
        let jump = u8::try_from(end - 0x202).unwrap();
        file[0x201] = jump;
        Image::parse(&file, 0x1000).unwrap();
        for less in [jump - 1, 0] {
            file[0x201] = less;
            let error = Image::parse(&file, 0x1000).unwrap_err().to_string();
            assert!(error.contains(&format!("jump at offset 0x201 is {less:#x}")), "{error}");
        }
    }
}

#[test]
fn a_kernel_that_cannot_be_moved_lies_at_its_preferred_address() {
    let mut kernel = bzimage(0x100_0000, 0x1000);
    kernel[0x234] = 0;
    plan(&kernel, |plan| assert!(matches!(plan, Err(Error::OutsideRegion { .. }))));
    kernel[0x258..0x260].copy_from_slice(&(REGION + 0x10_0000).to_le_bytes());
    plan(&kernel, |plan| assert_eq!(kernel_segments(&plan.unwrap())[0].0.start(), REGION + 0x10_0000));
}

/// The code of an ELF kernel must be in its file, and in the order of bytes of its CPU.
#[test]
fn an_elf_kernel_of_another_byte_order_or_entered_in_zeros_is_refused() {
    let parse = |file: &[u8]| Image::parse(file, 0x1000).map(|_| ()).map_err(|error| error.to_string());
    let good = vmlinux(ET_EXEC, REGION, &[(REGION, 0x20_0000, &[0x90; 0x1000])]);
    parse(&good).unwrap();
    let bss = vmlinux(ET_EXEC, REGION + 0x1000, &[(REGION, 0x20_0000, &[0x90; 0x1000])]);
    assert!(parse(&bss).unwrap_err().contains("e_entry"), "in the zeros behind the bytes");
    let mut swapped = good;
    swapped[5] = 2;
    for (at, len) in
        [(16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (52, 2), (54, 2), (56, 2), (64, 4), (68, 4)]
    {
        swapped[at..at + len].reverse();
    }
    for word in 0..6 {
        swapped[72 + word * 8..80 + word * 8].reverse();
    }
    assert!(parse(&swapped).unwrap_err().contains("EI_DATA"), "big-endian");
}

proptest! {
    /// Any damage to an image gives a plan or an error, never a panic or a runaway.
    #[test]
    fn damaged_images_never_panic(
        elf in any::<bool>(),
        changes in prop::collection::vec((0_usize..0x400, any::<u8>()), 0..24),
        cut in prop::option::of(0_usize..0x500),
    ) {
        let base = REGION + 0x100_0000;
        let mut file = if elf {
            vmlinux(ET_DYN, base, &[(base, 0x1000, &[1; 0x200]), (base + 0x2345, 0x1000, &[2; 0x200])])
        } else {
            bzimage(0x10_0000, 0x400)
        };
        for (at, byte) in changes {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        file.truncate(cut.unwrap_or(usize::MAX));
        if let Ok(extent) = elf_extent(&file, file.len() as u64) {
            prop_assert!(extent <= file.len() as u64);
        }
        plan(&file, |plan| {
            if let Ok(plan) = plan {
                prop_assert!(plan.segments.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()));
                prop_assert!(plan.segments.iter().all(|segment| plan.region.contains_range(segment.range)));
                prop_assert!(plan.segments.iter().all(|segment| segment.bufsz() <= segment.memsz()));
            }
            Ok(())
        })?;
    }
}

#[test]
fn an_image_that_cannot_be_handed_over_is_refused_by_name() {
    let said = |kernel: &[u8]| plan(kernel, |plan| plan.unwrap_err().to_string());
    let nothing = said(&vmlinux(ET_EXEC, 0x100_0000, &[(0x100_0000, 0, &[])]));
    assert!(nothing.contains("PT_LOAD") && nothing.contains("at least one"), "{nothing}");
    let mut mute = bzimage(0x100_0000, 0x1000);
    mute[0x238..0x23c].fill(0);
    let mute = said(&mute);
    assert!(mute.contains("cmdline_size"), "{mute}");
    // However much of the header is there, all of it is asked for.
    let whole = bzimage(0x100_0000, 0x1000);
    let cut = [0x206, 0x220, 0x240].map(|len| kdump_segments::image::SetupHeader::parse(&whole[..len]));
    let places = cut.map(|cut| {
        cut.unwrap_err().to_string().replace("0x206", "").replace("0x220", "").replace("0x240", "")
    });
    assert_eq!(places[0], places[1], "{places:?}");
    assert_eq!(places[0], places[2], "{places:?}");
}

#[test]
fn an_empty_ramdisk_is_left_out() {
    let (machine, options, kernel) =
        (synthetic(2, 1), options(BackupPolicy::Always), bzimage(0x100_0000, 0x1000));
    let plan = Plan::new(&inputs(&machine, &kernel, &options).initrd(Some(&[]))).unwrap();
    assert!(plan.segment(SegmentKind::Initrd).is_none());
    assert!(plan.remarks.iter().any(|remark| remark.contains("ramdisk is empty")), "{:?}", plan.remarks);
}
