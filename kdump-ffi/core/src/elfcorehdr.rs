//! ELF core headers in buffers of the caller: no handle, no allocation.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::{CoreHeader, Encoding, HeaderLayout, Phdr};

use crate::error::libkdump_error;
use crate::{
    Bytes, BytesMut, Failure, Flow, In, InOut, Items, Out, arch_number, buffer, c_layout, call,
    encoding_numbers, extensible, known_flags, slice,
};

/// `p_type` of a segment that is memory.
pub const LIBKDUMP_PT_LOAD: u32 = 1;
/// `p_type` of a segment of notes.
pub const LIBKDUMP_PT_NOTE: u32 = 4;
/// `p_flags` read, write and execute together, as dumps mark all memory.
pub const LIBKDUMP_PF_RWX: u32 = 7;

/// `flags` of struct libkdump_elf_params: the header begins a core file. 65535 and more
/// program headers are then allowed (PN_XNUM), which an elfcorehdr cannot have.
pub const LIBKDUMP_ELF_FILE: u32 = 1;

/// An ELF program header with the names of elf(5), widened to 64 bits.
///
/// It never grows, so it has no size field and arrays of it are plain arrays. In an
/// elfcorehdr `p_offset` is a physical address of the dead kernel's memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of elf(5), one to one")]
pub struct libkdump_phdr {
    pub p_type: u32,
    pub p_flags: u32,
    pub p_offset: u64,
    pub p_vaddr: u64,
    pub p_paddr: u64,
    pub p_filesz: u64,
    pub p_memsz: u64,
    pub p_align: u64,
}

c_layout!(libkdump_phdr {
    p_type: u32,
    p_flags: u32,
    p_offset: u64,
    p_vaddr: u64,
    p_paddr: u64,
    p_filesz: u64,
    p_memsz: u64,
    p_align: u64,
});

impl From<Phdr> for libkdump_phdr {
    fn from(phdr: Phdr) -> Self {
        let Phdr { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align } = phdr;
        Self { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align }
    }
}

impl From<libkdump_phdr> for Phdr {
    fn from(phdr: libkdump_phdr) -> Self {
        let libkdump_phdr { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align } = phdr;
        Self { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align }
    }
}

/// What an ELF core header is to be.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_elf_params {
    /// `sizeof (struct libkdump_elf_params)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
    pub elf_class: u32,
    /// LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
    pub endian: u32,
    /// `e_machine`, for example 62 for x86_64 (libkdump_arch_get_info()).
    pub e_machine: u32,
    /// How many program headers there will be.
    pub phnum: u32,
    /// 0 or LIBKDUMP_ELF_FILE.
    pub flags: u32,
}

extensible!(libkdump_elf_params { elf_class: u32, endian: u32, e_machine: u32, phnum: u32, flags: u32 });

/// What an ELF core header says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_elf_header {
    /// `sizeof (struct libkdump_elf_header)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
    pub elf_class: u32,
    /// LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
    pub endian: u32,
    /// `e_type`; 4 is a core.
    pub e_type: u32,
    /// `e_machine`.
    pub e_machine: u32,
    /// LIBKDUMP_ARCH_ number, LIBKDUMP_ARCH_UNKNOWN for others.
    pub arch: u32,
    /// The number of program headers, the extended one where the file uses PN_XNUM.
    pub phnum: u32,
    /// `e_flags`.
    pub e_flags: u32,
    /// Offset of the first program header.
    pub e_phoff: u64,
}

extensible!(libkdump_elf_header {
    elf_class: u32,
    endian: u32,
    e_type: u32,
    e_machine: u32,
    arch: u32,
    phnum: u32,
    e_flags: u32,
    e_phoff: u64,
});

/// How many bytes the header takes; known before a byte is written.
///
/// Parameters: `params` what it is to be; `bytes` receives the size; `error` may be NULL.
/// Errors: LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_TOO_LARGE for 65535 or more program headers
/// without LIBKDUMP_ELF_FILE.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_elfcorehdr_size(
    params: In<'_, libkdump_elf_params>,
    bytes: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || bytes.set("bytes", layout(params)?.size()))
}

