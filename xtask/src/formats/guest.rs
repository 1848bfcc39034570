//! Dumps that QEMU makes of a guest through its monitor.

use core::slice::from_ref;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::compare::Pages;
use super::makedumpfile::{rearrange, remove};
use super::{Readers, at, row};
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::shell;

/// MiB of memory of the guest.
const MEMORY: u64 = 128;
/// Where in it and how much of a real dump is put.
const FILL_AT: u64 = 32 << 20;
const FILL: u64 = 48 << 20;
/// Options of `dump-guest-memory`.
const FORMATS: [(&str, &str); 4] = [("elf", ""), ("zlib", "-z"), ("lzo", "-l"), ("snappy", "-s")];

/// A row for each format of a guest that has a piece of `dump` in its memory and never ran: what
/// its monitor saves of its memory and what it dumps are of the same moment.
pub(super) fn rows(readers: &Readers, dump: &Path, dir: &Path, clock: Clock) -> Result<Vec<Row>> {
    clock.say("QEMU's own dumps");
    let (fill, raw) = (at(dir, "qemu.fill"), at(dir, "qemu.raw"));
    let mut piece = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(File::open(dump).context(dump.display())?, FILL),
        &mut piece,
    )
    .context(dump.display())?;
    fs::write(&fill, piece).context(fill.display())?;
    // Without quotes the slash would be a division.
    let mut commands = format!("pmemsave 0 {} \"{}\"\n", MEMORY << 20, raw.display());
    for (name, option) in FORMATS {
        let out = at(dir, &format!("qemu.{name}"));
        if out.exists() {
            fs::remove_file(&out).context(out.display())?;
        }
        commands.push_str(&format!("dump-guest-memory {option} \"{}\"\n", out.display()));
    }
    commands.push_str("quit\n");
    let said = monitor(&fill, &commands)?;
    if !raw.exists() {
        return Ok(vec![Row::of("qemu", Err(failed(format!("QEMU saved no memory and said {said:?}"))))]);
    }
    let source = Pages::of_raw(&raw, 0)?;
    let mut rows = Vec::new();
    for (name, _) in FORMATS {
        let out = at(dir, &format!("qemu.{name}"));
        let title = format!("qemu {name}");
        if fs::metadata(&out).is_ok_and(|file| file.len() > 0) {
            let whole = at(dir, "qemu.rearranged");
            let flattened = fs::read(&out).context(out.display())?.starts_with(b"makedumpfile");
            if flattened {
                rearrange(&out, &whole)?;
                rows.push(row(&title, readers, from_ref(&out), from_ref(&whole), &source));
                remove(&[whole])?;
            } else {
                rows.push(row(&title, readers, from_ref(&out), &[], &source));
            }
            remove(&[out])?;
        } else if said.contains("is not available now") || said.contains("does not support") {
            rows.push(Row::untested(&title, "this QEMU is built without it"));
        } else {
            rows.push(Row::of(&title, Err(failed(format!("QEMU wrote nothing and said {said:?}")))));
        }
    }
    remove(&[fill, raw])?;
    Ok(rows)
}

/// What QEMU answers to `commands`; its guest does not run.
fn monitor(fill: &Path, commands: &str) -> Result<String> {
    let mut qemu = shell::tool("qemu-system-x86_64")?;
    qemu.args(["-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-monitor", "stdio", "-m"]);
    qemu.arg(format!("{MEMORY}M"));
    qemu.arg("-device").arg(format!("loader,file={},addr={FILL_AT:#x},force-raw=on", fill.display()));
    qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let line = shell::describe(&qemu);
    let mut child = qemu.spawn().context(&line)?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    stdin.write_all(commands.as_bytes()).context(&line)?;
    let output = child.wait_with_output().context(&line)?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}
