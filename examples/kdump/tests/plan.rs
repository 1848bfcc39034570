//! `kdump plan` and its neighbours as scripts call them, on the recorded machines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bzimage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

const SEED: &str = "a5";

fn machine(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kdump-segments/tests/machines").join(name)
}

/// A directory of this test, empty at first.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{name}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn kernel(dir: &Path) -> PathBuf {
    let path = dir.join("bzImage");
    fs::write(&path, bzimage::bzimage()).unwrap();
    path
}

fn kdump(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kdump")).args(args).output().unwrap()
}

fn plan(name: &str, dir: &Path, more: &[&str]) -> Output {
    let (root, kernel) = (machine(name), kernel(dir));
    let mut args = vec!["plan", "--root", root.to_str().unwrap(), "--kernel", kernel.to_str().unwrap()];
    args.extend(["--seed", SEED]);
    args.extend(more);
    kdump(&args)
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_directory_holds_the_segments_the_document_describes() {
    for name in ["bios-512m", "efi-1g-612"] {
        let dir = scratch(&format!("out-{name}"));
        let out = dir.join("plan");
        let document =
            json(&plan(name, &dir, &["--json", "--backup", "always", "--out", out.to_str().unwrap()]));
        let written: Value = serde_json::from_slice(&fs::read(out.join("plan.json")).unwrap()).unwrap();
        assert_eq!(written, document);
        let segments = document["segments"].as_array().unwrap();
        let mut end = 0;
        for (index, segment) in segments.iter().enumerate() {
            let path = out.join(format!("{index:02}-{}.bin", segment["kind"].as_str().unwrap()));
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, segment["bufsz"].as_u64().unwrap());
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(segment["sha256"], digest);
            assert!(hex(&segment["mem"]) >= end, "by address");
            end = hex(&segment["mem"]) + segment["memsz"].as_u64().unwrap();
        }
        let text = fs::read_to_string(out.join("plan.txt")).unwrap();
        assert!(text.contains("the kernel will accept this load"), "{text}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), segments.len() + 2);
        let header = segments.iter().find(|segment| segment["kind"] == "elfcorehdr").unwrap();
        let wanted = format!("elfcorehdr={}K", hex(&header["mem"]) / 1024);
        assert!(document["cmdline"].as_str().unwrap().ends_with(&wanted), "{}", document["cmdline"]);
    }
}

/// What the kernel would take, though nothing would come of it, is not called accepted.
#[test]
fn a_plan_that_fails_a_rule_is_not_said_to_be_accepted() {
    let dir = scratch("fails");
    let output = plan("efi-1g-612", &dir, &["--append", "console=ttyS0 mem=4K"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && text.contains("FAIL memory_limit"), "{text}");
    assert!(text.contains("would not be captured") && !text.contains("will accept this load"), "{text}");
}

#[test]
fn the_document_has_what_scripts_read() {
    let dir = scratch("keys");
    let document = json(&plan("efi-1g-612", &dir, &["--json"]));
    assert_eq!((&document["arch"], &document["flags"]), (&"x86_64".into(), &"0x3e0001".into()));
    assert_eq!(document["elfcorehdr"]["class"], 64);
    for key in ["elfcorehdr", "vmcore"] {
        for phdr in document[key]["phdrs"].as_array().unwrap() {
            assert!(matches!(phdr["type"].as_str(), Some("PT_LOAD" | "PT_NOTE")));
            let _ = [hex(&phdr["offset"]), hex(&phdr["vaddr"]), hex(&phdr["paddr"])];
            assert!(phdr["filesz"].is_u64() && phdr["memsz"].is_u64() && phdr["flags"].is_u64());
        }
    }
    assert!(document["vmcore"]["size"].as_u64().unwrap() > 800 << 20);
    let kinds: Vec<&str> =
        document["e820"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert!(["ram", "reserved", "acpi", "nvs"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    for finding in document["preflight"].as_array().unwrap() {
        assert_ne!(finding["verdict"], "fail", "{finding}");
        assert!(finding["rule"].is_string() && finding["detail"].is_string());
    }
    assert!(!document["notes"].as_array().unwrap().is_empty());
    assert_eq!(document["backup"], Value::Null);
}

#[test]
fn equal_seeds_give_equal_plans() {
    let dir = scratch("seed");
    let one = plan("bios-512m", &dir, &["--json"]).stdout;
    assert_eq!(one, plan("bios-512m", &dir, &["--json"]).stdout);
    assert_ne!(one, plan("bios-512m", &dir, &["--json", "--append", "x"]).stdout);
}

#[test]
fn failures_have_a_sentence_and_an_exit_status() {
    let dir = scratch("failures");
    for (more, status, said) in [
        (&["--mem-max", "0x9100000"][..], 1, "no room for"),
        (&["--append", "a=\"b"], 1, "double quote"),
        (&["--hotplug"], 1, "crash_elfcorehdr_size"),
        (&["--elf32"], 1, "does not fit 32 bits"),
        (&["--arch", "arm64"], 1, "the machine is x86_64"),
        (&["--seed", "xyz"], 2, "hex digits"),
        (&["--backup", "sometimes"], 2, "sometimes"),
        (&["--initrd", "/nonexistent"], 1, "/nonexistent"),
    ] {
        let (root, kernel) = (machine("bios-512m"), kernel(&dir));
        let mut args = vec!["plan", "--root", root.to_str().unwrap(), "--kernel", kernel.to_str().unwrap()];
        args.extend(more);
        let output = kdump(&args);
        assert_eq!(output.status.code(), Some(status), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
    let output = kdump(&["load", "--root", "/tmp", "--kernel", "x"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_collected_machine_gives_the_same_plan() {
    let dir = scratch("collect");
    let copy = dir.join("machine");
    let root = machine("efi-1g-612");
    let collected = kdump(&["collect", "--root", root.to_str().unwrap(), copy.to_str().unwrap()]);
    assert!(collected.status.success(), "{}", stderr(&collected));
    let again = kdump(&["collect", "--root", root.to_str().unwrap(), copy.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "a recording is not mixed with another");
    let kernel = kernel(&dir);
    let from = |root: &Path| {
        let root = root.to_str().unwrap();
        kdump(&["plan", "--root", root, "--kernel", kernel.to_str().unwrap(), "--seed", SEED, "--json"])
    };
    let (one, two) = (json(&from(&root)), json(&from(&copy)));
    for key in ["segments", "elfcorehdr", "vmcore", "cmdline", "e820"] {
        assert_eq!(one[key], two[key], "{key}");
    }
}

#[test]
fn status_says_what_to_do() {
    let root = machine("bios-512m");
    let document = json(&kdump(&["status", "--json", "--root", root.to_str().unwrap()]));
    assert_eq!(document["crash_loaded"], false);
    assert_eq!(document["crash_size"], 160 << 20);
    assert_eq!(hex(&document["regions"][0]["start"]), 0x900_0000);
    assert!(document["advice"][0].as_str().unwrap().contains("kdump load"));
}

/// A recorded i386 machine is planned for on any host, with the purgatory that is built in.
#[test]
fn an_i386_machine_is_planned_for() {
    let dir = scratch("i386");
    let mut image = bzimage::bzimage();
    image[0x236] = 0;
    let (narrow, wide) = (dir.join("686"), kernel(&dir));
    fs::write(&narrow, &image).unwrap();
    let root = machine("i386-1g-61");
    let plan = |kernel: &Path, more: &[&str]| {
        let mut args = vec!["plan", "--root", root.to_str().unwrap(), "--arch", "i386", "--seed", SEED];
        args.extend(["--kernel", kernel.to_str().unwrap(), "--purgatory-serial", "0x3f8", "--json"]);
        args.extend(more);
        kdump(&args)
    };
    let document = json(&plan(&narrow, &["--backup", "always"]));
    assert_eq!((&document["arch"], &document["flags"]), (&"i386".into(), &"0x30001".into()));
    assert_eq!(document["elfcorehdr"]["class"], 32);
    let phdrs = document["elfcorehdr"]["phdrs"].as_array().unwrap();
    let low = phdrs.iter().find(|phdr| phdr["paddr"] == "0x1000").unwrap();
    assert_eq!(low["offset"], document["backup"]["destination"]);
    assert_eq!(phdrs.last().unwrap()["vaddr"], "0xffffffff", "highmem");
    for finding in document["preflight"].as_array().unwrap() {
        assert_ne!(finding["verdict"], "fail", "{finding}");
    }
    let document = json(&plan(&narrow, &["--elf64"]));
    assert_eq!((&document["elfcorehdr"]["class"], &document["backup"]), (&64.into(), &Value::Null));
    assert_eq!(
        document["elfcorehdr"]["phdrs"].as_array().unwrap().last().unwrap()["vaddr"],
        "0xffffffffffffffff"
    );
    for (kernel, more, status, said) in [
        (&wide, &[][..], 1, "whose kernels refuse the core header of an i386 kernel"),
        (&narrow, &["--elf32", "--elf64"], 2, "cannot be used with"),
    ] {
        let output = plan(kernel, more);
        assert_eq!(output.status.code(), Some(status));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

/// A recorded arm64 machine is planned for on any host, with an Image as it is or by gzip, and with the
/// purgatory that is built in.
#[test]
fn an_arm64_machine_is_planned_for() {
    let dir = scratch("arm64");
    let mut image = vec![0; 1 << 20];
    image[16..24].copy_from_slice(&(2_u64 << 20).to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    let (plain, packed) = (dir.join("Image"), dir.join("Image.gz"));
    fs::write(&plain, &image).unwrap();
    let gzip = Command::new("gzip").arg("-c").arg(&plain).output().unwrap();
    fs::write(&packed, gzip.stdout).unwrap();
    let root = machine("arm64-1g-61");
    let plan = |kernel: &Path, more: &[&str]| {
        let mut args = vec!["plan", "--root", root.to_str().unwrap(), "--arch", "arm64", "--seed", SEED];
        args.extend(["--kernel", kernel.to_str().unwrap(), "--purgatory-serial", "0x9000000"]);
        args.extend(more);
        kdump(&args)
    };
    let document = json(&plan(&plain, &["--json"]));
    assert_eq!(document, json(&plan(&packed, &["--json"])));
    let kinds =
        document["segments"].as_array().unwrap().iter().map(|segment| segment["kind"].as_str().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), ["kernel", "dtb", "purgatory", "elfcorehdr"]);
    assert_eq!((document["arch"].as_str(), &document["e820"]), (Some("arm64"), &Value::Null));
    assert_eq!(hex(&document["usable"][0]["start"]), 0x6ac0_0000);
    assert_eq!(hex(&document["text_offset"]), 0);
    let text = String::from_utf8(plan(&plain, &[]).stdout).unwrap();
    assert!(text.contains("memory of the capture kernel\n  0x6ac00000-0x7abfffff\n"), "{text}");
    // The object has both; which of them it is, is one of its variables.
    let purgatory = |more: &[&str]| {
        let document = json(&plan(&plain, &[&["--json"], more].concat()));
        let segment = document["segments"].as_array().unwrap().iter().find(|s| s["kind"] == "purgatory");
        segment.unwrap()["sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(purgatory(&[]), purgatory(&["--purgatory-caches", "on"]));
    assert_ne!(purgatory(&[]), purgatory(&["--purgatory-caches", "off"]));
    for (more, said) in [
        (&["--purgatory-serial", "0x3f8"][..], "I/O ports"),
        (&["--serial-baud", "9600"], "the speed"),
        (&["--on-mismatch", "reset"], "resetting"),
        (&["--entry-32bit"], "32-bit entry"),
    ] {
        let mut args = vec!["plan", "--root", root.to_str().unwrap(), "--kernel", plain.to_str().unwrap()];
        if !more.contains(&"--purgatory-serial") {
            args.extend(["--purgatory-serial", "0x9000000"]);
        }
        args.extend(more);
        let output = kdump(&args);
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
}
