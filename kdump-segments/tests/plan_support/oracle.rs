//! Reads the decoded plans of the peer.

use std::fs;

use kdump_elf::{PT_LOAD, PT_NOTE, Phdr};

/// One decoded plan.
#[derive(Debug)]
pub struct Oracle {
    pub entry: u64,
    pub flags: u64,
    /// mem, memsz, bufsz and kind.
    pub segments: Vec<(u64, u64, u64, String)>,
    /// first, last and type.
    pub e820: Vec<(u64, u64, u32)>,
    pub cmdline: String,
    /// address, type and length.
    pub setup_data: Vec<(u64, u32, u64)>,
    pub phdrs: Vec<Phdr>,
    pub rsdp: u64,
    pub screen: String,
    pub efi_info: String,
}

impl Oracle {
    pub fn read(machine: &str, variant: &str) -> Self {
        let path = super::recorded(machine).join("expected").join(format!("{variant}.decode.txt"));
        let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let first = text.lines().next().unwrap();
        let after = |marker: &str| {
            let line = text.lines().find(|line| line.contains(marker)).unwrap();
            line.split_once(marker).unwrap().1.trim().to_owned()
        };
        Self {
            entry: field(first, "entry "),
            flags: field(first, "flags "),
            segments: lines(text, "segment ").map(segment).collect(),
            e820: lines(text, "   e820[").map(e820).collect(),
            cmdline: after("   cmdline: "),
            setup_data: lines(text, "   setup_data ").map(setup_data).collect(),
            phdrs: text.lines().filter(|line| line.contains(" vaddr=")).map(phdr).collect(),
            rsdp: field(&after("cl_magic"), "rsdp="),
            screen: after("   screen: "),
            efi_info: after("   efi_info: "),
        }
    }

    /// The segments of one kind.
    pub fn segment(&self, kind: &str) -> (u64, u64, u64) {
        let found = self.segments.iter().find(|segment| segment.3 == kind).unwrap();
        (found.0, found.1, found.2)
    }
}

fn lines<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.starts_with(prefix))
}

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

/// The number behind `name`, up to the next blank.
fn field(line: &str, name: &str) -> u64 {
    let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    number(rest.split_whitespace().next().unwrap())
}

fn segment(line: &str) -> (u64, u64, u64, String) {
    let kind = line.split_once("kind=").unwrap().1.split_whitespace().next().unwrap();
    (field(line, "mem="), field(line, "memsz="), field(line, "bufsz="), kind.to_owned())
}

fn e820(line: &str) -> (u64, u64, u32) {
    let range = line.split_whitespace().nth(1).unwrap();
    let (first, last) = range.split_once('-').unwrap();
    (number(first), number(last), u32::try_from(field(line, "type ")).unwrap())
}

fn setup_data(line: &str) -> (u64, u32, u64) {
    (field(line, "setup_data "), u32::try_from(field(line, "type=")).unwrap(), field(line, "len="))
}

fn phdr(line: &str) -> Phdr {
    Phdr {
        p_type: if line.contains(" LOAD ") { PT_LOAD } else { PT_NOTE },
        p_flags: u32::try_from(field(line, "flags=")).unwrap(),
        p_offset: field(line, "off="),
        p_vaddr: field(line, "vaddr="),
        p_paddr: field(line, "paddr="),
        p_filesz: field(line, "filesz="),
        p_memsz: field(line, "memsz="),
        p_align: field(line, "align="),
    }
}
