//! The rules a purgatory object keeps, checked by a reader that shares nothing with the linker
//! of kdump-purgatory (ELF gABI; x86-64 and Intel386 psABI and ELF for the Arm 64-bit
//! Architecture and 64-Bit ELF V2 ABI for the relocation types).

/// The most the program may occupy in the crash region, without its stack; on riscv64, where words that are
/// not aligned are loaded byte by byte, it is more.
const CODE_AND_DATA_MAX: u64 = 16 * 1024;
const CODE_AND_DATA_MAX_RISCV64: u64 = 18 * 1024;

const ET_REL: u16 = 1;
const EM_386: u16 = 3;
const EM_PPC64: u16 = 21;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
const SHT_RELA: u32 = 4;
const SHT_REL: u32 = 9;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHN_UNDEF: u16 = 0;
const SHN_LORESERVE: u16 = 0xff00;

/// What an object of one architecture may have and must have.
pub(super) struct Rules {
    e_machine: u16,
    form: &'static Form,
    relocations: &'static [u32],
    /// Names a loader writes or reads, and their sizes; 0 for a mere address.
    symbols: &'static [(&'static str, u64)],
    /// Bytes that are no content, all of them the page tables'.
    tables: u64,
}

/// Where the fields of ELF's tables lie in files of one class, by offset; the sizes of their entries.
struct Form {
    class: u8,
    shoff: u64,
    shnum: u64,
    section: u64,
    /// sh_flags, sh_offset, sh_size, sh_link, sh_addralign.
    section_fields: [u64; 5],
    symbol: u64,
    /// st_shndx, st_value, st_size.
    symbol_fields: [u64; 3],
    /// The only type of relocation sections, the size of an entry, its r_info, and the bits of that
    /// which are the relocation's type.
    relocations: u32,
    relocation: u64,
    info: u64,
    info_type: u32,
    /// Bytes of an address or a size.
    word: u64,
}

const ELF64: Form = Form {
    class: 2,
    shoff: 40,
    shnum: 60,
    section: 64,
    section_fields: [8, 24, 32, 40, 48],
    symbol: 24,
    symbol_fields: [6, 8, 16],
    relocations: SHT_RELA,
    relocation: 24,
    info: 8,
    info_type: u32::MAX,
    word: 8,
};

const ELF32: Form = Form {
    class: 1,
    shoff: 32,
    shnum: 48,
    section: 40,
    section_fields: [8, 16, 20, 24, 32],
    symbol: 16,
    symbol_fields: [14, 4, 8],
    relocations: SHT_REL,
    relocation: 8,
    info: 4,
    info_type: 0xff,
    word: 4,
};

/// Names that every object has.
const COMMON: [(&str, u64); 14] = [
    ("sha256_regions", 256),
    ("sha256_digest", 32),
    ("skip_checks", 4),
    ("mismatch_action", 4),
    ("sha_instructions", 4),
    ("panic_kernel", 1),
    ("backup_start", 8),
    ("backup_src_start", 8),
    ("backup_src_size", 8),
    ("stack", STACK),
    ("stack_end", 0),
    ("purgatory_start", 0),
    ("purgatory_digest", 0),
    ("purgatory_main", 0),
];

pub(super) const X86_64: Rules = Rules {
    e_machine: EM_X86_64,
    form: &ELF64,
    // NONE, 64, PC32, PLT32, 32, 32S: what every loader of a purgatory applies.
    relocations: &[0, 1, 2, 4, 10, 11],
    symbols: &[
        ("entry64_regs", 136),
        ("entry32_regs", 36),
        ("console_serial", 1),
        ("serial_base", 2),
        ("serial_baud", 4),
        ("console_vga", 1),
        ("reset_vga", 1),
        ("cmdline_end", 8),
    ],
    tables: 0,
};

pub(super) const I386: Rules = Rules {
    e_machine: EM_386,
    form: &ELF32,
    // NONE, 32, PC32, PLT32.
    relocations: &[0, 1, 2, 4],
    symbols: &[
        ("entry32_regs", 36),
        ("console_serial", 1),
        ("serial_base", 2),
        ("serial_baud", 4),
        ("console_vga", 1),
        ("reset_vga", 1),
        ("cmdline_end", 8),
    ],
    tables: 0,
};

pub(super) const ARM64: Rules = Rules {
    e_machine: EM_AARCH64,
    form: &ELF64,
    // ABS64, ADR_PREL_LO21, ADR_PREL_PG_HI21, ADD_ABS_LO12_NC, LDST8, JUMP26, CALL26, LDST16, LDST32,
    // LDST64 and LDST128_ABS_LO12_NC: what loaders of a purgatory apply.
    relocations: &[257, 274, 275, 277, 278, 282, 283, 284, 285, 286, 299],
    symbols: &[
        ("arm64_kernel_entry", 8),
        ("arm64_dtb_addr", 8),
        ("arm64_sink", 8),
        ("arm64_caches", 4),
        ("tables", TABLES),
    ],
    tables: TABLES,
};

