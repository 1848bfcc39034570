//! riscv64: its object, its relocations, and what its hand-over looks like.

pub(crate) mod reloc;

use kdump_elf::Arch;
use kdump_segments::purgatory::{Entry, Serial, SerialPort};

use crate::{Error, LinkedImage};

/// Built by `cargo xtask purgatory`.
pub(crate) const OBJECT: &[u8] = include_bytes!("../../objects/riscv64.o");

/// The address the next kernel is entered at, and its device tree.
pub(crate) fn enter(image: &mut LinkedImage, entry: Entry) -> Result<(), Error> {
    let Entry::Riscv64 { kernel, dtb } = entry else { return Err(Error::Entry { arch: Arch::Riscv64 }) };
    image.set("riscv64_kernel_entry", &kernel.to_le_bytes())?;
    image.set("riscv64_dtb_addr", &dtb.to_le_bytes())
}

/// Where a 16550 has its registers, a byte each; it keeps the speed the dead kernel gave it.
pub(crate) fn serial(image: &mut LinkedImage, port: Option<Serial>) -> Result<(), Error> {
    let refused = |what| Err(Error::Unsupported { what, arch: Arch::Riscv64 });
    let sink = match port {
        None => 0,
        Some(Serial { baud: Some(_), .. }) => return refused("setting the speed of a serial port"),
        Some(Serial { port: SerialPort::Mmio(address), .. }) => address,
        Some(_) => return refused("a serial port that has no address: give that of a 16550's registers"),
    };
    image.set("riscv64_sink", &sink.to_le_bytes())
}
