//! The first kernel's side of kdump, done long before the crash: reserve, plan, load, arm.

use core::sync::atomic::{AtomicU64, Ordering};

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;

use kdump_elf::registers::X86_64;
use kdump_elf::{Arch, CrashNote, PhysRange};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, check_plan};
use kdump_segments::purgatory::{Serial, SerialPort};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::{
    CpuNote, CrashkernelLimits, CrashkernelRequest, Machine, MemoryKind, RangeSet, Source, Sourced,
    TextMapping, VmcoreinfoNote,
};

use crate::boot_info::BootInfo;
use crate::{crash, frames, notes, per_cpu, phys, say};

/// Anything that can go wrong; loading happens while all is well, so it may allocate.
type Error = Box<dyn core::error::Error>;

/// Where the parts lie that a test damages.
static KERNEL: AtomicU64 = AtomicU64::new(0);
static ELFCOREHDR: AtomicU64 = AtomicU64::new(0);

/// Takes the region that `crashkernel=` asks for out of the memory this kernel uses.
///
/// # Errors
/// When the command line makes no sense or no place is left.
pub(crate) fn reserve(boot: &BootInfo) -> Result<Option<PhysRange>, Error> {
    let ram = RangeSet::from_ranges(boot.ram())?;
    let Some(request) = CrashkernelRequest::parse(boot.cmdline(), ram.total(), Arch::X86_64)? else {
        return Ok(None);
    };
    let limits = CrashkernelLimits::of(Arch::X86_64).ok_or("no limits for x86_64")?;
    let region = request.would_reserve(&RangeSet::from_ranges(frames::free())?, &limits)?.main;
    frames::reserve(region);
    Ok(Some(region))
}

/// Loads the second kernel into `region` and arms the crash path.
///
/// # Errors
/// When there is no second kernel or it does not fit.
pub(crate) fn load(boot: &BootInfo, region: PhysRange) -> Result<(), Error> {
    let module = boot.module.ok_or("no second kernel was given (-initrd)")?;
    // SAFETY: the frames of the module are reserved and nobody writes them.
    let kernel = unsafe { phys::bytes(module.start(), usize::try_from(module.size())?) };
    let machine = describe(boot, region)?;
    // An elfcorehdr that may change after loading is not part of the digest: `hotplug`.
    let options = PlanOptions::default()
        .cmdline(capture_cmdline(&machine, region)?)
        .backup(BackupPolicy::Always)
        .serial(Some(Serial { port: SerialPort::Port(0x3f8), baud: None }))
        .hotplug(boot.option("hotplug").is_some());
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64)?;
    let inputs = PlanInputs::new(&machine, kernel, &purgatory).options(&options);
    let plan = Plan::new(&inputs)?;
    if let Some(finding) = check_plan(&plan, &machine, &Environment::of_machine(&machine)?)?.failure() {
        say!("preflight: {}: {}", finding.rule, finding.detail);
        return Err("the plan would not work".into());
    }
    for segment in &plan.segments {
        say!("segment {:10} {} holds {:#x} bytes", segment.kind.name(), segment.range, segment.bufsz());
        place(segment)?;
    }
    for (kind, place) in [(SegmentKind::Kernel, &KERNEL), (SegmentKind::Elfcorehdr, &ELFCOREHDR)] {
        place.store(plan.segment(kind).map_or(0, Segment::mem), Ordering::Relaxed);
    }
    crash::arm(plan.entry);
    Ok(())
}

/// What Linux shows in /proc and /sys, this kernel knows of itself.
fn describe(boot: &BootInfo, region: PhysRange) -> Result<Machine, Error> {
    notes::write_vmcoreinfo()?;
    let memory = boot.ram().map(|range| kdump_segments::MemoryRange { range, kind: MemoryKind::Ram });
    let mut machine = Machine::new(Arch::X86_64, phys::PAGE, memory.collect());
    machine.crash_regions.push(region);
    for cpu in per_cpu::all() {
        machine.cpu_notes.push(CpuNote {
            cpu: u32::try_from(cpu.index)?,
            paddr: phys::paddr_of(cpu.note.as_ptr()),
            size: CrashNote::<X86_64>::SIZE as u64,
        });
    }
    // Room for a header that is rewritten later: this many bytes per program header, and some to spare.
    let headers = per_cpu::all().count() as u64 + 64;
    machine.kexec.elfcorehdr_size = Some((headers * 56).next_multiple_of(phys::PAGE));
    let (paddr, size) = (notes::vmcoreinfo_paddr(), notes::VMCOREINFO_SIZE as u64);
    machine.vmcoreinfo = Some(VmcoreinfoNote { paddr, size, text: None });
    let image = phys::image().ok_or("the image has no size")?;
    let text = TextMapping { vaddr: phys::KERNEL_VIRTUAL, paddr: image.start(), size: image.size() };
    machine.kernel.text = Some(Sourced::new(text, Source::Architecture));
    machine.kernel.direct_map_base = Some(Sourced::new(phys::DIRECT_MAP, Source::Architecture));
    machine.rsdp = (boot.rsdp != 0).then(|| Sourced::new(boot.rsdp, Source::BootParams));
    machine.cmdline = boot.cmdline().to_owned();
    Ok(machine)
}

/// Tells the second kernel what is RAM, in case the elfcorehdr is damaged. The digest covers
/// the command line, so a kernel that was entered can trust it. The first MiB is left out: the
/// second kernel works there.
fn capture_cmdline(machine: &Machine, region: PhysRange) -> Result<String, Error> {
    let mut line = alloc::format!("region={region} ram=");
    for range in machine.dump_ram()?.iter().filter(|range| range.start() >= 1 << 20) {
        line += &alloc::format!("{range},");
    }
    Ok(line)
}

/// Copies a segment to its place and clears the rest of it.
fn place(segment: &Segment<'_>) -> Result<(), Error> {
    // SAFETY: the plan keeps to the crash region, which nothing else uses.
    let memory = unsafe { phys::bytes_mut(segment.mem(), usize::try_from(segment.memsz())?) };
    let (content, rest) = memory.split_at_mut_checked(segment.data.len()).ok_or("a segment does not fit")?;
    content.copy_from_slice(&segment.data);
    rest.fill(0);
    Ok(())
}

/// Damages what a crash needs, for tests: the page tables, or of what was loaded the second kernel's code, or two fields of the ELF core
/// header.
pub(crate) fn damage(what: &str) {
    let (place, offset) = match what {
        "page-tables" => {
            say!("damaged {what}");
            return phys::damage_direct_map();
        }
        "image" => (&KERNEL, 0x100),
        // The first program header is a CPU's note. Byte 2 of p_memsz makes it 16 MB long.
        "note-size" => (&ELFCOREHDR, 64 + 40 + 2),
        // Its p_type.
        _ => (&ELFCOREHDR, 64),
    };
    let paddr = place.load(Ordering::Relaxed);
    if paddr != 0 {
        // SAFETY: one byte of a loaded segment, which nothing uses before a crash.
        unsafe { *phys::pointer(paddr + offset) ^= 0xff };
        say!("damaged {what}");
    }
}
