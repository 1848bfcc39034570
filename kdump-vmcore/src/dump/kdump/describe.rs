//! What a kdump-compressed file says of itself, for people.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::bitmap::Bitmap;
use super::file::File;
use super::header::{Header, RELEASE};
use super::page::{PageScratch, Place};
use crate::codec::Codec;

/// Pages whose descriptors are looked at to say how they are stored.
const SAMPLE: u64 = 256;
/// What each bit of the dump level leaves out.
const LEVELS: [&str; 5] = ["zero", "cache", "cache-private", "user", "free"];
/// Bit of `status`: the parts of the page array that describe left-out pages were left out.
const NO_VMEMMAP: u32 = 0x10;

/// Names and values in the order to show.
pub(super) fn details(
    header: &Header,
    files: &[File<'_>],
    stored: &Bitmap,
    erase_info: &str,
    scratch: &mut PageScratch,
) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    let main = &header.main;
    details.push(("header", format!("version {}, blocks of {} bytes", main.version, main.block_size)));
    details.push(("writer", writer(header)));
    if !header.name(RELEASE).is_empty() {
        details.push(("kernel", header.name(RELEASE)));
    }
    details.push(("codecs", codecs(files, stored, scratch)));
    let level = header.dump_level;
    let classes: Vec<&str> =
        LEVELS.iter().enumerate().filter(|(bit, _)| level >> bit & 1 != 0).map(|(_, name)| *name).collect();
    let classes = if classes.is_empty() { "nothing".to_owned() } else { classes.join(", ") };
    details.push(("dump level", format!("{level} (leaves out: {classes})")));
    if main.status & NO_VMEMMAP != 0 {
        details.push(("vmemmap", "the parts for pages that were left out were left out, too".to_owned()));
    }
    if header.split.is_some() {
        let given = files.iter().map(|file| format!("{:#x}-{:#x}", file.pfns.start, file.pfns.end));
        let given = given.collect::<Vec<_>>().join(", ");
        details.push(("split", format!("{} parts given, page frames {given}", files.len())));
    }
    details.push(("pages", format!("{} stored", stored.ones())));
    if !erase_info.is_empty() {
        details.push(("erase info", erase_info.trim_end().to_owned()));
    }
    details
}

/// QEMU knows neither the time nor any name but that of the machine.
fn writer(header: &Header) -> String {
    if header.diskdump {
        return "diskdump".to_owned();
    }
    let unnamed = header.name(RELEASE).is_empty() && header.main.timestamp == 0;
    if unnamed { "QEMU, by the names it leaves out" } else { "makedumpfile, or what writes as it does" }
        .to_owned()
}

/// How the pages are stored: all of few, or a sample of many.
fn codecs(files: &[File<'_>], stored: &Bitmap, scratch: &mut PageScratch) -> String {
    let mut found: Vec<(&'static str, u64)> = Vec::new();
    let (mut looked, mut all) = (0_u64, 0_u64);
    for (index, file) in files.iter().enumerate() {
        let count = file.count(stored);
        all = all.saturating_add(count);
        let share = SAMPLE.checked_div(files.len() as u64).unwrap_or(SAMPLE).max(1);
        let step = count.div_ceil(share).max(1);
        let mut at = 0;
        while at < file.readable.min(count) {
            let name = match file.pages.place(index, at, 0, scratch) {
                Ok(Place::Packed(codec, ..)) => Codec::name(codec),
                Ok(Place::Raw(_)) => "none",
                Ok(Place::Zero) => "zero",
                Ok(Place::Lost) => "lost",
                Err(_) => "damaged",
            };
            match found.iter_mut().find(|(other, _)| *other == name) {
                Some((_, sum)) => *sum = sum.saturating_add(1),
                None => found.push((name, 1)),
            }
            looked = looked.saturating_add(1);
            at = at.saturating_add(step);
        }
    }
    found.sort_by_key(|(_, count)| core::cmp::Reverse(*count));
    let list = found.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ");
    match (looked == all, list.is_empty()) {
        (_, true) => "no page".to_owned(),
        (true, _) => format!("{list} (counted)"),
        (false, _) => format!("{list} (of {looked} pages looked at)"),
    }
}
