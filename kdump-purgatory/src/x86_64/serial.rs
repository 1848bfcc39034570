//! The serial port the purgatories of x86 write to.

use kdump_elf::Arch;
use kdump_segments::purgatory::{Serial, SerialPort};

use crate::patch::set;
use crate::{Error, LinkedImage};

/// The clock of a PC's UART divided by 16; line speeds are its divisors.
const BAUD_MAX: u32 = 115_200;

/// Writes where to say what happens; the program only knows ports behind I/O instructions.
pub(crate) fn serial(image: &mut LinkedImage, arch: Arch, port: Option<Serial>) -> Result<(), Error> {
    set(image, "console_serial", &[u8::from(port.is_some())], port.is_some())?;
    let Some(Serial { port, baud }) = port else {
        return Ok(());
    };
    let base = match port {
        SerialPort::Port(base) => base,
        SerialPort::Mmio(address) => return Err(Error::SerialPort { address, arch }),
        _ => return Err(Error::Unsupported { what: "a serial port of this kind", arch }),
    };
    if let Some(baud) = baud.filter(|baud| BAUD_MAX.checked_rem(*baud) != Some(0)) {
        return Err(Error::Baud { baud, limit: BAUD_MAX });
    }
    image.set("serial_base", &base.to_le_bytes())?;
    image.set("serial_baud", &baud.unwrap_or(0).to_le_bytes())
}
