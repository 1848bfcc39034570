//! The acceptance rules of kexec_load(2), in the order the kernel applies them
//! (kernel/kexec.c and kernel/kexec_core.c; measured on Linux 6.1 and 6.12, x86_64). All
//! architectures share them; the limits are those of the target.

use alloc::format;
use alloc::string::{String, ToString};

use super::control_pages::describe;
use super::{Buffer, Candidate, Environment, Obstacles, Report, Verdict, control_pages, find_control_pages};
use crate::error::check_alignment;
use crate::plan::KexecFlags;
use crate::target::{SegmentLimit, Target};
use crate::{Errno, Error, room};

/// `KEXEC_SEGMENT_MAX` (include/uapi/linux/kexec.h).
pub(crate) const SEGMENT_MAX: usize = 16;
/// The architecture in the flags: 16 bits, above which the kernel looks at none.
const ARCH_SHIFT: u32 = 16;
const ARCH_BITS: u64 = 0xffff;

/// A rule: its name, the errno of a violation and what it says.
type Rule = (&'static str, Errno, fn(&Candidate, &Environment) -> Said);
/// What a rule says, if there is memory to find out.
type Said = Result<(Verdict, String), Error>;

/// Rules applied while the armed image is still there.
const BEFORE: [Rule; 7] = [
    ("capability", Errno::EPERM, capability),
    ("load_disabled", Errno::EPERM, load_disabled),
    ("load_limit", Errno::EPERM, load_limit),
    ("lockdown", Errno::EPERM, lockdown),
    ("flags", Errno::EINVAL, flags),
    ("segment_count", Errno::EINVAL, segment_count),
    ("architecture", Errno::EINVAL, architecture),
];

/// Rules applied after it was freed.
const AFTER: [Rule; 10] = [
    ("entry_in_crash_region", Errno::EADDRNOTAVAIL, entry_in_region),
    ("no_wrap", Errno::EADDRNOTAVAIL, no_wrap),
    ("page_aligned", Errno::EADDRNOTAVAIL, page_aligned),
    ("destination_limit", Errno::EADDRNOTAVAIL, destination_limit),
    ("no_overlap", Errno::EINVAL, no_overlap),
    ("bufsz_within_memsz", Errno::EINVAL, bufsz_within_memsz),
    ("half_of_ram", Errno::EINVAL, half_of_ram),
    ("segments_in_crash_region", Errno::EADDRNOTAVAIL, segments_in_region),
    ("control_pages", Errno::ENOMEM, control_page_room),
    ("buffers_readable", Errno::EFAULT, buffers_readable),
];

/// Evaluates every rule for one call. A call without segments unloads: the rules about
/// segments do not apply to it, and of a load it is told as one failure, `segments_given`, that has
/// no errno.
///
/// # Errors
/// [`Error::OutOfMemory`], and [`Error::Conflict`] for pages whose size is no power of two.
pub fn check(candidate: &Candidate, environment: &Environment) -> Result<Report, Error> {
    check_alignment("pages of the running kernel", environment.page_size)?;
    let mut report = Report::default();
    apply(&BEFORE, candidate, environment, &mut report)?;
    if candidate.segments.is_empty() {
        // The kernel takes it and frees the image that is armed.
        let detail = "none: such a call does not load, it unloads the capture kernel that is armed";
        report.push("segments_given", Verdict::Fail, detail.to_string());
        return Ok(report);
    }
    let kept = report.errno;
    apply(&AFTER, candidate, environment, &mut report)?;
    report.armed_image_lost = kept.is_none() && report.errno.is_some();
    Ok(report)
}

fn apply(
    rules: &[Rule],
    candidate: &Candidate,
    environment: &Environment,
    report: &mut Report,
) -> Result<(), Error> {
    for (rule, errno, evaluate) in rules {
        let (verdict, detail) = evaluate(candidate, environment)?;
        if verdict == Verdict::Fail && report.errno.is_none() {
            report.errno = Some(*errno);
        }
        report.push(rule, verdict, detail);
    }
    Ok(())
}

/// Pass or fail, with one sentence for either.
fn decide(good: bool, detail: impl Into<String>) -> Said {
    Ok((if good { Verdict::Pass } else { Verdict::Fail }, detail.into()))
}

/// A state that may be unknown.
fn state(good: Option<bool>, what: &str) -> Said {
    match good {
        Some(good) => decide(good, if good { format!("{what}: fine") } else { format!("{what}: forbids") }),
        None => Ok((Verdict::Unknown, format!("{what}: not known"))),
    }
}

fn capability(_: &Candidate, environment: &Environment) -> Said {
    state(environment.capable, "CAP_SYS_BOOT")
}

fn load_disabled(_: &Candidate, environment: &Environment) -> Said {
    state(environment.load_disabled.map(|disabled| !disabled), "sysctl kernel.kexec_load_disabled")
}

fn load_limit(_: &Candidate, environment: &Environment) -> Said {
    state(environment.load_limit.map(|limit| limit != 0), "sysctl kernel.kexec_load_limit_panic")
}

fn lockdown(_: &Candidate, environment: &Environment) -> Said {
    state(environment.locked_down.map(|locked| !locked), "kernel lockdown")
}

fn flags(candidate: &Candidate, environment: &Environment) -> Said {
    let bits = candidate.flags & 0xffff;
    let detail = format!("flags {bits:#x}");
    let mut unknown = false;
    let mut rest = bits & !KexecFlags::ON_CRASH.bits();
    for (flag, known) in [
        (KexecFlags::UPDATE_ELFCOREHDR, environment.update_elfcorehdr),
        (KexecFlags::CRASH_HOTPLUG_SUPPORT, environment.hotplug_support),
    ] {
        if rest & flag.bits() != 0 {
            match known {
                Some(true) => rest &= !flag.bits(),
                Some(false) => {
                    return decide(false, format!("{detail}: this kernel does not know them all"));
                }
                None => {
                    rest &= !flag.bits();
                    unknown = true;
                }
            }
        }
    }
    if rest != 0 || bits & KexecFlags::ON_CRASH.bits() == 0 {
        return decide(false, format!("{detail}: not a crash load the kernel knows"));
    }
    Ok((if unknown { Verdict::Unknown } else { Verdict::Pass }, detail))
}

fn segment_count(candidate: &Candidate, _: &Environment) -> Said {
    let count = candidate.segments.len();
    decide(count <= SEGMENT_MAX, format!("{count} segments, at most {SEGMENT_MAX}"))
}

fn architecture(candidate: &Candidate, environment: &Environment) -> Said {
    let (arch, native) = (candidate.flags >> ARCH_SHIFT & ARCH_BITS, u64::from(environment.arch.e_machine()));
    decide(arch == 0 || arch == native, format!("e_machine {arch}, the kernel's is {native}"))
}

fn entry_in_region(candidate: &Candidate, environment: &Environment) -> Said {
    let entry = candidate.entry;
    match environment.crash_region {
        Some(region) => decide(region.contains(entry), format!("entry {entry:#x}, crash region {region}")),
        None => decide(false, "no crash region is reserved"),
    }
}

/// Names the first segment that `bad` picks.
fn all(candidate: &Candidate, good: &str, bad: impl Fn(&super::CandidateSegment) -> Option<String>) -> Said {
    let found =
        candidate.segments.iter().enumerate().find_map(|(index, segment)| Some((index, bad(segment)?)));
    match found {
        Some((index, detail)) => decide(false, format!("segment {index}: {detail}")),
        None => decide(true, good),
    }
}

fn no_wrap(candidate: &Candidate, _: &Environment) -> Said {
    all(candidate, "no segment wraps", |segment| {
        let wraps = segment.mem.checked_add(segment.memsz).is_none();
        wraps.then(|| format!("{:#x} + {:#x} passes 2^64", segment.mem, segment.memsz))
    })
}

fn page_aligned(candidate: &Candidate, environment: &Environment) -> Said {
    let mask = environment.page_size.saturating_sub(1);
    all(candidate, "all segments are whole pages", |segment| {
        let low = (segment.mem | segment.memsz) & mask;
        (low != 0).then(|| format!("mem {:#x}, memsz {:#x} are not whole pages", segment.mem, segment.memsz))
    })
}

/// The end of the addresses a segment may have is the target's.
fn destination_limit(candidate: &Candidate, environment: &Environment) -> Said {
    let Some(target) = Target::of(environment.arch) else { return not_measured(environment) };
    let SegmentLimit { refused, taken, between } = (target.segment_limit)(environment);
    let end = |segment: &super::CandidateSegment| segment.mem.saturating_add(segment.memsz);
    let found = all(candidate, "all segments are addressable", |segment| {
        (end(segment) >= refused).then(|| format!("ends at {:#x}, the limit is {refused:#x}", end(segment)))
    })?;
    let doubtful = candidate.segments.iter().any(|segment| end(segment) >= taken);
    if found.0 == Verdict::Pass && doubtful {
        return Ok((Verdict::Unknown, format!("a segment needs {between}")));
    }
    Ok(found)
}

/// The rule is there, its numbers are not.
fn not_measured(environment: &Environment) -> Said {
    Ok((Verdict::Unknown, format!("not known for {}", environment.arch.name())))
}

/// A segment without length is in the way of one that has bytes on both sides of it.
fn no_overlap(candidate: &Candidate, _: &Environment) -> Said {
    let ranges = candidate.segments.iter().map(|segment| {
        let end = segment.mem.saturating_add(segment.memsz);
        (segment.mem, end)
    });
    let mut ranges = room::collect("segments", ranges)?;
    ranges.sort_unstable();
    // The segment that reaches highest of those before.
    let mut highest: Option<(u64, u64)> = None;
    for (start, end) in ranges {
        match highest {
            Some((low, high)) if start < high && end > low => {
                return decide(false, format!("{low:#x}-{high:#x} and {start:#x}-{end:#x} overlap"));
            }
            Some((_, high)) if end <= high => {}
            _ => highest = Some((start, end)),
        }
    }
    decide(true, "no two segments overlap")
}

fn bufsz_within_memsz(candidate: &Candidate, _: &Environment) -> Said {
    all(candidate, "no buffer is larger than its memory", |segment| {
        let (bufsz, memsz) = (segment.bufsz, segment.memsz);
        (bufsz > memsz).then(|| format!("bufsz {bufsz:#x} is more than memsz {memsz:#x}"))
    })
}

fn half_of_ram(candidate: &Candidate, environment: &Environment) -> Said {
    let total = candidate.segments.iter().map(|segment| segment.memsz).fold(0, u64::saturating_add);
    let ram = environment.ram.total();
    match environment.total_ram {
        Some(ram) => decide(total <= ram / 2, format!("{total:#x} bytes, half of the RAM is {:#x}", ram / 2)),
        // The kernel manages a little less than all RAM, but far more than half of it.
        None if total > ram / 2 => decide(false, format!("{total:#x} bytes, all RAM is {ram:#x}")),
        None if total <= ram / 4 => decide(true, format!("{total:#x} bytes, all RAM is {ram:#x}")),
        None => Ok((Verdict::Unknown, format!("{total:#x} bytes; the size of RAM is not known"))),
    }
}

fn segments_in_region(candidate: &Candidate, environment: &Environment) -> Said {
    let Some(region) = environment.crash_region else { return decide(false, "no crash region is reserved") };
    all(candidate, "all segments lie in the crash region", |segment| {
        // A segment without length may stand right behind the last byte.
        let end = segment.mem.saturating_add(segment.memsz);
        let inside = segment.mem >= region.start() && end <= region.end();
        (!inside).then(|| format!("{:#x}-{end:#x} is not in {region}", segment.mem))
    })
}

/// Passes or fails where all that the kernel may take has room or has none.
fn control_page_room(candidate: &Candidate, environment: &Environment) -> Said {
    let Some(region) = environment.crash_region else { return decide(false, "no crash region is reserved") };
    if candidate.segments.len() > SEGMENT_MAX {
        return Ok((Verdict::Unknown, String::from("too many segments to ask")));
    }
    let segments = Obstacles::new(candidate.segments.iter().map(|segment| (segment.mem, segment.memsz)))?;
    let lists = control_pages(environment)?;
    if lists.is_empty() {
        return not_measured(environment);
    }
    let (mut fits, mut lacks) = (None, None);
    for list in lists {
        match find_control_pages(region, environment.page_size, &segments, &list) {
            Ok(()) => fits = Some(list),
            Err(shortage) => lacks = Some((list, shortage)),
        }
    }
    match (fits, lacks) {
        (None, Some((list, shortage))) => decide(
            false,
            format!("the kernel needs {}, {} of them are free", describe(&list), shortage.found),
        ),
        (Some(fits), Some((list, _))) => {
            let (fits, lacks) = (describe(&fits), describe(&list));
            Ok((
                Verdict::Unknown,
                format!("there is room for {fits}, but not for {lacks}, whichever it needs"),
            ))
        }
        (fits, None) => decide(true, format!("there is room for {}", describe(&fits.unwrap_or_default()))),
    }
}

fn buffers_readable(candidate: &Candidate, _: &Environment) -> Said {
    all(candidate, "all buffers are readable", |segment| {
        (segment.buffer == Buffer::Bad && segment.bufsz != 0)
            .then(|| "its buffer is not readable".to_string())
    })
}
