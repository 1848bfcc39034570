//! The lockless log ring of Linux 5.10 and later, LP64 or ILP32, either byte order.

use crate::Wire;

/// A record to be logged.
#[derive(Clone, Debug)]
pub struct Record {
    /// Nanoseconds since boot.
    pub ts_nsec: u64,
    /// 0 to 7.
    pub level: u8,
    /// Its text; `None` is a record that lost its text block.
    pub text: Option<Vec<u8>>,
    /// State of its descriptor: 0 reserved, 1 committed, 2 finalized, 3 reusable.
    pub state: u64,
}

impl Record {
    /// A finalized record.
    #[must_use]
    pub fn new(ts_nsec: u64, text: &str) -> Self {
        Self { ts_nsec, level: 6, text: Some(text.as_bytes().to_vec()), state: 2 }
    }
}

/// A ring in the making.
#[derive(Clone, Debug)]
pub struct PrintkRing {
    /// How numbers are stored.
    pub wire: Wire,
    /// Virtual address of the first byte of the image; the pointer `prb` stands there.
    pub base: u64,
    /// Descriptors, as a power of two.
    pub count_bits: u32,
    /// Bytes of text, as a power of two.
    pub size_bits: u32,
    /// Id of the first record.
    pub first_id: u64,
    /// Logical position of the first text block.
    pub first_lpos: u64,
    /// Blocks may end exactly at the ring's end (Linux 6.18 and later).
    pub end_at_ring_end: bool,
}

/// A text block in the ring.
struct Block {
    begin: u64,
    next: u64,
    offset: usize,
}

impl PrintkRing {
    /// A ring of 16 records and 512 bytes of text, its counters where a kernel starts them.
    #[must_use]
    pub fn new(wire: Wire, base: u64) -> Self {
        let size = 512_u64;
        Self {
            wire,
            base,
            count_bits: 4,
            size_bits: 9,
            first_id: 0,
            first_lpos: size.wrapping_neg(),
            end_at_ring_end: false,
        }
    }

    /// The image from `base` on, and the VMCOREINFO lines that describe it.
    #[must_use]
    pub fn build(&self, records: &[Record]) -> (Vec<u8>, String) {
        let (w, count) = (self.wire.word_size(), 1_usize << self.count_bits);
        let text_size = 1_usize << self.size_bits;
        // prb pointer, the ring's structure, descriptors, infos, text.
        let ring_at = 64;
        let descs_at = ring_at + 256;
        let desc_size = 3 * w;
        let infos_at = descs_at + count * desc_size;
        let info_size = 88;
        let text_at = infos_at + count * info_size;
        let mut image = vec![0; text_at + text_size];
        self.word(&mut image, 0, self.base + ring_at as u64);
        let head_id = self.first_id.wrapping_add(records.len() as u64).wrapping_sub(1) & self.id_mask();
        self.u32(&mut image, ring_at, self.count_bits);
        for (index, value) in [
            self.base + descs_at as u64,
            self.base + infos_at as u64,
            head_id,
            self.first_id & self.id_mask(),
        ]
        .into_iter()
        .enumerate()
        {
            self.word(&mut image, ring_at + (index + 1) * w, value);
        }
        let text_ring = ring_at + 6 * w;
        self.u32(&mut image, text_ring, self.size_bits);
        self.word(&mut image, text_ring + w, self.base + text_at as u64);
        let mut lpos = self.first_lpos;
        for (number, record) in records.iter().enumerate() {
            let id = self.first_id.wrapping_add(number as u64) & self.id_mask();
            let slot = (id % count as u64) as usize;
            let block = self.block(&mut lpos, record.text.as_deref());
            let (desc, info) = (descs_at + slot * desc_size, infos_at + slot * info_size);
            self.word(&mut image, desc, id | record.state << (w * 8 - 2));
            self.word(&mut image, desc + w, block.begin);
            self.word(&mut image, desc + 2 * w, block.next);
            self.u64(&mut image, info, 1000 + number as u64);
            self.u64(&mut image, info + 8, record.ts_nsec);
            let text = record.text.as_deref().unwrap_or_default();
            self.u16(&mut image, info + 16, text.len() as u16);
            // Bit fields fill the byte from the low end, on big-endian machines from the high one.
            image[info + 19] = if self.wire.big { record.level } else { record.level << 5 };
            self.u32(&mut image, info + 20, 0x8000_0000 | number as u32);
            if !text.is_empty() {
                self.word(&mut image, text_at + block.offset, id);
                let at = text_at + block.offset + w;
                image[at..at + text.len()].copy_from_slice(text);
            }
        }
        (image, self.vmcoreinfo(w, info_size))
    }

