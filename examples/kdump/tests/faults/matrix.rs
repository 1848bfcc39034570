//! Every way of writing, and each fault at fifty places: what is left is told, and can be gone on with.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;

use kdump_elf::Paddr;
use kdump_vmcore::{Dump, PhysMemory, verify};

use super::*;

const PLACES: u64 = 50;

/// The ways to write a file.
const WRITERS: [&[&str]; 4] = [
    &[],
    &["--format", "kdump"],
    &["--format", "kdump", "--threads", "2"],
    &["--compress", "zlib", "--threads", "2"],
];

/// The pages of the sample that `bytes` have, of which none has anything else; `None` when they are no dump.
#[track_caller]
fn pages(what: &str, bytes: Vec<u8>) -> Option<(Dump<'static>, Vec<bool>)> {
    let dump = Dump::open(bytes).ok()?;
    let mut reader = dump.reader();
    let mut has = Vec::new();
    for page in pattern().chunks(PAGE as usize) {
        let at = AT + has.len() as u64 * PAGE;
        let mut found = vec![0; PAGE as usize];
        let read = reader.read_phys(Paddr(at), &mut found).is_ok();
        assert!(!read || found == page, "{what}: other bytes at {at:#x}");
        has.push(read);
    }
    Some((dump, has))
}