pub(super) const RISCV64: Rules = Rules {
    e_machine: EM_RISCV,
    form: &ELF64,
    // CALL_PLT, PCREL_HI20, PCREL_LO12_I.
    relocations: &[19, 23, 24],
    symbols: &[("riscv64_kernel_entry", 8), ("riscv64_dtb_addr", 8), ("riscv64_sink", 8)],
    tables: 0,
};

pub(super) const PPC64LE: Rules = Rules {
    e_machine: EM_PPC64,
    form: &ELF64,
    // REL24, ADDR64, TOC16_LO and HA, TOC16_DS and LO_DS, REL16_LO and HA.
    relocations: &[10, 38, 48, 50, 63, 64, 250, 252],
    symbols: &[
        ("purgatory_head", 252),
        ("ppc64_kernel_entry", 8),
        ("ppc64_dtb_addr", 8),
        ("ppc64_terminal", 4),
        ("console_serial", 1),
    ],
    tables: 0,
};

const TABLES: u64 = 24 * 4096;

const STACK: u64 = 4096;

/// What no object without panics contains, as symbols or messages (`panic_kernel` is a symbol
/// of the hand-over).
const PANIC_TRACES: [&str; 5] = ["panicked", "panicking", "unwrap", "overflow", "out of bounds"];

struct Section {
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    align: u64,
}

struct Symbol {
    name: String,
    section: u16,
    value: u64,
    size: u64,
}

/// Checks one object.
///
/// # Errors
/// Names the rule that is broken.
pub(super) fn check(rules: &Rules, object: &[u8]) -> Result<(), String> {
    let form = rules.form;
    if object.get(..6) != Some([0x7f, b'E', b'L', b'F', form.class, 1].as_slice()) {
        return Err(String::from("object: not a little-endian ELF file of its machine's class"));
    }
    if (half(object, 16)?, half(object, 18)?) != (ET_REL, rules.e_machine) {
        return Err(String::from("object: not relocatable, or for another machine"));
    }
    let sections = sections(form, object)?;
    check_sections(rules, &sections)?;
    check_relocations(rules, object, &sections)?;
    check_symbols(rules, &symbols(form, object, &sections)?)?;
    for trace in PANIC_TRACES {
        if object.windows(trace.len()).any(|window| window == trace.as_bytes()) {
            return Err(format!("object: contains {trace:?}, a trace of panics"));
        }
    }
    Ok(())
}

/// Bytes from the load address to a symbol with content: loaded sections lie one behind the other, those
/// without content last.
///
/// # Errors
/// A broken object, or no such symbol.
pub(crate) fn place(object: &[u8], name: &str) -> Result<u64, String> {
    let form = if object.get(4) == Some(&ELF32.class) { &ELF32 } else { &ELF64 };
    let sections = sections(form, object)?;
    let symbols = symbols(form, object, &sections)?;
    let symbol = symbols.iter().find(|symbol| symbol.name == name);
    let symbol = symbol.ok_or_else(|| format!("object: symbol {name} is missing"))?;
    let mut end = 0_u64;
    for (index, section) in sections.iter().enumerate() {
        if section.flags & SHF_ALLOC == 0 || section.kind == SHT_NOBITS {
            continue;
        }
        let start = end.checked_next_multiple_of(section.align.max(1));
        let start = start.ok_or("object: a section out of range")?;
        if index == usize::from(symbol.section) {
            return Ok(start.saturating_add(symbol.value));
        }
        end = start.saturating_add(section.size);
    }
    Err(format!("object: symbol {name} has no content"))
}

fn check_sections(rules: &Rules, sections: &[Section]) -> Result<(), String> {
    let loaded = sections.iter().filter(|section| section.flags & SHF_ALLOC != 0);
    let (mut size, mut empty) = (0_u64, 0_u64);
    for section in loaded {
        let sum = if section.kind == SHT_NOBITS { &mut empty } else { &mut size };
        *sum = sum.saturating_add(section.size);
    }
    if empty != rules.tables {
        return Err(String::from("object: has a .bss, whose symbols cannot be written"));
    }
    let most = if rules.e_machine == EM_RISCV { CODE_AND_DATA_MAX_RISCV64 } else { CODE_AND_DATA_MAX };
    match size.saturating_sub(STACK) {
        size if size <= most => Ok(()),
        size => Err(format!("object: {size} bytes of code and data, above {most}")),
    }
}

