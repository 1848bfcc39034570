//! What an x86 capture kernel is told: command line, boot_params, EFI and setup_data.

use alloc::borrow::Cow;

use kdump_elf::PhysRange;

use super::boot_params::{BOOT_PARAMS_SIZE, BootParams};
use super::builder::{POINTER_MAX_32, Told, X86Builder};
use super::e820::{E820_TABLE_MAX, E820Entry, memmap_parameters};
use super::kernel::{cmdline_limit, takes_efi};
use super::setup_data::SetupData;
use crate::cmdline::CommandLine;
use crate::placement::{Direction, Request};
use crate::plan::builder::NO_LIMIT;
use crate::plan::command_line::elfcorehdr_parameter;
use crate::segment::SegmentKind;
use crate::{EfiHandover, Error, room};

/// Nothing of ours goes where real mode has its tables.
pub(super) const LOW_MIN: u64 = 0x3000;
const SETUP_DATA_MIN: u64 = 1 << 20;

impl<'a> X86Builder<'_, 'a> {
    /// The EFI hand-over, when everything it takes is there.
    pub(super) fn efi(&mut self) -> Option<&'a EfiHandover> {
        let efi = self.common.inputs.machine.efi.as_ref()?;
        let signature =
            self.common.inputs.machine.boot_params.as_deref().and_then(|page| page.get(0x1c0..0x1c3));
        let obstacle = if self.common.inputs.options.no_efi {
            "as asked for"
        } else if efi.runtime_map.is_empty() {
            "the running kernel shows no EFI runtime map"
        } else if !takes_efi(&self.common.images.kernel) {
            "the capture kernel cannot take it over (XLF_EFI_KEXEC)"
        } else if !matches!(signature, Some(b"EL6" | b"EL3")) {
            "the running kernel's boot_params has no EFI information"
        } else {
            return Some(efi);
        };
        self.common.notes.push(alloc::format!("EFI is not handed over: {obstacle}"));
        None
    }

    pub(super) fn command_line(
        &mut self,
        elfcorehdr: u64,
        capture: &[E820Entry],
        efi: bool,
    ) -> Result<CommandLine, Error> {
        let (machine, options) = (self.common.inputs.machine, self.common.inputs.options);
        let rsdp = machine.rsdp.as_ref().map(|rsdp| rsdp.value).filter(|_| !efi);
        let first = rsdp.map(|rsdp| alloc::format!("acpi_rsdp={rsdp:#x}"));
        let mut added =
            room::collect("command line", first.into_iter().chain([elfcorehdr_parameter(elfcorehdr)]))?;
        if options.memmap_cmdline {
            room::extend(&mut added, "command line", memmap_parameters(capture)?)?;
        }
        self.common.command_line(&added, cmdline_limit(&self.common.images.kernel))
    }

    pub(super) fn reserve_boot_params(&mut self, cmdline: &CommandLine) -> Result<PhysRange, Error> {
        let text = (cmdline.as_str().len() as u64).saturating_add(1);
        let max = if self.bits32 { POINTER_MAX_32 } else { NO_LIMIT };
        self.common.place_top("boot_params", text.saturating_add(BOOT_PARAMS_SIZE as u64), LOW_MIN, max)
    }

    pub(super) fn setup_data(
        &mut self,
        e820: &[E820Entry],
        efi: Option<&EfiHandover>,
    ) -> Result<(u64, Option<(u64, u32)>), Error> {
        let e820_ext = e820.get(E820_TABLE_MAX..).unwrap_or_default();
        if !e820_ext.is_empty() {
            self.common.notes.push(alloc::format!(
                "the memory map has {} entries: boot_params holds {E820_TABLE_MAX}, setup_data the others; \
                 a capture kernel with a smaller table drops the last",
                e820.len()
            ));
        }
        let data = SetupData { e820_ext, efi, rng_seed: self.common.inputs.options.rng_seed.as_ref() };
        if data.size() == 0 {
            return Ok((0, None));
        }
        let max = if self.bits32 { POINTER_MAX_32 } else { NO_LIMIT };
        let (size, min, direction) = (data.size(), SETUP_DATA_MIN, Direction::BottomUp);
        let request = Request { part: "setup_data", size, align: 1, min, max, direction };
        let range = self.common.placement.place(&request)?;
        let encoded = data.encode(range.start())?;
        self.common.push(SegmentKind::SetupData, range, Cow::Owned(encoded.bytes))?;
        Ok((encoded.head, encoded.efi_map))
    }

    pub(super) fn write_boot_params(&mut self, told: &Told<'_>) -> Result<(), Error> {
        let machine = self.common.inputs.machine;
        let page = BootParams {
            running: machine.boot_params.as_deref(),
            setup: &self.setup_header(),
            address: told.boot_params.start(),
            cmdline: told.boot_params.start().saturating_add(BOOT_PARAMS_SIZE as u64),
            initrd: told.initrd,
            rsdp: machine.rsdp.as_ref().map(|rsdp| rsdp.value),
            efi_map: told.efi_map,
            setup_data: told.setup_data,
            e820: told.e820,
        };
        let mut bytes = page.encode()?;
        room::append(&mut bytes, "command line", told.cmdline.as_str().as_bytes())?;
        room::push(&mut bytes, "command line", 0)?;
        self.common.push(SegmentKind::BootParams, told.boot_params, Cow::Owned(bytes))
    }
}
