//! The log records of Linux 3.5 to 5.9: a byte ring of variable-length records
//! (kernel/printk/printk.c of these versions, `struct printk_log`).

use kdump_elf::{Vaddr, VmcoreInfo};

use crate::error::Error;
use crate::kernel::log::Cost;
use crate::kernel::memory::{LastPage, offset};
use crate::kernel::{Dmesg, KernelMemory, LogRecord};
use crate::room::zeroed;
use crate::source::PhysMemory;

/// The largest ring a kernel can be configured for.
const MAX_RING: u64 = 1 << 31;
/// `SIZE(printk_log)` is 16, or 24 with the caller.
const HEADERS: core::ops::RangeInclusive<u64> = 16..=MAX_HEADER as u64;
/// The largest header accepted.
const MAX_HEADER: usize = 64;

struct Shape {
    ts_nsec: u64,
    len: u64,
    text_len: u64,
    size: u64,
}

/// Reads the records from `log_first_idx` to `log_next_idx`.
pub(crate) fn read<M: PhysMemory>(
    memory: &mut KernelMemory<M>,
    info: VmcoreInfo<'_>,
) -> Result<Dmesg, Error> {
    let symbol = |key: &'static str| info.symbol(key).ok_or(Error::MissingKey { key });
    let mut number =
        |key: &'static str| memory.read_u32(Vaddr(symbol(key)?)).map(u64::from).map_err(Error::from);
    let shape = Shape {
        ts_nsec: offset(info, "printk_log.ts_nsec")?,
        len: offset(info, "printk_log.len")?,
        text_len: offset(info, "printk_log.text_len")?,
        size: info.size("printk_log").ok_or(Error::MissingKey { key: "SIZE(printk_log)" })?,
    };
    if !HEADERS.contains(&shape.size) {
        return Err(Error::Corrupt {
            what: "SIZE(printk_log)",
            value: shape.size,
            expected: "16 to 64 bytes",
        });
    }
    let ring_size = number("log_buf_len")?;
    if ring_size > MAX_RING {
        return Err(Error::TooLarge { what: "log_buf_len", value: ring_size, limit: MAX_RING });
    }
    let (first, next) = (number("log_first_idx")?, number("log_next_idx")?);
    let ring = memory.read_word(Vaddr(symbol("log_buf")?))?;
    Ok(records(memory, &shape, ring, ring_size, first, next))
}

/// Walks the ring once at most.
fn records<M: PhysMemory>(
    memory: &mut KernelMemory<M>,
    shape: &Shape,
    ring: u64,
    ring_size: u64,
    first: u64,
    next: u64,
) -> Dmesg {
    let mut dmesg = Dmesg::default();
    let (mut index, mut walked) = (first, 0_u64);
    let mut wrapped = false;
    let mut cost = Cost::default();
    let mut header = [0; MAX_HEADER];
    let header = header.get_mut(..usize::try_from(shape.size).unwrap_or(0)).unwrap_or_default();
    let mut last = LastPage::default();
    while index != next && walked < ring_size {
        let corrupt = Error::Corrupt {
            what: "printk_log.len",
            value: index,
            expected: "a record inside the ring at this index",
        };
        if let Err(stopped) = last.read(memory, ring.wrapping_add(index), header) {
            dmesg.lose(stopped.error);
            break;
        }
        let len = memory.u16_in(header, shape.len).map_or(0, u64::from);
        if len == 0 {
            // The rest of the ring is unused: the next record is at its beginning.
            if wrapped {
                dmesg.lose(corrupt);
                break;
            }
            (index, wrapped) = (0, true);
            continue;
        }
        if len < shape.size || index.saturating_add(len) > ring_size {
            // Without a length nobody knows where the next record begins.
            dmesg.lose(corrupt);
            break;
        }
        let found = record(memory, shape, ring.wrapping_add(index), header, len);
        let seq = dmesg.records.len() as u64;
        if dmesg.take(&mut cost, found.map(|record| Some(LogRecord { seq, ..record }))).is_break() {
            break;
        }
        walked = walked.saturating_add(len);
        index = index.saturating_add(len);
    }
    dmesg
}

fn record<M: PhysMemory>(
    memory: &mut KernelMemory<M>,
    shape: &Shape,
    at: u64,
    header: &[u8],
    len: u64,
) -> Result<LogRecord, Error> {
    let missing = Error::MissingKey { key: "OFFSET(printk_log.*) below SIZE(printk_log)" };
    let text_len = u64::from(memory.u16_in(header, shape.text_len).ok_or(missing)?);
    let text_len = text_len.min(len.saturating_sub(shape.size));
    let mut text = zeroed("the text of a record", text_len)?;
    memory.read(Vaddr(at.wrapping_add(shape.size)), &mut text)?;
    // `u8 facility; u8 flags:5, level:3` follow `u16 text_len, dict_len`.
    let byte = |skip: u64| {
        let at = usize::try_from(shape.text_len.saturating_add(skip)).ok();
        at.and_then(|at| header.get(at)).copied().unwrap_or(0)
    };
    Ok(LogRecord {
        seq: 0,
        ts_nsec: memory.u64_in(header, shape.ts_nsec).ok_or(missing)?,
        level: memory.bit_field(byte(5), 5, 3),
        facility: byte(4),
        caller: None,
        text,
    })
}
