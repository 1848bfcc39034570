//! Where the kernel lies, from sources that are complete, missing or at odds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail anywhere"
)]

mod machine_support;

use kdump_elf::Arch;
use kdump_segments::{Machine, MachineFiles, Source};
use machine_support::Kcore;

const NONE: u64 = u64::MAX;
const TEXT: u64 = 0xffff_ffff_9a80_0000;
const TEXT_PADDR: u64 = 0x1340_0000;
const TEXT_SIZE: u64 = 0x343_0000;
const BASE: u64 = 0xff40_fd96_4000_0000;

const IOMEM: &str = "00001000-0009fbff : System RAM\n00100000-1ffdffff : System RAM\n\
    \x20 13400000-14201d31 : Kernel code\n";
const KALLSYMS: &str = "ffffffff9a800000 T _stext\nffffffff9a800000 T _text\nffffffff9dc30000 B _end\n";
const VMCOREINFO: &str = "PAGESIZE=4096\nSYMBOL(_stext)=ffffffff9a800000\nNUMBER(phys_base)=-121634816\n";

fn loads() -> Vec<(u64, u64, u64)> {
    vec![
        (TEXT, TEXT_PADDR, TEXT_SIZE),
        (0xff5e_6eaa_4000_0000, NONE, 0x31_ffff_ffff_ffff),
        (0xffff_ffff_c000_0000, NONE, 0x3f00_0000),
        (BASE + 0x1000, 0x1000, 0x9e000),
        (BASE + 0x10_0000, 0x10_0000, 0x1fee_0000),
    ]
}

/// The sources of one machine; a test takes away or falsifies some.
struct Sources {
    arch: Arch,
    loads: Option<Vec<(u64, u64, u64)>>,
    vmcoreinfo: String,
    kallsyms: String,
    iomem: String,
    values: String,
}

impl Sources {
    fn complete() -> Self {
        Self {
            arch: Arch::X86_64,
            loads: Some(loads()),
            vmcoreinfo: VMCOREINFO.into(),
            kallsyms: KALLSYMS.into(),
            iomem: IOMEM.into(),
            values: format!("page_offset_base {BASE:x}\n"),
        }
    }

    fn machine(&self) -> Machine {
        let mut files = MachineFiles::new();
        files.insert("proc/iomem", self.iomem.as_str());
        files.insert("proc/kallsyms", self.kallsyms.as_str());
        files.insert("proc/kcore.values", self.values.as_str());
        files.insert("proc/sys/kernel/arch", self.arch.name());
        if let Some(loads) = &self.loads {
            files.insert("proc/kcore", Kcore::new(self.arch, loads, &self.vmcoreinfo).build().0);
        }
        Machine::from_files(&files).unwrap()
    }

    /// The text mapping is found, and this is who told it.
    fn text(&self) -> (Source, Vec<Source>) {
        let machine = self.machine();
        let text = machine.kernel.text.unwrap_or_else(|| panic!("{:?}", machine.remarks));
        let value = text.value;
        assert_eq!((value.vaddr, value.paddr, value.size), (TEXT, TEXT_PADDR, TEXT_SIZE));
        (text.source, text.others)
    }

    /// Nothing is believed, and the note says why.
    fn no_text(&self, reason: &str) {
        let machine = self.machine();
        assert_eq!(machine.kernel.text, None);
        let found = machine.remarks.iter().any(|note| {
            note.text.starts_with("the kernel's text mapping is unknown") && note.text.contains(reason)
        });
        assert!(found, "no `{reason}` in {:?}", machine.remarks);
    }
}

#[test]
fn all_sources_agree() {
    let sources = Sources::complete();
    assert_eq!(
        sources.text(),
        (Source::KcorePhdrs, vec![Source::Kallsyms, Source::Vmcoreinfo, Source::Iomem])
    );
    let base = sources.machine().kernel.direct_map_base.unwrap();
    assert_eq!((base.value, base.source, base.others), (BASE, Source::KcorePhdrs, vec![Source::KcoreMemory]));
}

#[test]
fn every_source_may_be_missing() {
    let without_kallsyms = Sources { kallsyms: String::new(), ..Sources::complete() };
    assert_eq!(without_kallsyms.text(), (Source::KcorePhdrs, vec![Source::Vmcoreinfo, Source::Iomem]));
    let without_vmcoreinfo = Sources { vmcoreinfo: String::new(), ..Sources::complete() };
    assert_eq!(without_vmcoreinfo.text(), (Source::KcorePhdrs, vec![Source::Kallsyms, Source::Iomem]));
    let only_kcore = Sources { kallsyms: String::new(), vmcoreinfo: String::new(), ..Sources::complete() };
    assert_eq!(only_kcore.text(), (Source::KcorePhdrs, vec![Source::Iomem]));
    let without_iomem_line = Sources { iomem: IOMEM.replace("Kernel code", "other"), ..Sources::complete() };
    assert_eq!(without_iomem_line.text(), (Source::KcorePhdrs, vec![Source::Kallsyms, Source::Vmcoreinfo]));
    let without_kcore = Sources { loads: None, ..Sources::complete() };
    assert_eq!(without_kcore.text(), (Source::Kallsyms, vec![Source::Iomem]));
    let base = without_kcore.machine().kernel.direct_map_base.unwrap();
    assert_eq!((base.value, base.source), (BASE, Source::KcoreMemory));
}

