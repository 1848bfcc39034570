//! Each kind of damage to an elfcorehdr through both faces of the view, the reader's and that
//! of C: the same verdict, in the same words, and the same bytes.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]

mod common;

use common::{Memory, libkdump_view, message, sized};
use dumpgen::{ElfCoreHdr, Segment, Wire, crash_notes_buffer, note, prstatus_x86_64};
use kdump_elf::{MAX_CAPTURE_NOTES, NHDR_SIZE, PT_LOAD, PT_NOTE, Paddr};
use kdump_ffi_core::{LIBKDUMP_ERR_CALLBACK, LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_OK};
use kdump_vmcore::{Dump, MemoryImage, ReadAt, ViewOptions, VmcoreView};
use proptest::prelude::*;

const PAGE: u64 = 4096;
const MEMORY: usize = 96 * PAGE as usize;
/// Where the notes of the first CPU lie.
const FIRST: usize = 0x3_0000;

/// A view's verdict: why there is none, or its file and how many defects it tells.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    file: Vec<u8>,
    damaged: u32,
}

/// What C adds about the first PT_NOTE that is damaged: its index and a code.
type First = (u32, i32);

fn through_rust(header: &[u8], memory: &[u8]) -> Result<Shown, String> {
    let image = MemoryImage::new(Paddr(0), memory);
    let view = VmcoreView::from_header(header, image, ViewOptions::default());
    let view = view.map_err(|error| error.to_string().strip_prefix("elfcorehdr: ").unwrap().to_owned())?;
    let mut file = vec![0; view.file_size() as usize];
    view.read_full_at(0, &mut file).unwrap();
    Ok(Shown { file, damaged: view.defects().len() as u32 })
}

fn through_c(header: &[u8], memory: &[u8]) -> Result<(Shown, First), String> {
    let memory = Memory::new(memory.to_vec());
    let (mut need, mut error) = (0, sized());
    let (start, len) = (header.as_ptr().cast(), header.len());
    let code = common::libkdump_view_workspace_size(start, len, PAGE, &raw mut need, &raw mut error);
    if code != LIBKDUMP_OK {
        return Err(message(&error));
    }
    assert!(need <= MAX_CAPTURE_NOTES + (4 << 20), "{need} bytes of workspace");
    // Garbage, none of which may be seen.
    let mut work = vec![0xee_u8; need as usize];
    let (place, read) = (work.as_mut_ptr().cast(), Some(common::read_memory as _));
    let mut view: libkdump_view = sized();
    let (view_at, user, error_at) = (&raw mut view, memory.user(), &raw mut error);
    let room = need as usize;
    match common::libkdump_view_init(view_at, start, len, PAGE, place, room, read, user, error_at) {
        LIBKDUMP_OK => {}
        _ => return Err(message(&error)),
    }
    let (mut file, mut done) = (vec![0xee_u8; view.file_size as usize + 1], 0);
    let buf = file.as_mut_ptr().cast();
    let code = common::libkdump_view_read(&raw const view, 0, buf, file.len(), &raw mut done, &raw mut error);
    assert_eq!((code, done as u64), (LIBKDUMP_OK, view.file_size), "{}", message(&error));
    file.truncate(done);
    Ok((Shown { file, damaged: view.damaged_notes }, (view.first_damaged, view.first_damage)))
}

/// Registers of a CPU whose pid is `pid`.
fn cpu(pid: u32) -> Vec<u8> {
    note(Wire::LE64, "CORE", 1, &prstatus_x86_64(pid, [u64::from(pid); 27]))
}

/// Three CPUs, VMCOREINFO, RAM of which a part was saved elsewhere.
fn machine() -> ElfCoreHdr {
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\n");
    ElfCoreHdr::new(Wire::LE64, 62, MEMORY)
        .with_notes(FIRST, &crash_notes_buffer(&cpu(1), 368))
        .with_notes(FIRST + 0x1000, &crash_notes_buffer(&cpu(2), 368))
        .with_notes(FIRST + 0x2000, &crash_notes_buffer(&cpu(3), 368))
        .with_notes(FIRST + 0x3000, &crash_notes_buffer(&info, 1024))
        .with_load(0x4_8000, 0x1000, 0x4c00)
        .with_load(0x1_0018, 0x1_0018, 0x5000)
}

/// The kernel's text again, as Linux lists it.
fn load(p_offset: u64, p_paddr: u64, size: u64) -> Segment {
    let (p_offset, size) = (Some(p_offset), Some(size));
    Segment { p_type: PT_LOAD, p_paddr, p_offset, p_filesz: size, p_memsz: size, ..Segment::default() }
}

