//! Registers through the C interface: whose they are, and how long many of them take.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ptr::{null, null_mut};
use core::time::Duration;
use std::time::Instant;

use common::{Memory, libkdump_dump, message, sized};
use dumpgen::{CoreFile, Kallsyms, Segment, Wire, crash_notes_buffer, note, prstatus_x86_64};
use kdump_ffi::{LIBKDUMP_REGISTERS_CRASH_NOTES, LIBKDUMP_REGISTERS_NOTE, libkdump_cpu};
use kdump_ffi_core::{LIBKDUMP_END, LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_OK, libkdump_note, libkdump_register};

struct Open {
    _memory: Box<Memory>,
    dump: *mut libkdump_dump,
}

impl Drop for Open {
    fn drop(&mut self) {
        common::libkdump_dump_free(self.dump);
    }
}

fn open(file: Vec<u8>) -> Open {
    let memory = Box::new(Memory::new(file));
    let (mut dump, mut error) = (null_mut(), sized());
    let (size, read, user) = (memory.bytes.len() as u64, Some(common::read_memory as _), memory.user());
    let code = common::libkdump_dump_open_callback(size, read, user, null(), &raw mut dump, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    Open { _memory: memory, dump }
}

fn cpu_note(pid: u32) -> Vec<u8> {
    note(Wire::LE64, "CORE", 1, &prstatus_x86_64(pid, [u64::from(pid); 27]))
}

const IMAGE: u64 = 0xffff_ffff_8000_0000;
const PERCPU: u64 = 0x40;

/// A kernel of three CPUs of which the second did not answer, and a note that a hypervisor made.
fn silent_second() -> Vec<u8> {
    let mut image = vec![0; 0xc000];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x100, &PERCPU.to_le_bytes());
    put(0x300, &3_u32.to_le_bytes());
    for (cpu, pid) in [Some(7), None, Some(9)].into_iter().enumerate() {
        let area = 0x8000 + cpu * 0x1000;
        put(0x200 + cpu * 8, &(IMAGE + area as u64).to_le_bytes());
        put(area + PERCPU as usize, &crash_notes_buffer(&pid.map(cpu_note).unwrap_or_default(), 368));
    }
    let mut table = Kallsyms::new(IMAGE + 0x1000, IMAGE);
    let symbols =
        [("Bcrash_notes", 0x100), ("R__per_cpu_offset", 0x200), ("Bnr_cpu_ids", 0x300), ("T_stext", 0x400)];
    table.symbols = symbols.map(|(name, at)| (name.to_owned(), IMAGE + at)).to_vec();
    let (bytes, info) = table.build();
    put(0x1000, &bytes);
    let info = format!("OSRELEASE=6.12\nNUMBER(phys_base)=0\nSYMBOL(_stext)={:x}\n{info}", IMAGE + 0x400);
    let mut notes: Vec<u8> = [7, 9, 5].into_iter().flat_map(cpu_note).collect();
    notes.extend(note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes()));
    CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(0, &image)).build()
}

#[test]
fn registers_have_the_number_of_their_cpu() {
    let dump = open(silent_second());
    let number = |cpu| {
        let (mut number, mut error) = (u32::MAX, sized());
        let code = common::libkdump_dump_cpu_number(dump.dump, cpu, &raw mut number, &raw mut error);
        (code, number, message(&error))
    };
    assert_eq!(number(0), (LIBKDUMP_OK, 0, String::new()));
    assert_eq!(number(1), (LIBKDUMP_OK, 2, String::new()));
    let (code, _, said) = number(2);
    assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND, "{said}");
    assert!(said.contains("buffer"), "{said}");
    assert_eq!(number(3).0, LIBKDUMP_ERR_NOT_FOUND);
}

#[test]
fn registers_say_where_they_were_found() {
    let dump = open(silent_second());
    let source = |cpu| {
        let (mut source, mut error) = (0, sized());
        (common::libkdump_dump_cpu_source(dump.dump, cpu, &raw mut source, &raw mut error), source)
    };
    assert_eq!(source(0), (LIBKDUMP_OK, LIBKDUMP_REGISTERS_CRASH_NOTES));
    assert_eq!(source(2), (LIBKDUMP_OK, LIBKDUMP_REGISTERS_NOTE));
    assert_eq!(source(3).0, LIBKDUMP_ERR_NOT_FOUND);
}

