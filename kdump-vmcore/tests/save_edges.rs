//! Sources at the edge of what a kdump-compressed copy can have, and what its header takes from them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Arch;
use kdump_vmcore::{Dump, Error, Flatten, KdumpOptions, KdumpPlan, WriteAt};

const PAGE: usize = 4096;
const LINEAR: u64 = 0xffff_8880_0000_0000;
const IMAGE: u64 = 0xffff_ffff_8000_0000;

fn dump(wire: Wire, machine: u16, info: &str, memory: Segment) -> Dump<'static> {
    let notes = note(wire, "VMCOREINFO", 0, format!("PAGESIZE=4096\n{info}").as_bytes());
    Dump::open(CoreFile::new(wire, machine).with(Segment::notes(&notes)).with(memory).build()).unwrap()
}

fn saved(source: &Dump<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let plan = KdumpPlan::new(source, KdumpOptions::default()).unwrap();
    plan.copy(&mut out, &mut |_| ControlFlow::Continue(())).unwrap();
    out
}

#[test]
fn machines_and_dumps_that_the_format_cannot_have() {
    let memory = Segment::load(0x10_0000, &[1; PAGE]);
    let arm = dump(Wire { wide: false, big: false }, 40, "", memory);
    assert_eq!(arm.arch(), Some(Arch::Arm));
    let error = KdumpPlan::new(&arm, KdumpOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("ARM"), "{error}");
    let none = dump(Wire::LE64, 62, "", Segment::load(0x10_0000, &[]));
    let error = KdumpPlan::new(&none, KdumpOptions::default()).unwrap_err();
    assert!(matches!(error, Error::NoMemory), "{error}");
}

/// `struct new_utsname`: six names of 65 bytes.
#[test]
fn names_are_taken_whole_or_not_at_all() {
    let info = format!(
        "OSRELEASE=6.1\nSYMBOL(init_uts_ns)={:x}\nOFFSET(uts_namespace.name)=0\n",
        LINEAR + 0x10_0000
    );
    let mut names = Vec::new();
    for name in ["Linux", "crashed-host", "6.1", "#1 SMP", "x86_64", "(none)"] {
        names.extend_from_slice(name.as_bytes());
        names.resize(names.len().next_multiple_of(65), 0);
    }
    let knows = |names: &[u8]| {
        let memory = Segment { p_vaddr: LINEAR + 0x10_0000, ..Segment::load(0x10_0000, names) };
        let file = saved(&dump(Wire::LE64, 62, &info, memory));
        let host = b"crashed-host";
        let named = file[..PAGE].windows(host.len()).any(|bytes| bytes == host);
        (named, Dump::open(file).unwrap().arch())
    };
    assert_eq!(knows(&names), (true, Some(Arch::X86_64)));
    // The release is there and right, the machine is not.
    assert_eq!(knows(&names[..250]), (false, Some(Arch::X86_64)));
}

#[test]
fn the_place_of_the_image_is_known_or_zero() {
    // `phys_base`, the first field of `struct kdump_sub_header`.
    let phys_base = |machine, info, p_vaddr| {
        let memory = Segment { p_vaddr, ..Segment::load(0x120_0000, &[1; PAGE]) };
        let file = saved(&dump(Wire::LE64, machine, info, memory));
        u64::from_le_bytes(file[PAGE..PAGE + 8].try_into().unwrap())
    };
    assert_eq!(phys_base(62, "NUMBER(phys_base)=4096\n", IMAGE + 0x100_0000), 4096);
    assert_eq!(phys_base(62, "", IMAGE + 0x100_0000), 0x20_0000);
    assert_eq!(phys_base(62, "", LINEAR), 0);
    assert_eq!(phys_base(183, "", IMAGE + 0x100_0000), 0, "a number of x86_64 alone");
}

/// The end is told by a record, and none else may have no bytes.
#[test]
fn nothing_makes_no_record() {
    let mut out = Vec::new();
    let mut stream = Flatten::new(|bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    stream.write_all_at(77, &[]).unwrap();
    assert_eq!(stream.written(), 4096, "the head");
    stream.write_all_at(0, b"x").unwrap();
    stream.finish(1).unwrap();
    assert_eq!(out.len(), 4096 + 16 + 1 + 16);
}
