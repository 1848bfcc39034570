//! The kernel of an x86 load: where it goes and how it is entered.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange};

use super::boot_params::fake_setup_header;
use super::builder::{POINTER_MAX_32, X86Builder};
use super::paging::five_level_paging;
use crate::image::{BzImage, Image, Vmlinux};
use crate::placement::{Direction, Request};
use crate::plan::PlanInputs;
use crate::plan::builder::NO_LIMIT;
use crate::purgatory::Entry;
use crate::segment::SegmentKind;
use crate::{Error, room};

const KERNEL_MIN: u64 = 1 << 20;
/// Highest byte of a kernel entered in 32-bit mode, or of its ramdisk where it does not tell.
const KERNEL_MAX_32: u64 = 0x37ff_ffff;

/// Where the capture kernel is entered, before boot_params has an address.
#[derive(Clone, Copy)]
pub(super) enum KernelEntry {
    Bits64(u64),
    Bits32(u32),
}

impl<'a> X86Builder<'_, 'a> {
    pub(super) fn kernel(&mut self) -> Result<KernelEntry, Error> {
        let images = self.common.images;
        match &images.kernel {
            Image::BzImage(image) => self.bzimage(image),
            Image::Vmlinux(image) => self.vmlinux(image),
            Image::Flat(image) => Err(foreign(image.arch)),
        }
    }

    /// A relocatable kernel below its preferred address would move itself up to it, out of
    /// what was reserved for it.
    fn bzimage(&mut self, image: &BzImage<'a>) -> Result<KernelEntry, Error> {
        let header = &image.header;
        let i386 = self.common.inputs.machine.arch == Arch::I386;
        if self.bits32 && !self.common.inputs.options.entry_32bit && !i386 {
            self.common.notes.push(String::from(
                "the kernel has no 64-bit entry, or not above 4 GiB: it is entered in 32-bit mode",
            ));
        }
        if !self.bits32 && !header.five_level() && five_level_paging(self.common.inputs.machine) {
            return Err(Error::Conflict {
                what: "kernel image",
                reason: String::from(
                    "the running kernel uses 5-level paging, with which this one cannot be entered (XLF_5LEVEL)",
                ),
            });
        }
        let min = header.pref_address.max(KERNEL_MIN);
        let range = if header.relocatable_kernel {
            let (direction, max) = if self.bits32 {
                (Direction::BottomUp, KERNEL_MAX_32.min(u64::from(header.initrd_addr_max)))
            } else {
                (Direction::TopDown, NO_LIMIT)
            };
            let align = u64::from(header.kernel_alignment);
            self.common.placement.place(&Request {
                part: "kernel",
                size: image.memsz(),
                align,
                min,
                max,
                direction,
            })?
        } else {
            let range = PhysRange::from_len(min, image.memsz())?;
            self.common.placement.claim("kernel that cannot be moved", range)?;
            range
        };
        self.common.push(SegmentKind::Kernel, range, Cow::Borrowed(image.payload()))?;
        let start = range.start();
        if self.bits32 {
            return entry32(start);
        }
        Ok(KernelEntry::Bits64(start.saturating_add(BzImage::entry_64bit_offset())))
    }

    fn vmlinux(&mut self, image: &Vmlinux<'a>) -> Result<KernelEntry, Error> {
        let span = image.span()?;
        let mut shift = 0;
        if image.relocatable {
            let (part, size, align) = ("kernel", span.size(), image.align);
            let max = if self.bits32 { KERNEL_MAX_32 } else { NO_LIMIT };
            let direction = Direction::TopDown;
            let place = self.common.placement.find(&Request {
                part,
                size,
                align,
                min: KERNEL_MIN,
                max,
                direction,
            })?;
            shift = place.start().wrapping_sub(span.start());
        }
        for chunk in image.chunks() {
            let range = PhysRange::from_len(chunk.paddr.wrapping_add(shift), chunk.memsz)?;
            self.common.placement.claim("kernel linked for a fixed address", range)?;
            self.common.push(SegmentKind::Kernel, range, room::lend("kernel", &chunk.data)?)?;
        }
        let entry = image.entry.wrapping_add(shift);
        if self.bits32 { entry32(entry) } else { Ok(KernelEntry::Bits64(entry)) }
    }

    pub(super) fn setup_header(&self) -> Vec<u8> {
        match &self.common.images.kernel {
            Image::BzImage(image) => image.setup_bytes().to_vec(),
            _ => fake_setup_header(),
        }
    }
}

