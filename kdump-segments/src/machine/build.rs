//! From files to a machine, without I/O.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{Arch, Endian, PhysRange, VmcoreInfo};

use super::efi::systab;
use super::identity::{find_arch, find_page_size, find_release};
use super::paths::{IOMEM, KALLSYMS, KCORE, KCORE_VALUES};
use super::regions::{crash_regions, find_cma, find_firmware_map};
use super::remark::Remarks;
use super::text_file::{bounded, parse_hex, parse_hex_file};
use super::{CpuNote, EfiHandover, Kcore, KexecState, Machine, MachineFiles, Symbols, VmcoreinfoNote};
use crate::kernel_layout::{LayoutInputs, find_direct_map, find_direct_map_end, find_text};
use crate::room;
use crate::target::Target;
use crate::target::x86::boot_params::BOOT_PARAMS_SIZE;
use crate::{Error, Iomem, KernelLayout, RangeSet, Source, Sourced};

/// Offset of `acpi_rsdp_addr` in boot_params (Documentation/arch/x86/zero-page.rst).
const BOOT_PARAMS_RSDP: usize = 0x70;

const BOOT_PARAMS: &str = "sys/kernel/boot_params/data";
/// Impossible notes that are told one by one; the others are counted.
const TOLD_NOTES: usize = 16;
const VMCOREINFO: &str = "sys/kernel/vmcoreinfo";
const BOOT_PROTOCOL: &str = "sys/kernel/boot_params/version";

impl Machine {
    /// Describes the machine these files are from.
    ///
    /// Only proc/iomem is indispensable; what else is missing leaves its field empty, with a
    /// note where a plan suffers from it.
    ///
    /// ```
    /// use kdump_segments::{Machine, MachineFiles};
    ///
    /// let mut files = MachineFiles::new();
    /// files.insert("proc/sys/kernel/arch", "x86_64\n");
    /// files.insert(
    ///     "proc/iomem",
    ///     "00100000-1ffdffff : System RAM\n  09000000-12ffffff : Crash kernel\n",
    /// );
    /// let machine = Machine::from_files(&files)?;
    /// let dump: Vec<String> = machine.dump_ranges()?.iter().map(|range| range.to_string()).collect();
    /// assert_eq!(dump, ["0x100000-0x8ffffff", "0x13000000-0x1ffdffff"]);
    /// # Ok::<(), kdump_segments::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails when the memory ([`Error::Missing`], [`Error::AddressesHidden`],
    /// [`Error::NoRam`]) or the architecture ([`Error::UnknownArch`],
    /// [`Error::UnsupportedArch`]) is unknown.
    /// [`Error::OutOfMemory`] when the description does not fit in memory.
    pub fn from_files(files: &MachineFiles) -> Result<Self, Error> {
        let mut notes = Remarks::default();
        for (path, cause) in files.unreadable() {
            notes.add(path, format!("cannot be read: {}", bounded(cause.as_bytes())));
        }
        let text = files.get(IOMEM).ok_or_else(|| no_iomem(files))?;
        let iomem = Iomem::parse(text, IOMEM)?;
        for note in iomem.remarks() {
            notes.add(IOMEM, note.as_str());
        }
        let kcore = read_kcore(files, &mut notes)?;
        let (arch, endian) = find_arch(files, kcore.as_ref(), &mut notes)?;
        let vmcoreinfo = VmcoreinfoNote::find(files, kcore.as_ref(), &mut notes)?;
        let info = kcore.as_ref().and_then(|kcore| kcore.vmcoreinfo.as_deref()).map(VmcoreInfo::new);
        let page_size = find_page_size(arch, info.as_ref(), &mut notes);
        let boot_params = find_boot_params(files, &mut notes)?;
        let release = find_release(files, info.as_ref(), &mut notes)?;

        let mut machine = Self::new(arch, page_size, iomem.memory_map());
        machine.endian = endian;
        machine.crash_regions = crash_regions(&iomem, &mut notes)?;
        machine.crash_claimed = iomem.claimed_in_crash_regions()?;
        if let Some(target) = Target::of(arch) {
            (target.describe)(&mut machine, files, info.as_ref());
        }
        machine.gart = RangeSet::from_ranges(iomem.named("GART"))?;
        machine.cma_ranges = find_cma(files, &mut notes)?;
        machine.firmware_map = find_firmware_map(files, &mut notes)?;
        machine.cpu_notes = CpuNote::all(files, &mut notes)?;
        machine.vmcoreinfo = vmcoreinfo;
        machine.kernel = find_layout(files, arch, page_size, kcore.as_ref(), info, &iomem, &mut notes);
        machine.cmdline = find_cmdline(files)?;
        machine.rsdp = find_rsdp(files, boot_params.as_deref(), &machine.cmdline);
        machine.efi = EfiHandover::find(files, &mut notes)?;
        machine.boot_params = boot_params;
        machine.boot_protocol = find_boot_protocol(files, &mut notes);
        machine.kexec = KexecState::find(files, &mut notes);
        machine.release = release;
        drop_foreign_text(&mut machine, &mut notes)?;
        drop_impossible_notes(&mut machine, &mut notes)?;
        report_memory(&machine, &mut notes)?;
        // What the target had to say comes last.
        let told = core::mem::take(&mut machine.remarks);
        machine.remarks = notes.into_list()?;
        room::extend(&mut machine.remarks, room::REMARKS, told)?;
        Ok(machine)
    }
}

