// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed layouts of `elf(5)` as they lie in memory, generic over byte order.

use zerocopy::byteorder::{U16, U32, U64};
use zerocopy::{ByteOrder, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `EI_NIDENT`.
pub(crate) const IDENT_LEN: usize = 16;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Ehdr64<O: ByteOrder> {
    pub e_ident: [u8; IDENT_LEN],
    pub e_type: U16<O>,
    pub e_machine: U16<O>,
    pub e_version: U32<O>,
    pub e_entry: U64<O>,
    pub e_phoff: U64<O>,
    pub e_shoff: U64<O>,
    pub e_flags: U32<O>,
    pub e_ehsize: U16<O>,
    pub e_phentsize: U16<O>,
    pub e_phnum: U16<O>,
    pub e_shentsize: U16<O>,
    pub e_shnum: U16<O>,
    pub e_shstrndx: U16<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Ehdr32<O: ByteOrder> {
    pub e_ident: [u8; IDENT_LEN],
    pub e_type: U16<O>,
    pub e_machine: U16<O>,
    pub e_version: U32<O>,
    pub e_entry: U32<O>,
    pub e_phoff: U32<O>,
    pub e_shoff: U32<O>,
    pub e_flags: U32<O>,
    pub e_ehsize: U16<O>,
    pub e_phentsize: U16<O>,
    pub e_phnum: U16<O>,
    pub e_shentsize: U16<O>,
    pub e_shnum: U16<O>,
    pub e_shstrndx: U16<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Phdr64<O: ByteOrder> {
    pub p_type: U32<O>,
    pub p_flags: U32<O>,
    pub p_offset: U64<O>,
    pub p_vaddr: U64<O>,
    pub p_paddr: U64<O>,
    pub p_filesz: U64<O>,
    pub p_memsz: U64<O>,
    pub p_align: U64<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Phdr32<O: ByteOrder> {
    pub p_type: U32<O>,
    pub p_offset: U32<O>,
    pub p_vaddr: U32<O>,
    pub p_paddr: U32<O>,
    pub p_filesz: U32<O>,
    pub p_memsz: U32<O>,
    pub p_flags: U32<O>,
    pub p_align: U32<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Nhdr<O: ByteOrder> {
    pub n_namesz: U32<O>,
    pub n_descsz: U32<O>,
    pub n_type: U32<O>,
}
