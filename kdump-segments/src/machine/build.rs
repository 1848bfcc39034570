//! From files to a machine, without I/O.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, Endian, PhysRange, VmcoreInfo};

use super::efi::systab;
use super::text_file::{parse_hex, parse_hex_file};
use super::{
    CpuNote, EfiHandover, Kcore, KexecState, Machine, MachineFiles, MachineNote, Symbols, VmcoreinfoNote,
};
use crate::iomem::kind_of;
use crate::kernel_layout::{LayoutInputs, find_direct_map, find_text};
use crate::{Iomem, KernelLayout, MachineError, MemoryKind, MemoryMap, RangeSet, Source, Sourced};

const IOMEM: &str = "proc/iomem";
pub(super) const KCORE: &str = "proc/kcore";
const KALLSYMS: &str = "proc/kallsyms";
pub(super) const ARCH: &str = "proc/sys/kernel/arch";
pub(super) const KCORE_VALUES: &str = "proc/kcore.values";
/// Offset of `acpi_rsdp_addr` in boot_params (Documentation/arch/x86/zero-page.rst).
const BOOT_PARAMS_RSDP: usize = 0x70;

/// Collects what was dropped, rounded or could not be found out.
#[derive(Debug, Default)]
pub(super) struct NoteSink {
    notes: Vec<MachineNote>,
}

impl NoteSink {
    pub(super) fn add(&mut self, path: &str, text: impl Into<String>) {
        self.notes.push(MachineNote { path: path.to_owned(), text: text.into() });
    }
}

impl Machine {
    /// Describes the machine these files are from.
    ///
    /// Only proc/iomem is indispensable; what else is missing leaves its field empty, with a
    /// note where a plan suffers from it.
    ///
    /// # Errors
    /// Fails when the memory ([`MachineError::Missing`], [`MachineError::AddressesHidden`],
    /// [`MachineError::NoRam`]) or the architecture ([`MachineError::UnknownArch`],
    /// [`MachineError::UnsupportedArch`]) is unknown.
    pub fn from_files(files: &MachineFiles) -> Result<Self, MachineError> {
        let mut notes = NoteSink::default();
        for (path, cause) in files.unreadable() {
            notes.add(path, format!("cannot be read: {cause}"));
        }
        let text = files.get(IOMEM).ok_or_else(|| no_iomem(files))?;
        let iomem = Iomem::parse(text, IOMEM)?;
        for note in iomem.notes() {
            notes.add(IOMEM, note.as_str());
        }
        let kcore = read_kcore(files, &mut notes);
        let (arch, endian) = find_arch(files, kcore.as_ref(), &mut notes)?;
        let vmcoreinfo = VmcoreinfoNote::find(files, kcore.as_ref(), &mut notes);
        let info = kcore.as_ref().and_then(|kcore| kcore.vmcoreinfo.as_deref()).map(VmcoreInfo::new);
        let page_size = find_page_size(arch, info.as_ref(), &mut notes);
        let boot_params = files.get("sys/kernel/boot_params/data").map(<[u8]>::to_vec);
        let release = find_release(files, info.as_ref(), &mut notes);

        let mut machine = Self::new(arch, page_size, iomem.memory_map());
        machine.endian = endian;
        machine.crash_regions = crash_regions(&iomem, &mut notes);
        machine.crash_claimed = iomem.claimed_in_crash_regions();
        machine.gart = iomem.named("GART").collect();
        machine.cma_ranges = find_cma(files, &mut notes);
        machine.firmware_map = find_firmware_map(files, &mut notes);
        machine.cpu_notes = CpuNote::all(files, &mut notes);
        machine.vmcoreinfo = vmcoreinfo;
        machine.kernel = find_layout(files, arch, page_size, kcore.as_ref(), info, &iomem, &mut notes);
        machine.rsdp = find_rsdp(files, boot_params.as_deref());
        machine.efi = EfiHandover::find(files, &mut notes);
        machine.boot_params = boot_params;
        machine.boot_protocol = files
            .get("sys/kernel/boot_params/version")
            .and_then(parse_hex_file)
            .and_then(|version| u16::try_from(version).ok());
        machine.kexec = KexecState::find(files, &mut notes);
        machine.cmdline = find_cmdline(files);
        machine.release = release;
        report_memory(&machine, &mut notes);
        machine.notes = notes.notes;
        Ok(machine)
    }
}

fn no_iomem(files: &MachineFiles) -> MachineError {
    match files.unreadable().find(|&(path, _)| path == IOMEM) {
        Some((path, cause)) => MachineError::Io { path: path.to_owned(), cause: cause.to_owned() },
        None => MachineError::Missing { path: IOMEM.to_owned() },
    }
}

fn read_kcore(files: &MachineFiles, notes: &mut NoteSink) -> Option<Kcore> {
    match Kcore::parse(files.get(KCORE)?) {
        Ok(kcore) => {
            for note in &kcore.notes {
                notes.add(KCORE, note.as_str());
            }
            Some(kcore)
        }
        Err(error) => {
            notes.add(KCORE, format!("cannot be used: {error}"));
            None
        }
    }
}

