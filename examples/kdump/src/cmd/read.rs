//! `kdump read`: raw memory of the dead kernel.

use std::io::Write;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use kdump_elf::{Paddr, Vaddr};
use kdump_vmcore::{KernelMemory, PhysMemory, Stopped};

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
        .arg(info::raw_arg())
        .arg(info::mmap_arg())
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
    let mut reader = dump.reader().zero_excluded(matches.get_flag("zero-excluded"));
    match (matches.get_one::<u64>("phys"), matches.get_one::<u64>("virt")) {
        (Some(&start), _) => print(start, len, "physical", &mut |at, buf| reader.read_phys(Paddr(at), buf)),
        (None, Some(&start)) => {
            let mut kernel = KernelMemory::of(reader);
            for phdr in kernel.contradicted() {
                let (vaddr, paddr) = (phdr.p_vaddr, phdr.p_paddr);
                crate::terminal::tell!(
                    "kdump read: the PT_LOAD at p_paddr {paddr:#x} has p_vaddr {vaddr:#x}, where \
                     the page tables do not map it: the page tables are used"
                );
            }
            print(start, len, "virtual", &mut |at, buf| kernel.read(Vaddr(at), buf))
        }
        (None, None) => Err(Failure::usage("--phys or --virt is needed")),
    }
}

/// Fills the buffer from an address on.
type Read<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> Result<(), Stopped>;

/// Prints `len` bytes from `start` on, in pieces.
fn print(start: u64, len: u64, kind: &str, read: Read<'_>) -> CommandResult {
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; usize::try_from(BATCH.min(len)).unwrap_or(0)];
    let mut done = 0_u64;
    while done < len {
        let at = start.saturating_add(done);
        let want = usize::try_from(len.saturating_sub(done)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..want).unwrap_or_default();
        let outcome = read(at, piece);
        let good = outcome.map_or_else(|stopped| stopped.read, |()| want);
        out.write_all(piece.get(..good).unwrap_or_default())?;
        done = done.saturating_add(good as u64);
        if let Err(Stopped { at, error, .. }) = outcome {
            out.flush()?;
            return Err(Failure::new(format!(
                "stopped at {kind} address {at:#x} after {done} of {len} bytes: {error}"
            )));
        }
    }
    Ok(out.flush()?)
}
