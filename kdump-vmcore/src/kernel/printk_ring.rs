//! The lockless log ring of Linux 5.10 and later (kernel/printk/printk_ringbuffer.c).
//!
//! Three rings: descriptors with a state, infos with time and length, and text blocks found
//! by logical positions that count up for ever. Structures have the offsets VMCOREINFO gives.

use alloc::vec::Vec;

use kdump_elf::{Vaddr, VmcoreInfo};

use crate::error::Error;
use crate::kernel::log::Cost;
use crate::kernel::memory::{LastPage, offset};
use crate::kernel::{Caller, Dmesg, KernelMemory, LogRecord};
use crate::room::zeroed;
use crate::source::PhysMemory;

/// `log_buf_len=` ends at 2 GiB of text.
const MAX_TEXT_BITS: u32 = 31;
/// One descriptor per 32 bytes of text: enough for `log_buf_len=512M`.
const MAX_COUNT_BITS: u32 = 24;
/// Bytes; the structures of the ring have 24 and 88.
const MAX_STRUCT: usize = 512;
/// `u16 text_len`.
const MAX_TEXT: u64 = 0xffff;

/// Offsets and sizes that VMCOREINFO gives.
struct Shape {
    desc_size: u64,
    state_var: u64,
    lpos_begin: u64,
    lpos_next: u64,
    info_size: u64,
    seq: u64,
    ts_nsec: u64,
    text_len: u64,
    caller_id: Option<u64>,
}

/// The rings of one log.
struct Ring<'a, M> {
    memory: &'a mut KernelMemory<M>,
    shape: Shape,
    descs: u64,
    infos: u64,
    count: u64,
    text: u64,
    text_size: u64,
    /// Where descriptors and infos were read last.
    last_desc: LastPage,
    last_info: LastPage,
}

/// Reads the ring whose `struct printk_ringbuffer` is at `ring`.
pub(crate) fn read<M: PhysMemory>(
    memory: &mut KernelMemory<M>,
    info: VmcoreInfo<'_>,
    ring: u64,
) -> Result<Dmesg, Error> {
    let field = |base: u64, name: &'static str| Ok::<u64, Error>(base.wrapping_add(offset(info, name)?));
    let desc_ring = field(ring, "printk_ringbuffer.desc_ring")?;
    let text_ring = field(ring, "printk_ringbuffer.text_data_ring")?;
    let mut bits = |base: u64, what: &'static str, max: u32| {
        let bits = memory.read_u32(Vaddr(field(base, what)?))?;
        if bits > max {
            return Err(Error::TooLarge { what, value: u64::from(bits), limit: u64::from(max) });
        }
        Ok(1_u64.wrapping_shl(bits))
    };
    let count = bits(desc_ring, "prb_desc_ring.count_bits", MAX_COUNT_BITS)?;
    let text_size = bits(text_ring, "prb_data_ring.size_bits", MAX_TEXT_BITS)?;
    let counter = info.offset("atomic_long_t.counter").unwrap_or(0);
    let mut word = |base: u64, name: &'static str, skip: u64| {
        memory.read_word(Vaddr(field(base, name)?.wrapping_add(skip))).map_err(Error::from)
    };
    let descs = word(desc_ring, "prb_desc_ring.descs", 0)?;
    let infos = word(desc_ring, "prb_desc_ring.infos", 0)?;
    let text = word(text_ring, "prb_data_ring.data", 0)?;
    let tail = word(desc_ring, "prb_desc_ring.tail_id", counter)?;
    let head = word(desc_ring, "prb_desc_ring.head_id", counter)?;
    let shape = Shape::new(info, counter)?;
    let (last_desc, last_info) = (LastPage::default(), LastPage::default());
    let mut ring = Ring { memory, shape, descs, infos, count, text, text_size, last_desc, last_info };
    Ok(ring.records(tail, head))
}

