//! The setup_data chain of an x86 capture kernel, laid out in one segment.
//!
//! Each item is `{ u64 next, u32 type, u32 len, data }` (Documentation/arch/x86/boot.rst,
//! "setup_data"). All items and the EFI runtime map share one segment: each kexec segment is
//! one of sixteen and takes whole pages.

use alloc::vec::Vec;

use kdump_elf::align_up;
use zerocopy::{Immutable, IntoBytes, LE, U32, U64, Unaligned};

use super::e820::{E820_ENTRY_SIZE, E820Entry};
use crate::{EfiHandover, EfiMemoryDescriptor, Error, room};

const HEADER_SIZE: u64 = size_of::<RawHead>() as u64;
/// Items begin at multiples of this, so that their u64 fields are aligned.
const ITEM_ALIGN: u64 = 16;
const SETUP_E820_EXT: u32 = 1;
const SETUP_EFI: u32 = 4;
const SETUP_RNG_SEED: u32 = 9;
const EFI_SIZE: usize = size_of::<RawEfi>();

/// Bytes of one descriptor of the EFI runtime map as Linux hands it over.
pub const EFI_DESCRIPTOR_SIZE: u32 = 40;
const _: () = assert!(size_of::<RawDescriptor>() == EFI_DESCRIPTOR_SIZE as usize);

/// `struct setup_data` without its data (arch/x86/include/uapi/asm/setup_data.h).
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct RawHead {
    next: U64<LE>,
    kind: U32<LE>,
    len: U32<LE>,
}

/// The EFI item.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct RawEfi {
    fw_vendor: U64<LE>,
    runtime: U64<LE>,
    tables: U64<LE>,
    smbios: U64<LE>,
    reserved: [U64<LE>; 8],
}

/// A descriptor of UEFI 2.x, version 1.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct RawDescriptor {
    kind: U32<LE>,
    padding: U32<LE>,
    phys_addr: U64<LE>,
    virt_addr: U64<LE>,
    num_pages: U64<LE>,
    attribute: U64<LE>,
}

/// Everything that goes into the chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetupData<'a> {
    /// Entries of the memory map that boot_params has no room for.
    pub e820_ext: &'a [E820Entry],
    /// EFI hand-over.
    pub efi: Option<&'a EfiHandover>,
    /// Entropy for the capture kernel, which has few sources of its own.
    pub rng_seed: Option<&'a [u8; 32]>,
}

/// The encoded segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSetupData {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Physical address of the first item; 0 without any.
    pub head: u64,
    /// Physical address and size of the EFI runtime map.
    pub efi_map: Option<(u64, u32)>,
}

impl SetupData<'_> {
    /// Bytes the segment will have; 0 when there is nothing to hand over.
    #[must_use]
    pub fn size(&self) -> u64 {
        let items = self.items().map(|(_, len)| item_size(len)).fold(0, u64::saturating_add);
        items.saturating_add(self.efi_map_size())
    }

    /// Writes the chain for a segment at physical address `base`. The runtime map is sorted
    /// by address and its padding is zero, so that equal inputs give equal bytes.
    ///
    /// # Errors
    /// [`Error::TooMany`] when an item has 4 GiB or more, [`Error::OutOfMemory`].
    pub fn encode(&self, base: u64) -> Result<EncodedSetupData, Error> {
        let mut bytes = Vec::new();
        // All that is appended below fits.
        room::reserve(&mut bytes, "setup_data", usize::try_from(self.size()).unwrap_or(usize::MAX))?;
        let mut items = self.items().peekable();
        let head = if items.peek().is_some() { base } else { 0 };
        while let Some((kind, len)) = items.next() {
            let at = bytes.len() as u64;
            let behind = base.saturating_add(at).saturating_add(item_size(len));
            let next = if items.peek().is_some() { behind } else { 0 };
            let len = fit("setup_data bytes", len)?;
            let head = RawHead { next: next.into(), kind: kind.into(), len: len.into() };
            bytes.extend_from_slice(head.as_bytes());
            self.encode_item(kind, &mut bytes);
            let padded = align_up(bytes.len() as u64, ITEM_ALIGN).unwrap_or(u64::MAX);
            bytes.resize(usize::try_from(padded).unwrap_or(usize::MAX), 0);
        }
        let efi_map = match self.efi {
            Some(efi) => {
                let at = base.saturating_add(bytes.len() as u64);
                encode_efi_map(&efi.runtime_map, &mut bytes)?;
                Some((at, fit("EFI runtime map bytes", self.efi_map_size())?))
            }
            None => None,
        };
        Ok(EncodedSetupData { bytes, head, efi_map })
    }

    /// Type and length of each item, in chain order.
    fn items(&self) -> impl Iterator<Item = (u32, u64)> + use<> {
        let ext = (self.e820_ext.len() as u64).saturating_mul(E820_ENTRY_SIZE as u64);
        [
            (ext != 0).then_some((SETUP_E820_EXT, ext)),
            self.efi.map(|_| (SETUP_EFI, EFI_SIZE as u64)),
            self.rng_seed.map(|seed| (SETUP_RNG_SEED, seed.len() as u64)),
        ]
        .into_iter()
        .flatten()
    }

    fn encode_item(&self, kind: u32, bytes: &mut Vec<u8>) {
        match (kind, self.efi, self.rng_seed) {
            (SETUP_E820_EXT, ..) => {
                self.e820_ext.iter().for_each(|entry| bytes.extend_from_slice(&entry.encode()));
            }
            (SETUP_EFI, Some(efi), _) => {
                let raw = RawEfi {
                    fw_vendor: efi.fw_vendor.into(),
                    runtime: efi.runtime.into(),
                    tables: efi.config_table.into(),
                    smbios: efi.smbios.unwrap_or(0).into(),
                    reserved: [U64::ZERO; 8],
                };
                bytes.extend_from_slice(raw.as_bytes());
            }
            (_, _, Some(seed)) => bytes.extend_from_slice(seed),
            _ => {}
        }
    }

    fn efi_map_size(&self) -> u64 {
        let count = self.efi.map_or(0, |efi| efi.runtime_map.len() as u64);
        count.saturating_mul(u64::from(EFI_DESCRIPTOR_SIZE))
    }
}

