//! How long this library takes to read given places of a dump.
//!
//! `kdump-bench-read DUMP SPACE THREADS WARM LIST WAY`, as xtask's libkdumpfile_read.c. WAY is a
//! list of words: `c` reads through the C interface, `mmap` from a mapping, and with `helpers` two
//! threads decompress what one reads.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "benchmarks print their figures")]
#![allow(unsafe_code, reason = "calls the C interface as C does, and asks for processor time")]

use core::error::Error;
use core::ffi::{c_char, c_int, c_void};
use core::hint::black_box;
use core::ptr::null_mut;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Instant;

use codecpeers::Peer;
use kdump_elf::{Paddr, Vaddr};
// Also links the exported functions.
use kdump_ffi::{LIBKDUMP_OPEN_MMAP, libkdump_open_options};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{Dump, KernelMemory, MappedFile, PhysMemory, ReadOptions, open_dump_file};

type Result<T> = core::result::Result<T, Box<dyn Error + Send + Sync>>;

mod c {
    //! The functions of kdump.h.
    use super::{c_char, c_int, c_void};
    unsafe extern "C" {
        pub(super) fn libkdump_dump_open(
            paths: *const *const c_char,
            count: usize,
            options: *const c_void,
            dump: *mut *mut c_void,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_read_phys(
            dump: *const c_void,
            paddr: u64,
            buf: *mut c_void,
            len: usize,
            done: *mut usize,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_read_virt(
            dump: *const c_void,
            vaddr: u64,
            buf: *mut c_void,
            len: usize,
            done: *mut usize,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_free(dump: *mut c_void);
    }
}

/// An address and a number of bytes.
type Place = (u64, usize);

/// What reading a list came to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    sum: u64,
    failed: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, from, codec, to] = args.as_slice() {
        if word == "recompress" {
            return recompress(Path::new(from), codec, Path::new(to));
        }
    }
    let [dump, space, threads, warm, list, ways @ ..] = args.as_slice() else {
        return Err("DUMP SPACE THREADS WARM LIST [WAY…]".into());
    };
    let (virt, threads, warm) = (space == "v", threads.parse::<usize>()?.max(1), warm == "1");
    let places = read_list(Path::new(list))?;
    let size = places.len().div_ceil(threads).max(1);
    let parts: Vec<&[Place]> = places.chunks(size).collect();
    let has = |word: &str| ways.iter().any(|way| way == word);
    let helpers = if has("helpers") { 2 } else { 1 };
    let (wall, processor, outcome) = if has("c") {
        let handle = Handle::open(dump, has("mmap"), u32::try_from(helpers)?)?;
        timed(&parts, warm, || {
            let handle = &handle;
            move |at, buf: &mut [u8]| handle.read(virt, at, buf)
        })
    } else {
        let file = open_dump_file(Path::new(dump))?;
        let dump = if has("mmap") { Dump::open(MappedFile::new(&file)?)? } else { Dump::open(file)? };
        let dump = dump.read_options(ReadOptions::default().threads(helpers));
        if virt {
            timed(&parts, warm, || {
                let mut memory = KernelMemory::new(&dump);
                move |at, buf: &mut [u8]| memory.read(Vaddr(at), buf).is_ok()
            })
        } else {
            timed(&parts, warm, || {
                let mut reader = dump.reader();
                move |at, buf: &mut [u8]| reader.read_phys(Paddr(at), buf).is_ok()
            })
        }
    };
    println!("{wall:.9} {processor:.9} {:016x} {}", outcome.sum, outcome.failed);
    Ok(())
}

/// Compresses the pages of an uncompressed 64-bit kdump file with the distribution's library, as
/// makedumpfile would (struct disk_dump_header and struct page_desc, makedumpfile's IMPLEMENTATION).
fn recompress(from: &Path, codec: &str, to: &Path) -> Result<()> {
    let peer = Peer::all()?.into_iter().find(|peer| peer.codec == codec).ok_or("no such codec")?;
    let flag: u32 = Codec::from_name(codec).ok_or("no such codec")?.flag();
    let mut file = std::fs::read(from)?;
    let word = |file: &[u8], at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes).ok_or("a short file")
    };
    let long = |file: &[u8], at: usize| {
        file.get(at..).and_then(<[u8]>::first_chunk).copied().map(u64::from_le_bytes).ok_or("a short file")
    };
    let block = usize::try_from(word(&file, 428)?)?;
    let blocks = usize::try_from(word(&file, 432)?)?.saturating_add(usize::try_from(word(&file, 436)?)?);
    let table = blocks.saturating_add(1).saturating_mul(block);
    let data = usize::try_from(long(&file, table)?)?;
    let source = file.split_off(data);
    let (mut output, mut made) = (vec![0; block.saturating_mul(4)], BTreeMap::new());
    for at in (table..data).step_by(24) {
        let Ok(offset) = usize::try_from(long(&file, at)?) else { break };
        let Some(page) = offset.checked_sub(data).and_then(|offset| source.get(offset..)?.get(..block))
        else {
            continue;
        };
        let (offset, size, flag) = match made.get(&offset) {
            Some(&place) => place,
            None => {
                let len = peer.compress(page, &mut output)?;
                let small = output.get(..len).filter(|_| len < block);
                let place = (file.len() as u64, u32::try_from(small.unwrap_or(page).len())?);
                let place = (place.0, place.1, if small.is_some() { flag } else { 0 });
                file.extend_from_slice(small.unwrap_or(page));
                made.insert(offset, place);
                place
            }
        };
        let desc = [offset.to_le_bytes().as_slice(), &size.to_le_bytes(), &flag.to_le_bytes()].concat();
        file.get_mut(at..).and_then(|rest| rest.get_mut(..16)).ok_or("a short file")?.copy_from_slice(&desc);
    }
    let status = word(&file, 424)? | flag;
    file.get_mut(424..428).ok_or("a short file")?.copy_from_slice(&status.to_le_bytes());
    Ok(std::fs::write(to, file)?)
}