impl Shape {
    fn new(info: VmcoreInfo<'_>, counter: u64) -> Result<Self, Error> {
        let size = |name: &'static str| {
            let size = info.size(name).ok_or(Error::MissingKey { key: name })?;
            if size == 0 || size > MAX_STRUCT as u64 {
                return Err(Error::TooLarge { what: name, value: size, limit: MAX_STRUCT as u64 });
            }
            Ok(size)
        };
        let lpos = offset(info, "prb_desc.text_blk_lpos")?;
        Ok(Self {
            desc_size: size("prb_desc")?,
            state_var: offset(info, "prb_desc.state_var")?.saturating_add(counter),
            lpos_begin: lpos.saturating_add(offset(info, "prb_data_blk_lpos.begin")?),
            lpos_next: lpos.saturating_add(offset(info, "prb_data_blk_lpos.next")?),
            info_size: size("printk_info")?,
            seq: offset(info, "printk_info.seq")?,
            ts_nsec: offset(info, "printk_info.ts_nsec")?,
            text_len: offset(info, "printk_info.text_len")?,
            caller_id: info.offset("printk_info.caller_id"),
        })
    }
}

impl<M: PhysMemory> Ring<'_, M> {
    /// All records from `tail` to `head`, both ids inclusive. Ids are two bits shorter than a
    /// word: the rest of the state word is the state.
    fn records(&mut self, tail: u64, head: u64) -> Dmesg {
        let mut dmesg = Dmesg::default();
        let mask = self.id_mask();
        let span = head.wrapping_sub(tail) & mask;
        if span >= self.count {
            let expected = "fewer ids from tail_id to head_id than there are descriptors";
            dmesg.note(Error::Corrupt { what: "prb_desc_ring.head_id", value: head, expected });
        }
        // The newest ids are the ones that can still be in the ring, and those that matter most.
        let span = span.min(self.count.saturating_sub(1));
        let (mut room, mut cost) = (self.text_size, Cost::default());
        for back in 0..=span {
            let found = self.record(head.wrapping_sub(back) & mask, room);
            if let Ok(Some(record)) = &found {
                room = room.saturating_sub(record.text.len() as u64);
            }
            if dmesg.take(&mut cost, found).is_break() {
                break;
            }
        }
        dmesg.records.reverse();
        dmesg
    }

    fn id_mask(&self) -> u64 {
        match self.memory.word_size() {
            4 => u64::from(u32::MAX >> 2),
            _ => u64::MAX >> 2,
        }
    }

    /// The record with this id; `None` when its descriptor holds another one or none that is
    /// complete. `room` is what the texts of the other records leave of the ring.
    fn record(&mut self, id: u64, room: u64) -> Result<Option<LogRecord>, Error> {
        let index = id & self.count.saturating_sub(1);
        let (mut desc, mut info) = ([0; MAX_STRUCT], [0; MAX_STRUCT]);
        let place = (self.descs, index, self.shape.desc_size);
        let desc = read_struct(self.memory, &mut self.last_desc, place, &mut desc)?;
        let field = |at: u64| self.memory.word_in(desc, at).ok_or(BAD_SHAPE);
        let state_var = field(self.shape.state_var)?;
        let (begin, next) = (field(self.shape.lpos_begin), field(self.shape.lpos_next));
        let state = state_var & !self.id_mask() & self.word_mask();
        let state = state.checked_shr(self.state_shift()).unwrap_or(0);
        // 1 is committed, 2 finalized.
        if state_var & self.id_mask() != id || !matches!(state, 1 | 2) {
            return Ok(None);
        }
        let place = (self.infos, index, self.shape.info_size);
        let info = read_struct(self.memory, &mut self.last_info, place, &mut info)?;
        let text_len = u64::from(self.memory.u16_in(info, self.shape.text_len).ok_or(BAD_SHAPE)?);
        if text_len > room {
            let expected = "no more text in all records than the ring has room for";
            return Err(Error::Corrupt { what: "printk_info.text_len", value: text_len, expected });
        }
        let mut text = self.text(begin?, next?, text_len)?;
        while text.last() == Some(&0) {
            text.pop();
        }
        // `facility`, then `flags:5` and `level:3`, follow `text_len`; they have no key.
        let byte = |skip: u64| {
            let at = usize::try_from(self.shape.text_len.saturating_add(skip)).ok();
            at.and_then(|at| info.get(at)).copied().unwrap_or(0)
        };
        let caller = self.shape.caller_id.and_then(|at| self.memory.u32_in(info, at));
        Ok(Some(LogRecord {
            seq: self.memory.u64_in(info, self.shape.seq).ok_or(BAD_SHAPE)?,
            ts_nsec: self.memory.u64_in(info, self.shape.ts_nsec).ok_or(BAD_SHAPE)?,
            level: self.memory.bit_field(byte(3), 5, 3),
            facility: byte(2),
            caller: caller.map(Caller::from_id),
            text,
        }))
    }

    /// The text of the block between two logical positions.
    fn text(&mut self, begin: u64, next: u64, text_len: u64) -> Result<Vec<u8>, Error> {
        // Bit 0 of both marks a record without a block.
        if begin & next & 1 == 1 {
            return Ok(Vec::new());
        }
        let (start, size) = self.block(begin, next).ok_or(Error::Corrupt {
            what: "prb_data_blk_lpos",
            value: begin,
            expected: "a block inside the text ring",
        })?;
        // The block begins with the id of its descriptor.
        let id = self.memory.word_size();
        let len = text_len.min(size.saturating_sub(id)).min(MAX_TEXT);
        let mut text = zeroed("the text of a record", len)?;
        let at = self.text.wrapping_add(start).wrapping_add(id);
        self.memory.read(Vaddr(at), &mut text)?;
        Ok(text)
    }

    /// Offset in the ring and size of a block. One that does not fit in front of the ring's
    /// end lies at its beginning; since Linux 6.18 one may also end exactly at the ring's end.
    fn block(&self, begin: u64, next: u64) -> Option<(u64, u64)> {
        let ring = self.text_size;
        let (offset, end) = (begin & ring.wrapping_sub(1), next & ring.wrapping_sub(1));
        let shift = ring.trailing_zeros();
        let wraps = |lpos: u64| (lpos & self.word_mask()).checked_shr(shift).unwrap_or(0);
        let max_wraps = wraps(u64::MAX);
        let (start, size) = if wraps(begin) == wraps(next) {
            (offset, end.checked_sub(offset)?)
        } else if wraps(begin) == wraps(next.wrapping_sub(1)) {
            (offset, ring.checked_sub(offset)?)
        } else if wraps(begin).wrapping_add(1) & max_wraps == wraps(next) {
            (0, end)
        } else {
            return None;
        };
        (size > self.memory.word_size()).then_some((start, size))
    }

    fn word_mask(&self) -> u64 {
        match self.memory.word_size() {
            4 => u64::from(u32::MAX),
            _ => u64::MAX,
        }
    }

    fn state_shift(&self) -> u32 {
        self.id_mask().count_ones()
    }
}

/// Reads the structure at this index of an array, of this size.
fn read_struct<'b, M: PhysMemory>(
    memory: &mut KernelMemory<M>,
    last: &mut LastPage,
    (array, index, size): (u64, u64, u64),
    room: &'b mut [u8],
) -> Result<&'b [u8], Error> {
    let bytes = room.get_mut(..usize::try_from(size).unwrap_or(0)).unwrap_or_default();
    let at = array.wrapping_add(index.wrapping_mul(size));
    last.read(memory, at, bytes)?;
    Ok(bytes)
}

const BAD_SHAPE: Error =
    Error::MissingKey { key: "offset inside prb_desc or printk_info (an OFFSET exceeds its SIZE)" };
