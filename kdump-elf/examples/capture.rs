// SPDX-License-Identifier: MIT OR Apache-2.0
//! A capture kernel without an allocator writes the dump, with this crate alone.
//!
//! [`capture`] is the part to take: it needs the bytes of the elfcorehdr, a function that reads
//! old memory, one buffer, and somewhere for the file to go. What surrounds it here stands in
//! for the machine: files take the place of old memory and of the disk.
//!
//! ```text
//! cargo run -p kdump-elf --example capture -- ELFCOREHDR MEMORY-IMAGE vmcore && kdump info vmcore
//! ```

use core::fmt::{self, Display};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use kdump_elf::{Arch, CaptureHeader, Error, VmcoreCopied, VmcoreFile};

const PAGE: u64 = 4096;
/// Memory for everything: the header and notes of 100 CPUs take 17 pages, the rest of it is for
/// copying. A kernel has it as a static.
const ROOM: usize = 256 << 10;

/// What can go wrong on the way out.
#[derive(Debug)]
enum Trouble {
    /// The header gives no file.
    Elf(Error),
    /// The disk does not take it.
    Disk,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Elf(error)
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => write!(f, "no dump: {error}"),
            Self::Disk => f.write_str("no dump: the disk refused it"),
        }
    }
}

/// Old memory could not be read.
#[derive(Clone, Copy, Debug)]
struct Unreadable;

/// Writes the dump front to back. `say` is a console: what was lost is told there, and how much
/// in the result. A bad note or page costs itself; only a header that lies about memory, or the
/// disk, ends the work.
fn capture(
    elfcorehdr: &[u8],
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Unreadable>,
    room: &mut [u8],
    mut write: impl FnMut(u64, &[u8]) -> Result<(), Trouble>,
    say: &mut dyn FnMut(&dyn Display),
) -> Result<VmcoreCopied, Trouble> {
    let header = CaptureHeader::parse(elfcorehdr, Some(Arch::X86_64))?;
    // A page at least must be left to copy through. Where the notes say they need more, they
    // get what there is.
    let batch = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let most = room.len().saturating_sub(batch);
    let want = usize::try_from(VmcoreFile::workspace_size(&header, PAGE)?).unwrap_or(usize::MAX);
    let (workspace, batch) = room.split_at_mut(want.min(most));
    let file = VmcoreFile::build(&header, PAGE, workspace, &mut read, |defect| {
        say(&format_args!("notes of program header {} are damaged: {:?}", defect.index, defect.cause));
    })?;
    file.copy(batch, read, &mut write, |paddr, len, _| {
        say(&format_args!("{len} bytes from {paddr:#x} on cannot be read; the file has zeros there"));
    })
}

fn run(paths: &[String]) -> Result<VmcoreCopied, Box<dyn core::error::Error>> {
    let [elfcorehdr, memory, target] = paths else {
        return Err("usage: capture ELFCOREHDR MEMORY-IMAGE FILE".into());
    };
    let (elfcorehdr, memory) = (std::fs::read(elfcorehdr)?, File::open(memory)?);
    let target = File::create(target)?;
    let mut room = [0; ROOM];
    let copied = capture(
        &elfcorehdr,
        |paddr, buf| memory.read_exact_at(buf, paddr).map_err(|_| Unreadable),
        &mut room,
        |offset, bytes| target.write_all_at(bytes, offset).map_err(|_| Trouble::Disk),
        &mut |line| tell(line),
    );
    let copied = copied.map_err(|trouble| trouble.to_string())?;
    target.sync_all()?;
    Ok(copied)
}

