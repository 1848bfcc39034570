//! Saves that end early, or never begin: what is said of them, and what is promised.

use super::*;

const SAVE: &[&str] = &["save", "--json", "--progress", "none"];

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The command where no file may be larger than so many KiB (setrlimit(2), RLIMIT_FSIZE).
fn limited(case: &Case, kib: u32, args: &[&str]) -> Output {
    let script = format!("ulimit -f {kib}; exec \"$0\" \"$@\"");
    let mut bash = Command::new("bash");
    bash.current_dir(&case.dir).args(["-c", &script, env!("CARGO_BIN_EXE_kdump")]).args(args);
    bash.output().unwrap()
}

#[test]
fn files_that_may_not_grow() {
    let formats: [&[&str]; 4] = [
        &["--format", "elf"],
        &["--format", "kdump"],
        &["--format", "kdump", "--threads", "2"],
        &["--format", "flattened"],
    ];
    for format in formats {
        let case = Case::new("limit");
        case.put("copy", &older());
        let output = limited(&case, 100, &[SAVE, format, &["src", "copy"]].concat());
        // Not 128 and the number of a signal.
        assert_eq!(output.status.code(), Some(4), "{format:?}: {}", said(&output));
        assert!(said(&output).contains("File too large"), "{format:?}: {}", said(&output));
        assert!(case.get("copy") == older(), "{format:?}: the older dump is lost");
        let told = document(&output);
        assert_eq!((&told["outcome"], &told["report"]["whole"]), (&"incomplete".into(), &false.into()));
        assert_eq!(told["files"], serde_json::json!(["copy.incomplete"]), "{format:?}");
        let can_resume = !format.contains(&"flattened");
        assert_eq!(said(&output).contains("--resume"), can_resume, "{format:?}: {}", said(&output));
        if can_resume {
            unfinished(&case, "limited", "copy.incomplete");
            saves(&case, "goes on", &[format, &["--resume", "src", "copy"]].concat(), 0);
            tells(&case, "goes on", "copy", &WHOLE);
        }
    }
    let case = Case::new("limit");
    let script = "ulimit -f 100; exec \"$0\" save --progress none src - >arrived";
    let mut bash = Command::new("bash");
    let output =
        bash.current_dir(&case.dir).args(["-c", script, env!("CARGO_BIN_EXE_kdump")]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("which lack its end"), "{}", said(&output));
    // What makedumpfile does when a disk is full.
    let output = limited(&case, 100, &["makedumpfile", "-d", "0,1", "src", "copy"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("File too large") && said(&output).contains("trying -d 1"));
}

/// A file that ends in zeros is as long as it should be before it says that it is finished.
#[test]
fn zeros_at_the_end_are_no_more_than_there_may_be() {
    let case = Case::new("limit-zeros");
    let memory = [pattern(), vec![0; 1 << 20]].concat();
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() };
    case.put("src", &file.with(Segment::load(AT, &memory)).build());
    let output = limited(&case, 600, &[SAVE, &["src", "copy"]].concat());
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let told = document(&output);
    assert_eq!(told["good_bytes"], case.get("copy.incomplete").len(), "{}", said(&output));
    let info = case.run(&["info", "--json", "copy.incomplete"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["completeness"]["unfinished"], true, "{info}");
    saves(&case, "goes on", &["--resume", "src", "copy"], 0);
    let read = case.run(&["read", "--phys", "0x100000", "--len", &memory.len().to_string(), "copy"]);
    assert!(read.status.success() && read.stdout == memory, "{}", said(&read));
}

/// Killed behind the last byte: there is all, and it only lacks its name.
#[test]
fn whole_files_get_their_name() {
    in_each_format(|| {
        let mut case = Case::new("renamed");
        saves(&case, "whole", &["src", "whole"], 0);
        case.put("copy", &older());
        case.fault("FAULT_RENAME", 1);
        let output = case.run(&["save", "--progress", "none", "src", "copy"]);
        assert_eq!(output.status.signal(), Some(9), "{}", said(&output));
        assert!(case.get("copy") == older());
        case.faults.clear();
        tells(&case, "without its name", "copy.incomplete", &WHOLE);
        let output = saves(&case, "goes on", &["--resume", "src", "copy"], 0);
        assert!(said(&output).contains("are as they should be"), "{}", said(&output));
        assert!(case.get("copy") == case.get("whole"));
        assert_eq!(names(&case), ["copy", "src", "whole"]);
    });
}

/// Nothing in a raw image tells how far it is, so nobody goes on with it.
#[test]
fn raw_images_are_not_gone_on_with() {
    let mut case = Case::new("raw");
    let memory: Vec<u8> = pattern().into_iter().cycle().take(3 << 20).collect();
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() };
    case.put("src", &file.with(Segment::load(AT, &memory)).build());
    case.fault("FAULT_WRITE", format!("enospc:{}", 2 << 20));
    let output = case.run(&[SAVE, &["--format", "raw", "src", "copy"]].concat());
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("copy.incomplete") && !said(&output).contains("--resume"));
    assert_eq!(document(&output)["good_bytes"], 3 << 20);
    assert_eq!(case.get("copy.incomplete").len(), 3 << 20);
    case.faults.clear();
    let output = saves(&case, "raw", &["--format", "raw", "--resume", "src", "copy"], 1);
    assert!(said(&output).contains("raw image"), "{}", said(&output));
    // A machine without memory is told to be that, whatever it is to be.
    case.put("nothing", &CoreFile::x86_64().build());
    for format in ["elf", "kdump", "raw", "flattened"] {
        let output = saves(&case, format, &["--format", format, "nothing", "new"], 1);
        assert!(said(&output).contains("no memory to save"), "{format}: {}", said(&output));
    }
}

