//! The options of `plan` and `load`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_elf::{Arch, Class};
use kdump_segments::plan::{BackupPolicy, PlanOptions};
use kdump_segments::purgatory::{MismatchAction, Serial, SerialPort};

use crate::args::parse_size;
use crate::failure::Failure;

const PURGATORY: &str = "Purgatory";
const PLACEMENT: &str = "Placement and headers";

/// `--kernel`, required or not.
pub(crate) fn optional_kernel(command: Command, required: bool) -> Command {
    command.arg(
        path(
            "kernel",
            "FILE",
            "The capture kernel: a bzImage, an arm64 Image (also by gzip or EFI zboot) or an ELF vmlinux",
        )
        .required(required),
    )
}

/// All other options.
pub(crate) fn args() -> Vec<Arg> {
    [inputs(), purgatory(), placement()].into_iter().flatten().collect()
}

/// `--root`: whose files are read.
pub(crate) fn root_arg(help: &'static str) -> Arg {
    path("root", "DIR", help).default_value("/")
}

fn path(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn inputs() -> Vec<Arg> {
    vec![
        root_arg("Plan for the machine whose proc/ and sys/ are in DIR"),
        Arg::new("arch")
            .long("arch")
            .value_name("ARCH")
            .value_parser(arch)
            .help("The architecture of that machine, when its files do not tell (x86_64, i386, arm64, ppc64, riscv64, loongarch64)"),
        path("initrd", "FILE", "The capture kernel's initial ramdisk"),
        Arg::new("append")
            .long("append")
            .value_name("TEXT")
            .default_value("")
            .allow_hyphen_values(true)
            .help("The capture kernel's command line; elfcorehdr= and acpi_rsdp= are added"),
        flag(
            "reuse-cmdline",
            "Begin with the running kernel's command line, without BOOT_IMAGE= and crashkernel=",
        ),
        path("out", "DIR", "Write plan.json, plan.txt and one file per segment to DIR"),
        flag("json", "Print one JSON document"),
        Arg::new("seed")
            .long("seed")
            .value_name("HEX")
            .value_parser(seed)
            .conflicts_with("no-rng-seed")
            .help("Up to 64 hex digits to seed the capture kernel with; equal seeds give equal plans"),
        flag("no-rng-seed", "Do not seed the capture kernel's random numbers"),
    ]
}

fn purgatory() -> Vec<Arg> {
    let group = |arg: Arg| arg.help_heading(PURGATORY);
    [
        path("purgatory", "FILE", "Use this relocatable object instead of the built-in one"),
        Arg::new("purgatory-serial")
            .long("purgatory-serial")
            .value_name("PORT")
            .value_parser(parse_size)
            .help("Tell on the serial port at this I/O port (x86: 0x3f8 is COM1) or physical address (arm64: a PL011; riscv64: a 16550), or to this terminal of the hypervisor (ppc64: its unit address) what happens"),
        Arg::new("serial-baud")
            .long("serial-baud")
            .value_name("N")
            .value_parser(value_parser!(u32))
            .requires("purgatory-serial")
            .help("Set the speed of that port; it is left as it is without"),
        Arg::new("on-mismatch")
            .long("on-mismatch")
            .value_name("ACTION")
            .default_value("halt")
            .value_parser(["halt", "reset", "continue"])
            .help("What to do when the loaded capture kernel was damaged"),
        Arg::new("purgatory-caches")
            .long("purgatory-caches")
            .value_name("WHEN")
            .default_value("on")
            .value_parser(["on", "off"])
            .help("Compute the digest with MMU and caches on (arm64; off takes many times as long, elsewhere they are never off)"),
    ]
    .map(group)
    .to_vec()
}

fn placement() -> Vec<Arg> {
    let group = |arg: Arg| arg.help_heading(PLACEMENT);
    [
        Arg::new("backup").long("backup").value_name("WHEN").default_value("auto")
            .value_parser(["auto", "always", "never"])
            .help("Save low memory before the capture kernel uses it; auto: only where the running kernel may keep something there"),
        flag("entry-32bit", "Enter a bzImage in 32-bit mode"),
        flag("memmap-cmdline", "Describe usable memory by memmap= parameters, for old kernels"),
        flag("no-efi", "Do not hand EFI over"),
        flag("hotplug", "Leave room for the kernel to rewrite the elfcorehdr on CPU and memory hot-plug"),
        flag("elf32", "Write an ELF32 core header, where every address fits"),
        flag("elf64", "Write an ELF64 core header, of i386 as well").conflicts_with("elf32"),
        Arg::new("mem-min").long("mem-min").value_name("ADDR").value_parser(parse_size)
            .help("Lowest address to use in the crash region"),
        Arg::new("mem-max").long("mem-max").value_name("ADDR").value_parser(parse_size)
            .help("Highest address to use in the crash region, inclusive"),
    ]
    .map(group)
    .to_vec()
}

fn arch(text: &str) -> Result<Arch, String> {
    let known = || Arch::all().map(Arch::name).collect::<Vec<_>>().join(", ");
    Arch::from_name(text).ok_or_else(|| format!("{text:?} is none of {}", known()))
}

/// Hex digits fill the seed from its start; the rest is zero.
fn seed(text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("{text:?} is not an even number of up to 64 hex digits");
    let digits = text.as_bytes();
    let mut seed = [0; 32];
    if digits.is_empty() || digits.len() % 2 != 0 || digits.len() > 64 {
        return Err(wrong());
    }
    for (byte, pair) in seed.iter_mut().zip(digits.chunks(2)) {
        let pair = core::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
    }
    Ok(seed)
}

/// What the command line says, as the planner takes it.
pub(super) fn plan_options(matches: &ArgMatches) -> Result<PlanOptions, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let rng_seed = match matches.get_one::<[u8; 32]>("seed") {
        Some(seed) => Some(*seed),
        None if matches.get_flag("no-rng-seed") => None,
        None => Some(kdump_segments::load::random_seed()?),
    };
    Ok(PlanOptions::default()
        .cmdline(text("append").to_owned())
        .reuse_cmdline(matches.get_flag("reuse-cmdline"))
        .backup(match text("backup") {
            "always" => BackupPolicy::Always,
            "never" => BackupPolicy::Never,
            _ => BackupPolicy::Auto,
        })
        .entry_32bit(matches.get_flag("entry-32bit"))
        .memmap_cmdline(matches.get_flag("memmap-cmdline"))
        .no_efi(matches.get_flag("no-efi"))
        .hotplug(matches.get_flag("hotplug"))
        .mem_min(matches.get_one("mem-min").copied())
        .mem_max(matches.get_one("mem-max").copied())
        .elf_class(match (matches.get_flag("elf32"), matches.get_flag("elf64")) {
            (true, _) => Some(Class::Elf32),
            (_, true) => Some(Class::Elf64),
            _ => None,
        })
        .rng_seed(rng_seed)
        .serial(serial(matches)?)
        .on_mismatch(match text("on-mismatch") {
            "reset" => MismatchAction::Reset,
            "continue" => MismatchAction::Continue,
            _ => MismatchAction::Halt,
        })
        .purgatory_caches(text("purgatory-caches") != "off"))
}

fn serial(matches: &ArgMatches) -> Result<Option<Serial>, Failure> {
    let Some(&port) = matches.get_one::<u64>("purgatory-serial") else { return Ok(None) };
    // Nothing but an I/O port is that low; the purgatory knows which of the two it can write to.
    let port = u16::try_from(port).map_or(SerialPort::Mmio(port), SerialPort::Port);
    Ok(Some(Serial { port, baud: matches.get_one("serial-baud").copied() }))
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn a_seed_is_hex() {
        assert_eq!(seed("a5ff").map(|seed| (seed[0], seed[1], seed[2])), Ok((0xa5, 0xff, 0)));
        assert_eq!(seed(&"a5".repeat(32)), Ok([0xa5; 32]));
        for wrong in ["", "a", "zz", "+1", "é", &"00".repeat(33)] {
            assert!(seed(wrong).is_err(), "{wrong}");
        }
    }
}
