//! What a kernel started without firmware needs to go on using EFI.

use alloc::format;
use alloc::vec::Vec;

use super::MachineFiles;
use super::remark::Remarks;
use super::text_file::{parse_hex_file, parse_number_file};
use crate::{Error, room};

const DIR: &str = "sys/firmware/efi";

/// One runtime region (UEFI specification, EFI_MEMORY_DESCRIPTOR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EfiMemoryDescriptor {
    /// Physical address of its first byte.
    pub phys_addr: u64,
    /// Virtual address at which the running kernel called the firmware there.
    pub virt_addr: u64,
    /// Length in pages of 4096 bytes.
    pub num_pages: u64,
    /// EFI memory type, 5 for runtime code, 6 for runtime data.
    pub kind: u32,
    /// EFI memory attributes.
    pub attribute: u64,
}

/// What `/sys/firmware/efi` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EfiHandover {
    /// Address of the firmware vendor's name.
    pub fw_vendor: u64,
    /// Address of the runtime services table.
    pub runtime: u64,
    /// Address of the configuration table.
    pub config_table: u64,
    /// Physical address of the SMBIOS entry point.
    pub smbios: Option<u64>,
    /// Word size of the firmware in bits, 32 or 64.
    pub fw_platform_size: Option<u32>,
    /// The runtime regions, by physical address.
    pub runtime_map: Vec<EfiMemoryDescriptor>,
}

impl EfiHandover {
    /// `None` on a machine without EFI, or when one of the three addresses is not shown.
    pub(super) fn find(files: &MachineFiles, notes: &mut Remarks) -> Result<Option<Self>, Error> {
        let mut number = |name: &str| {
            let path = format!("{DIR}/{name}");
            let value = parse_number_file(files.get(&path)?);
            if value.is_none() {
                notes.add(&path, "is not an address or a number and was ignored");
            }
            value
        };
        let three = (number("fw_vendor"), number("runtime"), number("config_table"));
        let (Some(fw_vendor), Some(runtime), Some(config_table)) = three else {
            if three.0.or(three.1).or(three.2).is_some() {
                notes.add(
                    DIR,
                    "shows only some of fw_vendor, runtime and config_table; EFI is not handed over",
                );
            }
            return Ok(None);
        };
        let fw_platform_size = number("fw_platform_size").and_then(|bits| u32::try_from(bits).ok());
        let smbios = systab(files, "SMBIOS3").or_else(|| systab(files, "SMBIOS"));
        let runtime_map = runtime_map(files, notes)?;
        Ok(Some(Self { fw_vendor, runtime, config_table, smbios, fw_platform_size, runtime_map }))
    }
}

/// The address called `key` in `/sys/firmware/efi/systab`, lines of `KEY=0x…`.
pub(super) fn systab(files: &MachineFiles, key: &str) -> Option<u64> {
    let text = files.get("sys/firmware/efi/systab")?;
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let value = line.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
        parse_hex_file(value).filter(|&address| address != 0)
    })
}

fn runtime_map(files: &MachineFiles, notes: &mut Remarks) -> Result<Vec<EfiMemoryDescriptor>, Error> {
    let mut map = Vec::new();
    for (index, path, _) in files.numbered("sys/firmware/efi/runtime-map/", "phys_addr") {
        let number =
            |name: &str| files.get(&format!("{DIR}/runtime-map/{index}/{name}")).and_then(parse_number_file);
        let descriptor = (|| {
            Some(EfiMemoryDescriptor {
                phys_addr: number("phys_addr")?,
                virt_addr: number("virt_addr")?,
                num_pages: number("num_pages")?,
                kind: u32::try_from(number("type")?).ok()?,
                attribute: number("attribute")?,
            })
        })();
        match descriptor {
            Some(descriptor) => room::push(&mut map, "EFI runtime regions", descriptor)?,
            None => notes.add(path, "belongs to an incomplete EFI runtime region, which was left out"),
        }
    }
    map.sort_unstable();
    Ok(map)
}