/// Without CONFIG_KALLSYMS_ALL there is no `_end`, and no page_offset_base.
#[test]
fn iomem_tells_the_length_when_kallsyms_does_not() {
    let code_to_bss = format!("{IOMEM}  14e00000-1504897f : Kernel data\n  15710000-1682ffff : Kernel bss\n");
    let kallsyms = KALLSYMS.lines().take(2).collect::<Vec<_>>().join("\n");
    let sources = Sources { loads: None, kallsyms, iomem: code_to_bss, ..Sources::complete() };
    assert_eq!(sources.text(), (Source::Kallsyms, vec![Source::Iomem]));
    Sources { iomem: IOMEM.into(), ..sources }.no_text("no source tells where it ends");
}

#[test]
fn an_end_in_front_of_the_text_is_none() {
    let kallsyms = KALLSYMS.replace("ffffffff9dc30000", "ffffffff9a7fffff");
    let sources = Sources { loads: None, kallsyms, ..Sources::complete() };
    sources.no_text("not behind _text");
}

#[test]
fn nothing_known_is_said() {
    let sources =
        Sources { loads: None, kallsyms: String::new(), values: String::new(), ..Sources::complete() };
    sources.no_text("no source tells its virtual addresses");
    let machine = sources.machine();
    assert_eq!(machine.kernel.direct_map_base, None);
    assert!(
        machine
            .remarks
            .iter()
            .any(|note| note.text == "the base of the direct map is unknown: no source tells it")
    );
}

#[test]
fn hidden_kallsyms_are_reported() {
    let hidden = "0000000000000000 T _stext\n0000000000000000 T _text\n0000000000000000 B _end\n";
    let sources = Sources { kallsyms: hidden.into(), ..Sources::complete() };
    assert_eq!(sources.text().0, Source::KcorePhdrs);
    assert!(sources.machine().remarks.iter().any(|note| note.text.contains("kptr_restrict")));
}

#[test]
fn contradictions_leave_the_text_out() {
    let with = |change: &dyn Fn(&mut Sources)| {
        let mut sources = Sources::complete();
        change(&mut sources);
        sources
    };
    with(&|sources| sources.iomem = IOMEM.replace("13400000", "13600000")).no_text("0x13600000 by iomem");
    with(&|sources| sources.vmcoreinfo = VMCOREINFO.replace("-121634816", "0"))
        .no_text("0x1a800000 by vmcoreinfo");
    with(&|sources| sources.vmcoreinfo = VMCOREINFO.replace("9a80", "9b80"))
        .no_text("_stext is 0xffffffff9a800000");
    with(&|sources| sources.kallsyms = KALLSYMS.replace("9dc3", "9dd3"))
        .no_text("it ends at 0xffffffff9dd30000");
    with(&|sources| sources.loads.as_mut().unwrap()[0].1 += 0x20_0000).no_text("0x13600000 by kcore");
    with(&|sources| {
        sources.iomem = IOMEM.replace("Kernel code", "other");
        sources.vmcoreinfo = String::new();
        sources.loads.as_mut().unwrap()[0].1 = 0xffff_ffff_fe00_0000;
    })
    .no_text("its physical address would be 0xfffffffffe000000");
    with(&|sources| sources.iomem += "20000000-20ffffff : Kernel code\n").no_text("Kernel code twice");
    with(&|sources| {
        sources.loads.as_mut().unwrap().remove(0);
    })
    .no_text("where kcore has nothing");
    with(&|sources| {
        sources.iomem = IOMEM.replace("Kernel code", "other");
        sources.vmcoreinfo = String::new();
        sources.loads.as_mut().unwrap()[0].1 = NONE;
    })
    .no_text("no source tells its physical address");
}

#[test]
fn contradictions_leave_the_direct_map_out() {
    let unknown = |sources: &Sources, reason: &str| {
        let machine = sources.machine();
        assert_eq!(machine.kernel.direct_map_base, None);
        assert!(machine.remarks.iter().any(|note| note.text.contains(reason)), "{:?}", machine.remarks);
    };
    let values = Sources { values: "page_offset_base ff11000000000000\n".into(), ..Sources::complete() };
    unknown(&values, "0xff11000000000000 by kernel memory");
    let mut kcore = Sources::complete();
    kcore.loads.as_mut().unwrap()[4].1 = 0x20_0000;
    unknown(&kcore, "program headers of kcore say");
}

