//! `kdump view`: what /proc/vmcore would show for a header and a memory image.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use kdump_elf::Paddr;
use kdump_vmcore::{MemoryImage, ReadAt, ViewOptions, VmcoreView};

use crate::args::parse_size;
use crate::failure::{CommandResult, Failure};
use crate::new_file::NewFile;

/// Bytes copied at once.
const BATCH: usize = 1 << 20;
/// How many times over memory may be listed: the kernel's text stands in most headers twice.
const MAX_TIMES: u64 = 4;
/// Bytes that may be listed in any case.
const FEW: u64 = 64 << 20;
/// An elfcorehdr has fewer than 65535 program headers of 56 bytes.
const MAX_HEADER: u64 = 4 << 20;

const EXAMPLES: &str = "\
The memory image is raw: the offset in the file is the physical address. A range that reaches
behind its end cannot be shown: what precedes it is written and the exit status is 1.

Examples:
  kdump view --elfcorehdr plan/07-elfcorehdr.bin --memory memory.raw --out vmcore";

pub(crate) fn command() -> Command {
    let path = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name("F").required(true);
        arg.value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("view")
        .about("What /proc/vmcore would show for this header and memory")
        .after_help(EXAMPLES)
        .arg(path("elfcorehdr", "The header a loader prepared"))
        .arg(path("memory", "Raw image of physical memory"))
        .arg(path("out", "The vmcore to write; holes of zeros take no room"))
        .arg(
            Arg::new("page-size")
                .long("page-size")
                .value_name("N")
                .value_parser(parse_size)
                .default_value("4K")
                .help("Page size of the capture kernel"),
        )
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let path = |name: &str| {
        matches.get_one::<PathBuf>(name).ok_or_else(|| Failure::usage(format!("--{name} is missing")))
    };
    let header_path = path("elfcorehdr")?;
    let header = read_header(header_path)?;
    let memory = MemoryImage::new(Paddr(0), open(path("memory")?)?);
    let page_size = matches.get_one::<u64>("page-size").copied().filter(|&size| size != 0);
    let page_size = page_size.ok_or_else(|| Failure::usage("--page-size 0 is no page size"))?;
    let options = ViewOptions::default().page_size(page_size);
    let view = VmcoreView::from_header(&header, memory, options)
        .map_err(|error| Failure::new(format!("{}: {error}", header_path.display())))?;
    crate::terminal::tell_some("kdump view: a note is left out", view.defects().iter());
    refuse_repeated(&view, open(path("memory")?)?)?;
    let out = path("out")?;
    let file = NewFile::create(out, &[header_path, path("memory")?])?;
    let stopped = write_view(&view, file.file())
        .map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;
    file.keep()?;
    match stopped {
        Some(cause) => Err(Failure::new(format!("{} is incomplete: {cause}", out.display()))),
        None => Ok(()),
    }
}

/// Refuses a header that lists the same memory many times over: a few of them fill any disk.
fn refuse_repeated<S: ReadAt, M: ReadAt>(view: &S, memory: M) -> CommandResult {
    let (size, limit) = (view.size()?, memory.size()?.saturating_mul(MAX_TIMES).saturating_add(FEW));
    if size <= limit {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the header lists {size} bytes, more than {MAX_TIMES} times the size of the memory image and \
         {FEW} bytes; only a header that lists the same memory many times does"
    )))
}

fn open(path: &Path) -> Result<File, Failure> {
    kdump_vmcore::open_dump_file(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

fn read_header(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = open(path)?;
    let size = ReadAt::size(&file)?;
    if size > MAX_HEADER {
        return Err(Failure::new(format!(
            "{}: {size} bytes are more than an elfcorehdr can have ({MAX_HEADER})",
            path.display()
        )));
    }
    let mut header = vec![0; usize::try_from(size)?];
    file.read_full_at(0, &mut header)?;
    Ok(header)
}

/// Copies all bytes, leaving holes for zeros. When some cannot be read, those before them are
/// written, and the reason is returned.
fn write_view<S: ReadAt>(view: &S, mut file: &File) -> Result<Option<String>, Box<dyn core::error::Error>> {
    let size = view.size()?;
    let mut buffer = vec![0; BATCH];
    let zeros = vec![0; BATCH];
    let mut offset = 0_u64;
    while offset < size {
        let want = usize::try_from(size.saturating_sub(offset)).unwrap_or(BATCH).min(BATCH);
        let piece = buffer.get_mut(..want).unwrap_or_default();
        let result = view.read_full_at(offset, piece);
        let good = result.map_or_else(|stopped| stopped.read, |()| want);
        let piece = piece.get(..good).unwrap_or_default();
        if zeros.get(..good) != Some(piece) {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(piece)?;
        }
        offset = offset.saturating_add(good as u64);
        if let Err(stopped) = result {
            file.set_len(offset)?;
            return Ok(Some(format!("offset {:#x}: {}", stopped.at, stopped.error)));
        }
    }
    file.set_len(size)?;
    Ok(None)
}
