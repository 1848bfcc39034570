//! Dumps of machines under Xen and of its domains, known by its notes (xen/include/public/elfnote.h,
//! docs/misc/dump-core-format.txt of Xen).

use alloc::string::String;

use kdump_elf::{Class, Ehdr, Endian};

use super::NoteTable;
use crate::error::Error;
use crate::source::ReadAt;

/// XEN_ELFNOTE_CRASH_INFO and XEN_ELFNOTE_CRASH_REGS: the hypervisor was below when it died.
const CRASH: [u32; 2] = [0x100_0001, 0x100_0002];
const NAME: &[u8] = b"Xen";
const SHT_NOTE: u32 = 7;
/// Sections that are looked at; `xl` writes six.
const MAX_SECTIONS: u16 = 64;

/// What a domain's core file is, and what to do with it.
const DOMAIN: &str = "an ELF core of a Xen domain by `xl dump-core`, which has sections in place of program \
                      headers; crash reads it";

/// The note with the hypervisor's own VMCOREINFO.
const INFO: &[u8] = b"VMCOREINFO_XEN";

/// Whether a kernel under Xen died: the memory is the machine's, whose page numbers are not those
/// of the kernel.
pub(crate) fn was_below(notes: &NoteTable) -> bool {
    notes.iter().any(|note| note.name == NAME && CRASH.contains(&note.n_type) || note.name == INFO)
}

/// What such a dump says of itself, for people.
pub(super) fn detail(notes: &NoteTable) -> Option<(&'static str, String)> {
    let text = "was below: memory is the machine's and can be read by physical address; no address of the \
                kernel is translated, which crash does";
    was_below(notes).then(|| ("xen", text.into()))
}

/// Refuses the core file of a domain, which has no program headers: it would be a dump of nothing.
pub(super) fn refuse_domain(source: &dyn ReadAt, ehdr: &Ehdr) -> Result<(), Error> {
    for index in 0..ehdr.e_shnum.min(MAX_SECTIONS) {
        let at = ehdr.e_shoff.saturating_add(u64::from(index).saturating_mul(ehdr.e_shentsize.into()));
        let mut section = [0; 64];
        // What is not there tells nothing.
        let Some(shdr) = section.get_mut(..usize::from(ehdr.encoding.shdr_size())) else { continue };
        if source.read_full_at(at, shdr).is_err() {
            continue;
        }
        let number =
            |at: usize, len: usize| number(shdr.get(at..at.saturating_add(len)), ehdr.encoding.endian);
        // sh_type, sh_offset.
        let offset = match ehdr.encoding.class {
            Class::Elf64 => number(24, 8),
            Class::Elf32 => number(16, 4),
        };
        // A note's header has three words, then comes its name with the zero.
        let mut name = [0; 4];
        let read = source.read_full_at(offset.saturating_add(12), &mut name);
        if number(4, 4) == u64::from(SHT_NOTE) && read.is_ok() && name == *b"Xen\0" {
            return Err(Error::Unsupported { what: DOMAIN });
        }
    }
    Ok(())
}

fn number(bytes: Option<&[u8]>, endian: Endian) -> u64 {
    endian.unsigned(bytes.unwrap_or_default()).unwrap_or(0)
}
