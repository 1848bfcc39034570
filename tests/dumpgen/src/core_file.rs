//! ELF core files, with knobs to break them.

use crate::Wire;

/// One program header and the bytes it points to.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// 1 is PT_LOAD, 4 is PT_NOTE.
    pub p_type: u32,
    /// Virtual address.
    pub p_vaddr: u64,
    /// Physical address.
    pub p_paddr: u64,
    /// What stands in the file.
    pub bytes: Vec<u8>,
    /// `p_memsz`, when it is not the number of bytes.
    pub p_memsz: Option<u64>,
    /// `p_filesz`, when it is not the number of bytes.
    pub p_filesz: Option<u64>,
    /// `p_offset`, when it is not where the bytes are.
    pub p_offset: Option<u64>,
}

impl Segment {
    /// Memory at a physical address.
    #[must_use]
    pub fn load(p_paddr: u64, bytes: &[u8]) -> Self {
        Self { p_type: 1, p_paddr, bytes: bytes.to_vec(), ..Self::default() }
    }

    /// Notes.
    #[must_use]
    pub fn notes(bytes: &[u8]) -> Self {
        Self { p_type: 4, bytes: bytes.to_vec(), ..Self::default() }
    }
}

/// A core file in the making.
#[derive(Clone, Debug)]
pub struct CoreFile {
    /// How numbers are stored.
    pub wire: Wire,
    /// `e_machine`.
    pub e_machine: u16,
    /// `e_type`, 4 for a core.
    pub e_type: u16,
    /// Segments in table order.
    pub segments: Vec<Segment>,
    /// `e_phnum`, when it is not the number of segments.
    pub e_phnum: Option<u16>,
    /// `e_ehsize`, when it is not the right one.
    pub e_ehsize: Option<u16>,
    /// Where the file is cut off.
    pub cut: Option<usize>,
    /// What segments are aligned to in the file.
    pub align: usize,
}

impl CoreFile {
    /// An empty core.
    #[must_use]
    pub fn new(wire: Wire, e_machine: u16) -> Self {
        Self {
            wire,
            e_machine,
            e_type: 4,
            segments: vec![],
            e_phnum: None,
            e_ehsize: None,
            cut: None,
            align: 16,
        }
    }

    /// An empty core of x86_64.
    #[must_use]
    pub fn x86_64() -> Self {
        Self::new(Wire::LE64, 62)
    }

    /// Adds a segment.
    #[must_use]
    pub fn with(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    /// Bytes of the file header and one program header.
    fn sizes(&self) -> (usize, usize, usize) {
        if self.wire.wide { (64, 56, 64) } else { (52, 32, 40) }
    }

    /// The bytes of the file. From 65535 segments on the count stands in section header 0.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let (ehsize, phentsize, shentsize) = self.sizes();
        let extended = self.segments.len() >= 0xffff;
        let phoff = ehsize + if extended { shentsize } else { 0 };
        let phnum = if extended { 0xffff } else { self.segments.len() as u16 };
        let mut out = self.ehdr(phoff, self.e_phnum.unwrap_or(phnum), extended);
        if extended {
            let info = if self.wire.wide { 44 } else { 28 };
            out.resize(ehsize + info, 0);
            self.wire.u32(&mut out, self.segments.len() as u32);
            out.resize(phoff, 0);
        }
        let mut data = Vec::new();
        let data_at = (phoff + self.segments.len() * phentsize).div_ceil(self.align) * self.align;
        for segment in &self.segments {
            data.resize(data.len().div_ceil(self.align) * self.align, 0);
            let at = (data_at + data.len()) as u64;
            data.extend(&segment.bytes);
            self.phdr(&mut out, segment, at);
        }
        out.resize(data_at, 0);
        out.extend(data);
        out.truncate(self.cut.unwrap_or(usize::MAX));
        out
    }

    fn ehdr(&self, phoff: usize, phnum: u16, extended: bool) -> Vec<u8> {
        let (ehsize, phentsize, shentsize) = self.sizes();
        let wire = self.wire;
        let mut out = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(wire.wide), 1 + u8::from(wire.big), 1];
        out.resize(16, 0);
        wire.u16(&mut out, self.e_type);
        wire.u16(&mut out, self.e_machine);
        wire.u32(&mut out, 1);
        wire.word(&mut out, 0);
        wire.word(&mut out, phoff as u64);
        wire.word(&mut out, if extended { ehsize as u64 } else { 0 });
        wire.u32(&mut out, 0);
        wire.u16(&mut out, self.e_ehsize.unwrap_or(ehsize as u16));
        wire.u16(&mut out, phentsize as u16);
        wire.u16(&mut out, phnum);
        wire.u16(&mut out, if extended { shentsize as u16 } else { 0 });
        wire.u16(&mut out, u16::from(extended));
        wire.u16(&mut out, 0);
        out
    }

    fn phdr(&self, out: &mut Vec<u8>, segment: &Segment, at: u64) {
        let len = segment.bytes.len() as u64;
        let filesz = segment.p_filesz.unwrap_or(len);
        let words = [
            segment.p_offset.unwrap_or(at),
            segment.p_vaddr,
            segment.p_paddr,
            filesz,
            segment.p_memsz.unwrap_or(filesz),
        ];
        let wire = self.wire;
        wire.u32(out, segment.p_type);
        // The flags moved when the words grew.
        if wire.wide {
            wire.u32(out, 7);
        }
        for word in words {
            wire.word(out, word);
        }
        if !wire.wide {
            wire.u32(out, 7);
        }
        wire.word(out, 0);
    }
}
