//! A plan as the JSON document that `kdump plan --json` prints: addresses and offsets are hex
//! strings, sizes are numbers.

use kdump_elf::{Class, PT_LOAD, PT_NOTE, Phdr};
use kdump_segments::elfcorehdr::LowMemory;
use kdump_segments::plan::Plan;
use kdump_segments::preflight::{Finding, Report};
use kdump_segments::purgatory::DigestRegion;
use kdump_segments::segment::Segment;
use serde_json::{Value, json};

/// The document.
pub(crate) fn document(plan: &Plan<'_>, report: &Report) -> Value {
    let header = &plan.elfcorehdr;
    let class = match header.encoding().class {
        Class::Elf32 => 32,
        Class::Elf64 => 64,
    };
    let e820 = plan.e820.iter().map(|entry| {
        json!({ "start": hex(entry.range.start()), "size": entry.range.size(), "type": entry.kind.name() })
    });
    json!({
        "arch": plan.arch.name(),
        "entry": hex(plan.entry),
        "flags": hex(plan.flags.bits()),
        "region": { "start": hex(plan.region.start()), "size": plan.region.size(), "leftover": plan.leftover },
        "backup": backup(plan.low_memory),
        "segments": plan.segments.iter().map(segment).collect::<Vec<_>>(),
        "elfcorehdr": { "class": class, "phdrs": phdrs(header.phdrs()) },
        "vmcore": {
            "size": plan.vmcore.size,
            "notes_size": plan.vmcore.notes_len,
            "estimated": plan.vmcore.estimated,
            "phdrs": phdrs(&plan.vmcore.phdrs),
        },
        "cmdline": plan.cmdline.as_str(),
        "e820": e820.collect::<Vec<_>>(),
        "preflight": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "errno": report.errno.map(|errno| errno.name()),
        "notes": plan.notes,
    })
}

fn backup(low: LowMemory) -> Value {
    match low {
        LowMemory::BackedUp { source, destination } => json!({
            "source": hex(source.start()), "size": source.size(), "destination": hex(destination),
        }),
        LowMemory::NotDumped | LowMemory::AsIs => Value::Null,
    }
}

fn segment(segment: &Segment<'_>) -> Value {
    let content = DigestRegion { start: segment.mem(), bytes: &segment.data };
    json!({
        "kind": segment.kind.name(),
        "mem": hex(segment.mem()),
        "memsz": segment.memsz(),
        "bufsz": segment.bufsz(),
        "sha256": digits(&kdump_purgatory::digest(&[content])),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({ "rule": finding.rule, "verdict": finding.verdict.name(), "detail": finding.detail })
}

fn phdrs(phdrs: &[Phdr]) -> Vec<Value> {
    let one = |phdr: &Phdr| {
        json!({
            "type": phdr_type(phdr.p_type),
            "offset": hex(phdr.p_offset),
            "vaddr": hex(phdr.p_vaddr),
            "paddr": hex(phdr.p_paddr),
            "filesz": phdr.p_filesz,
            "memsz": phdr.p_memsz,
            "flags": phdr.p_flags,
        })
    };
    phdrs.iter().map(one).collect()
}

fn phdr_type(p_type: u32) -> String {
    match p_type {
        PT_LOAD => "PT_LOAD".to_owned(),
        PT_NOTE => "PT_NOTE".to_owned(),
        other => format!("{other:#x}"),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
