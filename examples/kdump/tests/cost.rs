//! What small hostile files cost at most: every command on each of them, with 256 MiB of address
//! space, an end to its output and to its patience. The bounds are those of docs/limits.md.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "cost/bundles.rs"]
mod bundles;
mod bzimage;
#[path = "cost/files.rs"]
mod files;
#[path = "cost/formats.rs"]
mod formats;
#[path = "cost/inflate.rs"]
mod inflate;
#[path = "cost/logs.rs"]
mod logs;
#[path = "cost/run.rs"]
mod run;

use run::{Case, DUMP_COMMANDS, LOG_COMMANDS};

/// Every command on one file.
fn all_commands(name: &str, bytes: &[u8]) -> Case {
    commands(name, bytes, DUMP_COMMANDS)
}

fn commands(name: &str, bytes: &[u8], commands: &[&[&str]]) -> Case {
    let case = Case::new(name);
    case.put("dump", bytes);
    for command in commands {
        case.run(command);
    }
    case
}

#[test]
fn a_log_made_of_one_page_ends() {
    for (name, fill) in [("letters", b'A'), ("lines", b'\n'), ("escapes", 0x1b), ("high", 0xc3)] {
        let case = commands(&format!("log-{name}"), &logs::repeated_text(fill, 16000), LOG_COMMANDS);
        let said = case.run(&["dmesg", "dump"]).stderr;
        assert!(said.contains("size of the texts of the log") && said.contains("0x2000000"), "{said}");
    }
}

#[test]
fn a_log_of_many_tiny_records_ends() {
    let case = commands("log-tiny", &logs::tiny_records(21), LOG_COMMANDS);
    let said = case.run(&["dmesg", "dump"]).stderr;
    assert!(said.contains("number of records of the log") && said.contains("0x80000"), "{said}");
}

#[test]
fn a_log_of_nothing_but_damage_ends() {
    // All commands on this one: it has what all the others have.
    let case = all_commands("log-holes", &logs::no_descriptors());
    let said = case.run(&["dmesg", "dump"]).stderr;
    assert!(said.contains("number of broken records of the log") && said.contains("more"), "{said}");
}