/// Descriptors by address.
fn encode_efi_map(map: &[EfiMemoryDescriptor], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let mut map = room::copy("EFI runtime map", map)?;
    map.sort_unstable();
    for descriptor in &map {
        let raw = RawDescriptor {
            kind: descriptor.kind.into(),
            padding: U32::ZERO,
            phys_addr: descriptor.phys_addr.into(),
            virt_addr: descriptor.virt_addr.into(),
            num_pages: descriptor.num_pages.into(),
            attribute: descriptor.attribute.into(),
        };
        bytes.extend_from_slice(raw.as_bytes());
    }
    Ok(())
}

fn item_size(len: u64) -> u64 {
    align_up(HEADER_SIZE.saturating_add(len), ITEM_ALIGN).unwrap_or(u64::MAX)
}

fn fit(what: &'static str, value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooMany { what, value, limit: u64::from(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryKind;
    use crate::le::{u32_at, u64_at};
    use kdump_elf::PhysRange;

    #[test]
    fn the_chain_can_be_walked() {
        let entry = E820Entry { range: PhysRange::from_len(0x1000, 0x1000).unwrap(), kind: MemoryKind::Ram };
        let descriptor = |phys_addr| EfiMemoryDescriptor {
            kind: 5,
            phys_addr,
            virt_addr: 9,
            num_pages: 1,
            attribute: 1 << 63,
        };
        let efi = EfiHandover {
            fw_vendor: 1,
            runtime: 2,
            config_table: 3,
            smbios: None,
            fw_platform_size: Some(64),
            runtime_map: alloc::vec![descriptor(0x2000), descriptor(0x1000)],
        };
        let data = SetupData { e820_ext: &[entry; 3], efi: Some(&efi), rng_seed: Some(&[7; 32]) };
        let base = 0x900_0000;
        let encoded = data.encode(base).unwrap();
        assert_eq!(encoded.bytes.len() as u64, data.size());
        let mut kinds = Vec::new();
        let mut at = encoded.head;
        while at != 0 {
            let offset = usize::try_from(at - base).unwrap();
            kinds.push((
                u32_at(&encoded.bytes, offset + 8).unwrap(),
                u32_at(&encoded.bytes, offset + 12).unwrap(),
            ));
            at = u64_at(&encoded.bytes, offset).unwrap();
        }
        assert_eq!(kinds, [(1, 60), (4, 96), (9, 32)]);
        let (map, size) = encoded.efi_map.unwrap();
        assert_eq!(size, 80);
        let map = &encoded.bytes[usize::try_from(map - base).unwrap()..];
        assert_eq!((u64_at(map, 8), u64_at(map, 48)), (Some(0x1000), Some(0x2000)), "sorted by address");
    }

    #[test]
    fn nothing_to_say_takes_no_segment() {
        let data = SetupData::default();
        assert_eq!(data.size(), 0);
        assert_eq!(data.encode(0x1000).unwrap().head, 0);
    }
}
