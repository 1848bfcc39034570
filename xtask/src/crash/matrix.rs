//! `cargo xtask load-matrix`: bad loads on an armed machine, which must stay armed.

mod cases;

use core::time::Duration;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::kernel::Kernel;
use super::options::Options;
use super::setup::Setup;
use super::{initramfs, modules, programs};
use crate::apt;
use crate::error::{Context, Result, failed};
use crate::progress::{self, Clock, Row};
use ::lab::cpio::Cpio;
use ::lab::disk::Disk;
use cases::{CALLS, CASES, Case, End};

/// Many times what an idle machine needs.
const PATIENCE: Duration = Duration::from_secs(400);
/// The part of the guest's init that tries the cases.
const SCRIPT: &str = include_str!("../../guest/load-matrix");
/// A program of the host, linked dynamically.
const PROGRAM: &str = "/bin/ls";

/// How one attempt ended.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    name: String,
    call: String,
    exit: i32,
    loaded: String,
    /// Whether a kernel for the next reboot is loaded.
    next: String,
    said: String,
}

pub(crate) fn run(args: &[String]) -> Result {
    let options = Options::parse(args)?;
    if !options.lab.is_host() {
        return Err(crate::error::usage("load-matrix knows the verdicts of x86_64 only"));
    }
    let clock = Clock::start();
    let label = format!("load-matrix-{}", options.label());
    clock.say(&label);
    apt::ensure(&super::needs())?;
    let kernel = Kernel::fetch(options.series, clock)?;
    clock.say("building kdump for the guest");
    let programs = programs::build()?;
    let dir = super::run_directory(&options, &label)?;
    let modules = modules::collect(&kernel)?;
    let initramfs = initramfs::write(&dir, options.lab, &kernel, &modules, &programs, &[])?;
    add_cases(&initramfs, &kernel.image)?;
    let disk = Disk::create(&dir, 0)?;
    let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
    let reserve = options.series.crashkernel_mib();
    let setup = Setup {
        image: &kernel.image,
        initramfs: &initramfs,
        cmdline: &format!("console=ttyS0 crashkernel={reserve}M panic=5 printk.devkmsg=on lab.matrix=1"),
        disk: disk.path(),
        gdb: &socket,
        log: &dir.join("console.log"),
    };
    clock.say(&format!("booting Linux {}", kernel.release));
    let mut guest = setup.start(&options)?;
    guest.wait_for(&["lab: matrix done"], PATIENCE)?;
    guest.wait_for_end(PATIENCE)?;
    let result = dir.join("matrix.txt");
    disk.file("/matrix.txt", &result)?;
    let attempts = parse(&fs::read_to_string(&result).context(result.display())?)?;
    let rows: Vec<Row> = CASES.iter().map(|case| Row::of(case.name, judge(case, &attempts))).collect();
    progress::close(&format!("{label}, {:.0} s", clock.elapsed().as_secs_f32()), &rows)
}

/// Appends an archive with the script and the bad files that are not made of good ones.
fn add_cases(initramfs: &Path, image: &Path) -> Result {
    let mut cpio = Cpio::default();
    cpio.directory("bad");
    cpio.directory("etc");
    cpio.file("etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
    cpio.program("load-matrix", SCRIPT.as_bytes());
    cpio.program("cases", cases::script(signature_size(image)?).as_bytes());
    cpio.program("bad/ls", &fs::read(PROGRAM).context(PROGRAM)?);
    cpio.file("bad/arm64", &elf(183, b"kernel", 6));
    cpio.file("bad/cut-vmlinux", &elf(62, b"kernel", 0x1000));
    let mut file = OpenOptions::new().append(true).open(initramfs).context(initramfs.display())?;
    file.write_all(&cpio.finish()).context(initramfs.display())
}

/// Where the image, a PE file, keeps the size of its signatures (PE format, "Optional Header Data
/// Directories", certificate table).
fn signature_size(image: &Path) -> Result<u64> {
    let bytes = fs::read(image).context(image.display())?;
    let word = bytes.get(0x3c..).and_then(|rest| rest.first_chunk::<4>()).context(image.display())?;
    let pe = u64::from(u32::from_le_bytes(*word));
    // File header of 24 bytes; 112 bytes of optional header; the fifth of the 8-byte entries.
    Ok(pe.saturating_add(24 + 112 + 4 * 8 + 4))
}

/// An ELF64 kernel with one PT_LOAD, which claims to be `size` bytes long.
fn elf(machine: u16, content: &[u8], size: u64) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let base = 0x100_0000_u64;
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&machine.to_le_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    [base, 64, 0].iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    file.extend_from_slice(&0_u32.to_le_bytes());
    [64_u16, 56, 1, 0, 0, 0].iter().for_each(|half| file.extend_from_slice(&half.to_le_bytes()));
    [1_u32, 7].iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    let vaddr = 0xffff_ffff_8100_0000_u64;
    [120, vaddr, base, size, 0x1000, 0x1000]
        .iter()
        .for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    file.extend_from_slice(content);
    file
}