#[test]
fn documents() {
    let mut case = Case::new("documents");
    // Nothing was begun.
    let early: [(&[&str], &str); 4] = [
        (&["missing", "copy"], "missing: No such file"),
        (&["--format", "raw", "--compress", "lzo", "src", "copy"], "no compression"),
        (&["--dry-run", "-d", "31", "src", "copy"], "SIZE(page)"),
        (&["src", "no/such/place"], "No such file"),
    ];
    for (args, part) in early {
        let output = case.run(&[SAVE, args].concat());
        let told = document(&output);
        assert_eq!((&told["outcome"], &told["status"]), (&"nothing".into(), &1.into()), "{told}");
        assert!(told["error"].as_str().unwrap().contains(part), "{told}");
        assert!(told["file"].is_null() && told["report"].is_null(), "{told}");
        assert_eq!(told["files"], serde_json::json!([]), "{told}");
        assert_eq!(output.status.code(), Some(1));
    }
    // Of what makes no sense there is none, nor may one be where the dump is to go.
    for args in [&["--split", "2", "--resume", "src", "copy"] as &[&str], &["missing", "-"]] {
        let output = case.run(&[SAVE, args].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", said(&output));
    }
    // What is said before the first byte.
    let output = case.run(&[SAVE, &["--min-free", "16383T", "src", "copy"]].concat());
    assert!(document(&output)["warnings"][0].as_str().unwrap().contains("may need"), "{output:?}");
    let output = case.run(&[SAVE, &["src", "copy"]].concat());
    let told = document(&output);
    assert_eq!((&told["file"], &told["files"]), (&"copy".into(), &serde_json::json!(["copy"])));
    assert_eq!((&told["report"]["whole"], &told["warnings"]), (&true.into(), &serde_json::json!([])));
    // The files of a set have names of their own.
    let split = [SAVE, &["--split", "2", "src", "set"]].concat();
    let told = document(&case.run(&split));
    assert_eq!((&told["file"], &told["files"]), (&Value::Null, &serde_json::json!(["set-1", "set-2"])));
    case.fault("FAULT_WRITE", "enospc:200000");
    let output = case.run(&split);
    let told = document(&output);
    assert_eq!((&told["outcome"], output.status.code()), (&"incomplete".into(), Some(4)), "{told}");
    let files = told["files"].as_array().unwrap();
    assert!(files.iter().any(|name| name.as_str().unwrap().ends_with(".incomplete")), "{told}");
    for name in files {
        assert!(case.at(name.as_str().unwrap()).exists(), "{told}");
    }
}

/// Nobody reads the document: the status is that of the dump, which is there.
#[test]
fn a_document_that_cannot_be_printed() {
    let case = Case::new("unprinted");
    let script = "exec \"$0\" save --json --progress none src copy >/dev/full";
    let mut bash = Command::new("bash");
    bash.current_dir(&case.dir).args(["-c", script, env!("CARGO_BIN_EXE_kdump")]);
    let output = bash.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    tells(&case, "unprinted", "copy", &WHOLE);
}
