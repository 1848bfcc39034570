//! A guest that booted its kernel, stopped, and dumped in every format QEMU has.

use core::slice::from_ref;
use core::time::Duration;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use lab::cpio::Cpio;
use lab::elf;
use lab::guest::{GAVE_UP, Guest};
use lab::qemu;
use lab::qmp::Qmp;
use serde_json::json;

use super::compare::Pages;
use super::machine::Machine;
use super::makedumpfile::{Maker, rearrange, remove};
use super::{Readers, addresses, at, makedumpfile, row, saved};
use crate::apt::{self, Archive, Need};
use crate::crash::kernel::Kernel;
use crate::crash::modules::{self, Module};
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::repo;

/// The script that is its first process.
const INIT: &str = include_str!("../../guest/dump-init");
/// MiB of memory of the guest.
const MEMORY: u64 = 320;
const BOOT: Duration = Duration::from_secs(300);
/// The formats of `dump-guest-memory` that are about Linux; those with `raw` are no streams and
/// came with QEMU 8.2.
const FORMATS: [&str; 7] =
    ["elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-raw-zlib", "kdump-raw-lzo", "kdump-raw-snappy"];

/// Boots the guest, dumps it and compares everything.
pub(super) fn rows(readers: &Readers, machine: &Machine, dir: &Path, clock: Clock) -> Result<Vec<Row>> {
    apt::ensure(&[machine.need])?;
    let (guest, socket) = boot(machine, dir, clock)?;
    let mut qmp = Qmp::connect(&socket)?;
    let rows = compare(readers, machine, &guest, &mut qmp, dir, clock);
    // It may be gone before it has answered.
    let _ = qmp.run("quit", &json!({}));
    rows
}

/// The guest, at the end of its script, and the socket of its monitor.
fn boot(machine: &Machine, dir: &Path, clock: Clock) -> Result<(Guest, PathBuf)> {
    let archive = match machine.debian {
        "amd64" => Archive::HOST,
        other => Archive::foreign(other)?,
    };
    let kernel = Kernel::of(&archive, machine.meta_package, clock)?;
    let shelf = repo::scratch("apt")?.join(format!("busybox-{}", machine.debian));
    fs::create_dir_all(&shelf).context(shelf.display())?;
    let busybox = archive.with_fresh_lists(|| archive.shelved("busybox-static", &shelf))?;
    let initramfs = at(dir, "booted.cpio");
    fs::write(&initramfs, archive_of(&kernel, &busybox.join("bin/busybox"))?).context(initramfs.display())?;
    let socket = std::env::temp_dir().join(format!("kdump-formats-{}.qmp", std::process::id()));
    let booted = qemu::Machine {
        program: machine.need.what,
        options: machine.qemu,
        cpu: None,
        cpus: 2,
        memory_mib: MEMORY,
        kernel: &kernel.image,
        initramfs: &initramfs,
        cmdline: &format!("console={} panic=-1", machine.console),
    };
    let mut command = booted.command()?;
    command.args(["-device", "vmcoreinfo"]);
    qemu::socket(&mut command, "-qmp", &socket);
    clock.say(&format!("{}: booting Linux {}", machine.name, kernel.release));
    let mut guest = Guest::spawn(command, &at(dir, "booted.log"), GAVE_UP, &[&socket])?;
    guest.wait_for(&["lab: ready"], BOOT)?;
    Ok((guest, socket))
}

fn archive_of(kernel: &Kernel, busybox: &Path) -> Result<Vec<u8>> {
    let mut cpio = Cpio::of_guest(&["bin", "lib", "lib/modules", "dev"], INIT, busybox)?;
    cpio.modules(modules::collect_of(kernel, &["qemu_fw_cfg"])?.iter().map(Module::named));
    Ok(cpio.finish())
}

