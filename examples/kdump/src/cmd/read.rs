//! `kdump read`: raw memory of the dead kernel.

use std::fs::File;
use std::io::Write;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, KernelMemory, OldMemory, Stopped};

use super::info;
use crate::args::parse_size;
use crate::failure::{CommandResult, Failure};

/// Bytes read at once.
const BATCH: u64 = 1 << 20;

const EXAMPLES: &str = "\
When memory cannot be read, what precedes it is printed, the reason goes to standard error
and the exit status is 1.

Examples:
  kdump read /var/crash/vmcore --phys 0x1000 --len 4K | xxd
  kdump read /var/crash/vmcore --virt 0xffffffff81000000 --len 64 > text.bin";

pub(crate) fn command() -> Command {
    let address = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("A").value_parser(parse_size).help(help)
    };
    Command::new("read")
        .about("Raw memory of the dead kernel on standard output")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(address("phys", "Physical address to begin at"))
        .arg(address("virt", "Virtual address of the dead kernel to begin at"))
        .group(ArgGroup::new("address").args(["phys", "virt"]).required(true))
        .arg(
            Arg::new("len")
                .long("len")
                .value_name("N")
                .required(true)
                .value_parser(parse_size)
                .help("Bytes to read"),
        )
        .arg(
            Arg::new("zero-excluded")
                .long("zero-excluded")
                .action(ArgAction::SetTrue)
                .help("Print zeros for pages that were excluded from the dump instead of stopping"),
        )
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    let len = *matches.get_one::<u64>("len").ok_or_else(|| Failure::usage("--len is missing"))?;
    // How many zeros stand for excluded memory from an address on; none unless asked for.
    let zeros = |paddr: u64| match matches.get_flag("zero-excluded") {
        true => dump.excluded_len(Paddr(paddr)),
        false => 0,
    };
    match (matches.get_one::<u64>("phys"), matches.get_one::<u64>("virt")) {
        (Some(&start), _) => {
            let read = |at: u64, buf: &mut [u8]| dump.read_phys(Paddr(at), buf);
            print(start, len, "physical", &read, &zeros)
        }
        (None, Some(&start)) => {
            let kernel: KernelMemory<'_, Dump<File>> = KernelMemory::new(&dump);
            for phdr in kernel.space().distrusted() {
                let (vaddr, paddr) = (phdr.p_vaddr, phdr.p_paddr);
                crate::terminal::tell!(
                    "kdump read: the PT_LOAD at p_paddr {paddr:#x} has p_vaddr {vaddr:#x}, where \
                     the page tables do not map it: the page tables are used"
                );
            }
            print(start, len, "virtual", &|at, buf| kernel.read(at, buf), &zeros)
        }
        (None, None) => Err(Failure::usage("--phys or --virt is needed")),
    }
}

/// Fills the buffer from an address on.
type Reader<'a> = &'a dyn Fn(u64, &mut [u8]) -> Result<(), Stopped>;
/// How many zeros stand for excluded memory from a physical address on.
type Zeros<'a> = &'a dyn Fn(u64) -> u64;

/// Prints `len` bytes from `start` on, in pieces.
fn print(start: u64, len: u64, kind: &str, read: Reader<'_>, zeros: Zeros<'_>) -> CommandResult {
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; usize::try_from(BATCH.min(len)).unwrap_or(0)];
    let mut done = 0_u64;
    while done < len {
        let at = start.saturating_add(done);
        let want = usize::try_from(len.saturating_sub(done)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..want).unwrap_or_default();
        let (good, stopped) = fill(at, piece, read, zeros);
        out.write_all(piece.get(..good).unwrap_or_default())?;
        done = done.saturating_add(good as u64);
        if let Some(stopped) = stopped {
            out.flush()?;
            let (at, error) = (stopped.at, stopped.error);
            return Err(Failure::new(format!(
                "stopped at {kind} address {at:#x} after {done} of {len} bytes: {error}"
            )));
        }
    }
    Ok(out.flush()?)
}

/// Fills `bytes`, with zeros for excluded memory when asked to; returns how many are good and
/// why it stopped.
fn fill(start: u64, bytes: &mut [u8], read: Reader<'_>, zeros: Zeros<'_>) -> (usize, Option<Stopped>) {
    let mut good = 0_usize;
    while let Some(rest) = bytes.get_mut(good..).filter(|rest| !rest.is_empty()) {
        let Err(stopped) = read(start.saturating_add(good as u64), rest) else { return (bytes.len(), None) };
        let missing = rest.get_mut(stopped.read..).unwrap_or_default();
        good = good.saturating_add(stopped.read);
        let Error::Excluded { paddr } = stopped.error else { return (good, Some(stopped)) };
        // What follows in physical memory follows in virtual memory up to the end of the page.
        let page = 0x1000_u64.saturating_sub(stopped.at & 0xfff);
        let count = usize::try_from(zeros(paddr).min(page)).unwrap_or(0).min(missing.len());
        if count == 0 {
            return (good, Some(stopped));
        }
        missing.get_mut(..count).unwrap_or_default().fill(0);
        good = good.saturating_add(count);
    }
    (good, None)
}
