//! Other programs of the field open the dump.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use kdump_witness::PAGE;

use super::{Evidence, log, pages};
use crate::apt::Need;
use crate::error::{Context, Result, failed};
use crate::shell;

pub(super) const NEEDS: &[Need] = &[
    Need { what: "readelf", package: "binutils" },
    Need { what: "gdb", package: "gdb" },
    Need { what: "makedumpfile", package: "makedumpfile" },
    Need { what: "cc", package: "gcc" },
    Need { what: "/usr/include/libkdumpfile/kdumpfile.h", package: "libkdumpfile-dev" },
];

/// The source of the program that reads through libkdumpfile.
const READER: &str = include_str!("../../../peers/libkdumpfile.c");

pub(super) fn readelf(evidence: &Evidence) -> Result<String> {
    let cpus = evidence.witness()?.cpus.len();
    let text = shell::text(shell::tool("readelf")?.arg("-hlnW").arg(evidence.dump()))?;
    for wanted in ["CORE (Core file)", "NT_PRSTATUS", "VMCOREINFO"] {
        if !text.contains(wanted) {
            return Err(failed(format!("shows no {wanted}")));
        }
    }
    let loads = text.lines().filter(|line| line.trim_start().starts_with("LOAD ")).count();
    let notes = text.matches("NT_PRSTATUS").count();
    if notes != cpus || loads == 0 {
        return Err(failed(format!("shows {loads} PT_LOADs and {notes} NT_PRSTATUS notes")));
    }
    Ok(format!("{loads} PT_LOADs, {notes} NT_PRSTATUS notes, VMCOREINFO"))
}

pub(super) fn gdb(evidence: &Evidence) -> Result<String> {
    let pc = evidence.lab.pc;
    let mut gdb = shell::tool(evidence.lab.gdb.what)?;
    gdb.args(["-batch", "-nx", "-ex"]).arg(format!("core-file {}", evidence.dump().display()));
    gdb.args(["-ex", "info threads", "-ex", &format!("info registers {pc}")]);
    let text = shell::text(&mut gdb)?;
    for cpu in evidence.witness()?.cpus {
        if !text.contains(&format!("LWP {}", cpu.tid)) {
            return Err(failed(format!("no thread {} in {text:?}", cpu.tid)));
        }
    }
    let found = text.lines().rev().find(|line| line.starts_with(&format!("{pc} "))).context(pc)?;
    Ok(format!("every thread found; {}", found.split_whitespace().collect::<Vec<_>>().join(" ")))
}

pub(super) fn makedumpfile(evidence: &Evidence) -> Result<String> {
    let out = evidence.dir.join("makedumpfile.kdump");
    let mut command = evidence.makedumpfile()?;
    command.args(["-f", "-c", "-d", "31"]).arg(evidence.dump()).arg(&out);
    shell::stdout(&mut command)?;
    let len = fs::metadata(&out).context(out.display())?.len();
    let magic = fs::read(&out).context(out.display())?;
    if !magic.starts_with(b"KDUMP   ") {
        return Err(failed("it wrote no kdump-compressed file"));
    }
    Ok(format!("wrote {len} bytes"))
}

pub(crate) fn makedumpfile_dmesg(evidence: &Evidence) -> Result<String> {
    let out = evidence.dir.join("makedumpfile.dmesg");
    let mut command = evidence.makedumpfile()?;
    shell::stdout(command.args(["-f", "--dump-dmesg"]).arg(evidence.dump()).arg(&out))?;
    log::panic_at_end(&super::read(&out)?)
}

pub(crate) fn libkdumpfile(evidence: &Evidence) -> Result<String> {
    let source = evidence.dir.join("libkdumpfile.c");
    let program = evidence.dir.join("libkdumpfile");
    fs::write(&source, READER).context(source.display())?;
    let mut cc = shell::tool("cc")?;
    cc.args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program).arg(&source).arg("-lkdumpfile");
    shell::stdout(&mut cc)?;
    let list = evidence.witness()?;
    let mut addresses = String::new();
    for witness in &list.pages {
        addresses.push_str(&format!("{:x}\n", witness.paddr));
    }
    let bytes = answers(Command::new(&program).arg(evidence.dump()), &addresses)?;
    if bytes.len() != list.pages.len().saturating_mul(PAGE) {
        return Err(failed(format!("{} bytes for {} pages", bytes.len(), list.pages.len())));
    }
    for (witness, content) in list.pages.iter().zip(bytes.chunks_exact(PAGE)) {
        pages::compare(list.seed, *witness, content)?;
    }
    Ok(format!("{} witness pages identical", list.pages.len()))
}

/// Standard output of `command` when `input` is typed into it.
fn answers(command: &mut Command, input: &str) -> Result<Vec<u8>> {
    let line = shell::describe(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context(&line)?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let input = input.to_owned();
    // From a thread of its own: the program answers while it still reads.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().context(&line)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    match writer.join() {
        Ok(written) => written.context(&line)?,
        Err(_) => return Err(failed(format!("{line}: the writing thread died"))),
    }
    Ok(output.stdout)
}