#[test]
fn registers_that_no_note_has_follow_the_notes() {
    let mut file = silent_second();
    // The note of the last CPU is another's, whose registers are nowhere in memory.
    let at = file.windows(cpu_note(9).len()).position(|bytes| bytes == cpu_note(9)).unwrap();
    file[at..at + cpu_note(9).len()].copy_from_slice(&cpu_note(33));
    let dump = open(file);
    let mut cpu: libkdump_cpu = sized();
    let mut seen = Vec::new();
    let mut index = 0;
    while common::libkdump_dump_cpu(dump.dump, index, &raw mut cpu, null_mut()) == LIBKDUMP_OK {
        seen.push((cpu.pid, cpu.instruction_pointer, cpu.note_offset != 0, cpu.desc_len));
        index += 1;
    }
    assert_eq!(seen, [(7, 7, true, 336), (33, 33, true, 336), (5, 5, true, 336), (9, 9, false, 336)]);
    let (mut number, mut source, mut value) = (0, 0, 0);
    assert_eq!(common::libkdump_dump_cpu_number(dump.dump, 3, &raw mut number, null_mut()), LIBKDUMP_OK);
    assert_eq!(common::libkdump_dump_cpu_source(dump.dump, 3, &raw mut source, null_mut()), LIBKDUMP_OK);
    let name = c"rsp".as_ptr();
    let code = common::libkdump_dump_register(dump.dump, 3, name, &raw mut value, null_mut());
    assert_eq!((code, number, source, value), (LIBKDUMP_OK, 2, LIBKDUMP_REGISTERS_CRASH_NOTES, 9));
    assert!(common::libkdump_dump_register(dump.dump, 4, name, &raw mut value, null_mut()) < 0);
}

#[test]
fn a_dump_without_symbols_tells_no_numbers() {
    let dump = open(common::dump_with_log());
    let (mut number, mut error) = (77, sized());
    let code = common::libkdump_dump_cpu_number(dump.dump, 0, &raw mut number, &raw mut error);
    assert!(code < 0 && number == 77, "{code} {}", message(&error));
}

/// All registers of a machine of 8192 CPUs: 288 s when each call counted the notes anew.
#[test]
fn many_cpus_take_time_in_proportion() {
    let count = 8192;
    let notes: Vec<u8> = (0..count).flat_map(cpu_note).collect();
    let file = CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(0x1000, &[0; 4096]));
    let dump = open(file.build());
    let start = Instant::now();
    let mut cpu: libkdump_cpu = sized();
    let mut register: libkdump_register = sized();
    let mut entry: libkdump_note = sized();
    let mut sum = 0_u64;
    for index in 0..count {
        assert_eq!(common::libkdump_dump_cpu(dump.dump, index, &raw mut cpu, null_mut()), LIBKDUMP_OK);
        assert_eq!(common::libkdump_dump_note(dump.dump, index, &raw mut entry, null_mut()), LIBKDUMP_OK);
        assert_eq!((cpu.index, cpu.pid as u32), (index, index));
        let mut at = 0;
        while common::libkdump_dump_register_at(dump.dump, index, at, &raw mut register, null_mut())
            == LIBKDUMP_OK
        {
            sum += register.value;
            at += 1;
        }
        assert_eq!(at, 27);
    }
    let took = start.elapsed();
    assert_eq!(common::libkdump_dump_cpu(dump.dump, count, &raw mut cpu, null_mut()), LIBKDUMP_END);
    assert_eq!(common::libkdump_dump_note(dump.dump, count, &raw mut entry, null_mut()), LIBKDUMP_END);
    assert_eq!(sum, 27 * u64::from(count) * u64::from(count - 1) / 2);
    println!("{count} CPUs with 27 registers each: {took:?}");
    // Quadratic it is minutes even without optimisation turned off.
    assert!(took < Duration::from_secs(20), "{took:?}");
}
