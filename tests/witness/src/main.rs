//! Runs in a guest that is about to crash: plants pages, pins threads, writes the list of both,
//! and crashes the machine when a line arrives on standard input.
//!
//! `kdump-witness LIST MIB PAGES SEED`

#![allow(clippy::print_stderr, reason = "a program speaks on stderr")]

mod pages;
mod threads;

use core::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::process::ExitCode;

use kdump_witness::List;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [list, mib, pages, seed] = args.as_slice() else {
        complain(&"usage: kdump-witness LIST MIB PAGES SEED");
        return ExitCode::from(2);
    };
    let (Ok(mib), Ok(pages), Ok(seed)) = (mib.parse(), pages.parse(), seed.parse()) else {
        complain(&"MIB, PAGES and SEED are decimal numbers");
        return ExitCode::from(2);
    };
    match testify(list, mib, pages, seed) {
        Ok(()) => complain(&"the machine did not crash"),
        Err(error) => complain(&error),
    }
    ExitCode::FAILURE
}

fn testify(path: &str, mib: usize, count: usize, seed: u64) -> io::Result<()> {
    let pages = pages::plant(mib, count, seed)?;
    let crew = threads::Crew::assemble(online()?)?;
    let list = List { seed, pages, cpus: crew.cpus.clone() };
    publish(path, &list.to_string())?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::Error::other("standard input ended before the word to crash"));
    }
    crew.crash();
    Ok(())
}

/// CPUs in use, numbered from 0 without gaps (a guest of the lab has no others).
fn online() -> io::Result<u32> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let last = text.trim().rsplit(['-', ',']).next().unwrap_or_default();
    let last: u32 = last.parse().map_err(io::Error::other)?;
    Ok(last.saturating_add(1))
}

/// The file appears complete or not at all, so that a waiting script may watch for its name.
fn publish(path: &str, text: &str) -> io::Result<()> {
    let unfinished = format!("{path}.part");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

pub(crate) fn complain(what: &dyn fmt::Display) {
    eprintln!("kdump-witness: {what}");
}
