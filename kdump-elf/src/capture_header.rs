// SPDX-License-Identifier: MIT OR Apache-2.0
//! The elfcorehdr a capture kernel was given, judged before anything it names is touched.
//!
//! The purgatory's digest does not cover it, so it is as hostile as the dead kernel was.
//! Stricter than Linux, which takes the program headers to follow the file header without
//! looking at `e_phoff`, and lets sums wrap. A PT_NOTE is never a reason to refuse: what is
//! wrong with one costs at most its own notes.

use zerocopy::{FromBytes, LE, U16};

use crate::raw::IDENT_LEN;
use crate::{Arch, CoreHeader, ET_CORE, Ehdr, Encoding, Endian, Error, PT_LOAD, PT_NOTE, Phdr, align_up};

/// The most bytes that are read for the notes of all PT_NOTEs of an elfcorehdr together: 8192
/// CPUs with a page each.
pub const MAX_CAPTURE_NOTES: u64 = 32 << 20;
/// The most program headers of an elfcorehdr: `e_phnum` as it stands, without the extended
/// count, which Linux does not know there either.
pub const MAX_CAPTURE_PHDRS: u32 = 65534;

/// Bytes of [`CaptureHeader::judge_loads`]'s scratch memory per PT_LOAD.
const SCRATCH: usize = 2;

/// An elfcorehdr that describes a file, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct CaptureHeader<'a> {
    core: CoreHeader<'a>,
    ident: [u8; IDENT_LEN],
    note_phdrs: u32,
    load_phdrs: u32,
    /// Bytes that all notes may take, each PT_NOTE padded to 4.
    note_room: u64,
}

impl<'a> CaptureHeader<'a> {
    /// Parses and judges `bytes`; what follows the program headers is not looked at. `arch` is
    /// that of the capture kernel, `None` accepts all. Whether PT_LOADs contradict each other
    /// takes memory to find out: [`CaptureHeader::judge_loads`].
    ///
    /// # Errors
    /// Those of [`CoreHeader::parse`]; [`Error::Field`] or [`Error::Phdr`] naming what is
    /// wrong: guessing would show wrong memory.
    pub fn parse(bytes: &'a [u8], arch: Option<Arch>) -> Result<Self, Error> {
        let ehdr = Ehdr::parse(bytes)?;
        judge_ehdr(&ehdr, arch)?;
        let core = CoreHeader::parse(bytes)?;
        let known = Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
        let last = known.map_or(u64::MAX, Arch::last_paddr);
        let (mut note_phdrs, mut load_phdrs, mut note_room) = (0_u32, 0_u32, 0_u64);
        for (index, phdr) in (0_u32..).zip(core.phdrs()) {
            match phdr.p_type {
                PT_NOTE => {
                    note_phdrs = note_phdrs.saturating_add(1);
                    note_room = note_room.saturating_add(align_up(phdr.p_memsz, 4).unwrap_or(u64::MAX));
                }
                PT_LOAD => {
                    load_phdrs = load_phdrs.saturating_add(1);
                    judge_load(index, &phdr, core.encoding(), last)?;
                }
                // The layout of the file refuses other types and the wrong order.
                _ => {}
            }
        }
        let ident = bytes.first_chunk().copied().unwrap_or_default();
        Ok(Self { core, ident, note_phdrs, load_phdrs, note_room })
    }

    /// How many bytes [`CaptureHeader::parse`] needs, by the file header ([`Ehdr::parse`],
    /// [`Ehdr::read`]): at most 64 and 56 times [`MAX_CAPTURE_PHDRS`].
    ///
    /// # Errors
    /// As [`CaptureHeader::parse`], for what stands in the file header.
    pub fn size_of(ehdr: &Ehdr, arch: Option<Arch>) -> Result<u64, Error> {
        judge_ehdr(ehdr, arch)?;
        let (offset, size) = ehdr.phdr_table(u32::from(ehdr.e_phnum))?;
        Ok(offset.saturating_add(size))
    }

