//! Dumps of kernels whose log or symbols seem endless: the same page stands at thousands of
//! virtual addresses.

use dumpgen::{CoreFile, Segment, Wire, note, prstatus_x86_64};

/// Where the kernel's variables are, in virtual memory.
const BASE: u64 = 0xffff_8880_0010_0000;
/// Where the page that is repeated begins.
const MANY: u64 = 0xffff_8900_0000_0000;
const VARIABLES_AT: u64 = 0x10_0000;
const PAGE_AT: u64 = 0x800_0000;

/// Memory of the kernel's variables and a `page` that is at MANY `times` times, without page
/// tables.
fn dump(info: &str, variables: &[u8], page: &[u8], times: u64) -> Vec<u8> {
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(1, [0; 27])),
        note(Wire::LE64, "VMCOREINFO", 0, format!("OSRELEASE=6.1.0\n{info}").as_bytes()),
    ];
    let mut file = CoreFile::x86_64()
        .with(Segment::notes(&notes.concat()))
        .with(Segment { p_vaddr: BASE, ..Segment::load(VARIABLES_AT, variables) })
        .with(Segment { p_vaddr: MANY, ..Segment::load(PAGE_AT, page) });
    for time in 1..times {
        let p_vaddr = MANY + time * page.len() as u64;
        let p_memsz = Some(page.len() as u64);
        file = file.with(Segment { p_vaddr, p_memsz, p_filesz: Some(0), ..Segment::load(PAGE_AT, &[]) });
    }
    file.build()
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// VMCOREINFO of a ring whose structures are words on top of each other.
fn ring_info(desc_size: u64, offsets: [u64; 3]) -> String {
    let [state, begin, next] = offsets;
    format!(
        "SYMBOL(prb)={BASE:x}\nSIZE(prb_desc)={desc_size}\nSIZE(printk_info)=8\n\
         OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=40\n\
         OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\n\
         OFFSET(prb_desc_ring.head_id)=24\nOFFSET(prb_desc_ring.tail_id)=32\n\
         OFFSET(prb_desc.state_var)={state}\nOFFSET(prb_desc.text_blk_lpos)=0\n\
         OFFSET(prb_data_blk_lpos.begin)={begin}\nOFFSET(prb_data_blk_lpos.next)={next}\n\
         OFFSET(printk_info.seq)=0\nOFFSET(printk_info.ts_nsec)=0\nOFFSET(printk_info.text_len)=0\n\
         OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n"
    )
}

/// The pointer `prb`, the ring it points to, and `descs` behind them.
fn ring(count_bits: u64, head: u64, infos: u64, size_bits: u64, descs: &[u64]) -> Vec<u8> {
    let mut all = words(&[BASE + 8, count_bits, BASE + 64, infos, head, 0, size_bits, MANY]);
    all.extend(words(descs));
    all
}

/// Each of `records` finalized records has 64 KiB of text, all of it the same bytes.
pub(crate) fn repeated_text(fill: u8, records: u64) -> Vec<u8> {
    let descs: Vec<u64> = (0..records).flat_map(|id| [id | 2 << 62, id << 16, (id << 16) + 0xfff8]).collect();
    let infos = BASE + 64 + descs.len() as u64 * 8;
    let mut variables = ring(15, records - 1, infos, 31, &descs);
    variables.extend(words(&vec![0xffff; records as usize]));
    dump(&ring_info(24, [0, 8, 16]), &variables, &[fill; 0x1_0000], records)
}

/// `1 << bits` records without text.
pub(crate) fn tiny_records(bits: u64) -> Vec<u8> {
    let descs: Vec<u64> = (0..1_u64 << bits).flat_map(|id| [id | 2 << 62, 1]).collect();
    // The words of descriptors serve as infos; the half of them that is the length is zero.
    let variables = ring(bits, (1 << bits) - 1, BASE + 64, 20, &descs);
    let info = ring_info(16, [0, 8, 8]).replace("text_len)=0", "text_len)=4");
    dump(&info, &variables, &[0; 0x1000], 1)
}

/// A ring of 16 million descriptors in unmapped memory.
pub(crate) fn no_descriptors() -> Vec<u8> {
    let mut variables = ring(24, (1 << 24) - 1, BASE, 31, &[]);
    variables[16..24].copy_from_slice(&0xffff_a000_0000_0000_u64.to_le_bytes());
    dump(&ring_info(8, [0; 3]), &variables, &[0; 0x1000], 1)
}

/// A log of Linux 3.5 to 5.9 of 2 GiB, whose records of `len` bytes are all the same.
pub(crate) fn old_ring(len: u16) -> Vec<u8> {
    let mut page = vec![b'x'; 0x1_0000];
    if len == 16 {
        page = record(16).repeat(0x1000);
    } else {
        page[..16].copy_from_slice(&record(len));
        page[usize::from(len)..].copy_from_slice(&record(16));
    }
    let variables = [words(&[MANY]), [1_u32 << 31, 0, u32::MAX].map(u32::to_le_bytes).concat()].concat();
    let mut info = String::from(
        "SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n\
         OFFSET(printk_log.text_len)=10\n",
    );
    for (name, at) in [("log_buf", 0), ("log_buf_len", 8), ("log_first_idx", 12), ("log_next_idx", 16)] {
        info += &format!("SYMBOL({name})={:x}\n", BASE + at);
    }
    dump(&info, &variables, &page, 1 << 15)
}

fn record(len: u16) -> [u8; 16] {
    let mut header = [0; 16];
    header[8..10].copy_from_slice(&len.to_le_bytes());
    header[10..12].copy_from_slice(&(len - 16).to_le_bytes());
    header
}

/// Two million symbols whose names are all the same: one token of 512 characters, or many that
/// are empty.
pub(crate) fn kallsyms(tokens: u8) -> Vec<u8> {
    let name = [vec![tokens], vec![0; usize::from(tokens)]].concat();
    let page = name.repeat(0x1_0000 / name.len());
    let text = if tokens == 1 { vec![b'n'; 512] } else { vec![] };
    let mut variables = words(&[1 << 21]);
    variables.extend(vec![0; 512]);
    let table = BASE + variables.len() as u64;
    variables.extend(text);
    variables.extend([0; 1024]);
    let info = format!(
        "SYMBOL(kallsyms_num_syms)={BASE:x}\nSYMBOL(kallsyms_token_index)={:x}\n\
         SYMBOL(kallsyms_token_table)={table:x}\nSYMBOL(kallsyms_names)={MANY:x}\n\
         SYMBOL(kallsyms_offsets)={BASE:x}\nSYMBOL(_stext)=ffffffff81000000\n",
        BASE + 8
    );
    dump(&info, &variables, &page, 4096)
}
