//! Dumps in the kdump-compressed and diskdump formats, with knobs to break them.

use core::iter::once;
use core::ops::Range;
use std::collections::BTreeMap;

use crate::c_struct::CStruct;
use crate::{PageCodec, Wire, note};

/// Bits of the header's status.
pub const STATUS_INCOMPLETE: u32 = 8;

/// How a page is in the dump.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Its bytes, compressed.
    Page(PageCodec, Vec<u8>),
    /// A descriptor that points to the zero page all share.
    Zero,
    /// A descriptor of zeros: the dump ended before the page was written.
    Lost,
    /// Flags of the descriptor and bytes as given.
    Given(u32, Vec<u8>),
    /// A descriptor as given: offset, size, flags, page flags.
    Descriptor(u64, u32, u32, u64),
}

/// Where the parts of a file begin.
#[derive(Clone, Copy, Debug)]
pub struct KdumpLayout {
    /// The first bitmap: what is RAM.
    pub bitmap_1: u64,
    /// The second bitmap: what is stored. The same as the first when there is one only.
    pub bitmap_2: u64,
    /// Bytes one bitmap takes.
    pub bitmap_size: u64,
    /// Descriptors, 24 bytes each.
    pub descriptors: u64,
    /// Pages: the end of the descriptors.
    pub data: u64,
}

/// A dump in the making.
#[derive(Clone, Debug)]
pub struct KdumpFile {
    /// How numbers are stored.
    pub wire: Wire,
    /// On 32-bit machines: 64-bit integers aligned to 4, as i386 has them.
    pub packed: bool,
    /// `KDUMP   ` or `DISKDUMP`.
    pub signature: [u8; 8],
    /// `header_version`.
    pub version: u32,
    /// Bytes of a page and of a block.
    pub block_size: u32,
    /// `status`.
    pub status: u32,
    /// sysname, nodename, release, version, machine, domainname.
    pub utsname: [String; 6],
    /// Seconds since 1970.
    pub timestamp: u64,
    /// `nr_cpus`.
    pub nr_cpus: u32,
    /// `phys_base`.
    pub phys_base: u64,
    /// `dump_level`.
    pub dump_level: u32,
    /// The note segment.
    pub notes: Vec<u8>,
    /// Where in the notes the text of VMCOREINFO lies.
    pub vmcoreinfo: Range<usize>,
    /// First page frame number behind all memory.
    pub max_mapnr: u64,
    /// Page frame numbers that are RAM.
    pub ram: Vec<Range<u64>>,
    /// What is stored, by page frame number.
    pub pages: BTreeMap<u64, Stored>,
    /// Writes one bitmap, as old full dumps have.
    pub one_bitmap: bool,
    /// Page frame numbers of this part of a set.
    pub split: Option<Range<u64>>,
    /// Text of the erase info.
    pub erase_info: String,
    /// Members of the headers that get a value of the test's own.
    pub set: Vec<(&'static str, u64)>,
    /// Where the file is cut off.
    pub cut: Option<usize>,
}

impl KdumpFile {
    /// A dump of `max_mapnr` pages of RAM, none of them stored, as makedumpfile writes it.
    #[must_use]
    pub fn new(wire: Wire, max_mapnr: u64) -> Self {
        let machine = match (wire.wide, wire.big) {
            (true, false) => "x86_64",
            (true, true) => "ppc64",
            (false, false) => "i686",
            (false, true) => "ppc",
        };
        Self {
            wire,
            packed: false,
            signature: *b"KDUMP   ",
            version: 6,
            block_size: 4096,
            status: 0,
            utsname: ["Linux", "host", "6.1.0", "#1 SMP", machine, "(none)"].map(String::from),
            timestamp: 1_700_000_000,
            nr_cpus: 1,
            phys_base: 0,
            dump_level: 0,
            notes: vec![],
            vmcoreinfo: 0..0,
            max_mapnr,
            ram: once(0..max_mapnr).collect(),
            pages: BTreeMap::new(),
            one_bitmap: false,
            split: None,
            erase_info: String::new(),
            set: vec![],
            cut: None,
        }
    }

    /// What QEMU's `dump-guest-memory -z` leaves out: names, time, and often VMCOREINFO.
    #[must_use]
    pub fn qemu(mut self) -> Self {
        self.utsname = ["", "", "", "", &self.utsname[4].clone(), ""].map(String::from);
        self.timestamp = 0;
        self.dump_level = 1;
        self.status = 1;
        self
    }

