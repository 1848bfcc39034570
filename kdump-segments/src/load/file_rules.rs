//! The rules of kexec_file_load(2) on x86_64, and what makes its capture kernel work; which architecture has
//! rules of its own.

mod arm64;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange, align_up};

use crate::image::SetupHeader;
use crate::le::{u16_at, u32_at};
use crate::placement::{Direction, Placement, Request};
use crate::preflight::{Allocation, Environment, Finding, Report, Verdict, control_pages};
use crate::target::x86::five_level_paging;
use crate::{Errno, Error, Machine, RangeSet};

/// Bytes the kernel adds before the command line: `elfcorehdr=0x`, up to 16 digits and a blank.
/// Linux refuses a text that leaves fewer (measured on 6.1 and 6.12 by `cargo xtask load-matrix`).
const ELFCOREHDR_TEXT: u64 = 30;
/// What the kernel puts into the region besides header, kernel and ramdisk: its purgatory (five
/// pages), boot_params with the command line (two pages, more with EFI) and control pages, which
/// are added; this leaves as much again.
const OWN_PARTS: u64 = 256 << 10;
const PAGE_SIZE: u64 = 4096;
const MIB: u64 = 1 << 20;
const INITRD_MIN: u64 = 16 << 20;
const ELFCOREHDR_MIN: u64 = 16 << 10;
/// Oldest boot protocol with the 64-bit entry point (`xloadflags`).
const PROTOCOL_64: u16 = 0x20c;

/// The arguments of a kexec_file_load(2) call, as far as rules look at them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FileCandidate<'a> {
    /// The beginning of the kernel image: all of it, or 64 KiB.
    pub head: &'a [u8],
    /// Bytes of the kernel image.
    pub kernel_size: u64,
    /// Bytes of the initial ramdisk; 0 for none.
    pub initrd_size: u64,
    /// Bytes of the command line without its NUL, before the kernel adds to it.
    pub cmdline_len: u64,
}

impl<'a> FileCandidate<'a> {
    /// A kernel alone, with an empty command line.
    #[must_use]
    pub const fn new(head: &'a [u8], kernel_size: u64) -> Self {
        Self { head, kernel_size, initrd_size: 0, cmdline_len: 0 }
    }
}

setters! {
    FileCandidate<'a> {
        initrd_size: u64,
        cmdline_len: u64,
    }
}

/// What a rule looks at.
struct Facts<'a> {
    candidate: &'a FileCandidate<'a>,
    machine: &'a Machine,
    environment: &'a Environment,
    header: Result<SetupHeader, Error>,
    /// Bytes of the ELF core header the kernel writes.
    elfcorehdr: u64,
    /// Pages the kernel takes for itself, by the way of taking that needs most.
    control_pages: u64,
}

type Outcome = (Verdict, String);
/// A rule, the errno of the call when it fails (the kernel does not notice some), and its code.
type Rule = (&'static str, Option<Errno>, fn(&Facts<'_>) -> Outcome);

const RULES: [Rule; 7] = [
    ("crash_region", Some(Errno::EADDRNOTAVAIL), crash_region),
    ("image_format", Some(Errno::ENOEXEC), image_format),
    ("image_complete", None, image_complete),
    ("image_paging", Some(Errno::ENOEXEC), image_paging),
    ("image_signature", Some(Errno::EPERM), image_signature),
    ("command_line", Some(Errno::EINVAL), command_line),
    ("room", Some(Errno::EADDRNOTAVAIL), room),
];

/// The rules of an architecture's loader. Those of x86_64 say of images for others that they do not know.
fn rules(arch: Arch) -> &'static [Rule] {
    match arch {
        Arch::Arm64 => &arm64::RULES,
        _ => &RULES,
    }
}

/// Evaluates every rule for one call. The rules about the image are those of x86_64 and arm64; for other
/// architectures they say that they do not know.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn check_files(
    candidate: &FileCandidate<'_>,
    machine: &Machine,
    environment: &Environment,
) -> Result<Report, Error> {
    let facts = Facts {
        candidate,
        machine,
        environment,
        header: SetupHeader::parse(candidate.head),
        elfcorehdr: elfcorehdr_size(machine)?,
        control_pages: most_control_pages(environment)?,
    };
    let mut report = check_rights(environment);
    let kept = report.errno;
    for (rule, errno, evaluate) in rules(machine.arch) {
        push(&mut report, rule, *errno, evaluate(&facts));
    }
    report.armed_image_lost = kept.is_none() && report.errno.is_some();
    Ok(report)
}