/// What is left of a save that ended early is told to be that, in all ways.
#[track_caller]
fn is_unfinished(what: &str, bytes: Vec<u8>) -> bool {
    let Some((dump, has)) = pages(what, bytes) else { return false };
    let state = dump.completeness();
    assert!(state.is_unfinished() && !state.is_complete(), "{what}: {state:?}");
    let lost = has.iter().filter(|has| !**has).count() as u64 * PAGE;
    let verified = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(!verified.is_sound(), "{what}");
    if has.contains(&true) {
        assert_eq!((state.missing, verified.unreadable.bytes), (lost, lost), "{what}");
    }
    true
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

const SAVE: &[&str] = &["save", "--json", "--progress", "none"];

/// The bytes of a save that nothing disturbs, and how many are written for it.
fn undisturbed(case: &Case, writer: &[&str]) -> (Vec<u8>, u64) {
    let output = case.run(&[SAVE, writer, &["src", "whole"]].concat());
    let told = document(&output);
    assert_eq!((told["outcome"].as_str(), told["status"].as_u64()), (Some("complete"), Some(0)));
    let whole = case.get("whole");
    assert_eq!(told["good_bytes"], whole.len());
    fs::remove_file(case.at("whole")).unwrap();
    (whole, told["report"]["written"].as_u64().unwrap())
}

#[test]
fn full_disks() {
    for (number, writer) in WRITERS.into_iter().enumerate() {
        let (mut part, mut nothing, mut used) = (0, 0, 0);
        let mut case = Case::new(&format!("matrix-full-{number}"));
        let (whole, written) = undisturbed(&case, writer);
        case.put("copy", &older());
        for place in 0..PLACES {
            let what = format!("{writer:?} full at {place}");
            case.faults = vec![("FAULT_WRITE", format!("enospc:{}", place * written / PLACES))];
            let output = case.run(&[SAVE, writer, &["src", "copy"]].concat());
            case.faults.clear();
            let told = document(&output);
            assert!(case.get("copy") == older(), "{what}: the older dump is lost");
            let kept = case.at("copy.incomplete").exists();
            let (outcome, status) = if kept { ("incomplete", 4) } else { ("nothing", 1) };
            assert_eq!((&told["outcome"], output.status.code()), (&outcome.into(), Some(status)), "{what}");
            assert_eq!(told["file"].is_null(), !kept, "{what}");
            assert!(said(&output).contains("No space left"), "{what}: {}", said(&output));
            if kept {
                assert!(is_unfinished(&what, case.get("copy.incomplete")), "{what}: kept, and no dump");
                assert_eq!(told["good_bytes"], case.get("copy.incomplete").len(), "{what}");
                assert!(said(&output).contains("--resume"), "{what}: {}", said(&output));
                part += 1;
            } else {
                nothing += 1;
            }
            used += u32::from(goes_on(&case, &what, writer, &whole) > 0);
        }
        // An ELF core of this size is written in one piece.
        assert!(used >= 10 || writer.is_empty(), "{writer:?}: {used}");
        assert!(part >= 10 && nothing > 0, "{writer:?}: {part} {nothing}");
    }
}

/// A save that goes on gives the file that nothing disturbed.
/// Returns how many bytes it found there.
#[track_caller]
fn goes_on(case: &Case, what: &str, writer: &[&str], whole: &[u8]) -> u64 {
    if case.at("copy.incomplete").exists() {
        fs::rename(case.at("copy.incomplete"), case.at("next.incomplete")).unwrap();
    }
    let output = case.run(&[SAVE, &["--resume"], writer, &["src", "next"]].concat());
    assert_eq!(output.status.code(), Some(0), "{what}: {}", said(&output));
    assert!(case.get("next") == whole, "{what}: other bytes than without a break");
    assert!(!case.at("next.incomplete").exists(), "{what}");
    fs::remove_file(case.at("next")).unwrap();
    document(&output)["report"]["resumed"].as_u64().unwrap()
}

#[test]
fn killed() {
    for (number, writer) in WRITERS.into_iter().enumerate() {
        let mut case = Case::new(&format!("matrix-killed-{number}"));
        let (whole, written) = undisturbed(&case, writer);
        case.put("copy", &older());
        let mut dumps = 0;
        for place in 0..PLACES {
            // What a terminal sends ends it in the same way.
            let (signal, number) = if place % 5 == 4 { ("int", 2) } else { ("kill", 9) };
            let what = format!("{writer:?} {signal} at {place}");
            case.faults = vec![("FAULT_WRITE", format!("{signal}:{}", place * written / PLACES))];
            let output = case.run(&[SAVE, writer, &["src", "copy"]].concat());
            case.faults.clear();
            assert_eq!(output.status.signal(), Some(number), "{what}");
            assert!(case.get("copy") == older(), "{what}: the older dump is lost");
            dumps += u32::from(is_unfinished(&what, case.get("copy.incomplete")));
            goes_on(&case, &what, writer, &whole);
        }
        assert!(dumps > 30, "{writer:?}: {dumps}");
    }
}

#[test]
fn pages_that_cannot_be_read() {
    for (number, writer) in WRITERS.into_iter().chain([&["--format", "flattened"] as &[&str]]).enumerate() {
        let mut case = Case::new(&format!("matrix-eio-{number}"));
        case.fault("FAULT_SRC", case.at("src").display());
        for page in 0..PLACES {
            let what = format!("{writer:?} page {page}");
            let at = OFFSET + page * PAGE;
            case.faults.truncate(1);
            case.fault("FAULT_READ", format!("eio:{at}:{}", at + PAGE));
            let output = case.run(&[SAVE, writer, &["src", "copy"]].concat());
            let told = document(&output);
            let outcome = (told["outcome"].as_str(), output.status.code());
            assert_eq!(outcome, (Some("lacking"), Some(3)), "{what}: {}", said(&output));
            assert_eq!(told["report"]["unreadable"], PAGE, "{what}");
            let (dump, has) = pages(&what, case.get("copy")).unwrap();
            let expected: Vec<bool> = (0..MEMORY / PAGE).map(|other| other != page).collect();
            assert_eq!(has, expected, "{what}");
            let state = dump.completeness();
            assert!(!state.is_complete() && !state.is_unfinished() && state.unreadable == PAGE, "{what}");
        }
    }
}

/// A reader of the stream that goes away.
#[test]
fn closed_pipes() {
    let case = Case::new("matrix-pipes");
    for writer in [&[] as &[&str], &["--compress", "zlib", "--threads", "2"]] {
        let args = [&["save", "--progress", "none"], writer, &["src", "-"]].concat();
        let whole = case.run(&args).stdout;
        let mut told = 0;
        for place in 0..PLACES {
            let what = format!("{writer:?} closed at {place}");
            let mut child =
                case.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut arrived = vec![0; whole.len() * place as usize / PLACES as usize];
            let mut stdout = child.stdout.take().unwrap();
            stdout.read_exact(&mut arrived).unwrap();
            drop(stdout);
            let output = child.wait_with_output().unwrap();
            assert!(arrived == whole[..arrived.len()], "{what}");
            // What a pipe holds has been taken, for all the writer knows.
            match output.status.code() {
                Some(0) => assert!(whole.len() - arrived.len() <= 0x1_0000, "{what}"),
                Some(4) => {
                    assert!(said(&output).contains("which lack its end"), "{what}: {}", said(&output));
                    told += 1;
                }
                code => assert_eq!((code, place), (Some(1), 0), "{what}: {}", said(&output)),
            }
            if let Some((dump, _)) = pages(&what, arrived) {
                assert!(!dump.completeness().is_complete(), "{what}");
                let verified = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(()));
                assert!(!verified.unwrap().is_sound(), "{what}");
            }
        }
        assert!(told > 5 || whole.len() < 0x2_0000, "{writer:?}: {told}");
    }
}

/// A file system that takes no file, and a file that somebody removes.
#[test]
fn targets_that_are_not_there() {
    for writer in WRITERS.into_iter().chain([&["--format", "flattened"] as &[&str]]) {
        let mut case = Case::new("matrix-targets");
        case.put("copy", &older());
        case.fault("FAULT_CREATE", 1);
        let args = [SAVE, writer, &["src", "copy"]].concat();
        let output = case.run(&args);
        assert_eq!((&document(&output)["outcome"], output.status.code()), (&"nothing".into(), Some(1)));
        assert!(said(&output).contains("Read-only"), "{}", said(&output));
        case.faults.clear();
        case.fault("FAULT_WRITE", "stop:4000");
        let child = case.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_stopped(child.id());
        fs::remove_file(case.at("copy.incomplete")).unwrap();
        send("-CONT", child.id());
        let output = child.wait_with_output().unwrap();
        let told = document(&output);
        assert_eq!((&told["outcome"], output.status.code()), (&"nothing".into(), Some(1)), "{writer:?}");
        assert!(said(&output).contains("nothing is replaced"), "{writer:?}: {}", said(&output));
        assert!(case.get("copy") == older() && names(&case) == ["copy", "src"], "{writer:?}");
    }
}
