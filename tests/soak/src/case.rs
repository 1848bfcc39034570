//! One call of kexec_load(2), good or bad, and the line of text that stands for it.

use core::fmt;
use core::str::FromStr;

use kdump_segments::preflight::{Buffer, Candidate, CandidateSegment};

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) entry: u64,
    pub(crate) flags: u64,
    pub(crate) segments: Vec<Segment>,
}

/// One segment of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) mem: u64,
    pub(crate) memsz: u64,
    pub(crate) bufsz: u64,
    pub(crate) source: Source,
}

/// Where the buffer of a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In mapped memory, if it is not larger than the arena.
    Good,
    /// At address 0.
    Null,
    /// At an address of the kernel.
    Kernel,
    /// So many bytes before the end of the mapped memory.
    Tail(u64),
}

impl Case {
    /// What the rules are asked about. `arena` is how many bytes can be read at most.
    pub(crate) fn candidate(&self, arena: u64) -> Candidate {
        let segments = self.segments.iter().map(|segment| {
            let Segment { mem, memsz, bufsz, source } = *segment;
            let readable = match source {
                Source::Good => bufsz <= arena,
                Source::Tail(bytes) => bufsz <= bytes.min(arena),
                Source::Null | Source::Kernel => false,
            };
            let buffer = if readable { Buffer::Readable } else { Buffer::Bad };
            CandidateSegment { mem, memsz, bufsz, buffer }
        });
        Candidate { entry: self.entry, flags: self.flags, segments: segments.collect() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry={:#x} flags={:#x}", self.entry, self.flags)?;
        for Segment { mem, memsz, bufsz, source } in &self.segments {
            write!(f, " {mem:#x}+{memsz:#x}:{bufsz:#x}")?;
            match source {
                Source::Good => {}
                Source::Null => f.write_str("@null")?,
                Source::Kernel => f.write_str("@kernel")?,
                Source::Tail(bytes) => write!(f, "@{bytes:#x}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    /// Reads the words that [`Display`](fmt::Display) writes; what follows ` ->` is not looked at.
    fn from_str(line: &str) -> Result<Self, String> {
        let line = line.split(" ->").next().unwrap_or_default();
        let mut case = Self { entry: 0, flags: 0, segments: Vec::new() };
        for word in line.split_whitespace() {
            let understood = match word.split_once('=') {
                Some(("entry", value)) => number(value).map(|value| case.entry = value),
                Some(("flags", value)) => number(value).map(|value| case.flags = value),
                Some(_) => None,
                None => segment(word).map(|segment| case.segments.push(segment)),
            };
            understood.ok_or_else(|| format!("{word:?} is no part of a case"))?;
        }
        Ok(case)
    }
}

/// `MEM+MEMSZ:BUFSZ[@SOURCE]`
fn segment(word: &str) -> Option<Segment> {
    let (word, source) = match word.split_once('@') {
        None => (word, Source::Good),
        Some((word, "null")) => (word, Source::Null),
        Some((word, "kernel")) => (word, Source::Kernel),
        Some((word, bytes)) => (word, Source::Tail(number(bytes)?)),
    };
    let (mem, sizes) = word.split_once('+')?;
    let (memsz, bufsz) = sizes.split_once(':')?;
    Some(Segment { mem: number(mem)?, memsz: number(memsz)?, bufsz: number(bufsz)?, source })
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use kdump_segments::preflight::Buffer;

    use super::{Case, Segment, Source};

    fn segment(bufsz: u64, source: Source) -> Segment {
        Segment { mem: 0x1000, memsz: u64::MAX, bufsz, source }
    }

    #[test]
    fn text_and_back() {
        let sources = [Source::Good, Source::Null, Source::Kernel, Source::Tail(0x10)];
        let segments = sources.map(|source| segment(5, source)).to_vec();
        let case = Case { entry: 7, flags: 1 << 40 | 1, segments };
        let line = case.to_string();
        assert_eq!(line.parse(), Ok(case.clone()), "{line}");
        assert_eq!(format!("{line} -> 22 lost").parse(), Ok(case));
        for bad in ["entry=1", "0x1+0x2", "0x1+0x2:3", "0x1+0x2:0x3@x", "what=0x1"] {
            assert!(bad.parse::<Case>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_can_be_read() {
        let readable = |bufsz, source| {
            let case = Case { entry: 0, flags: 0, segments: vec![segment(bufsz, source)] };
            case.candidate(0x100).segments[0].buffer == Buffer::Readable
        };
        assert!(readable(0x100, Source::Good) && !readable(0x101, Source::Good));
        assert!(readable(0x10, Source::Tail(0x10)) && !readable(0x11, Source::Tail(0x10)));
        assert!(!readable(1, Source::Null) && !readable(1, Source::Kernel));
    }
}
