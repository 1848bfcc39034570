//! `capture ELFCOREHDR MEMORY BASE DUMP`: what a capture kernel does. Looks at the dead kernel's memory, whose
//! first byte is at the physical address BASE (hexadecimal), through the header it left, and saves it.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use core::error::Error;
use core::ops::ControlFlow;
use std::fs::File;
use std::path::Path;

use kdump_elf::{Arch, Paddr};
use kdump_vmcore::{Dump, MemoryImage, Progress, SaveOptions, ViewOptions, VmcoreView, save};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [header, memory, base, target] = words.as_slice() else {
        return Err("usage: capture ELFCOREHDR MEMORY BASE DUMP".into());
    };
    let base = Paddr(u64::from_str_radix(base.trim_start_matches("0x"), 16)?);
    let options = ViewOptions::default().arch(Some(Arch::X86_64));
    let view = VmcoreView::from_header(
        &std::fs::read(header)?,
        MemoryImage::new(base, File::open(memory)?),
        options,
    )?;
    for defect in view.defects() {
        println!("left out: {defect}");
    }
    let dump = Dump::open(view)?;
    println!("{} CPUs, {} bytes of memory", dump.cpu_count(), dump.memory_size());
    let mut watch = |_: Progress| ControlFlow::Continue(());
    let report = save(&dump, Path::new(target), SaveOptions::default(), &mut watch)?;
    if !report.is_whole() {
        return Err(format!("saved, but {} bytes of memory are lacking", report.lacking()).into());
    }
    println!("saved {} bytes", report.file_size);
    Ok(())
}
