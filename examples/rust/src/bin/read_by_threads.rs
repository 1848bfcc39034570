//! `read_by_threads DUMP THREADS`: each thread reads all memory of a dump, in any format; all must have read the same.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use core::error::Error;
use std::path::Path;
use std::thread;

use kdump_elf::Paddr;
use kdump_vmcore::{Dump, PhysMemory as _, Stopped, open_dump_file};

/// Bytes read at once.
const PIECE: u64 = 1 << 16;

/// Number of bytes, and their sum.
fn read_all(dump: &Dump<'_>) -> Result<(u64, u64), Stopped> {
    let (mut reader, mut piece) = (dump.reader(), vec![0; 1 << 16]);
    let (mut bytes, mut sum) = (0_u64, 0_u64);
    for span in dump.spans().filter(|span| span.kind.is_readable()) {
        let mut at = span.range.start();
        while at < span.range.end() {
            let len = span.range.end().saturating_sub(at).min(PIECE);
            let piece = piece.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
            reader.read_phys(Paddr(at), piece)?;
            sum = piece.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            bytes = bytes.saturating_add(len);
            at = at.saturating_add(len);
        }
    }
    Ok((bytes, sum))
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, threads] = words.as_slice() else {
        return Err("usage: read_by_threads DUMP THREADS".into());
    };
    let dump = Dump::open(open_dump_file(Path::new(file))?)?;
    let threads: usize = threads.parse()?;
    let results = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(|| read_all(&dump))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    let first = *results.first().ok_or("no threads")?;
    if results.iter().any(|result| *result != first) {
        return Err("two threads read different bytes".into());
    }
    println!("{threads} threads read {} bytes each: {:#x}", first.0, first.1);
    Ok(())
}