    fn id_mask(&self) -> u64 {
        u64::MAX >> (64 - self.wire.word_size() * 8 + 2)
    }

    /// Reserves a block: word-aligned, never cut by the ring's end.
    fn block(&self, lpos: &mut u64, text: Option<&[u8]>) -> Block {
        let (w, size) = (self.wire.word_size() as u64, 1_u64 << self.size_bits);
        let Some(text) = text else { return Block { begin: 1, next: 1, offset: 0 } };
        if text.is_empty() {
            return Block { begin: 3, next: 3, offset: 0 };
        }
        let need = (w + text.len() as u64).div_ceil(w) * w;
        let begin = *lpos;
        let offset = begin % size;
        let fits = offset + need < size || (self.end_at_ring_end && offset + need == size);
        let (offset, next) = if fits {
            (offset, begin.wrapping_add(need))
        } else {
            (0, begin.wrapping_sub(offset).wrapping_add(size).wrapping_add(need))
        };
        *lpos = next;
        Block { begin, next, offset: offset as usize }
    }

    fn vmcoreinfo(&self, w: usize, info_size: usize) -> String {
        let mut out = format!("SYMBOL(prb)={:x}\n", self.base);
        let sizes = [("prb_desc", 3 * w), ("printk_info", info_size), ("printk_ringbuffer", 10 * w)];
        for (name, size) in sizes {
            out += &format!("SIZE({name})={size}\n");
        }
        for (name, offset) in [
            ("printk_ringbuffer.desc_ring", 0),
            ("printk_ringbuffer.text_data_ring", 6 * w),
            ("prb_desc_ring.count_bits", 0),
            ("prb_desc_ring.descs", w),
            ("prb_desc_ring.infos", 2 * w),
            ("prb_desc_ring.head_id", 3 * w),
            ("prb_desc_ring.tail_id", 4 * w),
            ("prb_desc.state_var", 0),
            ("prb_desc.text_blk_lpos", w),
            ("prb_data_blk_lpos.begin", 0),
            ("prb_data_blk_lpos.next", w),
            ("printk_info.seq", 0),
            ("printk_info.ts_nsec", 8),
            ("printk_info.text_len", 16),
            ("printk_info.caller_id", 20),
            ("prb_data_ring.size_bits", 0),
            ("prb_data_ring.data", w),
            ("atomic_long_t.counter", 0),
        ] {
            out += &format!("OFFSET({name})={offset}\n");
        }
        out
    }

    fn word(&self, image: &mut [u8], at: usize, value: u64) {
        let mut bytes = Vec::new();
        self.wire.word(&mut bytes, value);
        image[at..at + bytes.len()].copy_from_slice(&bytes);
    }

    fn u64(&self, image: &mut [u8], at: usize, value: u64) {
        let mut bytes = Vec::new();
        self.wire.u64(&mut bytes, value);
        image[at..at + 8].copy_from_slice(&bytes);
    }

    fn u32(&self, image: &mut [u8], at: usize, value: u32) {
        let mut bytes = Vec::new();
        self.wire.u32(&mut bytes, value);
        image[at..at + 4].copy_from_slice(&bytes);
    }

    fn u16(&self, image: &mut [u8], at: usize, value: u16) {
        let mut bytes = Vec::new();
        self.wire.u16(&mut bytes, value);
        image[at..at + 2].copy_from_slice(&bytes);
    }
}