/// Reads `case NAME CALL exit N loaded N next N` and the lines with `| ` behind it.
fn parse(text: &str) -> Result<Vec<Attempt>> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("| ") {
            let attempt = attempts.last_mut().context("matrix.txt begins with a message")?;
            attempt.said.push_str(said);
            attempt.said.push('\n');
        } else if let Some(head) = line.strip_prefix("case ") {
            let words: Vec<&str> = head.split(' ').collect();
            let [name, call, "exit", exit, "loaded", loaded, "next", next] = words[..] else {
                return Err(failed(format!("matrix.txt: {line}")));
            };
            attempts.push(Attempt {
                name: name.to_owned(),
                call: call.to_owned(),
                exit: exit.parse().context(line)?,
                loaded: loaded.to_owned(),
                next: next.to_owned(),
                said: String::new(),
            });
        }
    }
    Ok(attempts)
}

/// All attempts of one case; a case that the kernel does not offer says so.
fn judge(case: &Case, attempts: &[Attempt]) -> Result<String> {
    let mut lines = Vec::new();
    for (call, end) in CALLS.iter().zip(&case.ends) {
        let found = attempts.iter().find(|attempt| attempt.name == case.name && attempt.call == *call);
        match found {
            Some(attempt) => lines.push(check(attempt, end)?),
            None if case.needs.is_some() => return Ok(format!("not on this kernel: {:?}", case.needs)),
            None => return Err(failed(format!("{call}: was not tried"))),
        }
    }
    Ok(lines.join("\n"))
}

fn check(attempt: &Attempt, end: &End) -> Result<String> {
    let Attempt { call, exit, loaded, next, said, .. } = attempt;
    let said = said.trim_end();
    let missing: Vec<&&str> = end.says.iter().filter(|word| !said.contains(**word)).collect();
    if loaded == "1" && next == "0" && *exit == end.exit && missing.is_empty() {
        return Ok(format!("{call:4} exit {exit}, armed: {said}"));
    }
    let wanted = end.exit;
    Err(failed(format!(
        "{call}: exit {exit} (wanted {wanted}), kexec_crash_loaded {loaded}, kexec_loaded {next}, does not say {missing:?}: {said}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_or_not_said_fails() {
        let text = "case garbage load exit 1 loaded 1 next 0\n| /bad/garbage: not a bzImage\nrearmed 1\n\
                    case garbage file exit 1 loaded 0 next 0\n| /bad/garbage\n\
                    case garbage auto exit 1 loaded 1 next 1\n| /bad/garbage\n";
        let attempts = parse(text).unwrap();
        assert_eq!(attempts.len(), 3);
        let end = End { exit: 1, says: &["/bad/garbage"] };
        assert!(check(&attempts[0], &end).is_ok());
        assert!(check(&attempts[1], &end).is_err(), "disarmed");
        assert!(check(&attempts[2], &end).is_err(), "a kernel for the next reboot was left");
        assert!(check(&attempts[0], &End { exit: 2, ..end }).is_err(), "another exit status");
        assert!(check(&attempts[0], &End { says: &["CAP_SYS_BOOT"], ..end }).is_err(), "not said");
        let garbage = CASES.iter().find(|case| case.name == "garbage").unwrap();
        assert!(judge(garbage, &attempts[..1]).is_err(), "two calls were not tried");
    }

    #[test]
    fn every_case_is_tried_with_every_call() {
        let script = cases::script(7);
        assert_eq!(script.matches("\ntry ").count(), CASES.len() * CALLS.len());
        assert!(
            script
                .contains("'/bin/kdump load --syscall file --kernel /boot/vmlinuz --append '$(text 2040)''"),
            "{script}"
        );
    }
}
