//! The dump formats, told apart by their first bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::part::{Part, head};
use super::{Format, elf, flattened, kdump};
use crate::error::Error;

/// Opens a dump of one format from its parts, of which there is one at least.
type Open = for<'s> fn(Vec<Part<'s>>) -> Result<Box<dyn Format + 's>, Error>;

/// A format and how it is dealt with.
struct Known {
    signature: &'static [u8],
    /// What opens it; or why nothing does, and what to do instead.
    open: Result<Open, &'static str>,
}

/// The formats that are read; a format is added by its line.
const FORMATS: &[Known] = &[
    Known { signature: b"\x7fELF", open: Ok(elf::open) },
    Known { signature: b"KDUMP   ", open: Ok(kdump::open) },
    Known { signature: b"DISKDUMP", open: Ok(kdump::open) },
    Known { signature: flattened::SIGNATURE, open: Ok(flattened::open) },
];

/// A format that is not read, and what to do about it.
const fn foreign(signature: &'static [u8], what: &'static str) -> Known {
    Known { signature, open: Err(what) }
}

const LKCD: &str = "an LKCD dump; crash and libkdumpfile read it";
const S390: &str = "an s390 stand-alone dump; `zgetdump -f elf` makes an ELF core of it";
const XEN_CORE: &str =
    "a core file of a Xen domain in its old format; crash reads it, `xl dump-core` writes ELF";
const VMWARE: &str = "a VMware suspend or snapshot file; crash reads it, `vmss2core` makes an ELF core of it";

/// The formats that are known by name alone.
const FOREIGN: &[Known] = &[
    foreign(b"\xa8\x19\x01\x73\x61\x8f\x23\xed", LKCD),
    foreign(b"\xed\x23\x8f\x61\x73\x01\x19\xa8", LKCD),
    foreign(b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", S390),
    // On several volumes, or of more than the first version can have.
    foreign(b"\xa8\x19\x01\x73\x61\x8f\x23\xfe", S390),
    foreign(b"sadump\0\0", "a dump of Fujitsu's sadump; `makedumpfile` makes a kdump-compressed dump of it"),
    foreign(b"\xed\xeb\x0f\xf0", XEN_CORE),
    foreign(b"\xf0\x0f\xeb\xed", XEN_CORE),
    foreign(b"LinuxGuestRecord", "a saved Xen domain; restore it and dump it with `xl dump-core`"),
    foreign(b"PAGEDU64", "a dump of a Windows kernel, which is not about Linux; WinDbg reads it"),
    foreign(b"PAGEDUMP", "a dump of a Windows kernel, which is not about Linux; WinDbg reads it"),
    foreign(b"QEVM", "a migration stream of QEMU; make a dump with its command `dump-guest-memory`"),
    foreign(b"LibvirtQemud", "a saved libvirt domain; make a dump with `virsh dump --memory-only`"),
    foreign(b"\xd0\xbe\xd2\xbe", VMWARE),
    foreign(b"\xd2\xbe\xd2\xbe", VMWARE),
    foreign(b"\xd3\xbe\xd2\xbe", VMWARE),
    foreign(b"EMiL", "a memory image of LiME; Volatility reads it"),
    foreign(b"AVML", "a memory image of AVML; `avml-convert` makes a raw image of it"),
    foreign(b"\x1f\x8b", "a file compressed with gzip; `gunzip` it first"),
    foreign(b"\xfd7zXZ\0", "a file compressed with xz; `unxz` it first"),
    foreign(b"\x28\xb5\x2f\xfd", "a file compressed with zstd; `unzstd` it first"),
    foreign(b"\x04\x22\x4d\x18", "a file compressed with lz4; `unlz4` it first"),
    foreign(b"BZh", "a file compressed with bzip2; `bunzip2` it first"),
];

/// Recognises the format by the first part and opens the dump.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Box<dyn Format + '_>, Error> {
    let Some(first) = parts.first() else {
        return Err(Error::Unsupported { what: "a dump of no file; name one at least" });
    };
    let mut head = head(&**first)?;
    for part in parts.iter().skip(1) {
        // A set may have parts that are streams and others that are not.
        let other = super::part::head(&**part)?;
        if other.starts_with(flattened::SIGNATURE) {
            head = other;
        }
    }
    let found = head.first_chunk::<8>().copied().unwrap_or_default();
    let known = FORMATS.iter().chain(FOREIGN).find(|known| head.starts_with(known.signature));
    match known.ok_or(Error::UnknownFormat { found })?.open {
        Ok(open) => open(parts),
        Err(what) => Err(Error::Unsupported { what }),
    }
}