fn compare(
    readers: &Readers,
    machine: &Machine,
    guest: &Guest,
    qmp: &mut Qmp,
    dir: &Path,
    clock: Clock,
) -> Result<Vec<Row>> {
    qmp.run("stop", &json!({}))?;
    clock.say(&format!("{}: dumping", machine.name));
    let made = dump_all(qmp, dir)?;
    let elf = made.first().cloned().flatten().context("QEMU makes no ELF dump")?;
    let raw = at(dir, "booted.raw");
    let said = qmp.monitor(&format!("pmemsave {} {} \"{}\"", machine.ram, MEMORY << 20, raw.display()))?;
    if !said.is_empty() {
        return Err(failed(format!("pmemsave: {said}")));
    }
    let title = |format: &str| format!("{} {format}", machine.name);
    let memory = Pages::of_raw(&raw, machine.ram)?;
    let mut rows = vec![row(&title("elf"), readers, from_ref(&elf), from_ref(&elf), &memory)];
    drop(memory);
    remove(&[raw])?;
    let source = Pages::of_elf(&elf)?;
    for (format, file) in FORMATS.iter().zip(&made).skip(1) {
        rows.push(match file {
            Some(file) => {
                clock.say(&title(format));
                kdump(&title(format), readers, file, &source, dir)?
            }
            None => Row::untested(&title(format), "this QEMU is built without it"),
        });
    }
    rows.extend(saved::matrix_rows(readers, &title(""), &elf, dir, &source, saved::MATRIX, clock));
    drop(source);
    let files: Vec<PathBuf> = made.into_iter().flatten().collect();
    clock.say(&format!("{}: virtual addresses", machine.name));
    for (file, format) in files.iter().zip(FORMATS).take(2) {
        rows.extend(addresses::rows(readers, machine, guest, qmp, file, format, dir));
    }
    let name = title("by makedumpfile");
    match machine.emulator {
        Some(emulator) => match converted(readers, machine, emulator, &elf, dir, clock) {
            Ok(more) => rows.extend(more),
            Err(error) => rows.push(Row::of(&name, Err(error))),
        },
        None if machine.debian != "amd64" => {
            let why = "the distribution's makedumpfile does not know such a kernel";
            rows.push(Row::untested(&name, why));
        }
        // A crash of such a machine has been converted by `cargo xtask formats` alone.
        None => {}
    }
    // QEMU notes the state of x86 CPUs alone.
    if machine.has_cpu_state {
        rows.push(addresses::without_vmcoreinfo(readers, machine, guest, qmp, &elf, dir));
    }
    remove(&files)?;
    Ok(rows)
}

/// What the makedumpfile of the architecture makes of the dump.
fn converted(
    readers: &Readers,
    machine: &Machine,
    emulator: Need,
    elf: &Path,
    dir: &Path,
    clock: Clock,
) -> Result<Vec<Row>> {
    apt::ensure(&[emulator])?;
    let archive = Archive::foreign(machine.debian)?;
    let shelf = repo::scratch("apt")?.join(format!("makedumpfile-{}", machine.debian));
    let maker = Maker::foreign(&archive, emulator.what, &shelf, machine.name)?;
    let usual = at(dir, "booted.usual");
    usual_elf(elf, machine, &usual)?;
    let mut rows = makedumpfile::rows(readers, &maker, &usual, dir, makedumpfile::LEVELS, clock)?;
    let source = Pages::of_elf(&usual)?;
    rows.extend(saved::filtered_rows(readers, &maker, &usual, dir, &source, clock));
    remove(&[usual])?;
    Ok(rows)
}