/// Kernels before 4.11 leave every p_paddr 0.
#[test]
fn old_kcore_without_physical_addresses() {
    let loads = loads().into_iter().map(|(vaddr, _, size)| (vaddr, 0, size)).collect();
    let sources = Sources { loads: Some(loads), values: String::new(), ..Sources::complete() };
    assert_eq!(
        sources.text(),
        (Source::KcorePhdrs, vec![Source::Kallsyms, Source::Vmcoreinfo, Source::Iomem])
    );
    let base = sources.machine().kernel.direct_map_base.unwrap();
    assert_eq!((base.value, base.source), (BASE, Source::KcoreLowest));
}

/// arm64: the image is inside the vmalloc area, iomem counts from _stext, and RAM does not
/// begin at 0.
#[test]
fn arm64_from_its_own_terms() {
    let sources = Sources {
        arch: Arch::Arm64,
        loads: Some(vec![
            (0xffff_8000_8000_0000, NONE, 0x7dff_0000_0000),
            (0xffff_0000_0000_0000, 0x4000_0000, 0x4000_0000),
        ]),
        vmcoreinfo: "PAGESIZE=65536\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff80003fe00000\n\
            NUMBER(PHYS_OFFSET)=0x40000000\nSYMBOL(_stext)=ffff800080010000\n"
            .into(),
        kallsyms: "ffff800080000000 T _text\nffff800080010000 T _stext\nffff800082a30000 B _end\n".into(),
        iomem: "40000000-7fffffff : System RAM\n  40210000-41ffffff : Kernel code\n".into(),
        values: String::new(),
    };
    let machine = sources.machine();
    assert_eq!(machine.page_size, 65536);
    let text = machine.kernel.text.unwrap_or_else(|| panic!("{:?}", machine.remarks));
    assert_eq!((text.value.vaddr, text.value.paddr), (0xffff_8000_8000_0000, 0x4020_0000));
    assert_eq!(text.value.size, 0x2a3_0000);
    assert_eq!((text.source, text.others), (Source::Kallsyms, vec![Source::Vmcoreinfo, Source::Iomem]));
    let base = machine.kernel.direct_map_base.unwrap();
    assert_eq!(base.value, 0xfffe_ffff_c000_0000);
    assert_eq!((base.source, base.others), (Source::KcorePhdrs, vec![Source::Vmcoreinfo]));
}

/// Byte order and word size come from the file, whatever this program runs on.
#[test]
fn other_byte_orders_and_word_sizes() {
    let sources = Sources {
        arch: Arch::Ppc64,
        loads: None,
        vmcoreinfo: "PAGESIZE=65536\n".into(),
        kallsyms: "c000000000000000 T _text\nc000000000000000 T _stext\nc000000002a30000 B _end\n".into(),
        iomem: "00000000-7fffffff : System RAM\n  00000000-00ffffff : Kernel code\n".into(),
        values: String::new(),
    };
    let machine = sources.machine();
    assert_eq!(machine.kernel.text.unwrap().value.paddr, 0);
    let base = machine.kernel.direct_map_base.unwrap();
    assert_eq!((base.value, base.source), (0xc000_0000_0000_0000, Source::Architecture));

    let with_kcore = Sources { loads: Some(vec![(0xc000_0000_0000_0000, 0, 0x8000_0000)]), ..sources };
    let machine = with_kcore.machine();
    assert_eq!((machine.page_size, machine.arch), (65536, Arch::Ppc64));
    let base = machine.kernel.direct_map_base.unwrap();
    assert_eq!(base.value, 0xc000_0000_0000_0000);

    let i386 = Sources {
        arch: Arch::I386,
        loads: Some(vec![(0xc000_1000, 0x1000, 0x9e000), (0xf800_0000, 0xffff_ffff, 0x1000)]),
        kallsyms: "c1000000 T _text\nc1000000 T _stext\nc1a30000 B _end\n".into(),
        vmcoreinfo: "SYMBOL(_stext)=c1000000\n".into(),
        iomem: "00001000-1fffffff : System RAM\n  01000000-01ffffff : Kernel code\n".into(),
        values: String::new(),
    };
    let machine = i386.machine();
    assert_eq!(machine.kernel.direct_map_base.unwrap().source, Source::KcorePhdrs);
    let text = machine.kernel.text.unwrap().value;
    assert_eq!((text.vaddr, text.paddr, text.size), (0xc100_0000, 0x100_0000, 0xa3_0000));
}
