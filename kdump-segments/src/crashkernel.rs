//! `crashkernel=`: what a command line asks for, and what the kernel would reserve.

use alloc::string::String;

use kdump_elf::Arch;

use crate::Error;

mod memparse;
mod reserve;
mod word;

pub use memparse::memparse;
pub use reserve::{CrashkernelLimits, Reservation};

use word::{Cursor, Kind, last_word};

/// To what the kernel rounds the RAM size up before it compares it with ranges: firmware
/// keeps some for itself (Linux 5.x, kernel/crash_core.c).
const RAM_GRANULE: u64 = 128 << 20;

/// What `crashkernel=` asks for on a machine with a given amount of RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashkernelRequest {
    /// Bytes of the main region.
    pub size: u64,
    /// Where it must begin; `None` leaves the place to the kernel.
    pub base: Option<u64>,
    /// Whether the main region goes above the low limit first (`,high`).
    pub high: bool,
    /// Bytes of the low region (`,low`); `Some(0)` forbids one, `None` leaves it to the
    /// kernel.
    pub low: Option<u64>,
    /// Bytes to be shared with movable memory (`,cma`, Linux 6.17); 0 for none.
    pub cma: u64,
}

setters! {
    CrashkernelRequest {
        base: Option<u64>,
        high: bool,
        low: Option<u64>,
        cma: u64,
    }
}

impl CrashkernelRequest {
    /// A main region of `size` bytes, with everything else left to the kernel.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { size, base: None, high: false, low: None, cma: 0 }
    }

    /// Reads a command line as a kernel with `ram` bytes of RAM does.
    ///
    /// `crashkernel=` counts wherever it stands, up to the next blank, and of each kind
    /// (plain, high, low, cma) the last one does. Range lists are read only up to the range
    /// that matches. `Ok(None)` means that nothing is reserved: there is no such word, or no
    /// range matches, or the architecture does not know `,high`.
    ///
    /// ```
    /// use kdump_elf::Arch;
    /// use kdump_segments::CrashkernelRequest;
    ///
    /// let cmdline = "ro crashkernel=1G-4G:192M,4G-:256M";
    /// let request = CrashkernelRequest::parse(cmdline, 8 << 30, Arch::X86_64)?;
    /// assert_eq!(request.map(|request| request.size), Some(256 << 20));
    /// # Ok::<(), kdump_segments::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Crashkernel`] for words the kernel refuses, and
    /// [`Error::CrashkernelSize`] for sizes it refuses.
    pub fn parse(cmdline: &str, ram: u64, arch: Arch) -> Result<Option<Self>, Error> {
        let cma = match last_word(cmdline, Kind::Cma) {
            Some(value) => parse_suffixed(value, Kind::Cma)?,
            None => 0,
        };
        if let Some(value) = last_word(cmdline, Kind::Plain) {
            let (size, base) = match value.contains(':') {
                true => match parse_ranges(value, ram)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
                false => parse_simple(value)?,
            };
            check_size(value, size, ram)?;
            return Ok(Some(Self { size, base, high: false, low: None, cma }));
        }
        if !knows_high(arch) {
            return Ok(None);
        }
        let Some(value) = last_word(cmdline, Kind::High) else { return Ok(None) };
        let size = parse_suffixed(value, Kind::High)?;
        check_size(value, size, ram)?;
        let low = last_word(cmdline, Kind::Low).map(|value| parse_suffixed(value, Kind::Low)).transpose()?;
        Ok(Some(Self { size, base: None, high: true, low, cma }))
    }
}

/// `SIZE[@BASE]`. What stands behind BASE is ignored, as the kernel does. BASE 0 is no base.
fn parse_simple(value: &str) -> Result<(u64, Option<u64>), Error> {
    let mut cursor = Cursor::new(value);
    let size = cursor.number()?;
    if cursor.take(b'@') {
        let base = cursor.number()?;
        return Ok((size, Some(base).filter(|&base| base != 0)));
    }
    match cursor.rest() {
        [] => Ok((size, None)),
        _ => Err(cursor.error("the word should end here")),
    }
}

/// `START-[END]:SIZE[,…][@BASE]`: size and base of the first range that `ram` is in.
fn parse_ranges(value: &str, ram: u64) -> Result<Option<(u64, Option<u64>)>, Error> {
    let total = ram.checked_next_multiple_of(RAM_GRANULE).unwrap_or(u64::MAX);
    let mut cursor = Cursor::new(value);
    loop {
        let start = cursor.number()?;
        if !cursor.take(b'-') {
            return Err(cursor.error("`-` is expected"));
        }
        let mut end = u64::MAX;
        if cursor.rest().first() != Some(&b':') {
            end = cursor.number()?;
            if end <= start {
                return Err(cursor.error("the range ends before it begins"));
            }
        }
        if !cursor.take(b':') {
            return Err(cursor.error("`:` is expected"));
        }
        let size = cursor.number()?;
        if size >= total {
            return Err(Error::CrashkernelSize { value: String::from(value), size, ram: total });
        }
        if start <= total && total < end {
            if size == 0 {
                return Ok(None);
            }
            let base = if cursor.seek(b'@') { Some(cursor.number()?) } else { None };
            return Ok(Some((size, base.filter(|&base| base != 0))));
        }
        if !cursor.take(b',') {
            return Ok(None);
        }
    }
}

/// `SIZE,high` and its like.
fn parse_suffixed(value: &str, kind: Kind) -> Result<u64, Error> {
    let mut cursor = Cursor::new(value);
    let size = cursor.number()?;
    if cursor.rest() == kind.suffix().as_bytes() {
        Ok(size)
    } else {
        Err(cursor.error("only the suffix may follow the size"))
    }
}

fn check_size(value: &str, size: u64, ram: u64) -> Result<(), Error> {
    if size == 0 || size >= ram {
        return Err(Error::CrashkernelSize { value: String::from(value), size, ram });
    }
    Ok(())
}

/// The architectures that use the kernel's common code for the reservation.
const fn knows_high(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64 | Arch::I386 | Arch::Arm64 | Arch::Riscv64 | Arch::LoongArch64)
}