fn check_relocations(rules: &Rules, object: &[u8], sections: &[Section]) -> Result<(), String> {
    let form = rules.form;
    for section in sections.iter().filter(|section| matches!(section.kind, SHT_RELA | SHT_REL)) {
        if section.kind != form.relocations {
            return Err(format!("object: relocations of section type {}", section.kind));
        }
        for entry in entries(section, form.relocation) {
            let kind = word(object, entry.saturating_add(form.info))? & form.info_type;
            if !rules.relocations.contains(&kind) {
                return Err(format!("object: relocation type {kind} at {entry:#x}"));
            }
        }
    }
    Ok(())
}

fn check_symbols(rules: &Rules, symbols: &[Symbol]) -> Result<(), String> {
    for symbol in symbols {
        // The TOC pointer of ppc64 is defined by whoever links the object.
        if rules.e_machine == EM_PPC64 && symbol.name == ".TOC." {
            continue;
        }
        if symbol.section == SHN_UNDEF || symbol.section >= SHN_LORESERVE {
            return Err(format!("object: symbol {} is undefined", symbol.name));
        }
    }
    for &(name, size) in COMMON.iter().chain(rules.symbols) {
        match symbols.iter().find(|symbol| symbol.name == name) {
            None => return Err(format!("object: symbol {name} is missing")),
            Some(found) if size != 0 && found.size != size => {
                return Err(format!("object: {name} has {} bytes, not {size}", found.size));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn sections(form: &Form, object: &[u8]) -> Result<Vec<Section>, String> {
    let table = Section {
        kind: 0,
        flags: 0,
        offset: address(form, object, form.shoff)?,
        size: u64::from(half(object, form.shnum)?).saturating_mul(form.section),
        link: 0,
        align: 1,
    };
    let [flags, offset, size, link, align] = form.section_fields;
    entries(&table, form.section)
        .map(|at| {
            Ok(Section {
                kind: word(object, at.saturating_add(4))?,
                flags: address(form, object, at.saturating_add(flags))?,
                offset: address(form, object, at.saturating_add(offset))?,
                size: address(form, object, at.saturating_add(size))?,
                link: word(object, at.saturating_add(link))?,
                align: address(form, object, at.saturating_add(align))?,
            })
        })
        .collect()
}

/// Every symbol that has a name.
fn symbols(form: &Form, object: &[u8], sections: &[Section]) -> Result<Vec<Symbol>, String> {
    let mut symbols = Vec::new();
    let [section, value, size] = form.symbol_fields;
    for table in sections.iter().filter(|section| section.kind == SHT_SYMTAB) {
        let names = usize::try_from(table.link)
            .ok()
            .and_then(|link| sections.get(link))
            .ok_or("object: symbol table without names")?;
        for at in entries(table, form.symbol) {
            let name = u64::from(word(object, at)?);
            if name != 0 {
                symbols.push(Symbol {
                    name: text(object, names.offset.saturating_add(name))?,
                    section: half(object, at.saturating_add(section))?,
                    value: address(form, object, at.saturating_add(value))?,
                    size: address(form, object, at.saturating_add(size))?,
                });
            }
        }
    }
    Ok(symbols)
}

/// File offsets of the entries of a table.
fn entries(table: &Section, size: u64) -> impl Iterator<Item = u64> {
    let offset = table.offset;
    let count = table.size.checked_div(size).unwrap_or(0);
    (0..count).map(move |i| offset.saturating_add(i.saturating_mul(size)))
}

fn bytes<const N: usize>(object: &[u8], at: u64) -> Result<[u8; N], String> {
    usize::try_from(at)
        .ok()
        .and_then(|at| object.get(at..)?.first_chunk::<N>().copied())
        .ok_or_else(|| format!("object: ends before {at:#x}"))
}

fn half(object: &[u8], at: u64) -> Result<u16, String> {
    bytes(object, at).map(u16::from_le_bytes)
}

fn word(object: &[u8], at: u64) -> Result<u32, String> {
    bytes(object, at).map(u32::from_le_bytes)
}

/// An address or a size.
fn address(form: &Form, object: &[u8], at: u64) -> Result<u64, String> {
    match form.word {
        4 => word(object, at).map(u64::from),
        _ => bytes(object, at).map(u64::from_le_bytes),
    }
}

fn text(object: &[u8], at: u64) -> Result<String, String> {
    let tail = usize::try_from(at).ok().and_then(|at| object.get(at..));
    let name = tail.and_then(|tail| tail.split(|byte| *byte == 0).next());
    Ok(String::from_utf8_lossy(name.ok_or("object: name beyond the end")?).into_owned())
}
