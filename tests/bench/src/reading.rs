//! Random reads by physical address against plain `pread` of the same bytes, and how long a
//! view with many ranges takes to find one.
#![allow(clippy::arithmetic_side_effects, reason = "all values come from constants of this file")]

use core::error::Error;
use core::hint::black_box;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use dumpgen::{KdumpFile, PageCodec, Wire};
use kdump_elf::{Arch, Class, Encoding, Endian, HeaderLayout, PT_LOAD, PT_NOTE, Paddr, Phdr};
use kdump_vmcore::{Dump, MemoryImage, OldMemory, PhysMemory, ReadAt, ViewOptions, VmcoreView};

const ENCODING: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
/// Bytes of memory in the dump; small enough to stay in the page cache.
const MEMORY: u64 = 256 << 20;
/// Ranges of the dump: RAM of a machine with memory hot-plugged in small blocks.
const SEGMENTS: u64 = 64;
const READS: u32 = 500_000;
/// Ranges of the view.
const VIEW_RANGES: u64 = 10_000;

/// Prints all figures.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("kdump-bench-{}.elf", std::process::id()));
    let result = write_dump(&path).and_then(|()| random_reads(&path));
    std::fs::remove_file(&path)?;
    result?;
    view_lookup()?;
    opening()
}

/// How long it takes to open a dump of 1 TiB of memory in pages of 4 KiB, its file in the page cache: one
/// range of RAM, and one whose bitmap of stored pages changes every few pages.
fn opening() -> Result<(), Box<dyn Error>> {
    const PAGES: u64 = 1 << 28;
    let file = KdumpFile::new(Wire::LE64, PAGES).with_pages(1000..1100, &[PageCodec::Raw]);
    let layout = file.layout();
    let mut bytes = file.build();
    let path = std::env::temp_dir().join(format!("kdump-bench-{}.kdump", std::process::id()));
    for (what, fragmented) in [("one range", false), ("fragmented", true)] {
        if fragmented {
            let start = usize::try_from(layout.bitmap_2)?;
            let bitmap =
                bytes.get_mut(start..).and_then(|rest| rest.get_mut(..usize::try_from(PAGES / 8).ok()?));
            let words = bitmap.ok_or("a short file")?.chunks_exact_mut(8);
            // Runs of some pages, as a filter leaves them.
            for (word, random) in words.zip(random()) {
                word.copy_from_slice(&(random & random.rotate_left(1) | random << 3).to_le_bytes());
            }
        }
        std::fs::write(&path, &bytes)?;
        let mut best = f64::INFINITY;
        for _ in 0..7 {
            let file = File::open(&path)?;
            let start = crate::clock::time(|| Dump::open(file).map(|dump| dump.completeness().missing));
            best = best.min(start.as_secs_f64());
        }
        println!("kdump of 1 TiB, {what}: opened in {:.1} ms of processor time (goal 50)", best * 1e3);
    }
    Ok(std::fs::remove_file(&path)?)
}

/// A dump whose segments lie 1 GiB apart in physical memory and back to back in the file.
fn write_dump(path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let size = MEMORY / SEGMENTS;
    let layout = HeaderLayout::file(ENCODING, Arch::X86_64.e_machine(), u32::try_from(SEGMENTS)?);
    let mut header = vec![0; 1 << 20];
    let mut writer = layout.writer(&mut header)?;
    for index in 0..SEGMENTS {
        writer.push(&Phdr {
            p_type: PT_LOAD,
            p_offset: (1 << 20) + index * size,
            p_paddr: index << 30,
            p_filesz: size,
            p_memsz: size,
            ..Phdr::default()
        })?;
    }
    writer.finish()?;
    let file = File::create(path)?;
    file.write_all_at(&header, 0)?;
    let block: Vec<u8> = (0..1_u32 << 20).map(|at| at.to_le_bytes()[0]).collect();
    for at in (0..MEMORY).step_by(1 << 20) {
        file.write_all_at(&block, (1 << 20) + at)?;
    }
    Ok(())
}

/// xorshift64: the same addresses in every run.
struct Random(u64);

impl Iterator for Random {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0)
    }
}

fn random() -> Random {
    Random(0x9E37_79B9_7F4A_7C15)
}

/// Nanoseconds per call.
fn time(calls: u32, mut call: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
}

fn random_reads(path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let file = File::open(path)?;
    let dump = Dump::open(File::open(path)?)?;
    let mut reader = dump.reader();
    let size = MEMORY / SEGMENTS;
    for len in [8_usize, 4096] {
        let mut buffer = vec![0; len];
        let mut addresses = random().map(|value| {
            let page = value % (MEMORY / 4096);
            let word = if len == 8 { ((value >> 40) & 511) * 8 } else { 0 };
            page * 4096 + word
        });
        let mut next = move || addresses.next().unwrap_or(0);
        // Once over everything, so that both find the page cache warm.
        for at in (0..MEMORY).step_by(4096) {
            file.read_exact_at(&mut buffer, (1 << 20) + at)?;
        }
        let plain = time(READS, || {
            file.read_exact_at(&mut buffer, (1 << 20) + next())?;
            black_box(&buffer);
            Ok(())
        })?;
        let ours = time(READS, || {
            let at = next();
            reader.read_phys(Paddr(((at / size) << 30) | (at % size)), &mut buffer)?;
            black_box(&buffer);
            Ok(())
        })?;
        println!(
            "read {len:4} bytes by physical address: {ours:6.0} ns, pread {plain:6.0} ns, ratio {:.2}",
            ours / plain
        );
    }
    Ok(())
}

/// A view of 10 000 pages with holes between them, on memory that costs nothing to read.
fn view_lookup() -> Result<(), Box<dyn Error>> {
    let layout =
        HeaderLayout::elfcorehdr(ENCODING, Arch::X86_64.e_machine(), u32::try_from(VIEW_RANGES + 1)?)?;
    let mut header = vec![0; usize::try_from(layout.size())?];
    let mut writer = layout.writer(&mut header)?;
    writer.push(&Phdr { p_type: PT_NOTE, ..Phdr::default() })?;
    for index in 0..VIEW_RANGES {
        let p_offset = index * 0x2000;
        let (p_filesz, p_memsz) = (4096, 4096);
        writer.push(&Phdr {
            p_type: PT_LOAD,
            p_offset,
            p_paddr: p_offset,
            p_filesz,
            p_memsz,
            ..Phdr::default()
        })?;
    }
    writer.finish()?;
    let memory = MemoryImage::new(Paddr(0), vec![7; usize::try_from(VIEW_RANGES * 0x2000)?]);
    let start = Instant::now();
    let view = VmcoreView::from_header(&header, memory, ViewOptions::default())?;
    let made = start.elapsed();
    let first = view.file_size() - VIEW_RANGES * 4096;
    let mut values = random();
    let mut next = move || values.next().unwrap_or(0);
    let mut buffer = [0; 8];
    let by_offset = time(READS, || {
        view.read_full_at(first + next() % (VIEW_RANGES * 512) * 8, &mut buffer)?;
        black_box(&buffer);
        Ok(())
    })?;
    let by_paddr = time(READS, || {
        view.read_phys(Paddr(next() % VIEW_RANGES * 0x2000), &mut buffer)?;
        black_box(&buffer);
        Ok(())
    })?;
    println!(
        "view of {VIEW_RANGES} ranges: made in {:.1} ms, 8 bytes by offset {by_offset:.0} ns, by address {by_paddr:.0} ns",
        made.as_secs_f64() * 1e3
    );
    Ok(())
}