    /// Adds the VMCOREINFO note.
    #[must_use]
    pub fn with_vmcoreinfo(mut self, text: &str) -> Self {
        // Note header, name of 11 bytes with its zero, padding.
        let start = self.notes.len() + 12 + 12;
        self.notes.extend(note(self.wire, "VMCOREINFO", 0, text.as_bytes()));
        self.vmcoreinfo = start..start + text.len();
        self
    }

    /// Stores a page.
    #[must_use]
    pub fn with(mut self, pfn: u64, stored: Stored) -> Self {
        self.pages.insert(pfn, stored);
        self
    }

    /// Stores pages of [`KdumpFile::content`], compressed in turns.
    #[must_use]
    pub fn with_pages(mut self, pfns: impl IntoIterator<Item = u64>, codecs: &[PageCodec]) -> Self {
        for (pfn, codec) in pfns.into_iter().zip(codecs.iter().cycle()) {
            let page = self.content(pfn);
            self.pages.insert(pfn, Stored::Page(*codec, page));
        }
        self
    }

    /// Bytes that depend on the page frame number and never are zeros.
    #[must_use]
    pub fn content(&self, pfn: u64) -> Vec<u8> {
        let period = 5 + (pfn % 55) as usize;
        let seed: Vec<u8> = (0..period as u64).map(|at| ((pfn * 31 + at * 7) % 251) as u8 + 1).collect();
        (0..self.block_size as usize).map(|at| seed[at % period]).collect()
    }

    /// One part of a set, with the pages of the range only.
    #[must_use]
    pub fn part(&self, pfns: Range<u64>) -> Self {
        Self { split: Some(pfns), ..self.clone() }
    }

    /// A value for a member of a header, whatever it should have.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: u64) -> Self {
        self.set.push((name, value));
        self
    }