/// Whether the kernel is entered in 32-bit mode: because it must be or because it was asked. A
/// kernel for x86_64 refuses the core header of i386 and would export no dump.
pub(super) fn entry_is_32bit(image: &Image<'_>, inputs: &PlanInputs<'_>) -> Result<bool, Error> {
    let i386 = inputs.machine.arch == Arch::I386;
    match image {
        Image::BzImage(image) if i386 && image.header.is_64bit() => Err(wide()),
        Image::Vmlinux(image) if i386 && image.arch == Arch::X86_64 => Err(wide()),
        Image::BzImage(_) if i386 => Ok(true),
        Image::BzImage(image) => Ok(inputs.options.entry_32bit || !image.header.entry_64bit()),
        Image::Vmlinux(image) => match image.arch {
            Arch::X86_64 if !inputs.options.entry_32bit => Ok(false),
            Arch::I386 => Ok(true),
            Arch::X86_64 => Err(Error::Conflict {
                what: "kernel image",
                reason: String::from("an ELF kernel for x86_64 has no 32-bit entry: enter it in 64-bit mode"),
            }),
            other => Err(Error::Conflict {
                what: "kernel image",
                reason: alloc::format!(
                    "it is an ELF kernel for {}, which {} cannot enter",
                    other.name(),
                    inputs.machine.arch.name()
                ),
            }),
        },
        Image::Flat(image) => Err(foreign(image.arch)),
    }
}

fn wide() -> Error {
    let reason = String::from(
        "it is for x86_64, whose kernels refuse the core header of an i386 kernel: take one for i386",
    );
    Error::Conflict { what: "kernel image", reason }
}

fn foreign(arch: Arch) -> Error {
    let reason = format!("it is an Image for {}, the machine is x86", arch.name());
    Error::Conflict { what: "kernel image", reason }
}

/// A kernel entered in 32-bit mode lies low. Where the region lies too high for it, no size of the
/// region helps, which a message about missing room would suggest.
pub(super) fn check_32bit_reach(
    image: &Image<'_>,
    inputs: &PlanInputs<'_>,
    region: PhysRange,
) -> Result<(), Error> {
    let (need, min, max) = match image {
        Image::BzImage(image) if image.header.relocatable_kernel => {
            let max = KERNEL_MAX_32.min(u64::from(image.header.initrd_addr_max));
            (image.memsz(), image.header.pref_address.max(KERNEL_MIN), max)
        }
        Image::Vmlinux(image) if image.relocatable => (image.span()?.size(), KERNEL_MIN, KERNEL_MAX_32),
        // It lies where it was linked: another check says whether that is in the region.
        _ => return Ok(()),
    };
    let room = max.saturating_add(1).saturating_sub(region.start().max(min));
    if room >= need || region.last() <= max {
        return Ok(());
    }
    let cure = if inputs.options.entry_32bit {
        "enter it in 64-bit mode"
    } else {
        "take a kernel with a 64-bit entry"
    };
    let reason = alloc::format!(
        "the crash region {region} has {room:#x} bytes at or below {max:#x}, where a kernel entered in 32-bit mode \
         must lie with its {need:#x} bytes; a larger region does not help: {cure}, or reserve at a lower address \
         (crashkernel=SIZE@ADDRESS, without ,high)"
    );
    Err(Error::Conflict { what: "32-bit entry", reason })
}

/// The 64-bit entry takes a ramdisk anywhere.
pub(super) fn initrd_limit(image: &Image<'_>, bits32: bool) -> u64 {
    match image {
        Image::BzImage(image) if bits32 => u64::from(image.header.initrd_addr_max),
        _ if bits32 => KERNEL_MAX_32,
        _ => NO_LIMIT,
    }
}

/// The longest command line the kernel takes, in bytes without the NUL.
pub(super) fn cmdline_limit(image: &Image<'_>) -> u64 {
    match image {
        Image::BzImage(image) => u64::from(image.header.cmdline_size),
        // An ELF kernel does not tell; COMMAND_LINE_SIZE of x86 is 2048 with the NUL.
        _ => 2047,
    }
}

/// Whether the kernel can take over EFI runtime services from a loader that is not
/// firmware (`XLF_EFI_KEXEC`); an ELF kernel does not tell and is taken to be new enough.
pub(super) fn takes_efi(image: &Image<'_>) -> bool {
    match image {
        Image::BzImage(image) => image.header.efi_kexec(),
        _ => true,
    }
}

fn entry32(address: u64) -> Result<KernelEntry, Error> {
    let entry = u32::try_from(address).map_err(|_| Error::Conflict {
        what: "32-bit entry",
        reason: alloc::format!("the kernel would be entered at {address:#x}, above 4 GiB"),
    })?;
    Ok(KernelEntry::Bits32(entry))
}

/// The entry as the purgatory is told.
pub(super) fn purgatory_entry(kernel: KernelEntry, boot_params: u64) -> Result<Entry, Error> {
    Ok(match kernel {
        KernelEntry::Bits64(rip) => Entry::X86Bits64 { rip, boot_params },
        KernelEntry::Bits32(eip) => {
            let limit = POINTER_MAX_32;
            let what = "address of boot_params for a 32-bit entry";
            let boot_params =
                u32::try_from(boot_params).map_err(|_| Error::TooMany { what, value: boot_params, limit })?;
            Entry::X86Bits32 { eip, boot_params }
        }
    })
}
