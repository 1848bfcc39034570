//! arm64: its object, its relocations, and what its hand-over looks like.

pub(crate) mod reloc;

use kdump_elf::Arch;
use kdump_segments::purgatory::{Entry, MismatchAction, Serial, SerialPort};

use crate::patch::set;
use crate::{Error, LinkedImage};

/// Built by `cargo xtask purgatory`.
pub(crate) const OBJECT: &[u8] = include_bytes!("../../objects/arm64.o");

/// The address the next kernel is entered at, and its device tree.
pub(crate) fn enter(image: &mut LinkedImage, entry: Entry) -> Result<(), Error> {
    let Entry::Arm64 { kernel, dtb } = entry else { return Err(Error::Entry { arch: Arch::Arm64 }) };
    image.set("arm64_kernel_entry", &kernel.to_le_bytes())?;
    image.set("arm64_dtb_addr", &dtb.to_le_bytes())
}

/// Where a PL011 has its registers; it keeps the speed the dead kernel gave it.
pub(crate) fn serial(image: &mut LinkedImage, port: Option<Serial>) -> Result<(), Error> {
    let refused = |what| Err(Error::Unsupported { what, arch: Arch::Arm64 });
    let sink = match port {
        None => 0,
        Some(Serial { baud: Some(_), .. }) => return refused("setting the speed of a serial port"),
        Some(Serial { port: SerialPort::Port(_), .. }) => {
            return refused("a serial port behind I/O ports: give the address of a PL011's registers");
        }
        Some(Serial { port: SerialPort::Mmio(address), .. }) => address,
        Some(_) => return refused("a serial port of this kind"),
    };
    image.set("arm64_sink", &sink.to_le_bytes())
}

/// An object that does not know the symbol leaves them off.
pub(crate) fn caches(image: &mut LinkedImage, on: bool) -> Result<(), Error> {
    set(image, "arm64_caches", &u32::from(on).to_le_bytes(), false)
}

/// What can be done about a mismatch.
pub(crate) fn check_action(action: MismatchAction) -> Result<(), Error> {
    match action {
        MismatchAction::Halt | MismatchAction::Continue => Ok(()),
        MismatchAction::Reset => {
            Err(Error::Unsupported { what: "resetting the machine on a mismatch", arch: Arch::Arm64 })
        }
        _ => Err(Error::Unsupported { what: "this action on a mismatch", arch: Arch::Arm64 }),
    }
}