/// kcore knows best; `proc/sys/kernel/arch` is the machine name of `uname(2)`.
fn find_arch(
    files: &MachineFiles,
    kcore: Option<&Kcore>,
    notes: &mut NoteSink,
) -> Result<(Arch, Endian), MachineError> {
    let stated = match files.get(ARCH) {
        Some(text) => {
            let name = String::from_utf8_lossy(text.trim_ascii()).into_owned();
            let arch = arch_of_uname(&name);
            Some(arch.ok_or_else(|| MachineError::UnsupportedArch { path: ARCH.to_owned(), value: name })?)
        }
        None => None,
    };
    let Some(kcore) = kcore else { return stated.ok_or(MachineError::UnknownArch) };
    let Some(arch) = Arch::from_elf(kcore.e_machine, kcore.encoding.class) else {
        let value = format!("e_machine {} in {}", kcore.e_machine, kcore.encoding.class);
        return Err(MachineError::UnsupportedArch { path: KCORE.to_owned(), value });
    };
    if let Some((other, _)) = stated.filter(|&(other, _)| other != arch) {
        let text = format!("says {}, proc/kcore says {}, which is believed", other.name(), arch.name());
        notes.add(ARCH, text);
    }
    Ok((arch, kcore.encoding.endian))
}

/// The names the kernel gives architectures, and those of Rust's `std::env::consts::ARCH`.
fn arch_of_uname(name: &str) -> Option<(Arch, Endian)> {
    let arch = match name {
        "i386" | "i486" | "i586" | "i686" | "x86" => Arch::I386,
        "aarch64" | "aarch64_be" => Arch::Arm64,
        "ppc64le" | "powerpc64" => Arch::Ppc64,
        "ppc" | "powerpc" => Arch::Ppc32,
        _ if name.starts_with("armv") => Arch::Arm,
        _ => Arch::from_name(name)?,
    };
    let endian = match name {
        "ppc64le" => Endian::Little,
        "aarch64_be" => Endian::Big,
        _ => arch.endian(),
    };
    Some((arch, endian))
}

fn find_page_size(arch: Arch, info: Option<&VmcoreInfo<'_>>, notes: &mut NoteSink) -> u64 {
    const USUAL: u64 = 4096;
    let stated = info.and_then(VmcoreInfo::page_size);
    match stated.filter(|size| size.is_power_of_two() && *size >= USUAL) {
        Some(size) => size,
        None => {
            let fixed = matches!(arch, Arch::X86_64 | Arch::I386 | Arch::Arm | Arch::Riscv64 | Arch::S390x);
            if !fixed {
                notes.add(KCORE, "does not tell the page size; 4096 is assumed");
            }
            USUAL
        }
    }
}

fn find_release(files: &MachineFiles, info: Option<&VmcoreInfo<'_>>, notes: &mut NoteSink) -> Option<String> {
    let running = files
        .get("proc/sys/kernel/osrelease")
        .map(|text| String::from_utf8_lossy(text.trim_ascii()).into_owned());
    let noted = info.and_then(VmcoreInfo::release).map(ToOwned::to_owned);
    if let (Some(running), Some(noted)) = (&running, &noted) {
        if running != noted {
            let text = format!("says {running}, VMCOREINFO says {noted}: the files are of two kernels");
            notes.add("proc/sys/kernel/osrelease", text);
        }
    }
    noted.or(running)
}

/// Overlapping regions would be taken out of the dump twice; they are joined.
fn crash_regions(iomem: &Iomem, notes: &mut NoteSink) -> Vec<PhysRange> {
    let mut out: Vec<PhysRange> = Vec::new();
    for region in iomem.crash_regions() {
        match out.last_mut() {
            Some(last) if last.overlaps(region) => {
                notes.add(IOMEM, format!("has crash regions {last} and {region}, which were joined"));
                if let Ok(joined) = PhysRange::from_half_open(last.start(), last.end().max(region.end())) {
                    *last = joined;
                }
            }
            _ => out.push(region),
        }
    }
    out
}

/// Lines of `start-end`, hexadecimal, inclusive
/// (Documentation/ABI/testing/sysfs-kernel-kexec-kdump).
fn find_cma(files: &MachineFiles, notes: &mut NoteSink) -> RangeSet {
    const PATHS: [&str; 3] = [
        "sys/kernel/kexec/crash_cma_ranges",
        "sys/kernel/kexec_crash_cma_ranges",
        "sys/kernel/crash_cma_ranges",
    ];
    let Some((path, text)) = PATHS.iter().find_map(|path| Some((path, files.get(path)?))) else {
        return RangeSet::new();
    };
    let mut ranges = Vec::new();
    for line in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let dash = line.iter().position(|&byte| byte == b'-');
        let range = dash.and_then(|dash| {
            let (start, last) = line.split_at_checked(dash)?;
            let start = parse_hex_file(start)?;
            let last = parse_hex_file(last.get(1..)?)?;
            PhysRange::from_inclusive(start, last).ok()
        });
        match range {
            Some(range) => ranges.push(range),
            None => notes.add(
                path,
                format!("line `{}` is not a range and was left out", String::from_utf8_lossy(line)),
            ),
        }
    }
    RangeSet::from_ranges(ranges)
}