/// A console that is gone is no reason to end.
fn tell(line: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "capture: {line}");
}

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    match run(&paths) {
        Ok(VmcoreCopied { written, unreadable: 0, .. }) => {
            tell(&format_args!("{written} bytes"));
            ExitCode::SUCCESS
        }
        Ok(VmcoreCopied { written, unreadable, .. }) => {
            tell(&format_args!("{written} bytes, of which {unreadable} could not be read"));
            ExitCode::from(3)
        }
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use kdump_elf::{
        Class, CoreHeader, Encoding, Endian, HeaderLayout, NoteAlign, Notes, PF_RWX, PT_LOAD, PT_NOTE, Phdr,
        PrStatus, crash_note_size, write_crash_note,
    };

    use super::*;

    const MEMORY: usize = 0x2_0000;
    const NOTES: u64 = 0x1000;

    /// Memory with the notes of three CPUs, and the header of it.
    fn dead_kernel() -> (Vec<u8>, Vec<u8>) {
        let mut memory: Vec<u8> = (0..MEMORY).map(|at| (at >> 8 ^ at).to_le_bytes()[0]).collect();
        let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
        let size = crash_note_size(Arch::X86_64);
        let mut header = vec![0; 4096];
        let mut writer = HeaderLayout::elfcorehdr(encoding, Arch::X86_64.e_machine(), 5)
            .unwrap()
            .writer(&mut header)
            .unwrap();
        for cpu in 0..3 {
            let p_offset = NOTES + 0x1000 * cpu;
            let start = usize::try_from(p_offset).unwrap();
            let pid = i32::try_from(cpu).unwrap() + 1;
            write_crash_note(&mut memory[start..], Arch::X86_64, Endian::Little, |status| {
                status.set_pid(pid)
            })
            .unwrap();
            let size = size as u64;
            writer
                .push(&Phdr { p_type: PT_NOTE, p_offset, p_filesz: size, p_memsz: size, ..Phdr::default() })
                .unwrap();
        }
        // One range with a copy elsewhere, one that begins and ends within pages.
        for (p_offset, p_paddr, size) in [(0x1_0000, 0, 0x4000), (0x6018, 0x6018, 0x5000)] {
            let phdr = Phdr {
                p_type: PT_LOAD,
                p_flags: PF_RWX,
                p_offset,
                p_paddr,
                p_filesz: size,
                p_memsz: size,
                ..Phdr::default()
            };
            writer.push(&phdr).unwrap();
        }
        writer.finish().unwrap();
        (header, memory)
    }

    /// Captures with pages that cannot be read, in a buffer of `room` bytes.
    fn captured(
        header: &[u8],
        memory: &[u8],
        bad: &[u64],
        room: usize,
    ) -> (Vec<u8>, VmcoreCopied, Vec<String>) {
        let (mut file, mut said) = (Vec::new(), Vec::new());
        let read = |paddr: u64, buf: &mut [u8]| {
            let start = usize::try_from(paddr).unwrap();
            let end = paddr + buf.len() as u64;
            if bad.iter().any(|&page| page < end && paddr < page + PAGE) {
                return Err(Unreadable);
            }
            buf.copy_from_slice(memory.get(start..start + buf.len()).ok_or(Unreadable)?);
            Ok(())
        };
        let write = |offset: u64, bytes: &[u8]| {
            assert_eq!(offset, file.len() as u64, "front to back");
            file.extend_from_slice(bytes);
            Ok(())
        };
        let copied =
            capture(header, read, &mut vec![0xee; room], write, &mut |line| said.push(line.to_string()));
        let copied = copied.unwrap();
        assert_eq!(copied.written, file.len() as u64);
        (file, copied, said)
    }

    fn pids(file: &[u8]) -> Vec<i32> {
        let note = CoreHeader::parse(file).unwrap().phdr(0).unwrap();
        let start = usize::try_from(note.p_offset).unwrap();
        let bytes = &file[start..start + usize::try_from(note.p_filesz).unwrap()];
        let notes = Notes::in_file(bytes, Endian::Little, NoteAlign::Four);
        let status = |note: kdump_elf::Note<'_>| {
            PrStatus::parse(note.desc, Arch::X86_64, Endian::Little).unwrap().pid()
        };
        notes.map(|note| status(note.unwrap())).collect()
    }

    #[test]
    fn the_file_has_the_registers_and_the_memory() {
        let (header, memory) = dead_kernel();
        let (file, copied, said) = captured(&header, &memory, &[], ROOM);
        assert_eq!((copied.unreadable, said.len()), (0, 0));
        assert_eq!(pids(&file), [1, 2, 3]);
        let core = CoreHeader::parse(&file).unwrap();
        assert_eq!(core.phnum(), 3);
        for (phdr, at) in core.phdrs().skip(1).zip([0x1_0000, 0x6018]) {
            let (start, size) =
                (usize::try_from(phdr.p_offset).unwrap(), usize::try_from(phdr.p_filesz).unwrap());
            assert_eq!(file[start..start + size], memory[at..at + size]);
        }
        // The smallest buffer: the header, the notes, and a page to copy through.
        assert_eq!(captured(&header, &memory, &[], 3 * 4096).0, file);
    }

    #[test]
    fn bad_pages_cost_only_themselves_and_are_told() {
        let (header, memory) = dead_kernel();
        let whole = captured(&header, &memory, &[], ROOM).0;
        let (file, copied, said) = captured(&header, &memory, &[NOTES, 0x8000], ROOM);
        assert_eq!(pids(&file), [2, 3]);
        assert_eq!((copied.unreadable, file.len()), (PAGE, whole.len()));
        assert!(said[0].contains("program header 0"), "{said:?}");
        assert_eq!(said[1], "4096 bytes from 0x8000 on cannot be read; the file has zeros there");
        assert_eq!(said.len(), 2);
        let differ: Vec<usize> =
            (0x2000..file.len()).filter(|&at| file[at] != whole[at]).map(|at| at >> 12).collect();
        assert!(differ.iter().all(|&page| page == 2 + 4 + 2), "only that page");
        assert!(file[0x8000..0x9000].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_small_buffer_costs_notes_and_says_so() {
        let (mut header, memory) = dead_kernel();
        // The first PT_NOTE says it has a GiB: the others do not pay for it.
        let memsz = 64 + 40;
        header[memsz - 8..memsz + 8].copy_from_slice(&[(1_u64 << 30).to_le_bytes(); 2].concat());
        let (file, _, said) = captured(&header, &memory, &[], 4 * 4096);
        assert_eq!(pids(&file), [1, 2, 3]);
        assert!(said[0].contains("p_memsz") && said[0].contains("1073741824"), "{said:?}");
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let (header, memory) = dead_kernel();
        let read = |paddr: u64, buf: &mut [u8]| {
            let start = usize::try_from(paddr).unwrap();
            buf.copy_from_slice(&memory[start..start + buf.len()]);
            Ok(())
        };
        let mut left = 3;
        let write = |_: u64, _: &[u8]| {
            left -= 1;
            if left == 0 { Err(Trouble::Disk) } else { Ok(()) }
        };
        let result = capture(&header, read, &mut [0; ROOM], write, &mut |_| ());
        assert!(matches!(result, Err(Trouble::Disk)));
        let result = capture(&header, read, &mut [0; 100], |_, _| Ok(()), &mut |_| ());
        assert!(matches!(result, Err(Trouble::Elf(Error::Buffer { .. }))));
        let result = capture(&header[..100], read, &mut [0; ROOM], |_, _| Ok(()), &mut |_| ());
        assert!(matches!(result, Err(Trouble::Elf(Error::Truncated { .. }))));
    }
}
