//! A plan as a JSON document.

use kdump_elf::{Class, Phdr};
use kdump_segments::elfcorehdr::LowMemory;
use kdump_segments::plan::Plan;
use kdump_segments::preflight::Report;
use kdump_segments::segment::Segment;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::json::{hex, phdr_type};

/// The document `kdump plan --json` prints and `--out` writes.
pub(crate) fn document(plan: &Plan<'_>, report: &Report) -> Value {
    let header = &plan.elfcorehdr;
    let class = match header.encoding().class {
        Class::Elf32 => 32,
        Class::Elf64 => 64,
    };
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
        "e820": plan.e820.iter().map(|entry| json!({
            "start": hex(entry.range.start()), "size": entry.range.size(), "type": entry.kind.name(),
        })).collect::<Vec<_>>(),
        "preflight": preflight(report),
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
    json!({
        "kind": segment.kind.name(),
        "mem": hex(segment.mem()),
        "memsz": segment.memsz(),
        "bufsz": segment.bufsz(),
        "sha256": sha256(&segment.data),
    })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn phdrs(phdrs: &[Phdr]) -> Vec<Value> {
    let one = |phdr: &Phdr| {
        json!({
            "type": phdr_type(phdr.p_type), "offset": hex(phdr.p_offset), "vaddr": hex(phdr.p_vaddr),
            "paddr": hex(phdr.p_paddr), "filesz": phdr.p_filesz, "memsz": phdr.p_memsz,
            "flags": phdr.p_flags,
        })
    };
    phdrs.iter().map(one).collect()
}

fn preflight(report: &Report) -> Vec<Value> {
    let one = |finding: &kdump_segments::preflight::Finding| json!({ "rule": finding.rule, "verdict": finding.verdict.name(), "detail": finding.detail });
    report.findings.iter().map(one).collect()
}