/// Pairs of 64-bit little-endian numbers.
fn read_list(path: &Path) -> Result<Vec<Place>> {
    let bytes = std::fs::read(path)?;
    let words = bytes.chunks_exact(8).filter_map(|word| word.first_chunk().copied().map(u64::from_le_bytes));
    let words: Vec<u64> = words.collect();
    words
        .chunks_exact(2)
        .map(|pair| match *pair {
            [at, len] => Ok((at, usize::try_from(len)?)),
            _ => Err("half a place".into()),
        })
        .collect()
}

/// Reads each part in a thread of its own, all at once. Wall and processor seconds of the second
/// pass when `warm`, else of the only one.
fn timed<R: FnMut(u64, &mut [u8]) -> bool + Send>(
    parts: &[&[Place]],
    warm: bool,
    make: impl Fn() -> R + Sync,
) -> (f64, f64, Outcome) {
    let barrier = Barrier::new(parts.len().saturating_add(1));
    std::thread::scope(|scope| {
        let (barrier, make) = (&barrier, &make);
        let work = |part: &&'_ [Place]| {
            let part: Vec<Place> = part.to_vec();
            scope.spawn(move || {
                let (mut read, mut buffer) = (make(), vec![0; 1 << 20]);
                if warm {
                    pass(&part, &mut read, &mut buffer);
                }
                barrier.wait();
                barrier.wait();
                pass(&part, &mut read, &mut buffer)
            })
        };
        let threads: Vec<_> = parts.iter().map(work).collect();
        barrier.wait();
        let (start, processor) = (Instant::now(), processor_time());
        barrier.wait();
        let outcomes = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
        let all = outcomes.fold(Outcome::default(), |all, one| Outcome {
            sum: all.sum.wrapping_add(one.sum),
            failed: all.failed.saturating_add(one.failed),
        });
        (start.elapsed().as_secs_f64(), processor_time() - processor, all)
    })
}

fn pass(places: &[Place], read: &mut impl FnMut(u64, &mut [u8]) -> bool, buffer: &mut [u8]) -> Outcome {
    let mut outcome = Outcome::default();
    for &(at, len) in places {
        let buf = buffer.get_mut(..len).unwrap_or_default();
        if read(at, black_box(&mut *buf)) {
            let word = buf.first_chunk().copied().map_or(0, u64::from_le_bytes);
            outcome.sum = outcome.sum.wrapping_add(word);
        } else {
            outcome.failed = outcome.failed.saturating_add(1);
        }
    }
    outcome
}

/// Processor seconds of all threads of this process.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours; a clock every Linux has (clock_gettime(2)).
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let part = |number: i64| f64::from(u32::try_from(number).unwrap_or(0));
    part(time.tv_sec) + part(time.tv_nsec) * 1e-9
}

/// A dump opened through the C interface.
struct Handle(*mut c_void);

// SAFETY: kdump.h lets any number of threads use a dump at the same time.
unsafe impl Sync for Handle {}

impl Handle {
    fn open(path: &str, mapped: bool, threads: u32) -> Result<Self> {
        let path = CString::new(path)?;
        let (paths, mut dump) = ([path.as_ptr()], null_mut());
        let size = u32::try_from(size_of::<libkdump_open_options>())?;
        let flags = if mapped { LIBKDUMP_OPEN_MMAP } else { 0 };
        let options = libkdump_open_options { size, flags, raw_base: 0, cache_size: 0, threads, reserved: 0 };
        let options = (&raw const options).cast();
        // SAFETY: one path, the structure of the options, a place for the handle.
        let code = unsafe { c::libkdump_dump_open(paths.as_ptr(), 1, options, &raw mut dump, null_mut()) };
        if code == 0 { Ok(Self(dump)) } else { Err(format!("libkdump_dump_open: {code}").into()) }
    }

    fn read(&self, virt: bool, at: u64, buf: &mut [u8]) -> bool {
        let read = black_box(if virt { c::libkdump_dump_read_virt } else { c::libkdump_dump_read_phys });
        // SAFETY: an open dump and a buffer of that length.
        let code = unsafe { read(self.0, at, buf.as_mut_ptr().cast(), buf.len(), null_mut(), null_mut()) };
        code == 0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by the library and not freed before.
        unsafe { c::libkdump_dump_free(self.0) };
    }
}