/// The firmware's map. Where entries overlap, the kind with the higher e820 number wins, as
/// in the kernel's own clean-up of the table (arch/x86/kernel/e820.c): what firmware calls
/// RAM once and something else once is not to be used as RAM.
fn find_firmware_map(files: &MachineFiles, notes: &mut NoteSink) -> Option<MemoryMap> {
    let mut entries: Vec<(MemoryKind, PhysRange)> = Vec::new();
    let mut seen = false;
    for (index, path, start) in files.numbered("sys/firmware/memmap/", "start") {
        seen = true;
        let other = |name: &str| files.get(&format!("sys/firmware/memmap/{index}/{name}"));
        let range = (|| {
            let (start, last) = (parse_hex_file(start)?, parse_hex_file(other("end")?)?);
            PhysRange::from_inclusive(start, last).ok()
        })();
        let name = other("type").map(|text| String::from_utf8_lossy(text.trim_ascii()).into_owned());
        let (Some(range), Some(name)) = (range, name) else {
            notes.add(path, "belongs to an entry that is not a range with a type; it was left out");
            continue;
        };
        let kind = kind_of(&name).unwrap_or_else(|| {
            notes.add(path, format!("belongs to {range} of unknown type `{name}`, taken as reserved"));
            MemoryKind::Reserved
        });
        entries.push((kind, range));
    }
    entries.sort_unstable();
    let mut map = MemoryMap::new();
    for (kind, range) in entries {
        map.insert(range, kind);
    }
    seen.then_some(map)
}

fn find_layout(
    files: &MachineFiles,
    arch: Arch,
    page_size: u64,
    kcore: Option<&Kcore>,
    vmcoreinfo: Option<VmcoreInfo<'_>>,
    iomem: &Iomem,
    notes: &mut NoteSink,
) -> KernelLayout {
    let symbols = files.get(KALLSYMS).map(Symbols::parse).unwrap_or_default();
    if symbols.hidden() {
        notes.add(KALLSYMS, "shows no addresses to this reader (kptr_restrict)");
    }
    let values: BTreeMap<String, u64> =
        files.get(KCORE_VALUES).map(super::symbols::parse_values).unwrap_or_default();
    let inputs =
        LayoutInputs { arch, page_size, kcore, symbols: &symbols, vmcoreinfo, iomem, values: &values };
    let path = if kcore.is_some() { KCORE } else { KALLSYMS };
    let text = find_text(&inputs)
        .map_err(|reason| notes.add(path, format!("the kernel's text mapping is unknown: {reason}")))
        .ok();
    let direct_map_base = find_direct_map(&inputs)
        .map_err(|reason| notes.add(path, format!("the base of the direct map is unknown: {reason}")))
        .ok();
    KernelLayout { text, direct_map_base }
}

/// Where the kernel was told to look, else what the firmware's table says.
fn find_rsdp(files: &MachineFiles, boot_params: Option<&[u8]>) -> Option<Sourced<u64>> {
    let field = boot_params
        .and_then(|page| page.get(BOOT_PARAMS_RSDP..)?.first_chunk::<8>())
        .map(|bytes| u64::from_le_bytes(*bytes))
        .filter(|&address| address != 0);
    if let Some(address) = field {
        return Some(Sourced::new(address, Source::BootParams));
    }
    if let Some(address) = systab(files, "ACPI20").or_else(|| systab(files, "ACPI")) {
        return Some(Sourced::new(address, Source::EfiSystab));
    }
    let cmdline = find_cmdline(files);
    let word = cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix("acpi_rsdp="))?;
    let address = word.strip_prefix("0x").unwrap_or(word);
    parse_hex(address.as_bytes())
        .filter(|&address| address != 0)
        .map(|address| Sourced::new(address, Source::Cmdline))
}

fn find_cmdline(files: &MachineFiles) -> String {
    let text = files.get("proc/cmdline").unwrap_or_default();
    String::from_utf8_lossy(text).trim_end_matches(['\n', '\0']).to_owned()
}

/// What a plan will suffer from.
fn report_memory(machine: &Machine, notes: &mut NoteSink) {
    if machine.cpu_notes.is_empty() {
        notes.add("sys/devices/system/cpu", "has no crash_notes; the dump will have no registers");
    }
    for range in machine.crash_claimed.iter() {
        notes.add(IOMEM, format!("has {range} in use inside a crash region; nothing is loaded there"));
    }
    let ram = machine.ram();
    for &region in &machine.crash_regions {
        if !ram.contains_range(region) {
            notes.add(IOMEM, format!("has a crash region {region} that is not all RAM"));
        }
    }
}
