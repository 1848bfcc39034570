//! Draws calls that are nearly right.
//!
//! A wholly random call is refused by the first rules. So most begin as a list of segments that
//! fill the crash region but for a few free pages in odd places, where what counts is whether the
//! kernel finds its control pages, and some are then damaged in one or two ways.

use kdump_elf::PhysRange;

use crate::case::{Case, Segment, Source};
use crate::random::Random;

pub(crate) const PAGE: u64 = 0x1000;
/// KEXEC_ON_CRASH and the two spellings of x86_64 (include/uapi/linux/kexec.h).
const ON_CRASH: u64 = 1;
const X86_64: u64 = 62 << 16;
pub(crate) const CRASH_X86_64: u64 = ON_CRASH | X86_64;

/// What the draws depend on.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The region loads must lie in.
    pub(crate) region: PhysRange,
    /// All regions, of which that is the last.
    pub(crate) regions: Vec<PhysRange>,
    /// Bytes of RAM the kernel manages.
    pub(crate) total_ram: u64,
}

/// A call; equal seeds give equal calls.
pub(crate) fn draw(random: &mut Random, field: &Field) -> Case {
    let mut segments = match random.below(10) {
        0 | 1 => scattered(random, field.region),
        2 => careless(random, field.region),
        _ => nearly_full(random, field.region),
    };
    let damages = random.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 2]);
    for _ in 0..damages {
        damage(random, field, &mut segments);
    }
    let zero_length = random.pick(&[0, 0, 0, 0, 0, 1, 2]);
    for _ in 0..zero_length {
        let mem = page_in(random, field.region, 1);
        segments.push(Segment { mem, memsz: 0, bufsz: 0, source: Source::Good });
    }
    random.shuffle(&mut segments);
    Case { entry: entry(random, field.region), flags: flags(random), segments }
}

/// The one-page load that arms the machine before a call.
pub(crate) fn known_good(region: PhysRange) -> Case {
    let mem = region.end().saturating_sub(PAGE);
    let segments = vec![Segment { mem, memsz: PAGE, bufsz: PAGE, source: Source::Good }];
    Case { entry: mem, flags: CRASH_X86_64, segments }
}

/// All of the region but a few holes of a few pages, most of them near its start.
fn nearly_full(random: &mut Random, region: PhysRange) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = region.start();
    if random.chance(60) {
        at = at.saturating_add(hole(random));
    }
    let holes = random.between(0, 8);
    for _ in 0..holes {
        let pages = random.pick(&[1, 1, 1, 2, 2, 3, 4, 5, 7]);
        let segment = fill(random, at, pages.saturating_mul(PAGE));
        if segment.mem.saturating_add(segment.memsz) >= region.end() {
            break;
        }
        at = at.saturating_add(segment.memsz).saturating_add(hole(random));
        segments.push(segment);
    }
    let end = if random.chance(15) { region.end().saturating_sub(hole(random)) } else { region.end() };
    if at < end {
        segments.push(fill(random, at, end.saturating_sub(at)));
    }
    segments
}

/// Bytes of a hole; one page more often than not, so that no pair fits.
fn hole(random: &mut Random) -> u64 {
    random.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8]).saturating_mul(PAGE)
}

