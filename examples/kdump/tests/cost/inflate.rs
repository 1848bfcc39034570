//! Valid dumps of every kind with one field at a time at its extremes.

use dumpgen::{CoreFile, Kallsyms, LogBuf, PrintkRing, Record, Segment, Wire, note, prstatus_x86_64};

const BASE: u64 = 0xffff_8880_0010_0000;

/// A dump and where its counts, sizes and addresses are: offset, bytes.
pub(crate) struct Sample {
    bytes: Vec<u8>,
    fields: Vec<(usize, usize)>,
}

fn sample(variables: &[u8], info: &str, counters: &[(usize, usize)]) -> Sample {
    let core = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(1, [3; 27]));
    let notes = [core.clone(), note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())].concat();
    let bytes = CoreFile::x86_64()
        .with(Segment::notes(&notes))
        .with(Segment { p_vaddr: BASE, ..Segment::load(0x10_0000, variables) })
        .with(Segment { p_memsz: Some(0x4000), ..Segment::load(0x1000, &[0x5a; 0x2000]) })
        .build();
    let table = 64 + 3 * 56;
    let notes_at = usize::div_ceil(table, 16) * 16;
    let variables_at = (notes_at + notes.len()).div_ceil(16) * 16;
    assert_eq!(&bytes[variables_at..variables_at + 16], &variables[..16]);
    // e_phoff, e_shoff, e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum.
    let mut fields = vec![(32, 8), (40, 8), (52, 2), (54, 2), (56, 2), (58, 2), (60, 2)];
    for phdr in (64..table).step_by(56) {
        // p_type, then p_offset to p_align.
        fields.push((phdr, 4));
        fields.extend((8..56).step_by(8).map(|at| (phdr + at, 8)));
    }
    for at in [notes_at, notes_at + core.len()] {
        fields.extend([(at, 4), (at + 4, 4), (at + 8, 4)]);
    }
    fields.extend(counters.iter().map(|&(at, len)| (variables_at + at, len)));
    Sample { bytes, fields }
}

fn ring() -> (Vec<u8>, String) {
    let records: Vec<Record> = (0..6).map(|n| Record::new(n, &format!("record {n}"))).collect();
    PrintkRing::new(Wire::LE64, BASE).build(&records)
}

pub(crate) fn valid_dumps() -> Vec<(&'static str, Sample)> {
    let (image, info) = ring();
    // The ring's structure, the first descriptor and the first info.
    let words = (0..10).map(|n| (64 + n * 8, 8)).chain((0..3).map(|n| (320 + n * 8, 8)));
    let counters: Vec<_> = words.chain([(64, 4), (112, 4), (320 + 16 * 24 + 16, 2)]).collect();
    let printk = sample(&image, &info, &counters);
    let (image, info) = LogBuf { base: BASE, size: 4096, first_idx: 0 }.build(&[(1, "one"), (2, "two")]);
    let old = sample(&image, &info, &[(0, 8), (8, 4), (12, 4), (16, 4), (64 + 8, 2), (64 + 10, 2)]);
    let mut table = Kallsyms::new(BASE, 0xffff_ffff_8100_0000);
    table.symbols = [("T_stext", 0), ("Dcrash_notes", 8), ("D__per_cpu_offset", 16), ("Dnr_cpu_ids", 24)]
        .map(|(name, at)| (name.to_owned(), 0xffff_ffff_8100_0000 + at))
        .to_vec();
    let (image, info) = table.build();
    let names = (0..24).map(|at| (8 + at, 1));
    let kallsyms = sample(&image, &(info + "SYMBOL(_stext)=ffffffff81000000\n"), &[(0, 4)]);
    let fields = kallsyms.fields.into_iter().chain(names.map(|(at, len)| (at + 0x100, len))).collect();
    vec![("printk", printk), ("log_buf", old), ("kallsyms", Sample { fields, ..kallsyms })]
}

/// The dump with one field after the other replaced, and which it is.
pub(crate) fn extremes(sample: &Sample) -> impl Iterator<Item = (String, Vec<u8>)> {
    let size = sample.bytes.len() as u64;
    let values = [u64::MAX, 1 << 31, 1 << 63, size];
    sample.fields.iter().flat_map(move |&(at, len)| {
        values.into_iter().map(move |value| {
            let mut bytes = sample.bytes.clone();
            // Of values that do not fit, the high end.
            let value = if len < 8 && value >> (8 * len) != 0 { value >> (64 - 8 * len) } else { value };
            bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
            (format!("{len} bytes at {at} are {value:#x}"), bytes)
        })
    })
}

/// A log whose VMCOREINFO has one number after the other at its extremes.
pub(crate) fn extreme_vmcoreinfo() -> Vec<(String, Vec<u8>)> {
    let (image, info) = ring();
    let mut all = Vec::new();
    for line in info.lines() {
        let key = line.split_once('=').unwrap().0;
        for value in ["0", "1", "511", "4096", "ffffffffffffffff", "18446744073709551615"] {
            let changed = info.replace(line, &format!("{key}={value}"));
            all.push((format!("{key}={value}"), sample(&image, &changed, &[]).bytes));
        }
    }
    all
}
