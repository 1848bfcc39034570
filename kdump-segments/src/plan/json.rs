//! A plan as the JSON document that `kdump plan --json` prints: addresses and offsets are hex
//! strings, sizes are numbers. What only one target's plans have stands beside the rest: `e820` on x86, `usable` and
//! `text_offset` on arm64.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{Class, PT_LOAD, PT_NOTE, Phdr};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::capture_need::{CaptureNeed, NeedItem, Suggestion};
use crate::elfcorehdr::LowMemory;
use crate::plan::Plan;
use crate::preflight::{Finding, Report};
use crate::segment::Segment;

impl Plan<'_> {
    /// The plan and its preflight as one document; the digest of each segment is computed.
    #[must_use]
    pub fn to_json(&self, report: &Report) -> Value {
        let header = &self.elfcorehdr;
        let class = match header.encoding().class {
            Class::Elf32 => 32,
            Class::Elf64 => 64,
        };
        let mut document = json!({
            "arch": self.arch.name(),
            "entry": hex(self.entry),
            "flags": hex(self.flags.bits()),
            "region": { "start": hex(self.region.start()), "size": self.region.size(), "leftover": self.leftover },
            "backup": backup(self.low_memory),
            "segments": self.segments.iter().map(segment).collect::<Vec<_>>(),
            "elfcorehdr": { "class": class, "phdrs": phdrs(header.phdrs()) },
            "vmcore": {
                "size": self.vmcore.size,
                "notes_size": self.vmcore.notes_len,
                "estimated": self.vmcore.estimated,
                "phdrs": phdrs(&self.vmcore.phdrs),
            },
            "cmdline": self.cmdline.as_str(),
        });
        let rest = json!({
            "preflight": report.findings.iter().map(finding).collect::<Vec<_>>(),
            "errno": report.errno.map(|errno| errno.name()),
            "need": self.need.as_ref().map(CaptureNeed::to_json),
            "notes": self.remarks,
        });
        for part in [self.target.to_json(), rest] {
            if let (Some(document), Value::Object(part)) = (document.as_object_mut(), part) {
                document.extend(part);
            }
        }
        document
    }
}

impl CaptureNeed {
    /// What the capture kernel needs, item by item, with the verdict.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let item = |item: &NeedItem| {
            json!({
                "name": item.name, "bytes": item.bytes, "basis": item.basis.name(), "source": item.source,
            })
        };
        json!({
            "total": self.total(),
            "room": self.room,
            "verdict": self.fit().name(),
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
        })
    }
}

impl Suggestion {
    /// The parameter and its reasons; the room of the need is that of the suggested size.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "crashkernel": self.to_string(),
            "size": self.size,
            "need": self.need.to_json(),
            "notes": self.remarks,
        })
    }
}

/// A JSON text in ASCII: every other character of its strings, and DEL, is written as `\uXXXX`
/// (RFC 8259, section 7), which means the same to a reader of JSON and nothing to a terminal.
#[must_use]
pub fn json_to_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        // A newline stands between values only; inside strings it is escaped already.
        if matches!(c, ' '..='~' | '\n') {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
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

pub(crate) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_ascii_and_means_the_same() {
        let text = "a\u{7f}\u{9b}2J\u{202e}\u{e4}\u{1f600}\n\x1b\"";
        let value = json!({ text: [text] });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let ascii = json_to_ascii(&json);
            assert!(ascii.chars().all(|c| matches!(c, ' '..='~' | '\n')), "{ascii:?}");
            assert_eq!(serde_json::from_str::<Value>(&ascii).unwrap(), value);
        }
        assert!(json_to_ascii("\"\u{9b}\u{1f600}\"").ends_with("u009b\\ud83d\\ude00\""));
    }
}
