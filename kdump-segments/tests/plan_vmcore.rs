//! What /proc/vmcore is predicted to be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::{PT_LOAD, PT_NOTE, Phdr};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs};
use kdump_segments::{Machine, VmcoreinfoNote};

use plan_support::{TestPurgatory, bzimage, options, synthetic};

/// A note of an x86_64 CPU: header, `CORE`, 336 bytes of prstatus.
const CPU_NOTE: u64 = 12 + 8 + 336;

fn plan(machine: &Machine, check: impl FnOnce(&Plan<'_>)) {
    let (kernel, options) = (bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    let purgatory = &TestPurgatory;
    check(&Plan::new(&PlanInputs::new(machine, &kernel, purgatory).options(&options)).unwrap());
}

fn with_text(text: Option<&[u8]>) -> Machine {
    let mut machine = synthetic(2, 3);
    let text = text.map(<[u8]>::to_vec);
    machine.vmcoreinfo = Some(VmcoreinfoNote { paddr: 0x3810_0000, size: 4132, text });
    machine
}

/// The dying kernel adds `CRASHTIME=` with ten digits to the text.
#[test]
fn notes_are_as_long_as_what_will_be_written() {
    plan(&with_text(Some(b"OSRELEASE=6.1\n")), |plan| {
        let text = (14 + 21_u64).next_multiple_of(4);
        assert_eq!(plan.vmcore.notes_len, 3 * CPU_NOTE + 12 + 12 + text);
        assert!(!plan.vmcore.estimated);
    });
    plan(&with_text(None), |plan| {
        assert!(plan.vmcore.estimated);
        assert!(plan.remarks.iter().any(|note| note.contains("VMCOREINFO")), "{:?}", plan.remarks);
    });
}

/// Kernels that give every CPU 1 KiB write the same note into it.
#[test]
fn the_paper_layout_of_a_kib_per_cpu_has_the_same_notes() {
    let mut machine = synthetic(2, 3);
    for note in &mut machine.cpu_notes {
        note.size = 1024;
    }
    plan(&machine, |plan| assert_eq!(plan.vmcore.notes_len, 3 * CPU_NOTE));
}

/// Header page, notes, then the ranges back to back; the backup is read from its copy.
#[test]
fn ranges_follow_each_other() {
    plan(&with_text(Some(b"OSRELEASE=6.1\n")), |plan| {
        let (note, loads) = plan.vmcore.phdrs.split_first().unwrap();
        assert_eq!((note.p_type, note.p_offset, note.p_filesz), (PT_NOTE, 0x1000, plan.vmcore.notes_len));
        let planned: Vec<&Phdr> =
            plan.elfcorehdr.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD).collect();
        assert_eq!(loads.len(), planned.len());
        let mut offset = 0x2000;
        for (seen, planned) in loads.iter().zip(planned) {
            assert_eq!(
                (seen.p_paddr, seen.p_vaddr, seen.p_memsz),
                (planned.p_paddr, planned.p_vaddr, planned.p_memsz)
            );
            assert_eq!(seen.p_offset, offset, "{:#x}", seen.p_paddr);
            offset += seen.p_memsz.next_multiple_of(0x1000);
        }
        assert_eq!(plan.vmcore.size, offset);
    });
}