/// Writes the header and its program headers.
///
/// Parameters: `params` what it is to be; `phdrs` an array of `params->phnum` program headers;
/// `buf` and `len` the buffer, which keeps no reference; `written` (may be NULL) receives the
/// size; `error` may be NULL. Errors: those of libkdump_elfcorehdr_size(), LIBKDUMP_ERR_BUFFER
/// with `need`, LIBKDUMP_ERR_TOO_LARGE when a value does not fit ELF32.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_elfcorehdr_encode(
    params: In<'_, libkdump_elf_params>,
    phdrs: Items<'_, libkdump_phdr>,
    buf: BytesMut<'_>,
    len: usize,
    written: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let layout = layout(params)?;
        let phnum = usize::try_from(params.get("params")?.phnum).unwrap_or(usize::MAX);
        let phdrs = slice!(phdrs, phnum)?;
        let mut writer = layout.writer(buffer!(buf, len)?)?;
        for phdr in phdrs {
            writer.push(&Phdr::from(*phdr))?;
        }
        written.set_if_given("written", writer.finish()?)
    })
}

/// Reads the header of an elfcorehdr or core file.
///
/// Parameters: `buf` and `len` the bytes from the start of the file on, which must hold the
/// whole table of program headers; `out` receives the header; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_TRUNCATED with offset and `need`, LIBKDUMP_ERR_CORRUPT naming the field.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_elfcorehdr_parse(
    buf: Bytes<'_>,
    len: usize,
    out: InOut<'_, libkdump_elf_header>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let header = CoreHeader::parse(slice!(buf, len)?)?;
        let ehdr = header.ehdr();
        let (elf_class, endian) = encoding_numbers(ehdr.encoding);
        let arch = kdump_elf::Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
        out.set(
            "out",
            libkdump_elf_header {
                size: 0,
                elf_class,
                endian,
                e_type: u32::from(ehdr.e_type),
                e_machine: u32::from(ehdr.e_machine),
                arch: arch_number(arch),
                phnum: header.phnum(),
                e_flags: ehdr.e_flags,
                e_phoff: ehdr.e_phoff,
            },
        )
    })
}

/// Reads one program header of an elfcorehdr or core file.
///
/// Parameters: `buf` and `len` as for libkdump_elfcorehdr_parse(); `index` from 0; `out`
/// receives the program header; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
/// those of libkdump_elfcorehdr_parse().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_elfcorehdr_phdr(
    buf: Bytes<'_>,
    len: usize,
    index: u32,
    out: Out<'_, libkdump_phdr>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let bytes = slice!(buf, len)?;
        let header = CoreHeader::parse(bytes)?;
        let Some(phdr) = nth_phdr(&header, bytes, index)? else { return Ok::<_, Failure>(Flow::End) };
        out.set("out", phdr.into())?;
        Ok(Flow::Done)
    })
}

/// One program header without a walk over those before it; `None` behind the last.
pub(crate) fn nth_phdr(header: &CoreHeader<'_>, bytes: &[u8], index: u32) -> Result<Option<Phdr>, Failure> {
    if index >= header.phnum() {
        return Ok(None);
    }
    let (start, _) = header.ehdr().phdr_table(index)?;
    let skip = u64::from(index).saturating_mul(u64::from(header.encoding().phdr_size()));
    let at = usize::try_from(start.saturating_add(skip)).unwrap_or(usize::MAX);
    Ok(Some(Phdr::parse(bytes.get(at..).unwrap_or_default(), header.encoding())?))
}

fn layout(params: In<'_, libkdump_elf_params>) -> Result<HeaderLayout, Failure> {
    let libkdump_elf_params { size: _, elf_class, endian, e_machine, phnum, flags } = params.get("params")?;
    let encoding = Encoding { class: crate::class(elf_class)?, endian: crate::endian(endian)? };
    let e_machine = u16::try_from(e_machine).map_err(|_| Failure::Argument {
        name: "e_machine",
        value: u64::from(e_machine),
        expected: "at most 0xffff",
    })?;
    match known_flags("flags", flags, LIBKDUMP_ELF_FILE)? {
        LIBKDUMP_ELF_FILE => Ok(HeaderLayout::file(encoding, e_machine, phnum)),
        _ => Ok(HeaderLayout::elfcorehdr(encoding, e_machine, phnum)?),
    }
}