fn no_iomem(files: &MachineFiles) -> Error {
    match files.unreadable().find(|&(path, _)| path == IOMEM) {
        Some((path, cause)) => Error::File { path: path.to_owned(), cause: bounded(cause.as_bytes()) },
        None => Error::Missing { path: IOMEM.to_owned() },
    }
}

fn read_kcore(files: &MachineFiles, notes: &mut Remarks) -> Result<Option<Kcore>, Error> {
    let Some(bytes) = files.get(KCORE) else { return Ok(None) };
    match Kcore::parse(bytes) {
        Ok(kcore) => {
            for note in &kcore.notes {
                notes.add(KCORE, note.as_str());
            }
            Ok(Some(kcore))
        }
        Err(error @ Error::OutOfMemory { .. }) => Err(error),
        Err(error) => {
            notes.add(KCORE, format!("cannot be used: {error}"));
            Ok(None)
        }
    }
}

fn find_layout(
    files: &MachineFiles,
    arch: Arch,
    page_size: u64,
    kcore: Option<&Kcore>,
    vmcoreinfo: Option<VmcoreInfo<'_>>,
    iomem: &Iomem,
    notes: &mut Remarks,
) -> KernelLayout {
    let symbols = files.get(KALLSYMS).map(Symbols::parse).unwrap_or_default();
    if symbols.hidden() {
        notes.add(KALLSYMS, "shows no addresses to this reader (kptr_restrict)");
    }
    let value = |name| files.get(KCORE_VALUES).and_then(|text| super::symbols::value_of(text, name));
    let page_offset_base = value("page_offset_base");
    let inputs =
        LayoutInputs { arch, page_size, kcore, symbols: &symbols, vmcoreinfo, iomem, page_offset_base };
    let text = find_text(&inputs)
        .map_err(|reason| notes.add(KCORE, format!("the kernel's text mapping is unknown: {reason}")))
        .ok();
    let direct_map_base = find_direct_map(&inputs)
        .map_err(|reason| notes.add(KCORE, format!("the base of the direct map is unknown: {reason}")))
        .ok();
    let direct_map_end = direct_map_base.as_ref().and_then(|base| find_direct_map_end(&inputs, base.value));
    KernelLayout { text, direct_map_base, direct_map_end }
}

/// Where the kernel was told to look, else what the firmware's table says.
fn find_rsdp(files: &MachineFiles, boot_params: Option<&[u8]>, cmdline: &str) -> Option<Sourced<u64>> {
    let field = boot_params
        .and_then(|page| Endian::Little.read::<u64>(page, BOOT_PARAMS_RSDP))
        .filter(|&address| address != 0);
    if let Some(address) = field {
        return Some(Sourced::new(address, Source::BootParams));
    }
    if let Some(address) = systab(files, "ACPI20").or_else(|| systab(files, "ACPI")) {
        return Some(Sourced::new(address, Source::EfiSystab));
    }
    let word = cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix("acpi_rsdp="))?;
    let address = word.strip_prefix("0x").unwrap_or(word);
    parse_hex(address.as_bytes())
        .filter(|&address| address != 0)
        .map(|address| Sourced::new(address, Source::Cmdline))
}