    /// All members of both headers.
    #[must_use]
    pub fn members(&self) -> Vec<&'static str> {
        self.header().names().chain(self.sub_header(0, 0).names()).collect()
    }

    fn align64(&self) -> usize {
        if self.packed { 4 } else { 8 }
    }

    /// Where the parts begin.
    #[must_use]
    pub fn layout(&self) -> KdumpLayout {
        let block = u64::from(self.block_size.max(1));
        let head = self.sub_header(0, 0).build().len() + self.notes.len();
        let bitmap_1 = (1 + (head as u64).div_ceil(block)) * block;
        let bitmap_size = self.max_mapnr.div_ceil(8).div_ceil(block) * block;
        let bitmap_2 = bitmap_1 + if self.one_bitmap { 0 } else { bitmap_size };
        let descriptors = bitmap_2 + bitmap_size;
        KdumpLayout {
            bitmap_1,
            bitmap_2,
            bitmap_size,
            descriptors,
            data: descriptors + 24 * self.pages.len() as u64,
        }
    }

    fn header(&self) -> CStruct {
        let block = u64::from(self.block_size.max(1));
        let layout = self.layout();
        let mut header = CStruct::new(self.wire, self.align64());
        header.bytes("signature", &self.signature, 8);
        header.int("header_version", self.version);
        for (name, text) in
            ["sysname", "nodename", "release", "version", "machine", "domainname"].iter().zip(&self.utsname)
        {
            header.bytes(name, text.as_bytes(), 65);
        }
        header.long("tv_sec", self.timestamp);
        header.long("tv_usec", 0);
        header.int("status", self.status);
        header.int("block_size", self.block_size);
        header.int("sub_hdr_size", (layout.bitmap_1 / block - 1) as u32);
        header.int("bitmap_blocks", ((layout.descriptors - layout.bitmap_1) / block) as u32);
        header.int("max_mapnr", self.max_mapnr.min(0xffff_ffff) as u32);
        for name in ["total_ram_blocks", "device_blocks", "written_blocks", "current_cpu"] {
            header.int(name, 0);
        }
        header.int("nr_cpus", self.nr_cpus);
        header.no_longs();
        header
    }

    /// The sub header; the notes lie right behind it.
    fn sub_header(&self, size: u64, eraseinfo: u64) -> CStruct {
        let note = u64::from(self.block_size) + size;
        let split = self.split.clone().unwrap_or(0..0);
        let or_zero = |is: bool, value: u64| if is { value } else { 0 };
        let info = &self.vmcoreinfo;
        let mut sub = CStruct::new(self.wire, self.align64());
        sub.long("phys_base", self.phys_base);
        if self.version >= 1 {
            sub.int("dump_level", self.dump_level);
        }
        if self.version >= 2 {
            sub.int("split", u32::from(self.split.is_some()));
            sub.long("start_pfn", split.start.min(0xffff_ffff));
            sub.long("end_pfn", split.end.min(0xffff_ffff));
        }
        if self.version >= 3 {
            sub.long_long("offset_vmcoreinfo", or_zero(!info.is_empty(), note + info.start as u64));
            sub.long("size_vmcoreinfo", info.len() as u64);
        }
        if self.version >= 4 {
            sub.long_long("offset_note", or_zero(!self.notes.is_empty(), note));
            sub.long("size_note", self.notes.len() as u64);
        }
        if self.version >= 5 {
            sub.long_long("offset_eraseinfo", or_zero(!self.erase_info.is_empty(), eraseinfo));
            sub.long("size_eraseinfo", self.erase_info.len() as u64);
        }
        if self.version >= 6 {
            sub.long_long("start_pfn_64", split.start);
            sub.long_long("end_pfn_64", split.end);
            sub.long_long("max_mapnr_64", self.max_mapnr);
        }
        sub
    }

    /// The pages of this part.
    fn own_pages(&self) -> impl Iterator<Item = &Stored> {
        let range = self.split.clone().unwrap_or(0..u64::MAX);
        self.pages.range(range).map(|(_, page)| page)
    }

    /// Descriptors and pages.
    fn pages(&self, start: u64) -> (Vec<u8>, Vec<u8>) {
        let (mut table, mut data) = (vec![], vec![]);
        if self.dump_level & 1 != 0 {
            data.resize(self.block_size as usize, 0);
        }
        for page in self.own_pages() {
            let here = start + data.len() as u64;
            let (offset, size, flags, page_flags) = match page {
                Stored::Page(codec, bytes) => {
                    let encoded = codec.encode(bytes);
                    data.extend(&encoded);
                    (here, encoded.len() as u32, codec.flag(), 0)
                }
                Stored::Given(flags, bytes) => {
                    data.extend(bytes);
                    (here, bytes.len() as u32, *flags, 0)
                }
                Stored::Zero => (start, self.block_size, 0, 0),
                Stored::Lost => (0, 0, 0, 0),
                Stored::Descriptor(offset, size, flags, page_flags) => (*offset, *size, *flags, *page_flags),
            };
            self.wire.u64(&mut table, offset);
            self.wire.u32(&mut table, size);
            self.wire.u32(&mut table, flags);
            self.wire.u64(&mut table, page_flags);
        }
        (table, data)
    }

    /// A bitmap in pieces of 4096 bytes; those without a bit are left out, as bitmaps may be
    /// terabytes.
    fn bitmap(start: u64, pfns: impl Iterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
        let mut pieces = BTreeMap::new();
        for pfn in pfns {
            let piece = pieces.entry(start + pfn / 32768 * 4096).or_insert_with(|| vec![0_u8; 4096]);
            piece[(pfn / 8 % 4096) as usize] |= 1 << (pfn % 8);
        }
        let mut pieces: Vec<_> = pieces.into_iter().collect();
        for (_, bytes) in &mut pieces {
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        }
        pieces
    }

    /// The pieces of the file by offset, holes left out, and the size of the whole.
    #[must_use]
    pub fn pieces(&self) -> (Vec<(u64, Vec<u8>)>, u64) {
        let layout = self.layout();
        let (table, data) = self.pages(layout.data);
        let end = layout.data + data.len() as u64;
        let mut header = self.header();
        let size = self.sub_header(0, 0).build().len() as u64;
        let mut sub = self.sub_header(size, end);
        for &(name, value) in &self.set {
            let known = header.set(name, value) | sub.set(name, value);
            assert!(known, "no header of version {} has {name}", self.version);
        }
        let block = u64::from(self.block_size);
        let mut pieces = vec![(0, header.build()), (block, sub.build()), (block + size, self.notes.clone())];
        if !self.one_bitmap {
            pieces.extend(Self::bitmap(layout.bitmap_1, self.ram.iter().cloned().flatten()));
        }
        pieces.extend(Self::bitmap(layout.bitmap_2, self.pages.keys().copied()));
        pieces.push((layout.descriptors, table));
        pieces.push((layout.data, data));
        pieces.push((end, self.erase_info.clone().into_bytes()));
        (pieces, end + self.erase_info.len() as u64)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let (pieces, size) = self.pieces();
        let mut out = vec![0; size as usize];
        for (at, bytes) in pieces {
            let at = at as usize;
            if out.len() < at + bytes.len() {
                out.resize(at + bytes.len(), 0);
            }
            out[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        out.truncate(self.cut.unwrap_or(usize::MAX));
        out
    }
}
