//! A plan as JSON: addresses and offsets are hex strings, sizes are numbers.

use kdump_elf::{Class, PT_LOAD, PT_NOTE, Phdr};
use kdump_segments::plan::Plan;
use kdump_segments::preflight::Report;
use kdump_segments::purgatory::DigestRegion;
use serde_json::{Value, json};

/// The document.
pub(crate) fn document(plan: &Plan<'_>, report: &Report) -> Value {
    let segments = plan.segments.iter().map(|segment| {
        let content = DigestRegion { start: segment.mem(), bytes: &segment.data };
        json!({
            "kind": segment.kind.name(),
            "mem": hex(segment.mem()),
            "memsz": segment.memsz(),
            "bufsz": segment.bufsz(),
            "sha256": digits(&kdump_purgatory::digest(&[content])),
        })
    });
    let class = match plan.elfcorehdr.encoding().class {
        Class::Elf32 => "ELF32",
        Class::Elf64 => "ELF64",
    };
    let e820 = plan.e820.iter().map(|entry| {
        json!({ "start": hex(entry.range.start()), "size": entry.range.size(), "type": entry.kind.name() })
    });
    let findings = report.findings.iter().map(|finding| {
        json!({ "rule": finding.rule, "verdict": finding.verdict.name(), "detail": finding.detail })
    });
    json!({
        "arch": plan.arch.name(),
        "entry": hex(plan.entry),
        "flags": hex(plan.flags.bits()),
        "segments": segments.collect::<Vec<_>>(),
        "elfcorehdr": { "class": class, "phdrs": phdrs(plan.elfcorehdr.phdrs()) },
        "vmcore": { "size": plan.vmcore.size, "phdrs": phdrs(&plan.vmcore.phdrs) },
        "cmdline": plan.cmdline.as_str(),
        "e820": e820.collect::<Vec<_>>(),
        "preflight": findings.collect::<Vec<_>>(),
        "notes": plan.notes,
    })
}

fn phdrs(phdrs: &[Phdr]) -> Value {
    let phdrs = phdrs.iter().map(|phdr| {
        json!({
            "type": phdr_type(phdr.p_type),
            "offset": hex(phdr.p_offset),
            "vaddr": hex(phdr.p_vaddr),
            "paddr": hex(phdr.p_paddr),
            "filesz": phdr.p_filesz,
            "memsz": phdr.p_memsz,
            "flags": hex(u64::from(phdr.p_flags)),
        })
    });
    Value::Array(phdrs.collect())
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