type Change = fn(&mut ElfCoreHdr);

/// Headers that give no view, and a word of the reason.
const REFUSED: &[(&str, Change, &str)] = &[
    ("no core", |h| h.header.e_type = 2, "e_type is 0x2, expected 4"),
    ("no program headers", |h| h.header.e_phnum = Some(0), "e_phnum is 0x0"),
    ("an extended count", |h| h.header.e_phnum = Some(0xffff), "e_phnum is 0xffff, expected 1 to 65534"),
    (
        "a table beyond the header",
        |h| h.header.e_phnum = Some(600),
        "program header table at offset 0x40 needs",
    ),
    ("a wrong e_ehsize", |h| h.header.e_ehsize = Some(8), "e_ehsize is 0x8"),
    ("the wrong byte order", |h| h.header.wire = Wire { wide: true, big: true }, "EI_DATA is 0x2"),
    ("no PT_NOTE", |h| h.header.segments.retain(|s| s.p_type == PT_LOAD), "number of PT_NOTE is 0x0"),
    ("a PT_NOTE behind a PT_LOAD", |h| h.header.segments.push(Segment::notes(&[])), "phdr 6: p_type is 0x4"),
    ("another type", |h| h.header.segments[5].p_type = 2, "phdr 5: p_type is 0x2"),
    ("memory that wraps", |h| h.header.segments.push(load(u64::MAX - 8, 0, 16)), "phdr 6: p_offset"),
    ("addresses that wrap", |h| h.header.segments.push(load(0, u64::MAX - 8, 16)), "phdr 6: p_paddr"),
    (
        "more memory than a file can have",
        |h| h.header.segments.extend((0..4096).map(|_| load(0, 0, 1 << 52))),
        "expected a total below 2^63 bytes",
    ),
    (
        "more memory than a machine can have",
        |h| h.header.segments.push(load(0, 1 << 40, u64::MAX >> 1)),
        "phdr 6: p_memsz is 0x7fffffffffffffff",
    ),
    ("a wrong p_filesz", |h| h.header.segments[4].p_filesz = Some(1), "phdr 4: p_filesz is 0x1"),
    (
        "two places for one address",
        |h| h.header.segments.push(load(0x2_0000, 0x1_1000, 0x1000)),
        "phdr 6: p_offset is 0x20000",
    ),
    (
        "two places, the first begun far before",
        |h| h.header.segments.extend([load(0x2_0000, 0x5c00, 0xd000), load(0x2_0100, 0x5d00, 0x10)]),
        "phdr 5: p_offset is 0x10018",
    ),
];

/// Bytes of a good header that are overwritten, and a word of the reason.
const OVERWRITTEN: &[(&str, usize, &[u8], &str)] = &[
    ("the magic", 0, b"ELF", "not an ELF file"),
    ("the class", 4, &[3], "EI_CLASS is 0x3"),
    ("the version", 20, &[2], "e_version is 0x2"),
    ("e_phoff", 32, &[0x80], "e_phoff is 0x80"),
    ("e_phentsize", 54, &[32], "e_phentsize is 0x20"),
    ("p_align of a PT_LOAD", 64 + 56 * 4 + 48, &[3], "phdr 4: p_align is 0x3"),
];

/// What is left of a header whose notes are damaged.
struct Kept {
    name: &'static str,
    change: Change,
    pids: &'static [i32],
    vmcoreinfo: bool,
    /// Defects told, and what C says of the first.
    damaged: u32,
    first: First,
}

const fn kept(name: &'static str, change: Change, pids: &'static [i32], damaged: u32, first: First) -> Kept {
    Kept { name, change, pids, vmcoreinfo: true, damaged, first }
}