/// The rules about the caller and the system alone; the kernel applies them before it drops the
/// armed capture kernel.
pub(super) fn check_rights(environment: &Environment) -> Report {
    let (capable, limit) = (environment.capable, environment.load_limit.map(|limit| limit != 0));
    let enabled = environment.load_disabled.map(|disabled| !disabled);
    let mut report = Report::default();
    for (rule, outcome) in [
        ("capability", known(capable, "CAP_SYS_BOOT", "the caller does not have it")),
        ("load_disabled", known(enabled, "sysctl kernel.kexec_load_disabled", "it is 1")),
        ("load_limit", known(limit, "sysctl kernel.kexec_load_limit_panic", "it is 0")),
    ] {
        push(&mut report, rule, Some(Errno::EPERM), outcome);
    }
    report
}

fn push(report: &mut Report, rule: &'static str, errno: Option<Errno>, (verdict, detail): Outcome) {
    if verdict == Verdict::Fail && report.errno.is_none() {
        report.errno = errno;
    }
    report.findings.push(Finding { rule, verdict, detail });
}

fn decide(good: bool, detail: impl Into<String>) -> Outcome {
    (if good { Verdict::Pass } else { Verdict::Fail }, detail.into())
}

/// A state that may be unknown.
fn known(allowed: Option<bool>, what: &str, otherwise: &str) -> Outcome {
    match allowed {
        Some(true) => decide(true, format!("{what}: fine")),
        Some(false) => decide(false, format!("{what}: {otherwise}")),
        None => (Verdict::Unknown, format!("{what}: not known")),
    }
}

fn not_judged(facts: &Facts<'_>) -> Option<Outcome> {
    let arch = facts.machine.arch;
    let detail = || format!("images for {} are not judged", arch.name());
    (arch != Arch::X86_64).then(|| (Verdict::Unknown, detail()))
}

fn crash_region(facts: &Facts<'_>) -> Outcome {
    match facts.machine.load_region() {
        Some(region) => decide(true, region.to_string()),
        None => decide(false, facts.machine.why_no_region().to_string()),
    }
}

/// x86 kernels load bzImages with a 64-bit entry only.
fn image_format(facts: &Facts<'_>) -> Outcome {
    if let Some(outcome) = not_judged(facts) {
        return outcome;
    }
    let header = match &facts.header {
        Ok(header) => header,
        Err(_) if facts.candidate.head.starts_with(b"\x7fELF") => {
            return decide(false, "it is an ELF file; this call takes bzImages only");
        }
        Err(_) if facts.candidate.kernel_size == 0 => return decide(false, "it is empty"),
        Err(why) => return decide(false, format!("it is no bzImage: {why}")),
    };
    if header.version < PROTOCOL_64 || !header.entry_64bit() {
        return decide(false, "its kernel has no 64-bit entry, or not above 4 GiB: use kexec_load");
    }
    decide(true, format!("a bzImage of boot protocol {:#x}", header.version))
}

/// The kernel does not look: half an image is loaded and dies in its decompressor.
fn image_complete(facts: &Facts<'_>) -> Outcome {
    let Ok(header) = &facts.header else { return (Verdict::Unknown, String::from("its size is not known")) };
    let (have, mut need, mut part) = (facts.candidate.kernel_size, header.file_size(), "its header");
    if let Some((offset, size)) = signature(facts.candidate.head) {
        let end = offset.saturating_add(size);
        if end > need {
            (need, part) = (end, "its signature");
        }
    }
    decide(have >= need, format!("{have:#x} bytes, {part} says {need:#x}"))
}

fn image_paging(facts: &Facts<'_>) -> Outcome {
    let Ok(header) = &facts.header else { return (Verdict::Unknown, String::from("no setup header")) };
    let five = five_level_paging(facts.machine);
    decide(
        header.five_level() || !five,
        match five {
            true => {
                "the running kernel uses 5-level paging, with which the image must be entered (XLF_5LEVEL)"
            }
            false => "the running kernel uses 4-level paging",
        },
    )
}

/// Under lockdown the kernel takes signed images only.
fn image_signature(facts: &Facts<'_>) -> Outcome {
    // An Image for arm64 with a signature is a PE file, too.
    if let Some(outcome) = not_judged(facts).filter(|_| facts.machine.arch != Arch::Arm64) {
        return outcome;
    }
    let signed = signature(facts.candidate.head).is_some();
    match (facts.environment.locked_down, signed) {
        (_, true) => decide(true, "the image has one; whether it is trusted is tried before the load"),
        (Some(true), false) => decide(false, "the kernel is locked down and the image has no signature"),
        (Some(false), false) => decide(true, "none, and no lockdown asks for one"),
        (None, false) => (Verdict::Unknown, String::from("none, and whether one is needed is not known")),
    }
}

