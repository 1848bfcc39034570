//! What is run in the capture kernel, and what each run took.

use core::time::Duration;

use crate::error::{Result, failed};

/// A program that saves /proc/vmcore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saver {
    Kdump,
    Makedumpfile,
}

/// Where the dump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Flattened, to /dev/null: nothing is measured but reading, filtering and compressing.
    Stream,
    /// To a file system on a virtual disk.
    File,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) saver: Saver,
    pub(super) level: &'static str,
    pub(super) target: Target,
}

impl Saver {
    pub(super) const ALL: [Self; 2] = [Self::Kdump, Self::Makedumpfile];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kdump => "kdump",
            Self::Makedumpfile => "makedumpfile",
        }
    }
}

impl Cell {
    /// Every cell, both programs one after the other.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for level in ["31", "0"] {
            for target in [Target::Stream, Target::File] {
                all.extend(Saver::ALL.map(|saver| Self { saver, level, target }));
            }
        }
        all
    }

    pub(super) const fn target_name(self) -> &'static str {
        match self.target {
            Target::Stream => "stream",
            Target::File => "file",
        }
    }

    /// One word of the console.
    pub(super) fn name(self) -> String {
        format!("{}-{}-{}", self.saver.name(), self.level, self.target_name())
    }

    /// The line of the script in the guest.
    pub(super) fn line(self) -> String {
        let (name, level) = (self.name(), self.level);
        let words = match (self.saver, self.target) {
            (Saver::Kdump, Target::Stream) => {
                "kdump save --progress none --format flattened --compress lzo -d"
            }
            (Saver::Kdump, Target::File) => "kdump save --progress none --format kdump --compress lzo -d",
            (Saver::Makedumpfile, Target::Stream) => "makedumpfile --message-level 4 -F -l -d",
            (Saver::Makedumpfile, Target::File) => "makedumpfile --message-level 4 -l -d",
        };
        let (out, file) = match (self.saver, self.target) {
            (Saver::Kdump, Target::Stream) => ("/dev/null", " -"),
            (Saver::Makedumpfile, Target::Stream) => ("/dev/null", ""),
            (_, Target::File) => ("/run/out", " /mnt/out"),
        };
        format!("cell {name} {out} {words} {level} /proc/vmcore{file}\n")
    }
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) code: u32,
    /// Of the guest's clock, and what its scheduler gave the program, in the kernel and outside, in seconds.
    pub(super) wall: f64,
    pub(super) user: f64,
    pub(super) system: f64,
    /// The most that was resident of the program, programs and libraries included, as seen a moment before its end.
    pub(super) resident_kib: u64,
    /// What of it was no file then.
    pub(super) anonymous_kib: u64,
    /// The most that was charged to its control group: its memory, the kernel's for it, and the page cache of
    /// what it wrote.
    pub(super) charged: u64,
    /// Processor time of the host, which the emulator took meanwhile.
    pub(super) host: Duration,
    /// Bytes of the file.
    pub(super) size: u64,
}

impl Taken {
    /// From the lines of the guest that begin with `lab: end NAME`, `lab: size NAME`.
    pub(super) fn read(end: &str, size: &str, host: Duration) -> Result<Self> {
        let words: Vec<&str> = end.split_whitespace().collect();
        let number = |name: &str| -> Result<u64> {
            let at = words.iter().position(|&word| word == name);
            let word = at.and_then(|at| words.get(at.saturating_add(1)));
            let number = word.and_then(|text| text.parse().ok());
            number.ok_or_else(|| failed(format!("no number of {name} in {end:?}")))
        };
        let seconds = |name: &str, unit: f64| number(name).map(|count| count as f64 / unit);
        let size = size.split_whitespace().last().and_then(|text| text.parse().ok());
        Ok(Self {
            code: u32::try_from(number("code")?).unwrap_or(u32::MAX),
            wall: seconds("wall", 1e2)?,
            user: seconds("user", 1e6)?,
            system: seconds("system", 1e6)?,
            // A program that ends at once is not seen.
            resident_kib: number("resident").unwrap_or(0),
            anonymous_kib: number("anonymous").unwrap_or(0),
            charged: number("charged")?,
            host,
            size: size.ok_or_else(|| failed(format!("no size in {end:?}")))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_guest() {
        let end = "[    9.1] lab: end kdump-31-file code 0 wall 325 user 1500000 system 750000 resident 5120 \
                   anonymous 640 charged 4194304 oom-kills 0";
        let size = "[    9.2] lab: size kdump-31-file 7";
        let taken = Taken::read(end, size, Duration::from_secs(2)).unwrap();
        let expected = Taken {
            code: 0,
            wall: 3.25,
            user: 1.5,
            system: 0.75,
            resident_kib: 5120,
            anonymous_kib: 640,
            charged: 4 << 20,
            host: Duration::from_secs(2),
            size: 7,
        };
        assert_eq!(taken, expected);
        for cut in ["lab: end x code 0", "lab: end x code 0 wall 1 user 2 system x charged 5", ""] {
            assert!(Taken::read(cut, size, Duration::ZERO).is_err(), "{cut}");
        }
        assert!(Taken::read(end, "lab: size x none", Duration::ZERO).is_err());
    }

    #[test]
    fn every_cell_has_a_name_and_a_line() {
        let lines: Vec<String> = Cell::all().into_iter().map(Cell::line).collect();
        assert_eq!(lines.len(), 8);
        assert!(lines.iter().any(|line| {
            line == "cell makedumpfile-31-file /run/out makedumpfile --message-level 4 -l -d 31 /proc/vmcore /mnt/out\n"
        }));
    }
}
