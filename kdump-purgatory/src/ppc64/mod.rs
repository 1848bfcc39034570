//! ppc64le: its object, its relocations, and what its hand-over looks like.

pub(crate) mod reloc;

use kdump_elf::Arch;
use kdump_segments::purgatory::{Entry, Handover, MismatchAction, Serial, SerialPort};

use crate::{Error, LinkedImage};

/// Built by `cargo xtask purgatory`.
pub(crate) const OBJECT: &[u8] = include_bytes!("../../objects/ppc64le.o");

/// Bytes at the beginning of a kernel that the dead one copies to address 0, without the first
/// instruction, which is the purgatory's own.
const HEAD: core::ops::Range<usize> = 4..0x100;

/// The address the next kernel is entered at, its device tree, and its first instructions, in which the
/// other processors wait.
pub(crate) fn enter(image: &mut LinkedImage, handover: &Handover<'_>) -> Result<(), Error> {
    let Entry::Ppc64 { kernel, dtb } = handover.entry else {
        return Err(Error::Entry { arch: Arch::Ppc64 });
    };
    let of_kernel = handover.regions.iter().find(|region| region.start == kernel);
    let head = of_kernel.and_then(|region| region.bytes.get(HEAD)).ok_or(Error::Region {
        start: kernel,
        size: of_kernel.map_or(0, |region| crate::elf::length(region.bytes)),
        why: "does not hold the first 256 bytes of the kernel, in which other processors wait",
    })?;
    image.set("purgatory_head", head)?;
    image.set("ppc64_kernel_entry", &kernel.to_le_bytes())?;
    image.set("ppc64_dtb_addr", &dtb.to_le_bytes())
}

/// The unit address of a virtual terminal, which has no speed.
pub(crate) fn serial(image: &mut LinkedImage, port: Option<Serial>) -> Result<(), Error> {
    let refused = |what| Err(Error::Unsupported { what, arch: Arch::Ppc64 });
    let terminal = match port {
        None => None,
        Some(Serial { baud: Some(_), .. }) => return refused("setting the speed of a serial port"),
        Some(Serial { port: SerialPort::Mmio(address), .. }) => match u32::try_from(address) {
            Ok(terminal) => Some(terminal),
            Err(_) => return refused("a unit address of a virtual terminal above 32 bits"),
        },
        Some(_) => {
            return refused("a serial port behind I/O ports: give the unit address of a virtual terminal");
        }
    };
    image.set("console_serial", &[u8::from(terminal.is_some())])?;
    image.set("ppc64_terminal", &terminal.unwrap_or(0).to_le_bytes())
}

/// What can be done about a mismatch.
pub(crate) fn check_action(action: MismatchAction) -> Result<(), Error> {
    match action {
        MismatchAction::Halt | MismatchAction::Continue => Ok(()),
        MismatchAction::Reset => {
            Err(Error::Unsupported { what: "resetting the machine on a mismatch", arch: Arch::Ppc64 })
        }
        _ => Err(Error::Unsupported { what: "this action on a mismatch", arch: Arch::Ppc64 }),
    }
}