/// Where the signatures of a PE image are: offset and size of its certificate table (PE format,
/// "Optional Header Data Directories"); `None` when it has none.
fn signature(head: &[u8]) -> Option<(u64, u64)> {
    const PE_OFFSET: usize = 0x3c;
    const OPTIONAL_HEADER: usize = 24;
    const PE32_PLUS: u16 = 0x20b;
    const CERTIFICATE_TABLE: usize = 112 + 4 * 8;
    let pe = usize::try_from(u32_at(head, PE_OFFSET)?).ok()?;
    if head.get(pe..)?.get(..4)? != b"PE\0\0" {
        return None;
    }
    let optional = pe.checked_add(OPTIONAL_HEADER)?;
    let table = optional.checked_add(CERTIFICATE_TABLE)?;
    if u16_at(head, optional)? != PE32_PLUS {
        return None;
    }
    let (offset, size) = (u32_at(head, table)?, u32_at(head, table.checked_add(4)?)?);
    (size != 0).then_some((u64::from(offset), u64::from(size)))
}

fn command_line(facts: &Facts<'_>) -> Outcome {
    let Ok(header) = &facts.header else { return (Verdict::Unknown, String::from("no setup header")) };
    let limit = u64::from(header.cmdline_size);
    let need = facts.candidate.cmdline_len.saturating_add(1).saturating_add(ELFCOREHDR_TEXT);
    let given = facts.candidate.cmdline_len;
    let detail = format!(
        "the command line has {given} bytes, {need} with elfcorehdr= and the NUL that the kernel adds; the image \
         takes {limit}"
    );
    decide(need <= limit, detail)
}

/// Places what the kernel places, in its order (KEXEC_FILE_DEBUG of Linux 6.12 shows it).
fn room(facts: &Facts<'_>) -> Outcome {
    let Some(region) = facts.machine.load_region() else { return decide(false, "there is no crash region") };
    let sizes = facts.candidate.kernel_size.saturating_add(facts.candidate.initrd_size);
    if not_judged(facts).is_some() || facts.header.is_err() {
        let detail = format!("{sizes:#x} bytes of files, the crash region has {:#x}", region.size());
        return decide(sizes <= region.size(), detail);
    }
    match place(facts, region) {
        Ok(left) => decide(true, format!("{} MiB of the crash region are left", left / MIB)),
        Err(why) => decide(false, why.to_string()),
    }
}

/// Bytes of the region that are left.
fn place(facts: &Facts<'_>, region: PhysRange) -> Result<u64, Error> {
    let Ok(header) = &facts.header else { return Err(Error::NoCrashRegion) };
    let mut placement = Placement::new(region, &RangeSet::new(), PAGE_SIZE)?;
    let mut take = |part, size, align, min, direction| {
        placement.place(&Request { part, size, align, min, max: u64::MAX, direction })
    };
    let (down, up) = (Direction::TopDown, Direction::BottomUp);
    take("elfcorehdr", facts.elfcorehdr, PAGE_SIZE, 0, up)?;
    let own = OWN_PARTS.saturating_add(facts.control_pages.saturating_mul(PAGE_SIZE));
    take("purgatory, boot_params and control pages", own, PAGE_SIZE, 0, down)?;
    let payload = facts.candidate.kernel_size.saturating_sub(header.payload_offset());
    let memsz = u64::from(header.init_size).max(payload);
    let min = header.pref_address.max(MIB);
    take("kernel", memsz, u64::from(header.kernel_alignment), min, down)?;
    if facts.candidate.initrd_size != 0 {
        take("initrd", facts.candidate.initrd_size, PAGE_SIZE, INITRD_MIN, down)?;
    }
    Ok(placement.free().total())
}

/// Pages the kernel takes for itself, by the way of taking that needs most.
fn most_control_pages(environment: &Environment) -> Result<u64, Error> {
    let lists = control_pages(environment)?;
    let pages = |list: &Vec<Allocation>| {
        list.iter().fold(0_u64, |sum, block| sum.saturating_add(block.count.saturating_mul(1 << block.order)))
    };
    Ok(lists.iter().map(pages).max().unwrap_or(0))
}

/// As many bytes as the kernel wants for a header it can rewrite, or as this machine's has.
fn elfcorehdr_size(machine: &Machine) -> Result<u64, Error> {
    const EHDR_AND_PHDR: u64 = 64;
    let count = (machine.dump_ranges()?.len() as u64).saturating_add(machine.cpu_notes.len() as u64);
    let own = count.saturating_add(3).saturating_mul(EHDR_AND_PHDR).max(ELFCOREHDR_MIN);
    let wanted = machine.kexec.elfcorehdr_size.unwrap_or(0).saturating_add(EHDR_AND_PHDR);
    Ok(align_up(own.max(wanted), PAGE_SIZE).unwrap_or(u64::MAX))
}