/// A few segments anywhere, none over another.
fn scattered(random: &mut Random, region: PhysRange) -> Vec<Segment> {
    let mut cuts: Vec<u64> = (0..random.between(2, 34)).map(|_| page_in(random, region, 1)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let pairs = cuts.chunks_exact(2).filter_map(|pair| match pair {
        [low, high] => Some((*low, high.saturating_sub(*low))),
        _ => None,
    });
    pairs.map(|(mem, memsz)| fill(random, mem, memsz)).collect()
}

/// Segments without regard to each other.
fn careless(random: &mut Random, region: PhysRange) -> Vec<Segment> {
    let count = random.pick(&[0, 1, 1, 2, 2, 3, 4, 8, 15, 16, 17, 18]);
    let segment = |random: &mut Random| {
        let mem = page_in(random, region, 0);
        let pages = random.between(1, 6);
        fill(random, mem, pages.saturating_mul(PAGE))
    };
    (0..count).map(|_| segment(random)).collect()
}

/// A segment with a buffer that fits.
fn fill(random: &mut Random, mem: u64, memsz: u64) -> Segment {
    let bufsz = match random.below(4) {
        0 => 0,
        1 => memsz.min(PAGE),
        2 => random.below(memsz.saturating_add(1)).min(PAGE.saturating_mul(2)),
        _ => random.below(memsz.saturating_add(1)).min(100),
    };
    let source = if random.chance(10) { Source::Tail(bufsz) } else { Source::Good };
    Segment { mem, memsz, bufsz, source }
}

/// A page of the region, or up to `beyond` pages behind its end.
fn page_in(random: &mut Random, region: PhysRange, beyond: u64) -> u64 {
    let pages = region.size().checked_div(PAGE).unwrap_or(0).saturating_add(beyond);
    // Half of the draws lie where the kernel looks first.
    let pages = if random.chance(50) { pages.min(24) } else { pages };
    region.start().saturating_add(random.below(pages).saturating_mul(PAGE))
}

/// Breaks one segment in one way.
fn damage(random: &mut Random, field: &Field, segments: &mut Vec<Segment>) {
    let region = field.region;
    let index = usize::try_from(random.below(segments.len() as u64)).unwrap_or(0);
    let copies = segments.clone();
    let other = copies.get(usize::try_from(random.below(copies.len() as u64)).unwrap_or(0));
    let Some(segment) = segments.get_mut(index) else { return };
    match random.below(20) {
        0 => segment.mem = segment.mem.wrapping_add(random.pick(&[1, 0x800, 0xfff])),
        1 => segment.memsz = segment.memsz.wrapping_add(random.pick(&[1, 0x800, 0xfff])),
        2 => segment.bufsz = segment.memsz.wrapping_add(random.pick(&[1, PAGE, 1 << 40])),
        3 => segment.source = Source::Null,
        4 => segment.source = Source::Kernel,
        5 => {
            segment.bufsz = segment.memsz;
            segment.source = Source::Tail(random.below(segment.memsz));
        }
        6 => segment.mem = region.start().wrapping_sub(random.pick(&[1, 2, 0x100]).wrapping_mul(PAGE)),
        7 => segment.memsz = region.end().wrapping_sub(segment.mem).wrapping_add(PAGE),
        8 => segment.mem = region.end().wrapping_add(random.below(2).wrapping_mul(PAGE)),
        9 | 17 => *segment = far_away(random, *segment),
        10 => segment.memsz = segment.memsz.wrapping_add(PAGE),
        11 => segment.mem = segment.mem.wrapping_sub(PAGE),
        12 | 18 => *segment = half_of_ram(random, field, *segment),
        13 => segment.mem = other.map_or(0, |other| other.mem),
        14 => segments.extend(other.copied()),
        15 => {
            let mem = field.regions.first().map_or(0, |low| low.start());
            segment.mem = mem.wrapping_add(random.below(4).wrapping_mul(PAGE));
        }
        19 => {
            segment.memsz = segment.memsz.max(PAGE);
            segment.mem = random.below(segment.memsz).wrapping_neg() & !(PAGE - 1);
        }
        // Inside another segment or at its edges, without a byte of its own.
        _ => {
            let pages = segment.memsz.checked_div(PAGE).unwrap_or(0).saturating_add(1);
            let mem = segment.mem.wrapping_add(random.below(pages).wrapping_mul(PAGE));
            segments.push(Segment { mem, memsz: 0, bufsz: 0, source: Source::Good });
        }
    }
}

/// Beyond all memory, where the limits of physical addresses are.
fn far_away(random: &mut Random, segment: Segment) -> Segment {
    let bits = random.pick(&[40, 45, 46, 47, 51, 52, 53, 63]);
    let near = random.pick(&[0, 0, 1, 2, u64::MAX, u64::MAX - 1]).wrapping_mul(PAGE);
    let end = if random.chance(20) { 0 } else { 1_u64.wrapping_shl(u32::try_from(bits).unwrap_or(0)) };
    let mem = end.wrapping_add(near).wrapping_sub(random.pick(&[0, segment.memsz]));
    // With a second fault that has an errno of its own, the order of the rules shows.
    let bufsz = if random.chance(50) { segment.memsz.wrapping_add(1) } else { segment.bufsz };
    Segment { mem, bufsz, ..segment }
}

/// About half of the RAM, in one segment.
fn half_of_ram(random: &mut Random, field: &Field, segment: Segment) -> Segment {
    let half = (field.total_ram / 2) & !(PAGE - 1);
    let near = random.pick(&[0, 1, u64::MAX, 0x1000]).wrapping_mul(PAGE);
    Segment { memsz: half.wrapping_add(near), bufsz: 0, ..segment }
}

fn entry(random: &mut Random, region: PhysRange) -> u64 {
    match random.below(40) {
        0 => random.pick(&[0, 0x1000, u64::MAX]),
        1 => region.start().wrapping_sub(1),
        2 => region.end(),
        3 => region.last(),
        4 => region.start(),
        _ => region.start().wrapping_add(random.below(region.size())),
    }
}

/// Flags of a crash load. Without KEXEC_ON_CRASH the call would load another kind of kernel, which
/// the rules are not about.
fn flags(random: &mut Random) -> u64 {
    let arch = if random.chance(93) { X86_64 } else { random.pick(&[0, 3, 183, 62 | 1 << 15, 0xffff]) << 16 };
    let bits = match random.below(80) {
        0 => 4,
        1 => 8,
        2 => 12,
        3 => 1 << random.between(1, 15),
        4 => random.below(1 << 16),
        _ => 0,
    };
    let high = if random.chance(5) { random.draw() << 32 } else { 0 };
    ON_CRASH | arch | bits | high
}