/// Writes the RAM and the notes of `elf` as a dying kernel's core has them. makedumpfile 1.7.2 looks
/// for program headers right behind the ELF header, where QEMU has none, and that of i386 dies of
/// PT_LOADs without virtual addresses.
fn usual_elf(elf: &Path, machine: &Machine, out: &Path) -> Result {
    const NOTES_AT: u64 = 0x1000;
    const RAM_AT: u64 = 0x10_0000;
    let mut bytes = vec![0; 64];
    let file = File::open(elf).context(elf.display())?;
    file.read_exact_at(&mut bytes, 0).context(elf.display())?;
    let phdrs = elf::phdrs(elf)?;
    let note = phdrs.iter().find(|phdr| phdr.kind == "PT_NOTE").context("no PT_NOTE")?;
    let ram = phdrs.iter().find(|phdr| phdr.kind == "PT_LOAD" && phdr.paddr == machine.ram);
    let ram = ram.context("no PT_LOAD of the RAM")?;
    // e_phoff; e_ehsize, e_phentsize, e_phnum and the three of sections.
    let put = |bytes: &mut Vec<u8>, at: usize, value: &[u8]| {
        bytes.splice(at..at.saturating_add(value.len()), value.iter().copied());
    };
    put(&mut bytes, 32, &64_u64.to_le_bytes());
    put(&mut bytes, 40, &0_u64.to_le_bytes());
    for (at, value) in [(52, 64_u16), (54, 56), (56, 2), (58, 0), (60, 0), (62, 0)] {
        put(&mut bytes, at, &value.to_le_bytes());
    }
    for (kind, offset, phdr) in [(4_u32, NOTES_AT, note), (1, RAM_AT, ram)] {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        let vaddr = if kind == 1 { machine.memory } else { 0 };
        for word in [offset, vaddr, phdr.paddr, phdr.filesz, phdr.filesz, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    let written = File::create(out).context(out.display())?;
    written.write_all_at(&bytes, 0).context(out.display())?;
    for (phdr, to) in [(note, NOTES_AT), (ram, RAM_AT)] {
        let mut piece = vec![0; usize::try_from(phdr.filesz).context("p_filesz")?];
        file.read_exact_at(&mut piece, phdr.offset).context(elf.display())?;
        written.write_all_at(&piece, to).context(out.display())?;
    }
    Ok(())
}

/// The file of each of [`FORMATS`], of those that this QEMU can write.
fn dump_all(qmp: &mut Qmp, dir: &Path) -> Result<Vec<Option<PathBuf>>> {
    let told = qmp.run("query-dump-guest-memory-capability", &json!({}))?;
    let told = told.get("formats").and_then(|formats| formats.as_array()).context("no list of formats")?;
    let mut made = Vec::new();
    for format in FORMATS {
        if !told.iter().any(|name| name.as_str() == Some(format)) {
            made.push(None);
            continue;
        }
        let file = at(dir, &format!("booted.{format}"));
        if file.exists() {
            fs::remove_file(&file).context(file.display())?;
        }
        let protocol = format!("file:{}", file.display());
        let arguments = json!({ "paging": false, "protocol": protocol, "format": format });
        qmp.run("dump-guest-memory", &arguments)?;
        made.push(Some(file));
    }
    Ok(made)
}

/// The row of a kdump-compressed file, a stream or not.
fn kdump(title: &str, readers: &Readers, file: &PathBuf, source: &Pages, dir: &Path) -> Result<Row> {
    let whole = at(dir, "booted.rearranged");
    if fs::read(file).context(file.display())?.starts_with(b"makedumpfile") {
        rearrange(file, &whole)?;
    } else {
        fs::copy(file, &whole).context(whole.display())?;
    }
    hide_page_size(&whole)?;
    let row = row(title, readers, from_ref(file), from_ref(&whole), source);
    remove(&[whole])?;
    Ok(row)
}

/// QEMU writes arm64 in blocks of 64 KiB. libkdumpfile takes the page size of VMCOREINFO for that
/// of the blocks, where there is one, and then has no page at all.
fn hide_page_size(whole: &Path) -> Result {
    const KEY: &[u8] = b"\nPAGESIZE=";
    let mut bytes = fs::read(whole).context(whole.display())?;
    // The notes stand in front of the pages, which may have the text as well.
    let head = bytes.len().min(1 << 20);
    let found = bytes.get(..head).and_then(|head| head.windows(KEY.len()).position(|text| text == KEY));
    let key = found.context("no PAGESIZE in the notes: did the guest hand VMCOREINFO to QEMU?")?;
    if let Some(letter) = bytes.get_mut(key.saturating_add(1)) {
        *letter = b'p';
    }
    fs::write(whole, bytes).context(whole.display())
}
