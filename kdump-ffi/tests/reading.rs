//! Caches, helping threads and mapped files through the C interface: the same bytes, whatever is
//! asked for.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::{CStr, c_int};
use core::ptr::null_mut;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::{Memory, libkdump_dump, libkdump_error, libkdump_open_options, message, sized};
use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_ffi::{LIBKDUMP_OPEN_MMAP, LIBKDUMP_OPEN_NO_CACHE, LIBKDUMP_OPEN_ZERO_EXCLUDED};
use kdump_ffi_core::{LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_OK};

const PAGES: u64 = 400;

/// Pages in all codecs, every 13th left out.
fn kdump() -> KdumpFile {
    let mut file =
        KdumpFile::new(Wire::LE64, PAGES).with_pages((0..PAGES).filter(|pfn| pfn % 13 != 5), &PageCodec::ALL);
    file.dump_level = 1;
    file
}

/// The same memory as an ELF core, with zeros for what is left out.
fn core() -> CoreFile {
    let memory: Vec<u8> = (0..PAGES).flat_map(content).collect();
    CoreFile::x86_64().with(Segment::load(0, &memory))
}

fn content(pfn: u64) -> Vec<u8> {
    if pfn % 13 == 5 { vec![0; 4096] } else { kdump_page(pfn) }
}

fn kdump_page(pfn: u64) -> Vec<u8> {
    static FILE: std::sync::LazyLock<KdumpFile> = std::sync::LazyLock::new(kdump);
    FILE.content(pfn)
}

struct Open(*mut libkdump_dump);

// The header says that threads may share a dump.
unsafe impl Sync for Open {}

impl Drop for Open {
    fn drop(&mut self) {
        common::libkdump_dump_free(self.0);
    }
}

/// A file that is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("libkdump-reading-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn open(path: &Path, options: libkdump_open_options) -> Result<Open, (c_int, String)> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let (paths, mut dump, mut error) = ([path.as_ptr()], null_mut(), sized::<libkdump_error>());
    let code =
        common::libkdump_dump_open(paths.as_ptr(), 1, &raw const options, &raw mut dump, &raw mut error);
    if code == LIBKDUMP_OK { Ok(Open(dump)) } else { Err((code, message(&error).to_owned())) }
}

fn read(dump: &Open, paddr: u64, buf: &mut [u8]) -> (c_int, usize) {
    let mut done = usize::MAX;
    let start = buf.as_mut_ptr().cast();
    let code = common::libkdump_dump_read_phys(dump.0, paddr, start, buf.len(), &raw mut done, null_mut());
    (code, done)
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

/// Every way to open: with flags, bytes to keep, threads.
fn ways() -> Vec<libkdump_open_options> {
    let mut all = Vec::new();
    for flags in [0, LIBKDUMP_OPEN_MMAP, LIBKDUMP_OPEN_NO_CACHE, LIBKDUMP_OPEN_MMAP | LIBKDUMP_OPEN_NO_CACHE]
    {
        for cache_size in [0, 5000, 100_000] {
            for threads in [0, 2] {
                let flags = flags | LIBKDUMP_OPEN_ZERO_EXCLUDED;
                if flags & LIBKDUMP_OPEN_NO_CACHE == 0 || cache_size == 0 {
                    all.push(libkdump_open_options { flags, cache_size, threads, ..sized() });
                }
            }
        }
    }
    all
}

#[test]
fn threads_on_one_handle_read_every_byte_right() {
    let files = [Temporary::new("kdump", &kdump().build()), Temporary::new("core", &core().build())];
    let memory: Vec<u8> = (0..PAGES).flat_map(content).collect();
    for (file, options) in files.iter().flat_map(|file| ways().into_iter().map(move |way| (file, way))) {
        let dump = open(&file.0, options).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (dump, memory) = (&dump, &memory);
                scope.spawn(move || {
                    let mut state = 0x9E37_79B9_7F4A_7C15 + thread;
                    for step in 0..300 {
                        let len = [8, 64, 4096, 6000, 300 << 10][if step % 60 == 0 { 4 } else { step % 4 }];
                        let at = random(&mut state) as usize % (memory.len() - len);
                        let mut buf = vec![0xee; len];
                        assert_eq!(read(dump, at as u64, &mut buf), (LIBKDUMP_OK, len), "{at:#x}");
                        assert!(buf == memory[at..at + len], "{at:#x} {len} {options:?}");
                    }
                });
            }
        });
    }
}