#[test]
fn a_log_of_the_old_kind_made_of_one_page_ends() {
    for (len, told) in [(16, "number of records"), (0xfff0, "size of the texts")] {
        let case = commands(&format!("log-old-{len}"), &logs::old_ring(len), LOG_COMMANDS);
        let said = case.run(&["dmesg", "dump"]).stderr;
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn a_symbol_table_made_of_one_page_ends() {
    for (name, tokens) in [("long", 1), ("empty", 100)] {
        let case = all_commands(&format!("kallsyms-{name}"), &logs::kallsyms(tokens));
        let said = case.run(&["notes", "dump"]).stdout;
        assert!(said.contains("unknown: ") && said.contains("the limit of"), "{said}");
    }
}

#[test]
fn notes_that_are_listed_many_times_are_held_once() {
    for (name, note) in files::NOTES {
        let case = all_commands(&format!("notes-{name}"), &files::listed_notes(note, 128));
        let said = case.run(&["info", "dump"]).stdout;
        assert!(said.contains("size of all PT_NOTEs together is 0x7"), "{said}");
    }
}

#[test]
fn more_notes_than_any_machine_has_are_told() {
    let case = all_commands("notes-many", &files::many_notes(300_000));
    let said = case.run(&["info", "dump"]).stdout;
    assert!(said.contains("number of notes") && said.contains("0x20000"), "{said}");
    assert!(said.contains("memory       12.0 KiB"), "the rest is still read: {said}");
}

#[test]
fn a_vmcoreinfo_of_megabytes_is_cut_off() {
    for line in ["a=", "K", "OFFSET(x)=9999999999999999999999", "\u{9b}=\u{202e}"] {
        let case = all_commands("vmcoreinfo", &files::long_vmcoreinfo(line, 3 << 20));
        let said = case.run(&["info", "dump"]).stdout;
        assert!(said.contains("size of VMCOREINFO") && said.contains("0x100000"), "{said}");
    }
}

#[test]
fn records_of_pages_of_a_machine_that_cannot_be() {
    // 4 TiB of RAM, all records of which are those of its first 8 MiB; and records that are all free blocks.
    for (name, record) in [
        ("kernel", dumpgen::PageRecord::KERNEL),
        ("free", dumpgen::PageRecord::free(0)),
        ("user", dumpgen::PageRecord::USER),
    ] {
        let mut array = dumpgen::PageArray::new(0x800, |pfn| match pfn {
            _ if pfn % 2 == 0 => record,
            _ => dumpgen::PageRecord::KERNEL,
        });
        array.repeat_sections();
        array.ram = Some(1 << 42);
        let case = Case::new(&format!("records-{name}"));
        case.put("dump", &array.build());
        for words in [
            &["map", "--classes", "dump"] as &[&str],
            &["save", "--progress", "none", "-d", "31", "dump", "copy"],
            &["save", "--progress", "none", "-d", "31", "--format", "elf", "dump", "copy"],
            &["save", "--progress", "none", "--dry-run", "-d", "31", "dump", "copy"],
        ] {
            case.run(words);
        }
        case.run(&["save", "--progress", "none", "--split", "3", "-d", "31", "dump", "copy"]);
        for part in ["copy-1", "copy-2", "copy-3"] {
            case.remove(part);
        }
    }
}

#[test]
fn program_headers_that_are_not_used_cost_nothing() {
    let case = Case::new("phdrs-sparse");
    case.put_sparse("dump", &files::empty_table(1 << 23), 64 + 64 + (56 << 23));
    DUMP_COMMANDS.iter().for_each(|command| drop(case.run(command)));
    let case = all_commands("phdrs-too-many", &files::empty_table((1 << 23) + 1));
    let said = case.run(&["info", "dump"]).stderr;
    assert!(said.contains("number of program headers is 0x800001"), "{said}");
}

#[test]
fn as_many_program_headers_as_may_be_fit() {
    let case = Case::new("phdrs-most");
    for (count, code) in [((1 << 19) + 1, 1), (1 << 19, 0)] {
        case.put("dump", &files::equal_loads(count));
        let found = case.run(&["map", "dump"]);
        assert_eq!(found.code, Some(code), "{}", found.stderr);
        assert!(code == 0 || found.stderr.contains("the limit of 0x80000"), "{}", found.stderr);
    }
    DUMP_COMMANDS.iter().for_each(|command| drop(case.run(command)));
    // Each is a piece of zeros and one of excluded memory, with a hole behind.
    all_commands("phdrs-pieces", &files::separate_loads(1 << 19));
}

#[test]
fn program_headers_that_contradict_each_other_end() {
    for (name, dump) in files::contradictions() {
        all_commands(&format!("phdrs-{name}"), &dump);
    }
}

#[test]
fn defects_are_told_up_to_a_limit() {
    let case = all_commands("defects", &files::damaged_loads(60_000));
    let said = case.run(&["info", "dump"]).stdout;
    assert!(said.contains("number of defects of the dump is 0x") && said.lines().count() < 1100, "{said}");
}

#[test]
fn bytes_that_are_listed_as_memory_thousands_of_times_are_refused() {
    let case = all_commands("shared", &files::shared_bytes(9000, 1 << 20));
    let said = case.run(&["verify", "dump"]).stderr;
    assert!(said.contains("many times over") && said.contains("limit"), "{said}");
}

#[test]
fn counts_and_sizes_at_their_extremes_cost_little() {
    for (name, dump) in inflate::valid_dumps() {
        let case = Case::new(&format!("inflate-{name}"));
        for (what, damaged) in inflate::extremes(&dump) {
            case.put("dump", &damaged);
            for command in run::QUICK_COMMANDS {
                case.run_as(command, &what);
            }
        }
    }
}

#[test]
fn numbers_of_vmcoreinfo_at_their_extremes_cost_little() {
    let case = Case::new("inflate-vmcoreinfo");
    for (what, dump) in inflate::extreme_vmcoreinfo() {
        case.put("dump", &dump);
        case.run_as(&["dmesg", "dump"], &what);
        case.run_as(&["notes", "dump"], &what);
    }
}

#[test]
fn bitmaps_and_descriptors_cost_what_the_file_is_worth() {
    for (name, dump) in formats::kdumps() {
        all_commands(&format!("kdump-{name}"), &dump);
    }
    let (head, size) = formats::endless_bitmaps();
    let case = Case::new("kdump-endless");
    case.put_sparse("dump", &head, size);
    DUMP_COMMANDS.iter().for_each(|command| drop(case.run(command)));
}

#[test]
fn pages_whose_bits_are_cut_off_cost_nothing() {
    for (name, dump) in formats::cut_bitmaps() {
        let case = all_commands(&format!("kdump-cut-{name}"), &dump);
        let said = case.run(&["map", "dump"]).stdout;
        assert!(said.contains("missing") && said.lines().count() < 10, "{said}");
    }
}

#[test]
fn parts_of_a_dump_cost_what_they_are_worth_together() {
    let case = Case::new("kdump-parts");
    let names = ["dump", "dump2", "dump3", "dump4"];
    names.iter().zip(formats::parts()).for_each(|(name, bytes)| case.put(name, &bytes));
    for command in DUMP_COMMANDS.iter().filter(|command| command[0] != "read") {
        let place = command.iter().position(|word| *word == "dump").unwrap();
        case.run(&[&command[..place], &names, &command[place + 1..]].concat());
    }
}

#[test]
fn records_of_a_stream_cost_little() {
    for (name, stream) in formats::streams(&files::many_notes(3000)) {
        all_commands(&format!("flattened-{name}"), &stream);
    }
}

/// A header for a capture kernel that lists the same memory again and again.
#[test]
fn a_view_is_no_larger_than_what_it_shows() {
    let view = ["view", "--elfcorehdr", "header", "--memory", "memory", "--out", "out"];
    let case = Case::new("view");
    case.put("memory", &vec![0x5a; 4 << 20]);
    for (name, header) in files::capture_headers() {
        case.put("header", &header);
        let said = case.run_as(&view, name);
        if name == "loads" {
            assert!(said.stderr.contains("the same memory many times"), "{}", said.stderr);
        }
        assert!(said.stderr.lines().count() < 20, "{name}: {}", said.stderr);
    }
}

#[test]
fn bundles_cost_little() {
    for (name, fill) in bundles::ALL {
        let case = Case::new(&format!("bundle-{name}"));
        fill(&case);
        let plan = case.run_as(&["plan", "--root", "root", "--kernel", "bzImage", "--json"], name);
        case.run_as(&["plan", "--root", "root", "--kernel", "bzImage", "--out", "plan"], name);
        case.run_as(&["collect", "--root", "root", "copy"], name);
        case.run_as(&["status", "--root", "root"], name);
        assert!(!plan.stderr.is_empty() || plan.code == Some(0), "{name}");
    }
}

/// Where there is less memory than the file asks for, the cause is told and nothing aborts.
#[test]
fn too_little_memory_is_an_error() {
    let case = Case::new("memory");
    case.put("dump", &files::many_notes(3 << 20));
    let found = case.run_with(&["info", "dump"], "little memory", 24 << 10);
    assert_eq!(found.code, Some(1), "{}", found.stderr);
    assert!(found.stderr.contains("no memory for the notes"), "{}", found.stderr);
}
