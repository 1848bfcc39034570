//! The layout of an x86 crash load, part by part.

use alloc::format;

use kdump_elf::PhysRange;

use super::X86Plan;
use super::builder::{Told, X86Builder};
use super::capture_map::{capture_map, firmware_map};
use super::handover::LOW_MIN;
use super::kernel::{check_32bit_reach, cmdline_limit, entry_is_32bit, initrd_limit, purgatory_entry};
use super::low_memory::decide;
use crate::Error;
use crate::plan::builder::{Builder, Images, NO_LIMIT, Parts};
use crate::plan::{Layout, PlanInputs};
use crate::preflight::Environment;
use crate::purgatory::{Serial, SerialPort};
use crate::target::TargetPlan;

/// Least size of the elfcorehdr segment, as other loaders make it on x86.
const ELFCOREHDR_MIN: u64 = 16 << 10;
const INITRD_MIN: u64 = 16 << 20;
/// Highest byte of a purgatory that leaves long mode.
const PURGATORY_MAX_32: u64 = 0x7fff_ffff;
/// The last at which the eight registers of a 16550 can begin.
const SERIAL_PORT_MAX: u16 = 0xfff8;

/// Lays out in `region`, whatever the machine has.
pub(super) fn lay_out<'a>(
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    check_serial(inputs.options.serial)?;
    let bits32 = entry_is_32bit(&images.kernel, inputs)?;
    if bits32 {
        check_32bit_reach(&images.kernel, inputs, region)?;
    }
    let mut builder = X86Builder { common: Builder::new(inputs, images, region)?, bits32 };
    let parts = builder.place_parts()?;
    builder.common.finish(parts)
}

/// The registers of a 16550 are I/O ports, of which there are 64 Ki.
fn check_serial(serial: Option<Serial>) -> Result<(), Error> {
    match serial {
        Some(Serial { port: SerialPort::Port(port), .. }) if port > SERIAL_PORT_MAX => {
            let reason = format!(
                "{port:#x} is above {SERIAL_PORT_MAX:#x}, so that its last register is behind port 0xffff: \
                 give its first I/O port, 0x3f8 for COM1"
            );
            Err(Error::Conflict { what: "serial port of the purgatory", reason })
        }
        _ => Ok(()),
    }
}

impl X86Builder<'_, '_> {
    /// The order of the parts decides their addresses: backup, elfcorehdr, purgatory,
    /// boot_params, kernel and initrd from the top of the region, setup_data at its bottom. What
    /// stays free lies low, where the kernel looks for its control pages.
    fn place_parts(&mut self) -> Result<Parts, Error> {
        let (machine, options) = (self.common.inputs.machine, self.common.inputs.options);
        let low_memory = decide(machine, options.backup, &mut self.common.notes)?;
        let low_memory = self.common.backup(low_memory)?;
        let (elfcorehdr, header_range) = self.common.elfcorehdr(low_memory, ELFCOREHDR_MIN)?;
        let max = if self.bits32 { PURGATORY_MAX_32 } else { NO_LIMIT };
        let purgatory = self.common.purgatory(LOW_MIN, max)?;
        let capture = capture_map(machine, low_memory, &self.common.kept_ranges()?)?;
        let efi = self.efi();
        let cmdline = self.command_line(header_range.start(), &capture, efi.is_some())?;
        let e820 = if options.memmap_cmdline { firmware_map(machine)? } else { capture };
        let boot_params = self.reserve_boot_params(&cmdline)?;
        let kernel = self.kernel()?;
        let initrd_limit = initrd_limit(&self.common.images.kernel, self.bits32);
        let initrd = self.common.initrd(INITRD_MIN, initrd_limit)?;
        let (setup_data, efi_map) = self.setup_data(&e820, efi)?;
        self.check_control_pages()?;
        self.write_boot_params(&Told {
            boot_params,
            initrd,
            setup_data,
            efi_map,
            cmdline: &cmdline,
            e820: &e820,
        })?;
        Ok(Parts {
            low_memory,
            elfcorehdr,
            purgatory,
            entry: purgatory_entry(kernel, boot_params.start())?,
            cmdline,
            cmdline_limit: cmdline_limit(&self.common.images.kernel),
            target: TargetPlan::X86(X86Plan { e820, initrd_limit }),
        })
    }

    /// A kernel without 1 GiB pages takes a page for each GiB. Where it is not known whether this
    /// one has them, preflight says so.
    fn check_control_pages(&self) -> Result<(), Error> {
        let mut environment = Environment::of_machine(self.common.inputs.machine)?;
        environment.gib_pages = environment.gib_pages.or(Some(true));
        self.common.check_control_pages(&environment)
    }
}