    /// The header without the judgement.
    #[must_use]
    pub fn core(&self) -> &CoreHeader<'a> {
        &self.core
    }

    /// `e_ident` as it stands, unused bytes included: the vmcore shows the same.
    pub(crate) fn ident(&self) -> &[u8; IDENT_LEN] {
        &self.ident
    }

    /// The number of PT_NOTEs.
    #[must_use]
    pub fn note_phdrs(&self) -> u32 {
        self.note_phdrs
    }

    /// How many bytes of the notes of `phdr`, a PT_NOTE, are read when there is room for
    /// `limit` bytes of all notes. Where all together say they have more, each gets the same
    /// share, so that a size that is wrong costs the other PT_NOTEs nothing.
    pub(crate) fn notes_to_read(&self, phdr: &Phdr, limit: u64) -> u64 {
        // Whole words, as each is padded to one.
        let share = limit.checked_div(u64::from(self.note_phdrs)).unwrap_or(0) & !3;
        let most = if self.note_room <= limit { u64::MAX } else { share };
        let last = self.core.encoding().word_max();
        phdr.p_memsz.min(most).min(last.saturating_sub(phdr.p_offset))
    }

    /// Bytes that all notes may take, each PT_NOTE padded to 4.
    pub(crate) fn note_room(&self) -> u64 {
        self.note_room
    }

    /// Bytes of scratch memory for [`CaptureHeader::judge_loads`].
    #[must_use]
    pub fn scratch_size(&self) -> usize {
        usize::try_from(self.load_phdrs).unwrap_or(usize::MAX).saturating_mul(SCRATCH)
    }

    /// Refuses PT_LOADs that say of one physical address that it is at two places. Those that
    /// agree, as the kernel's text and the RAM it is in, may overlap. `scratch` is
    /// overwritten. Takes O(n log n) time.
    ///
    /// # Errors
    /// [`Error::Phdr`], and [`Error::Buffer`] when `scratch` is shorter than
    /// [`CaptureHeader::scratch_size`].
    pub fn judge_loads(&self, scratch: &mut [u8]) -> Result<(), Error> {
        let have = scratch.len() as u64;
        let count = usize::try_from(self.load_phdrs).unwrap_or(usize::MAX);
        let Ok((order, _)) = <[U16<LE>]>::mut_from_prefix_with_elems(scratch, count) else {
            return Err(Error::Buffer { need: self.scratch_size() as u64, have });
        };
        let loads = (0_u16..).zip(self.core.phdrs()).filter(|(_, phdr)| phdr.p_type == PT_LOAD);
        for ((index, _), place) in loads.zip(order.iter_mut()) {
            place.set(index);
        }
        let phdr = |index: &U16<LE>| self.core.phdr(u32::from(index.get()));
        order.sort_unstable_by_key(|index| (phdr(index).map(|phdr| phdr.p_paddr), index.get()));
        // Of those so far, all of which agree where they overlap, the one that reaches farthest.
        let mut farthest: Option<Phdr> = None;
        for index in order.iter() {
            let (index, found) = (u32::from(index.get()), phdr(index));
            let expected = "a program header of the table";
            let missing = Error::Phdr { index, field: "index", value: u64::from(index), expected };
            let phdr = found.ok_or(missing)?;
            if phdr.p_memsz == 0 {
                continue;
            }
            let end = |phdr: &Phdr| phdr.p_paddr.saturating_add(phdr.p_memsz);
            let shift = |phdr: &Phdr| phdr.p_offset.wrapping_sub(phdr.p_paddr);
            if farthest.is_some_and(|last| phdr.p_paddr < end(&last) && shift(&last) != shift(&phdr)) {
                let expected = "the place another PT_LOAD gives for the same p_paddr";
                return Err(Error::Phdr { index, field: "p_offset", value: phdr.p_offset, expected });
            }
            if farthest.is_none_or(|last| end(&last) < end(&phdr)) {
                farthest = Some(phdr);
            }
        }
        Ok(())
    }
}

fn judge_ehdr(ehdr: &Ehdr, arch: Option<Arch>) -> Result<(), Error> {
    let wrong = |field, value: u64, expected| Err(Error::Field { field, value, expected });
    if ehdr.e_type != ET_CORE {
        return wrong("e_type", u64::from(ehdr.e_type), "4 (ET_CORE)");
    }
    if arch.is_some_and(|arch| arch.e_machine() != ehdr.e_machine) {
        return wrong("e_machine", u64::from(ehdr.e_machine), "the machine of the capture kernel");
    }
    let known = Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
    // Of the architectures known here only ARM and PowerPC have kernels of either byte order.
    let one_order = |arch| !matches!(arch, Arch::Arm | Arch::Arm64 | Arch::Ppc32 | Arch::Ppc64);
    if known.is_some_and(|arch| one_order(arch) && arch.endian() != ehdr.encoding.endian) {
        let value = if ehdr.encoding.endian == Endian::Little { 1 } else { 2 };
        return wrong("EI_DATA", value, "the byte order of e_machine");
    }
    if ehdr.e_ehsize != ehdr.encoding.ehdr_size() {
        return wrong("e_ehsize", u64::from(ehdr.e_ehsize), "the size of the file header");
    }
    if ehdr.e_phoff != u64::from(ehdr.encoding.ehdr_size()) {
        return wrong("e_phoff", ehdr.e_phoff, "program headers directly behind the file header");
    }
    if !(1..=MAX_CAPTURE_PHDRS).contains(&u32::from(ehdr.e_phnum)) {
        return wrong("e_phnum", u64::from(ehdr.e_phnum), "1 to 65534");
    }
    Ok(())
}

fn judge_load(index: u32, phdr: &Phdr, encoding: Encoding, last: u64) -> Result<(), Error> {
    let wrong = |field, value, expected| Err(Error::Phdr { index, field, value, expected });
    let ends = |start: u64| start.checked_add(phdr.p_memsz).is_some_and(|end| end <= encoding.word_max());
    if !ends(phdr.p_offset) {
        return wrong("p_offset", phdr.p_offset, "an end inside the address space");
    }
    if !ends(phdr.p_paddr) {
        return wrong("p_paddr", phdr.p_paddr, "an end inside the address space");
    }
    // As kexec-tools writes it for kernels whose kallsyms has no _text: it would make a file of exabytes.
    if phdr.p_memsz != 0 && phdr.p_paddr.saturating_add(phdr.p_memsz.saturating_sub(1)) > last {
        return wrong("p_memsz", phdr.p_memsz, "an end among the machine's physical addresses");
    }
    if phdr.p_align != 0 && !phdr.p_align.is_power_of_two() {
        return wrong("p_align", phdr.p_align, "0 or a power of two");
    }
    if phdr.p_filesz != phdr.p_memsz {
        return wrong("p_filesz", phdr.p_filesz, "the value of p_memsz");
    }
    Ok(())
}
