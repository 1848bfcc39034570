//! plan.json, as `kdump load --out` left it on the disk of the guest.

use std::fs;
use std::path::Path;

use ::lab::elf::Phdr;
use serde_json::Value;

use crate::error::{Context, Result};

/// What /proc/vmcore will be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Vmcore {
    pub(crate) size: u64,
    pub(crate) phdrs: Vec<Phdr>,
}

/// Where a segment was loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) mem: u64,
    pub(crate) bufsz: u64,
}

#[derive(Debug)]
pub(crate) struct Plan(Value);

impl Plan {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).context(path.display())?;
        serde_json::from_str(&text).map(Self).context(path.display())
    }

    /// The first segment of `kind`.
    pub(crate) fn segment(&self, kind: &str) -> Result<Segment> {
        let segments = list(&self.0, "segments")?;
        let mut of_kind = segments.iter().filter(|s| s.get("kind") == Some(&Value::from(kind)));
        let segment = of_kind.next().context(format!("the plan has no {kind} segment"))?;
        Ok(Segment { mem: number(segment, "mem")?, bufsz: number(segment, "bufsz")? })
    }

    /// The prediction of /proc/vmcore.
    pub(crate) fn vmcore(&self) -> Result<Vmcore> {
        let vmcore = field(&self.0, "vmcore")?;
        let phdrs = list(vmcore, "phdrs")?.iter().map(phdr).collect::<Result<_>>()?;
        Ok(Vmcore { size: number(vmcore, "size")?, phdrs })
    }
}

fn phdr(value: &Value) -> Result<Phdr> {
    Ok(Phdr {
        kind: field(value, "type")?.as_str().context("phdr type is no string")?.to_owned(),
        offset: number(value, "offset")?,
        vaddr: number(value, "vaddr")?,
        paddr: number(value, "paddr")?,
        filesz: number(value, "filesz")?,
        memsz: number(value, "memsz")?,
        flags: number(value, "flags")?,
    })
}

pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value> {
    value.get(name).context(format!("no {name:?} in the JSON document"))
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    field(value, name)?.as_array().context(format!("{name:?} is no array"))
}

/// Sizes are numbers, addresses and offsets are hex strings.
pub(crate) fn number(value: &Value, name: &str) -> Result<u64> {
    let value = field(value, name)?;
    let number = match value.as_str() {
        Some(text) => text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()),
        None => value.as_u64(),
    };
    number.context(format!("{name:?} is {value}, neither a number nor a hex string"))
}

#[cfg(test)]
mod tests {
    use super::{Phdr, Plan};

    #[test]
    fn segments_and_prediction() {
        let text = r#"{
            "segments": [{"kind": "kernel", "mem": "0x12000000", "bufsz": 4096}],
            "vmcore": {"size": 8192, "phdrs": [{"type": "PT_LOAD", "offset": "0x2000",
                "vaddr": "0xffffffff81000000", "paddr": "0x1000000", "filesz": 16, "memsz": 16,
                "flags": 7}]}
        }"#;
        let plan = Plan(serde_json::from_str(text).unwrap());
        assert_eq!(plan.segment("kernel").unwrap().mem, 0x1200_0000);
        assert!(plan.segment("backup").is_err());
        let vmcore = plan.vmcore().unwrap();
        assert_eq!(vmcore.size, 8192);
        let expected = Phdr {
            kind: "PT_LOAD".to_owned(),
            offset: 0x2000,
            vaddr: 0xffff_ffff_8100_0000,
            paddr: 0x100_0000,
            filesz: 16,
            memsz: 16,
            flags: 7,
        };
        assert_eq!(vmcore.phdrs, [expected]);
    }
}