fn find_boot_params(files: &MachineFiles, notes: &mut Remarks) -> Result<Option<Vec<u8>>, Error> {
    let Some(data) = files.get(BOOT_PARAMS) else { return Ok(None) };
    if data.len() < BOOT_PARAMS_SIZE {
        notes.add(BOOT_PARAMS, format!("has {} bytes instead of {BOOT_PARAMS_SIZE}", data.len()));
    }
    room::copy("boot_params", data).map(Some)
}

fn find_boot_protocol(files: &MachineFiles, notes: &mut Remarks) -> Option<u16> {
    let text = files.get(BOOT_PROTOCOL)?;
    let version = parse_hex_file(text).and_then(|version| u16::try_from(version).ok());
    if version.is_none() {
        notes.add(BOOT_PROTOCOL, "is not a protocol version and was ignored");
    }
    version
}

fn find_cmdline(files: &MachineFiles) -> Result<String, Error> {
    let text = files.get("proc/cmdline").unwrap_or_default();
    let mut line = room::lossy("command line", text)?;
    line.truncate(line.trim_end_matches(['\n', '\0']).len());
    Ok(line)
}

/// A kernel image that is not in the RAM of this machine is another kernel's: the files do not
/// belong together.
fn drop_foreign_text(machine: &mut Machine, notes: &mut Remarks) -> Result<(), Error> {
    let Some(text) = machine.kernel.text.as_ref() else { return Ok(()) };
    let (paddr, size, source) = (text.value.paddr, text.value.size, text.source);
    let crash = machine.crash_set()?;
    let ram = machine.ram()?;
    let own = PhysRange::from_len(paddr, size)
        .is_ok_and(|range| ram.contains_range(range) && !crash.overlaps(range));
    if !own {
        machine.kernel.text = None;
        let place = format!("{size:#x} bytes at {paddr:#x} by {source}");
        notes.add(KCORE, format!("the kernel's text mapping is unknown: {place} are no RAM of this machine"));
    }
    Ok(())
}

/// A note outside RAM would be read as zeros, one in memory of the capture kernel as what that
/// put there; either would be refused with the whole load. One CPU without registers is less.
fn drop_impossible_notes(machine: &mut Machine, notes: &mut Remarks) -> Result<(), Error> {
    let ram = machine.ram()?;
    let crash = machine.crash_set()?;
    let defect = |paddr: u64, size: u64| match PhysRange::from_len(paddr, size) {
        Err(error) => Some(error.to_string()),
        Ok(range) if !ram.contains_range(range) => Some(format!("{range} is not in RAM")),
        Ok(range) if crash.overlaps(range) => Some(format!("{range} is in a crash region")),
        Ok(range) if machine.cma_ranges.overlaps(range) => {
            Some(format!("{range} is in memory given to the capture kernel (crash_cma_ranges)"))
        }
        Ok(_) => None,
    };
    let mut dropped = 0_usize;
    machine.cpu_notes.retain(|note| {
        let Some(why) = defect(note.paddr, note.size) else { return true };
        dropped = dropped.saturating_add(1);
        if dropped <= TOLD_NOTES {
            let path = format!("sys/devices/system/cpu/cpu{}/crash_notes", note.cpu);
            notes.add(&path, format!("cannot be: {why}; this CPU's registers will be missing"));
        }
        false
    });
    if let Some(more) = dropped.checked_sub(TOLD_NOTES).filter(|&more| more > 0) {
        notes.add("sys/devices/system/cpu", format!("{more} more CPUs have notes that cannot be"));
    }
    if let Some(why) = machine.vmcoreinfo.as_ref().and_then(|note| defect(note.paddr, note.size)) {
        notes.add(VMCOREINFO, format!("cannot be: {why}; the dump will have no VMCOREINFO"));
        machine.vmcoreinfo = None;
    }
    Ok(())
}

/// What a plan will suffer from.
fn report_memory(machine: &Machine, notes: &mut Remarks) -> Result<(), Error> {
    if machine.cpu_notes.is_empty() {
        notes.add("sys/devices/system/cpu", "has no crash_notes; the dump will have no registers");
    }
    for range in machine.crash_claimed.iter() {
        notes.add(IOMEM, format!("has {range} in use inside a crash region; nothing is loaded there"));
    }
    let ram = machine.ram()?;
    for &region in &machine.crash_regions {
        if !ram.contains_range(region) {
            notes.add(IOMEM, format!("has a crash region {region} that is not all RAM"));
        }
    }
    Ok(())
}