const SHOWN: &[Kept] = &[
    kept("nothing wrong", |_| (), &[1, 2, 3], 0, (0, 0)),
    kept(
        "text listed twice",
        |h| h.header.segments.push(load(0x1_1000, 0x1_1000, 0x800)),
        &[1, 2, 3],
        0,
        (0, 0),
    ),
    kept("a CPU that saved nothing", |h| h.memory[FIRST..][..368].fill(0), &[2, 3], 0, (0, 0)),
    kept(
        "a last note without its padding, which the next must not lack",
        |h| {
            // A note of 357 bytes fills its buffer to the last byte.
            let odd = note(Wire::LE64, "ODD", 7, &[9; 13]);
            let at = FIRST + 356;
            h.memory[at..at + odd.len()].copy_from_slice(&odd);
            let size = Some((356 + odd.len() - 3) as u64);
            (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (size, size);
        },
        &[1, 2, 3],
        0,
        (0, 0),
    ),
    kept(
        "a name without padding and no descriptor",
        |h| {
            let odd = note(Wire::LE64, "ODDER", 7, &[]);
            h.memory[FIRST + 356..][..odd.len()].copy_from_slice(&odd);
            let size = Some((356 + NHDR_SIZE + 6) as u64);
            (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (size, size);
        },
        &[1, 2, 3],
        0,
        (0, 0),
    ),
    kept(
        "a note without a name before one with",
        |h| {
            let at = FIRST + 0x800;
            h.memory[at..at + 16].copy_from_slice(&[0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9]);
            h.memory[at + 16..at + 16 + 368].copy_from_slice(&crash_notes_buffer(&cpu(9), 368));
            h.header.segments[0].p_offset = Some(at as u64);
            (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (Some(384), Some(384));
        },
        &[9, 2, 3],
        0,
        (0, 0),
    ),
    kept(
        "a length beyond its buffer",
        |h| h.memory[FIRST + 4..FIRST + 8].copy_from_slice(&0xffff_fff0_u32.to_le_bytes()),
        &[2, 3],
        1,
        (0, LIBKDUMP_ERR_TRUNCATED),
    ),
    kept(
        "damage behind a good note",
        |h| h.memory[FIRST + 356..FIRST + 360].copy_from_slice(&5_u32.to_le_bytes()),
        &[1, 2, 3],
        1,
        (0, LIBKDUMP_ERR_TRUNCATED),
    ),
    kept(
        "notes outside memory",
        |h| h.header.segments[1].p_offset = Some(1 << 40),
        &[1, 3],
        1,
        (1, LIBKDUMP_ERR_CALLBACK),
    ),
    kept(
        "memory that ends within the notes",
        |h| {
            let at = MEMORY - 0x1000;
            h.memory[at..at + 368].copy_from_slice(&crash_notes_buffer(&cpu(9), 368));
            h.header.segments[0].p_offset = Some(at as u64);
            (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (Some(0x2000), Some(0x2000));
        },
        &[9, 2, 3],
        1,
        (0, LIBKDUMP_ERR_CALLBACK),
    ),
    kept(
        "an absurd size, which costs the others nothing",
        |h| (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (Some(1 << 40), Some(1 << 40)),
        &[1, 2, 3],
        // The size, and that memory ends before it.
        1,
        (0, LIBKDUMP_ERR_CORRUPT),
    ),
    kept(
        "notes that pass the end of the address space",
        |h| h.header.segments[2].p_offset = Some(u64::MAX - 100),
        &[1, 2],
        1,
        (2, LIBKDUMP_ERR_CORRUPT),
    ),
    kept(
        "a wrong p_filesz of notes",
        |h| h.header.segments[0].p_filesz = Some(1),
        &[1, 2, 3],
        1,
        (0, LIBKDUMP_ERR_CORRUPT),
    ),
    kept(
        "an empty PT_NOTE",
        |h| (h.header.segments[0].p_filesz, h.header.segments[0].p_memsz) = (Some(0), Some(0)),
        &[2, 3],
        0,
        (0, 0),
    ),
    Kept {
        name: "no PT_NOTE is left whole",
        change: |h| h.header.segments[..4].iter_mut().for_each(|s| s.p_offset = Some(1 << 40)),
        pids: &[],
        vmcoreinfo: false,
        damaged: 4,
        first: (0, LIBKDUMP_ERR_CALLBACK),
    },
    Kept {
        name: "128 PT_NOTEs over one MiB",
        change: |h| {
            let many =
                Segment { p_memsz: Some(1 << 20), p_filesz: Some(1 << 20), ..h.header.segments[0].clone() };
            h.header.segments.splice(..4, core::iter::repeat_n(many, 128));
        },
        pids: &[1; 128],
        vmcoreinfo: false,
        damaged: 128,
        first: (0, LIBKDUMP_ERR_CORRUPT),
    },
];

fn damaged(change: Change) -> (Vec<u8>, Vec<u8>) {
    let mut source = machine();
    change(&mut source);
    (source.header.build(), source.memory)
}

#[test]
fn both_faces_refuse_the_same_in_the_same_words() {
    for (name, change, reason) in REFUSED {
        let (header, memory) = damaged(*change);
        let rust = through_rust(&header, &memory).unwrap_err();
        let c = through_c(&header, &memory).unwrap_err();
        assert!(rust.contains(reason), "{name}: {rust}");
        assert_eq!(rust, c, "{name}");
    }
    let (good, memory) = damaged(|_| ());
    let both = |header: &[u8], reason: &str| {
        let (rust, c) = (through_rust(header, &memory).unwrap_err(), through_c(header, &memory).unwrap_err());
        assert!(rust.contains(reason), "{reason}: {rust}");
        assert_eq!(rust, c);
    };
    for &(_, at, bytes, reason) in OVERWRITTEN {
        let mut header = good.clone();
        header[at..at + bytes.len()].copy_from_slice(bytes);
        both(&header, reason);
    }
    for len in [0, 3, 17, 63, 64, 64 + 6 * 56 - 1] {
        both(&good[..len], "are there");
    }
}

#[test]
fn both_faces_keep_the_same_of_damaged_notes() {
    for Kept { name, change, pids, vmcoreinfo, damaged: count, first } in SHOWN {
        let (header, memory) = damaged(*change);
        let rust = through_rust(&header, &memory).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (c, c_first) = through_c(&header, &memory).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rust.file == c.file, "{name}: the files differ");
        assert_eq!((c.damaged, c_first), (*count, *first), "{name}");
        // C counts PT_NOTEs; of one there may be two things to say.
        assert!((*count..=*count * 2).contains(&rust.damaged), "{name}: {}", rust.damaged);
        let dump = Dump::open(rust.file).unwrap();
        let found: Vec<_> = dump.cpus().map(|cpu| cpu.prstatus().unwrap().pid()).collect();
        assert_eq!(found, *pids, "{name}");
        assert_eq!(dump.vmcoreinfo().is_some(), *vmcoreinfo, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Any program headers, most of them almost right, over notes that are almost right.
    #[test]
    fn any_header_gives_both_the_same_file(
        fields in prop::collection::vec((0_usize..6, 0_u8..6, any::<u64>()), 0..3),
        bytes in prop::collection::vec((0_usize..400, 0_usize..4, any::<u8>()), 0..4),
        sizes in prop::collection::vec((0_usize..4, 0_u64..400), 0..3),
        loads in prop::collection::vec((0_u64..0x5_0000, 0_u64..0x3000), 0..12),
        ehdr in prop::collection::vec((4_usize..64, any::<u8>()), 0..2),
        scale in prop_oneof![1 => Just(0_u32), 5 => 40_u32..64],
    ) {
        let mut source = machine();
        for &(offset, size) in &loads {
            source = source.with_load(offset, offset, size);
        }
        source.header.segments.remove(4);
        for &(at, page, value) in &bytes {
            source.memory[FIRST + page * 0x1000 + at] = value;
        }
        for &(index, size) in &sizes {
            (source.header.segments[index].p_filesz, source.header.segments[index].p_memsz) = (Some(size), Some(size));
        }
        let last = source.header.segments.len() - 1;
        for &(index, field, value) in &fields {
            let (segment, value) = (&mut source.header.segments[index.min(last)], value >> scale);
            match field {
                0 if value < 8 => segment.p_type = value as u32,
                1 => segment.p_offset = Some(value),
                2 => segment.p_paddr = value,
                3 => segment.p_filesz = Some(value),
                4 => segment.p_memsz = Some(value),
                // Memory that is not there would be an error of the read.
                _ if segment.p_type == PT_NOTE => (segment.p_filesz, segment.p_memsz) = (Some(value), Some(value)),
                _ => {}
            }
        }
        let mut header = source.header.build();
        for &(at, value) in &ehdr {
            header[at] = value;
        }
        let rust_size = {
            let image = MemoryImage::new(Paddr(0), source.memory.as_slice());
            VmcoreView::from_header(&header, image, ViewOptions::default()).map(|view| view.file_size())
        };
        // Files whose memory is not there are compared by the fuzz target.
        prop_assume!(rust_size.is_err() || fields.iter().all(|&(index, ..)| source.header.segments[index.min(last)].p_type == PT_NOTE));
        prop_assume!(rust_size.is_err() || source.header.segments.iter().all(|s| s.p_type == PT_NOTE || s.p_offset.unwrap() < MEMORY as u64));
        match (through_rust(&header, &source.memory), through_c(&header, &source.memory)) {
            (Ok(rust), Ok((c, _))) => {
                prop_assert!(rust.file == c.file);
                prop_assert!(c.damaged <= rust.damaged && rust.damaged <= 2 * c.damaged);
            }
            (rust, c) => prop_assert_eq!(rust.map(|_| ()).map_err(Some), c.map(|_| ()).map_err(Some)),
        }
    }
}
