//! The commands that read dumps, as scripts call them: exit status, output, what is left behind.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dumpgen::{
    CoreFile, ElfCoreHdr, KdumpFile, PageCodec, PageTableImage, Segment, Stored, Wire, crash_notes_buffer,
    note, prstatus_x86_64,
};
use serde_json::{Value, json};

/// A directory of this test, empty at first.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("read-{name}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn kdump(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kdump")).args(args).output().unwrap()
}

/// Exit status and message of a command.
fn outcome(args: &[&str]) -> (Option<i32>, String) {
    let output = kdump(args);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&kdump(args).stdout).unwrap()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8 | 1).collect()
}

/// Two ranges that touch and one behind a hole; the first ends in excluded memory.
fn sample() -> CoreFile {
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [7; 27])),
        note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1.0\x1b[2J\nPAGESIZE=4096\n"),
    ];
    CoreFile::x86_64()
        .with(Segment::notes(&notes.concat()))
        .with(Segment::load(0x1000, &pattern(0x2000)))
        .with(Segment { p_memsz: Some(0x3000), ..Segment::load(0x3000, &pattern(0x1000)) })
        .with(Segment::load(0x10_0000, &pattern(0x2345)))
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_read_prints_what_is_there_and_says_where_it_stopped() {
    let dir = scratch("stop");
    let dump = write(&dir, "dump", &sample().build());
    let read = |more: &[&str]| {
        let output = kdump(&[&["read", &dump], more].concat());
        (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let expected = [&pattern(0x2000)[0x1ff0..], &pattern(0x1000)[..16]].concat();
    assert_eq!(read(&["--phys", "0x2ff0", "--len", "32"]), (Some(0), expected, String::new()));
    let (code, bytes, message) = read(&["--phys", "0xff8", "--len", "16"]);
    assert_eq!((code, bytes.len()), (Some(1), 0));
    assert!(message.contains("0xff8") && message.contains("hole"), "{message}");
    let (code, bytes, message) = read(&["--phys", "0x3ff8", "--len", "16"]);
    assert_eq!((code, bytes.as_slice()), (Some(1), &pattern(0x1000)[0xff8..]));
    assert!(message.contains("0x4000") && message.contains("excluded"), "{message}");
    let (code, bytes, _) = read(&["--phys", "0x3ff8", "--len", "16", "--zero-excluded"]);
    assert_eq!((code, bytes), (Some(0), [&pattern(0x1000)[0xff8..], &[0; 8]].concat()));
    let (code, bytes, message) = read(&["--phys", "0x102340", "--len", "4K"]);
    assert_eq!((code, bytes.len()), (Some(1), 5));
    assert!(message.contains("0x102345"), "{message}");
    assert_eq!(read(&["--phys", "0xffffffffffffffff", "--len", "2"]).0, Some(1));
    assert_eq!(read(&["--phys", "0x1000"]).0, Some(2));
    assert_eq!(read(&["--phys", "12Q", "--len", "1"]).0, Some(2));
}

#[test]
fn zeros_stand_for_excluded_memory_and_nothing_else() {
    let dir = scratch("zeros");
    // Excluded bytes end inside a page: stored ones follow, then a hole.
    let file = CoreFile::x86_64()
        .with(Segment { p_memsz: Some(0x900), ..Segment::load(0x1000, &pattern(0x800)) })
        .with(Segment { p_memsz: Some(0x680), ..Segment::load(0x1900, &pattern(0x600)) });
    let dump = write(&dir, "dump", &file.build());
    let output = kdump(&["read", &dump, "--phys", "0x1000", "--len", "0x1000", "--zero-excluded"]);
    let expected = [pattern(0x800), vec![0; 0x100], pattern(0x600), vec![0; 0x80]].concat();
    assert_eq!((output.status.code(), output.stdout == expected), (Some(1), true));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("0x1f80") && message.contains("hole"), "{message}");
}

#[test]
fn what_is_no_readable_dump_is_refused_in_one_sentence() {
    let dir = scratch("refuse");
    for (name, bytes, cause) in [
        ("empty", b"".as_slice(), "truncated"),
        ("text", b"hello, world, no dump", "no known signature"),
        ("compressed", b"KDUMP   and what follows", "truncated"),
        ("flattened", b"makedumpfile\0\0\0\0 and so on", "truncated"),
        ("lkcd", b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "LKCD"),
        ("short", b"\x7fELF\x02\x01\x01", "ELF header"),
    ] {
        let file = write(&dir, name, bytes);
        for command in ["info", "notes", "dmesg", "map", "verify"] {
            let (code, message) = outcome(&[command, &file]);
            assert_eq!(code, Some(1), "{command} {name}");
            assert!(message.contains(&file) && message.contains(cause), "{command} {name}: {message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
    for file in [dir.to_str().unwrap(), "/dev/null", "/no/such/file"] {
        let (code, message) = outcome(&["info", file]);
        assert!(code == Some(1) && message.contains(file), "{message}");
    }
}

#[test]
fn raw_images_are_dumps_where_they_are_said_to_lie() {
    let dir = scratch("raw");
    let (low, high) = (write(&dir, "low", &pattern(0x1800)), write(&dir, "high", &[7; 0x1000]));
    let args = ["--raw", "0x100000", &low, "--raw", "4G", &high];
    let output = kdump(&[&["read", "--phys", "0x1000017f0", "--len", "16"], args.as_slice()].concat());
    assert_eq!(output.status.code(), Some(1), "behind the image is a hole");
    let output = kdump(&[&["read", "--phys", "0x100000010", "--len", "16"], args.as_slice()].concat());
    assert_eq!((output.status.code(), output.stdout), (Some(0), vec![7; 16]));
    let output = kdump(&["read", "--phys", "0x101000", "--len", "0x800", "--raw", "1M", &low]);
    assert!(output.status.success() && output.stdout == pattern(0x1800)[0x1000..]);
    let map = kdump(&[&["map", "--json"], args.as_slice()].concat());
    let map: Value = serde_json::from_slice(&map.stdout).unwrap();
    assert_eq!(map["totals"]["stored"], 0x2800);
    assert_eq!(map["ranges"][1]["kind"], "hole");
    let (code, message) = outcome(&["info", "--raw", "0", &low, &high]);
    assert!(code == Some(2) && message.contains("1 times for 2 files"), "{message}");
    let (code, message) = outcome(&["info", "--raw", "0", &low, "--raw", "0x1000", &high]);
    assert!(code == Some(1) && message.contains("base of the memory image"), "{message}");
    // Every command that opens a dump takes it.
    let (code, message) = outcome(&[&["verify", "--progress", "none"], args.as_slice()].concat());
    assert!(code == Some(0) && message.is_empty(), "{message}");
    let notes = kdump(&[&["notes", "--json"], args.as_slice()].concat());
    assert!(
        notes.status.success()
            && serde_json::from_slice::<Value>(&notes.stdout).unwrap()["notes"] == json!([])
    );
    let (code, message) = outcome(&[&["dmesg"], args.as_slice()].concat());
    assert!(code == Some(1) && message.contains("no VMCOREINFO"), "{message}");
    let copy = dir.join("copy").to_str().unwrap().to_owned();
    let bases = ["--raw", "0x100000", "--raw", "4G"];
    let saved = kdump(&[&["save", "--progress", "none"], bases.as_slice(), &[&low, &high, &copy]].concat());
    assert_eq!(saved.status.code(), Some(0), "{saved:?}");
    let output = kdump(&["read", "--phys", "0x100000", "--len", "0x1800", &copy]);
    assert!(output.status.success() && output.stdout == pattern(0x1800));
    // Without it they are no dump.
    assert_eq!(outcome(&["info", &high]).0, Some(1));
}

#[test]
fn an_excluded_page_table_never_prints_as_zeros() {
    let dir = scratch("page-table");
    let vmalloc = 0xffff_c900_0000_0000_u64;
    let mut tables = PageTableImage::new(0x4_0000, 0x2_0000, 4);
    tables.map(vmalloc, 0x5000, 1);
    let info = format!("SYMBOL(swapper_pg_dir)={:x}\nNUMBER(phys_base)=0\n", 0xffff_ffff_8002_0000_u64);
    let dump = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(Segment { p_memsz: Some(0x4_0000), ..Segment::load(0, &tables.memory[..0x2_3000]) });
    let dump = write(&dir, "vmcore", &dump.build());
    let vaddr = format!("{vmalloc:#x}");
    let output = kdump(&["read", &dump, "--virt", &vaddr, "--len", "8", "--zero-excluded"]);
    assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("page table of level 1") && text.contains("excluded"), "{text}");
}

#[test]
fn a_cut_dump_is_damaged_in_every_view_and_its_copy_has_no_invented_zeros() {
    let dir = scratch("cut");
    let whole = sample().build();
    let dump = write(&dir, "dump", &whole[..whole.len() - 0x2000]);
    let state = &json(&["info", "--json", &dump])["completeness"];
    assert_eq!((&state["complete"], &state["missing"]), (&Value::from(false), &Value::from(0x2000)));
    let map = json(&["map", "--json", &dump]);
    assert_eq!(map["totals"]["missing"], 0x2000);
    let found = kdump(&["verify", "--json", "--progress", "none", &dump]);
    assert_eq!(found.status.code(), Some(3));
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["damage"][0]["pfn_first"], 0x100);
    let copy = dir.join("copy");
    let copy = copy.to_str().unwrap();
    let (code, message) = outcome(&["save", "--progress", "none", &dump, copy]);
    assert_eq!(code, Some(3));
    assert!(message.contains("lacked") && message.contains("missing: behind the end"), "{message}");
    let stored = 0x2345 - 0x2000;
    let output = kdump(&["read", copy, "--phys", "1M", "--len", "0x2345"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, pattern(0x2345)[..stored]);
}

#[test]
fn no_command_destroys_its_input() {
    let dir = scratch("input");
    let bytes = sample().build();
    // What an earlier attempt left behind is all there is of a dump.
    let rest = write(&dir, "dump.incomplete", &bytes);
    let whole = dir.join("dump");
    let (code, message) = outcome(&["save", "--progress", "none", &rest, whole.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(message.contains("destroy"), "{message}");
    let (code, _) = outcome(&["map", "--svg", &rest, &rest]);
    assert_eq!((code, fs::read(&rest).unwrap() == bytes), (Some(1), true));
    let same = write(&dir, "same", &bytes);
    let (code, message) = outcome(&["save", "--progress", "none", &same, &same]);
    assert!(code == Some(1) && message.contains("destroy"), "{message}");
    assert_eq!(fs::read(&same).unwrap(), bytes);
    assert_eq!(outcome(&["verify", "--progress", "none", &same]).0, Some(0));
    let memory = write(&dir, "memory", &[7; 0x3000]);
    let source =
        ElfCoreHdr::new(Wire::LE64, 62, 0x3000).with_notes(0, &[0; 16]).with_load(0x1000, 0x1000, 16);
    let header = write(&dir, "header", &source.header.build());
    for out in [&memory, &header] {
        let (code, message) = outcome(&["view", "--elfcorehdr", &header, "--memory", &memory, "--out", out]);
        assert!(code == Some(1) && message.contains("destroy"), "{message}");
    }
    assert_eq!(fs::read(&memory).unwrap(), [7; 0x3000]);
}

#[test]
fn a_view_of_short_memory_has_what_is_there() {
    let dir = scratch("view");
    let cpu = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [3; 27]));
    let source = ElfCoreHdr::new(Wire::LE64, 62, 0x8000)
        .with_notes(0, &crash_notes_buffer(&cpu, 368))
        .with_notes(0x400, &crash_notes_buffer(&[], 368))
        .with_load(0x2008, 0x2008, 0x1000)
        .with_load(0x7000, 0x1_0000, 0x1000);
    let header = write(&dir, "header", &source.header.build());
    let (memory, out) = (write(&dir, "memory", &source.memory), dir.join("out"));
    let view =
        || outcome(&["view", "--elfcorehdr", &header, "--memory", &memory, "--out", out.to_str().unwrap()]);
    assert_eq!(view(), (Some(0), String::new()));
    let whole = fs::read(&out).unwrap();
    assert_eq!(whole.len(), 0x5000);
    assert_eq!(whole[0x2000..0x4000], source.memory[0x2000..0x4000]);
    assert_eq!(whole[0x4000..], source.memory[0x7000..]);
    fs::write(&memory, &source.memory[..0x7123]).unwrap();
    let (code, message) = view();
    assert_eq!(code, Some(1));
    assert!(message.contains("0x7123"), "{message}");
    assert_eq!(fs::read(&out).unwrap(), whole[..0x4123]);
    assert_eq!(
        outcome(&["view", "--page-size", "0", "--elfcorehdr", &header, "--memory", &memory, "--out", "x"]).0,
        Some(2)
    );
}

#[test]
fn json_has_what_scripts_look_for() {
    let dir = scratch("json");
    let dump = write(&dir, "dump", &sample().build());
    let info = json(&["info", "--json", &dump]);
    assert_eq!((&info["format"], &info["arch"], &info["cpus"]), (&"elf".into(), &"x86_64".into(), &1.into()));
    assert_eq!(info["phdrs"][1]["paddr"], "0x1000");
    let notes = json(&["notes", "--json", &dump]);
    let cpu = &notes["cpus"][0];
    assert_eq!(
        (&cpu["index"], &cpu["pid"], &cpu["registers"]["rip"]),
        (&0.into(), &42.into(), &"0x7".into())
    );
    // This dump does not tell which CPU it was: that is said, and nothing is guessed.
    assert!(cpu["cpu"].is_null() && notes["cpu_unknown"].is_string());
    assert_eq!(cpu["source"], "note");
    assert_eq!(json(&["verify", "--json", "--progress", "none", &dump])["sound"], true);
    let text = kdump(&["info", &dump]).stdout;
    assert!(!text.contains(&0x1b), "a dump must not command the terminal");
}

/// The memory of a machine under Xen is read, and every command whose user could take it for the kernel's
/// says what it is.
#[test]
fn every_command_says_that_xen_was_below() {
    let dir = scratch("xen");
    let info =
        b"OSRELEASE=6.1.0\nPAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80002000\n\
        SYMBOL(log_buf)=ffffffff80001000\nSYMBOL(log_buf_len)=ffffffff80001008\n\
        SYMBOL(log_first_idx)=ffffffff80001010\nSYMBOL(log_next_idx)=ffffffff80001014\nSIZE(printk_log)=16\n\
        OFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\nOFFSET(printk_log.text_len)=10\n";
    let notes = |xen: bool| {
        let crash = note(Wire::LE64, "Xen", 0x100_0001, &[0; 80]);
        [note(Wire::LE64, "VMCOREINFO", 0, info), if xen { crash } else { vec![] }].concat()
    };
    let core = |xen| {
        let load = Segment { p_vaddr: 0xffff_ffff_8000_0000, ..Segment::load(0, &[7; 0x4000]) };
        CoreFile::x86_64().with(Segment::notes(&notes(xen))).with(load).build()
    };
    let packed = |xen| {
        let mut file = KdumpFile::new(Wire::LE64, 64);
        file.notes = notes(xen);
        file.with_pages(0..4, &PageCodec::ALL).build()
    };
    for (name, xen, bytes) in [
        ("core", true, core(true)),
        ("packed", true, packed(true)),
        ("core-without", false, core(false)),
        ("packed-without", false, packed(false)),
    ] {
        let dump = write(&dir, name, &bytes);
        let said = |args: &[&str]| {
            let output = kdump(args);
            let texts =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            (output.status.code(), texts.concat())
        };
        for (args, code) in [
            (vec!["info", &dump], Some(0)),
            (vec!["info", "--json", &dump], Some(0)),
            (vec!["verify", "--progress", "none", &dump], Some(0)),
            (vec!["verify", "--json", "--progress", "none", &dump], Some(0)),
            (vec!["dmesg", &dump], Some(1)),
            (vec!["read", &dump, "--virt", "0xffffffff80000000", "--len", "8"], Some(1)),
        ] {
            let (got, text) = said(&args);
            let told = ["xen  ", "\"xen\": \"was below", "xen: was below", "ran under Xen"];
            assert_eq!(told.iter().any(|words| text.contains(words)), xen, "{args:?}: {text}");
            assert!(!xen || got == code && text.contains("crash"), "{args:?} {got:?}: {text}");
        }
        assert_eq!(kdump(&["read", &dump, "--phys", "0x1000", "--len", "8"]).stdout.len(), 8);
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_error_to_be_told() {
    let dir = scratch("pipe");
    let dump = write(&dir, "dump", &CoreFile::x86_64().with(Segment::load(0, &vec![1; 4 << 20])).build());
    let mut child = Command::new(env!("CARGO_BIN_EXE_kdump"))
        .args(["read", &dump, "--phys", "0", "--len", "4M"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &[][..]));
}

#[test]
fn a_cut_dump_is_called_sound_nowhere() {
    let dir = scratch("sound");
    let whole = sample().build();
    for (bytes, sound) in [(&whole[..], true), (&whole[..whole.len() - 0x1000], false)] {
        let path = write(&dir, "dump", bytes);
        let output = kdump(&["verify", "--progress", "none", &path]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().any(|line| line == "sound"), sound, "{text}");
        let output = kdump(&["verify", "--json", "--progress", "none", &path]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["sound"], sound, "{told}");
    }
}

#[test]
fn a_mapped_dump_says_what_one_read_by_calls_says() {
    let dir = scratch("mapped");
    let damaged = KdumpFile::new(Wire::LE64, 700)
        .with_pages((1..690).filter(|pfn| pfn % 50 != 7), &PageCodec::ALL)
        .with(401, Stored::Given(1, vec![7; 60]));
    let whole = write(&dir, "whole", &sample().build());
    let damaged = write(&dir, "damaged", &KdumpFile { dump_level: 1, ..damaged }.build());
    for (dump, first, len) in [(&whole, "0x1000", "0x3000"), (&damaged, "0x1008", "2M")] {
        for command in [
            &["read", dump, "--zero-excluded", "--phys", first, "--len", len] as &[&str],
            &["verify", "--progress", "none", dump],
            &["map", "--json", dump],
        ] {
            let plain = kdump(command);
            let mapped = kdump(&[command, &["--mmap"]].concat());
            assert_eq!(mapped, plain, "{command:?}");
        }
    }
    let read = kdump(&["read", "--mmap", &damaged, "--zero-excluded", "--phys", "0x1000", "--len", "2M"]);
    assert_eq!((read.status.code(), read.stdout.len()), (Some(1), 400 * 4096), "up to the damaged page");
    let (code, message) = outcome(&["verify", "--mmap", "/proc/self/maps"]);
    assert!(code == Some(1) && message.contains("open it without a mapping"), "{code:?} {message}");
}

/// A part of a split dump that was not given is neither truncated nor lost.
#[test]
fn a_part_that_was_not_given_is_called_so_everywhere() {
    let dir = scratch("not-given");
    let file = KdumpFile::new(Wire::LE64, 100).with_pages(1..100, &PageCodec::ALL);
    let parts = [0..30, 60..100].map(|pfns| {
        let name = format!("part-{}", pfns.start);
        write(&dir, &name, &file.part(pfns).build())
    });
    let said = |args: &[&str]| {
        let output = kdump(args);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = said(&["verify", "--progress", "none", &parts[0], &parts[1]]);
    assert_eq!(code, Some(3));
    assert!(told.contains("pfn 0x1e to 0x3b"), "{told}");
    assert!(
        told.contains("bytes): page frames 0x1e to 0x3c are in a part of the split dump that was not given"),
        "{told}"
    );
    let (_, shown) = said(&["info", &parts[0], &parts[1]]);
    assert!(
        shown.contains("122880 bytes of memory, those of a part that was not given among them"),
        "{shown}"
    );
    for text in [told, shown] {
        assert!(!text.contains("truncated") && !text.contains("lost before"), "{text}");
    }
}
