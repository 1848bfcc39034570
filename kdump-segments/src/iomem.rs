//! /proc/iomem: the tree of physical address ranges the kernel knows, read as text.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::machine::{BadLines, parse_hex, shown};
use crate::room::{self, RANGES, REMARKS};
use crate::{Error, MemoryKind, MemoryMap, RangeSet};

/// No memory ends at the last address; whatever claims to is cut by one byte.
const LAST: u64 = u64::MAX - 1;
/// What messages call its lines.
const NAMES: &str = "lines of proc/iomem";

/// One line of /proc/iomem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IomemEntry {
    /// How deep it is nested; 0 at the top.
    pub depth: usize,
    /// Its addresses; the file prints both ends inclusive.
    pub range: PhysRange,
    /// What the kernel calls it.
    pub name: String,
}

/// /proc/iomem, line by line, parents before their children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Iomem {
    entries: Vec<IomemEntry>,
    remarks: Vec<String>,
}

impl Iomem {
    /// Reads the text of /proc/iomem; `path` is what errors call it.
    ///
    /// A line that is not `start-end : name` is left out and reported in
    /// [`Iomem::remarks`].
    ///
    /// # Errors
    /// [`Error::AddressesHidden`] when every address is zero, which is what the kernel
    /// shows to readers without CAP_SYS_ADMIN; [`Error::NoRam`] when there is no
    /// System RAM.
    pub fn parse(text: &[u8], path: &str) -> Result<Self, Error> {
        let mut iomem = Self::default();
        let mut lines = 0_usize;
        let mut hidden = 0_usize;
        let mut bad = BadLines::default();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            lines = lines.saturating_add(1);
            match parse_line(line) {
                Some((_, 0, 0, _)) => hidden = hidden.saturating_add(1),
                Some((depth, start, last, name)) => {
                    let name = room::lossy(NAMES, name)?;
                    match PhysRange::from_inclusive(start, last.min(LAST)) {
                        Ok(range) => iomem.add(index, last, IomemEntry { depth, range, name })?,
                        Err(_) => bad.add(index, line, "is not a range"),
                    }
                }
                None => bad.add(index, line, "is not `start-end : name`"),
            }
        }
        if hidden > 0 && iomem.entries.is_empty() {
            return Err(Error::AddressesHidden { path: path.to_owned() });
        }
        room::extend(&mut iomem.remarks, REMARKS, bad.into_sentences())?;
        if hidden > 0 {
            let text = format!("{hidden} lines with the range 0-0 were left out");
            room::push(&mut iomem.remarks, REMARKS, text)?;
        }
        if !iomem.entries.iter().any(|entry| kind_of(&entry.name) == Some(MemoryKind::Ram)) {
            return Err(Error::NoRam { path: path.to_owned(), lines });
        }
        Ok(iomem)
    }

    /// All lines that were understood, in file order.
    #[must_use]
    pub fn entries(&self) -> &[IomemEntry] {
        &self.entries
    }

    /// What was left out or changed, as sentences.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The addresses of every line called exactly `name`, in file order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PhysRange> + 'a {
        self.entries.iter().filter(move |entry| entry.name == name).map(|entry| entry.range)
    }

    /// The memory by kind.
    ///
    /// Where lines overlap, the more deeply nested one is believed, because it is the more
    /// precise; but System RAM wins over everything at any depth: what the kernel uses as
    /// memory belongs into a dump, also where it is a child of persistent memory (kmem) or
    /// the parent of reserved parts.
    #[must_use]
    pub fn memory_map(&self) -> MemoryMap {
        let mut map = MemoryMap::new();
        let kinds = || self.entries.iter().filter_map(|entry| Some((entry.range, kind_of(&entry.name)?)));
        for (range, kind) in kinds().filter(|&(_, kind)| kind != MemoryKind::Ram) {
            map.insert(range, kind);
        }
        for (range, kind) in kinds().filter(|&(_, kind)| kind == MemoryKind::Ram) {
            // A nested line of the same kind adds nothing but would cut its parent.
            let covered = map
                .get(range.start())
                .is_some_and(|found| found.kind == kind && found.range.contains_range(range));
            if !covered {
                map.insert(range, kind);
            }
        }
        map
    }

    /// The regions reserved for capture kernels, ascending.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn crash_regions(&self) -> Result<Vec<PhysRange>, Error> {
        let lines = self.entries.iter().filter(|entry| entry.name.starts_with("Crash kernel"));
        let mut regions = room::collect("crash regions", lines.map(|entry| entry.range))?;
        regions.sort_unstable();
        regions.dedup();
        Ok(regions)
    }

    /// Parts of the crash regions that something else claimed, for example `reserve=`: nothing
    /// may be loaded there.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn claimed_in_crash_regions(&self) -> Result<RangeSet, Error> {
        let regions = RangeSet::from_ranges(self.crash_regions()?)?;
        let mut inside: Option<usize> = None;
        let mut claimed = Vec::new();
        for entry in &self.entries {
            if entry.name.starts_with("Crash kernel") {
                inside = Some(entry.depth);
            } else if inside.is_some_and(|depth| entry.depth > depth) {
                if kind_of(&entry.name) != Some(MemoryKind::Ram) {
                    room::push(&mut claimed, RANGES, entry.range)?;
                }
            } else {
                inside = None;
            }
        }
        RangeSet::from_ranges(claimed)?.intersect(&regions)
    }

    fn add(&mut self, index: usize, last: u64, entry: IomemEntry) -> Result<(), Error> {
        if last > LAST {
            let (number, name) = (index.saturating_add(1), shown(entry.name.as_bytes()));
            let text = format!("line {number} `{name}` ends at the last address; that byte was cut off");
            room::push(&mut self.remarks, REMARKS, text)?;
        }
        room::push(&mut self.entries, NAMES, entry)
    }
}

/// What the kernel calls memory of each kind (arch/x86/kernel/e820.c; drivers/dax/kmem.c adds
/// a suffix in brackets to `System RAM`). `None` is everything else: devices, ROMs, parts of
/// the kernel.
#[must_use]
pub(crate) fn kind_of(name: &str) -> Option<MemoryKind> {
    match name {
        "Reserved" | "reserved" | "Unknown E820 type" => Some(MemoryKind::Reserved),
        "ACPI Tables" => Some(MemoryKind::Acpi),
        "ACPI Non-volatile Storage" => Some(MemoryKind::Nvs),
        "Unusable memory" => Some(MemoryKind::Unusable),
        "Persistent Memory" => Some(MemoryKind::Pmem),
        "Persistent Memory (legacy)" => Some(MemoryKind::Pram),
        name if name.contains("System RAM") => Some(MemoryKind::Ram),
        _ => None,
    }
}

/// Depth, first and last address, name.
fn parse_line(line: &[u8]) -> Option<(usize, u64, u64, &[u8])> {
    let indent = line.iter().take_while(|&&byte| byte == b' ').count();
    let line = line.get(indent..)?;
    let colon = line.windows(3).position(|three| three == b" : ")?;
    let (addresses, rest) = line.split_at_checked(colon)?;
    let dash = addresses.iter().position(|&byte| byte == b'-')?;
    let start = parse_hex(addresses.get(..dash)?)?;
    let last = parse_hex(addresses.get(dash.checked_add(1)?..)?)?;
    Some((indent / 2, start, last, rest.get(3..)?.trim_ascii()))
}