#[test]
fn helpers_stop_at_the_byte_where_one_thread_stops() {
    let file = kdump().with(333, Stored::Given(2, vec![0; 60])).with(201, Stored::Given(1, vec![7; 60]));
    let file = Temporary::new("damaged", &file.build());
    for threads in [1, 2, 5] {
        let options = libkdump_open_options { flags: LIBKDUMP_OPEN_ZERO_EXCLUDED, threads, ..sized() };
        let dump = open(&file.0, options).unwrap();
        for (start, damaged) in [(10, 201), (202, 333), (70, 201)] {
            let mut buf = vec![0xee; 200 * 4096];
            let good = (damaged - start) as usize * 4096;
            assert_eq!(read(&dump, start * 4096, &mut buf), (LIBKDUMP_ERR_CORRUPT, good), "{threads}");
            for (pfn, page) in (start..damaged).zip(buf.chunks(4096)) {
                assert!(page == content(pfn), "{pfn}");
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let file = Temporary::new("refused", &core().build());
    let refused = |options: libkdump_open_options, word: &str| {
        let (code, text) = open(&file.0, options).err().unwrap();
        assert!(code == LIBKDUMP_ERR_INVALID && text.contains(word), "{code} {text}");
    };
    refused(libkdump_open_options { threads: 1025, ..sized() }, "threads");
    refused(libkdump_open_options { reserved: 1, ..sized() }, "reserved");
    refused(libkdump_open_options { flags: 16, ..sized() }, "flags");
    let flags = LIBKDUMP_OPEN_NO_CACHE;
    refused(libkdump_open_options { flags, cache_size: 4096, ..sized() }, "cache_size");
    assert!(open(&file.0, libkdump_open_options { threads: 1024, ..sized() }).is_ok());
    // A device and what the kernel makes up are not mapped, and the message says what to do.
    for path in [c"/dev/zero", c"/proc/self/maps"] {
        let options = libkdump_open_options { flags: LIBKDUMP_OPEN_MMAP, ..sized() };
        let (code, text) = open(Path::new(CStr::to_str(path).unwrap()), options).err().unwrap();
        assert!(code == LIBKDUMP_ERR_IO && text.contains("without a mapping"), "{code} {text}");
    }
    // A function has nothing to map.
    let (memory, mut dump) = (Memory::new(core().build()), null_mut());
    let options = libkdump_open_options { flags: LIBKDUMP_OPEN_MMAP, ..sized() };
    let code = common::libkdump_dump_open_callback(
        memory.bytes.len() as u64,
        Some(common::read_memory),
        memory.user(),
        &raw const options,
        &raw mut dump,
        null_mut(),
    );
    assert_eq!(code, LIBKDUMP_ERR_INVALID);
}

/// A file whose page tables change between two reads.
#[test]
fn what_is_not_kept_is_asked_again() {
    const VADDR: u64 = 0xffff_c900_0000_0000;
    let entry = |paddr: u64| (paddr | 0x63 | 1 << 63).to_le_bytes();
    let mut tables = dumpgen::PageTableImage::new(0x4_0000, 0x2_0000, 4);
    tables.map(VADDR, 0x5000, 1);
    tables.put(0x5000, 0x1111);
    tables.put(0x6000, 0x2222);
    let info = format!("SYMBOL(swapper_pg_dir)={:x}\nNUMBER(phys_base)=0\n", 0xffff_ffff_8002_0000_u64);
    let note = dumpgen::note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes());
    let bytes = CoreFile::x86_64().with(Segment::notes(&note)).with(Segment::load(0, &tables.memory)).build();
    let at = bytes.windows(8).position(|window| window == entry(0x5000)).unwrap();
    for (flags, after) in [(0, 0x1111), (LIBKDUMP_OPEN_NO_CACHE, 0x2222)] {
        let file = Temporary::new("tables", &bytes);
        let dump = open(&file.0, libkdump_open_options { flags, ..sized() }).unwrap();
        let read = || {
            let mut value = 0_u64;
            let start = (&raw mut value).cast();
            let code = common::libkdump_dump_read_virt(dump.0, VADDR, start, 8, null_mut(), null_mut());
            assert_eq!(code, LIBKDUMP_OK);
            value
        };
        assert_eq!(read(), 0x1111);
        let writer = std::fs::File::options().write(true).open(&file.0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&writer, &entry(0x6000), at as u64).unwrap();
        assert_eq!(read(), after, "flags {flags}");
    }
}
