//! `kdump plan`, `collect` and `status` on machines and images that are damaged, odd or huge.
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
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const IOMEM: &str = "\
00001000-0009fbff : System RAM
00100000-1ffdffff : System RAM
  09000000-12ffffff : Crash kernel
";

/// A recorded machine of 512 MiB and a kernel image, in a directory of this test.
struct Case {
    dir: PathBuf,
}

impl Case {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        let case = Self { dir };
        case.put("proc/iomem", IOMEM);
        case.put("proc/sys/kernel/arch", "x86_64\n");
        case.put("sys/kernel/vmcoreinfo", "0x134e000 1024\n");
        case.put("sys/devices/system/cpu/cpu0/crash_notes", "1000000\n");
        case.put("sys/devices/system/cpu/cpu0/crash_notes_size", "368\n");
        case.image(|_| {});
        case
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let place = self.dir.join("root").join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    /// A bzImage, changed by `edit`.
    fn image(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut file = bzimage::bzimage();
        edit(&mut file);
        fs::write(self.dir.join("bzImage"), file).unwrap();
    }

    fn kdump(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kdump"));
        command.current_dir(&self.dir).args(args);
        command
    }

    fn plan(&self, more: &[&str]) -> Output {
        let args = ["plan", "--root", "root", "--kernel", "bzImage", "--seed", "a5", "--json"];
        self.kdump(&args).args(more).output().unwrap()
    }

    /// The plan, which must be made.
    fn json(&self, more: &[&str]) -> Value {
        let output = self.plan(more);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What is said of a plan that cannot be made.
    fn refused(&self, more: &[&str]) -> String {
        let output = self.plan(more);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn notes(document: &Value) -> Vec<&str> {
    document["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect()
}

#[track_caller]
fn has_note(document: &Value, part: &str) {
    assert!(notes(document).iter().any(|note| note.contains(part)), "{:#?}", notes(document));
}

/// An x86_64 kcore of one stretch of kernel image and one of the direct map at `base`.
fn kcore(image_paddr: u64, base: u64) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (offset, byte) in [(16, 4), (18, 62), (20, 1), (32, 64), (52, 64), (54, 56), (56, 2)] {
        file[offset] = byte;
    }
    for (vaddr, paddr, size) in
        [(0xffff_ffff_8100_0000, image_paddr, 0x200_0000), (base + 0x10_0000, 0x10_0000, 0x1fee_0000_u64)]
    {
        file.extend_from_slice(&[1, 0, 0, 0, 7, 0, 0, 0]);
        for word in [0x1000, vaddr, paddr, size, size, 0x1000] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    file
}

const BASE_4_LEVEL: u64 = 0xffff_8880_0000_0000;
const BASE_5_LEVEL: u64 = 0xff11_0000_0000_0000;
const KALLSYMS: &str = "ffffffff81000000 T _stext\nffffffff81000000 T _text\n";

#[test]
fn a_kernel_that_was_cut_is_refused_and_named() {
    let case = Case::new("cut");
    case.image(|file| file.truncate(file.len() - 1));
    let said = case.refused(&[]);
    assert!(
        said.contains("bzImage: ") && said.contains("needs 0x10000 bytes, the file has 0xffff"),
        "{said}"
    );
    case.image(|file| file.extend_from_slice(&[0; 1472]));
    case.json(&[]);
    case.image(|file| file[0x202] = b'X');
    assert!(case.refused(&[]).contains("kdump plan: bzImage: "), "{}", case.refused(&[]));
}

#[test]
fn a_kernel_image_of_another_machine_is_left_out() {
    let case = Case::new("foreign-text");
    case.put("proc/kallsyms", KALLSYMS);
    for paddr in [0x9_0000_0000, 0xa00_0000] {
        case.put("proc/kcore", kcore(paddr, BASE_4_LEVEL));
        let document = case.json(&[]);
        has_note(&document, "no RAM of this machine");
        has_note(&document, "its PT_LOAD is left out");
        let phdrs = document["elfcorehdr"]["phdrs"].as_array().unwrap();
        assert!(phdrs.iter().all(|phdr| phdr["vaddr"] != "0xffffffff81000000"));
    }
    case.put("proc/kcore", kcore(0x200_0000, BASE_4_LEVEL));
    let document = case.json(&[]);
    assert_eq!(document["elfcorehdr"]["phdrs"][2]["vaddr"], "0xffffffff81000000");
}

#[test]
fn a_kernel_for_four_levels_is_not_entered_with_five() {
    let case = Case::new("five-level");
    case.put("proc/kcore", kcore(0x200_0000, BASE_5_LEVEL));
    case.json(&[]);
    case.image(|file| file[0x236] = 0x1f);
    assert!(case.refused(&[]).contains("XLF_5LEVEL"));
    case.put("proc/kcore", kcore(0x200_0000, BASE_4_LEVEL));
    case.json(&[]);
}

#[test]
fn a_dump_of_nothing_is_no_plan() {
    let case = Case::new("nothing");
    case.put("proc/iomem", format!("{IOMEM}00000000-3fffffff : GART\n"));
    assert!(case.refused(&[]).contains("no PT_LOAD"), "{}", case.refused(&[]));
    case.put("proc/iomem", IOMEM);
    case.put("sys/kernel/kexec/crash_cma_ranges", "1000000-1ffffff\n");
    assert!(case.refused(&[]).contains("crash_cma_ranges"), "{}", case.refused(&[]));
}

#[test]
fn without_any_note_the_cause_is_named() {
    let case = Case::new("no-notes");
    fs::remove_dir_all(case.dir.join("root/sys")).unwrap();
    let said = case.refused(&[]);
    assert!(said.contains("PT_NOTE") && said.contains("sys/kernel/vmcoreinfo: is missing"), "{said}");
}

#[test]
fn a_crash_region_that_cannot_be_read_is_not_called_missing() {
    let case = Case::new("damaged");
    case.put("proc/iomem", IOMEM.replace("09000000-", "0900zzzz-"));
    let said = case.refused(&[]);
    assert!(said.contains("line 3 `0900zzzz-12ffffff : Crash kernel` is not"), "{said}");
}

#[test]
fn an_architecture_that_is_nonsense_does_not_matter_beside_kcore() {
    let case = Case::new("arch");
    case.put("proc/sys/kernel/arch", "\x1bx86\n");
    assert!(case.refused(&[]).contains(r"\u{1b}x86"), "{}", case.refused(&[]));
    case.put("proc/kcore", kcore(0x200_0000, BASE_4_LEVEL));
    has_note(&case.json(&[]), r"says \u{1b}x86, proc/kcore says x86_64");
}

#[test]
fn a_cpu_without_a_note_is_reported() {
    let case = Case::new("cpu");
    fs::create_dir_all(case.dir.join("root/sys/devices/system/cpu/cpu5")).unwrap();
    has_note(&case.json(&[]), "cpu5/crash_notes: cannot be read: it is not there");
}

/// Page tables for each GiB are needed only where the CPU has no 1 GiB pages.
#[test]
fn a_large_machine_with_large_pages_needs_few_control_pages() {
    let case = Case::new("large");
    case.put("proc/iomem", format!("{IOMEM}100000000-3fffffffffff : System RAM\n"));
    case.put("proc/cpuinfo", "flags\t\t: fpu pdpe1gb\n");
    case.json(&[]);
    case.put("proc/cpuinfo", "flags\t\t: fpu\n");
    assert!(case.refused(&[]).contains("control pages the kernel takes"), "{}", case.refused(&[]));
}

#[test]
fn nonsense_is_told_in_a_few_short_lines() {
    let case = Case::new("nonsense");
    case.put("proc/iomem", format!("{IOMEM}{}\n{}", "x".repeat(1 << 20), "\x1b[31m\n".repeat(10_000)));
    case.put("sys/kernel/kexec/crash_cma_ranges", "\x07\n".repeat(10_000));
    case.put("sys/kernel/boot_params/version", "x");
    case.put("sys/kernel/boot_params/data", "short");
    case.put("sys/firmware/efi/runtime", "x");
    let document = case.json(&["--out", "plan"]);
    assert!(notes(&document).len() < 60, "{}", notes(&document).len());
    assert!(notes(&document).iter().all(|note| note.len() < 600));
    has_note(&document, "9985 more lines like these were left out");
    has_note(&document, "(1048576 bytes)");
    has_note(&document, "sys/kernel/boot_params/version: ");
    has_note(&document, "has 5 bytes instead of 4096");
    has_note(&document, "sys/firmware/efi/runtime: ");
    let text = fs::read_to_string(case.dir.join("plan/plan.txt")).unwrap();
    assert!(!text.contains(['\x1b', '\x07']), "control characters reach the terminal");
}

#[test]
fn x86_pages_have_4096_bytes_whatever_vmcoreinfo_says() {
    let case = Case::new("page-size");
    let mut kcore = kcore(0x200_0000, BASE_4_LEVEL);
    let text = b"PAGESIZE=65536\n\0";
    let at = kcore.len() as u64 + 56;
    kcore[56] = 3;
    kcore.extend_from_slice(&[4, 0, 0, 0, 0, 0, 0, 0]);
    for word in [at, 0, 0, 40, 40, 0] {
        kcore.extend_from_slice(&u64::to_le_bytes(word));
    }
    kcore.extend_from_slice(&[11, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0]);
    kcore.extend_from_slice(b"VMCOREINFO\0\0");
    kcore.extend_from_slice(text);
    case.put("proc/kcore", kcore);
    has_note(&case.json(&[]), "65536 bytes, which cannot be");
}

/// A note that cannot be costs itself, not the plan.
#[test]
fn an_impossible_note_is_left_out_and_said() {
    let case = Case::new("impossible-notes");
    let cpu = "sys/devices/system/cpu/cpu1/crash_notes";
    let notes_of = |document: &Value| {
        let phdrs = document["elfcorehdr"]["phdrs"].as_array().unwrap();
        phdrs.iter().filter(|phdr| phdr["type"] == "PT_NOTE").count()
    };
    assert_eq!(notes_of(&case.json(&[])), 2, "cpu0 and VMCOREINFO");
    for (address, why) in [("9000000", "in a crash region"), ("fffffff0000", "not in RAM")] {
        case.put(cpu, address);
        let document = case.json(&[]);
        assert_eq!(notes_of(&document), 2);
        has_note(&document, why);
        has_note(&document, "cpu1/crash_notes: cannot be: ");
        has_note(&document, "this CPU's registers will be missing");
    }
    case.put("sys/kernel/vmcoreinfo", "fffffff0000 1024\n");
    let document = case.json(&[]);
    assert_eq!(notes_of(&document), 1);
    has_note(&document, "sys/kernel/vmcoreinfo: cannot be: ");
    case.put("sys/devices/system/cpu/cpu0/crash_notes", "0\n");
    let said = case.refused(&[]);
    assert!(said.contains("without which there is no /proc/vmcore"), "{said}");
    assert!(
        said.contains("cpu0/crash_notes: cannot be: ") && said.contains("vmcoreinfo: cannot be: "),
        "{said}"
    );
    // With one good note left there is a plan again.
    case.put(cpu, "1100000");
    assert_eq!(notes_of(&case.json(&[])), 1);
}

/// The images are looked at before they are read, and named.
#[test]
fn images_that_cannot_be_are_refused_by_name_and_unread() {
    let case = Case::new("images");
    let kernel = |path: &str| {
        let output = case.kdump(&["plan", "--root", "root", "--kernel", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(Command::new("mkfifo").arg(case.dir.join("pipe")).status().unwrap().success());
    fs::write(case.dir.join("empty"), b"").unwrap();
    fs::File::create(case.dir.join("large")).unwrap().set_len(1 << 41).unwrap();
    let (ls, own) = ("/bin/ls", env!("CARGO_BIN_EXE_kdump"));
    for (path, why) in [
        (".", "is a directory"),
        ("/dev/zero", "is a character device"),
        ("pipe", "is a pipe"),
        ("empty", "not a bzImage"),
        ("large", "0x20000000000 bytes"),
        ("none", "No such file"),
        (ls, "it is a program"),
        (own, "it is a program"),
    ] {
        let said = kernel(path);
        assert!(said.contains(path) && said.contains(why), "{said}");
    }
    for (path, why) in
        [(".", "is a directory"), ("/dev/zero", "is a character device"), ("large", "0x20000000000 bytes")]
    {
        let said = case.refused(&["--initrd", path]);
        assert!(said.contains(path) && said.contains(why), "{said}");
    }
    assert!(case.refused(&["--purgatory", "large"]).contains("a purgatory at most"));
    assert!(case.refused(&["--purgatory", "/dev/zero"]).contains("character device"));
}

/// What cannot be is refused in 64 MiB of address space, and what can be is read once.
#[test]
fn images_take_no_more_memory_than_they_have_bytes() {
    let case = Case::new("image-memory");
    let limited = |mib: u64, more: &[&str]| {
        let mut command = Command::new("sh");
        let script = format!("ulimit -v {} && exec \"$0\" \"$@\"", mib << 10);
        command.current_dir(&case.dir).args(["-c", &script, env!("CARGO_BIN_EXE_kdump")]);
        command.args(["plan", "--root", "root", "--json"]).args(more).output().unwrap()
    };
    let sparse = |name: &str, mib: u64| {
        fs::File::create(case.dir.join(name)).unwrap().set_len(mib << 20).unwrap();
    };
    sparse("2g", 2048);
    sparse("100m", 100);
    for (kernel, initrd, why) in [
        ("bzImage", "2g", "2g has 0x80000000 bytes"),
        ("2g", "bzImage", "2g has 0x80000000 bytes"),
        ("bzImage", "/dev/zero", "/dev/zero is a character device"),
        ("/dev/zero", "bzImage", "/dev/zero is a character device"),
    ] {
        let output = limited(64, &["--kernel", kernel, "--initrd", initrd]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
    let good = ["--kernel", "bzImage", "--initrd", "100m"];
    let output = limited(64 + 100, &good);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = limited(64, &good);
    assert_eq!(output.status.code(), Some(1), "the limit is one");
    assert!(stderr(&output).contains("100m: "), "{}", stderr(&output));
}

#[test]
fn advice_fits_its_cause() {
    let case = Case::new("advice");
    case.put("proc/iomem", "00100000-3fffffff : System RAM\n");
    assert!(case.refused(&[]).contains("add crashkernel="), "{}", case.refused(&[]));
    case.put("proc/cmdline", "quiet crashkernel=64G\n");
    let said = case.refused(&[]);
    assert!(said.contains("crashkernel=64G is on the command line") && !said.contains("add crash"), "{said}");
    case.put("proc/iomem", "00100000-3fffffff : System RAM\n100000000-1ffffffff : System RAM\n  180000000-1bfffffff : Crash kernel\n");
    let said = case.refused(&["--entry-32bit"]);
    assert!(said.contains("a larger region does not help: enter it in 64-bit mode"), "{said}");
    case.json(&[]);
    fs::remove_file(case.dir.join("root/proc/sys/kernel/arch")).unwrap();
    assert!(case.refused(&[]).contains("--arch"), "{}", case.refused(&[]));
    case.json(&["--arch", "x86_64"]);
}

#[test]
fn windows_up_to_the_last_address() {
    let case = Case::new("window");
    let all = case.json(&[]);
    assert_eq!(case.json(&["--mem-max", "0xffffffffffffffff"])["segments"], all["segments"]);
    for window in [["--mem-min", "0x20000000"], ["--mem-min", "0xffffffffffffffff"]] {
        assert!(case.refused(&window).contains("mem-min and mem-max"), "{}", case.refused(&window));
    }
    let said = case.refused(&["--mem-min", "0x10000000", "--mem-max", "0xf000000"]);
    assert!(said.contains("mem-min and mem-max"), "{said}");
}

/// A recording is a directory from anywhere: pipes and endless files in it must not hang.
#[test]
fn pipes_and_endless_files_do_not_hang() {
    let case = Case::new("endless");
    for path in ["proc/cpuinfo", "proc/meminfo"] {
        // Leads nowhere, as there is no /dev in the recording.
        std::os::unix::fs::symlink("/dev/zero", case.dir.join("root").join(path)).unwrap();
    }
    let endless = |path: &str| endless_file(&case, path);
    endless("proc/kallsyms");
    let pipe = case.dir.join("root/proc/kcore");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let document = case.json(&[]);
    has_note(&document, "proc/kallsyms: cannot be read: it has 0x4000000 bytes or more");
    has_note(&document, "proc/kcore: cannot be read");
    endless("proc/iomem");
    assert!(case.refused(&[]).contains("proc/iomem is larger than 0x1000000 bytes"));
}

/// A file of a recording with more bytes than there are anywhere.
fn endless_file(case: &Case, path: &str) {
    case.put(path, "");
    let file = fs::File::options().write(true).open(case.dir.join("root").join(path)).unwrap();
    file.set_len(1 << 40).unwrap();
}

/// Only the map of the memory is indispensable, and what is asked for.
#[test]
fn an_endless_command_line_matters_only_where_it_is_reused() {
    let case = Case::new("endless-cmdline");
    endless_file(&case, "proc/cmdline");
    has_note(&case.json(&[]), "proc/cmdline: cannot be read: it has more than 0x1000000 bytes");
    let said = case.refused(&["--reuse-cmdline"]);
    assert!(said.contains("proc/cmdline is empty, missing or unreadable"), "{said}");
}

#[test]
fn more_program_headers_than_a_header_counts() {
    let case = Case::new("phdrs");
    let mut iomem = IOMEM.to_owned();
    for index in 0..66_000_u64 {
        let start = 0x1_0000_0000 + index * 0x2000;
        iomem.push_str(&format!("{start:x}-{:x} : System RAM\n", start + 0xfff));
    }
    case.put("proc/iomem", iomem);
    let said = case.refused(&[]);
    assert!(said.contains("program headers: 66005 do not fit, the limit is 65534"), "{said}");
}

#[test]
fn what_was_changed_or_left_out_is_said() {
    let case = Case::new("said");
    fs::write(case.dir.join("empty"), b"").unwrap();
    let said = case.refused(&["--initrd", "empty"]);
    assert!(said.contains("initial ramdisk: empty is empty: make it again"), "{said}");
    let mut iomem = IOMEM.to_owned();
    for index in 0..200 {
        let start = 0x2000_0000 + index * 0x2000;
        iomem.push_str(&format!("{start:08x}-{:08x} : Reserved\n", start + 0xfff));
    }
    case.put("proc/iomem", iomem);
    has_note(&case.json(&[]), "the memory map has 202 entries");
    case.image(|file| file[0x236] = 0);
    has_note(&case.json(&[]), "entered in 32-bit mode");
}

#[test]
fn command_lines_that_begin_with_dashes_and_long_ones() {
    let case = Case::new("cmdline");
    let document = case.json(&["--append", "-- single"]);
    assert!(document["cmdline"].as_str().unwrap().ends_with("K -- single"), "{}", document["cmdline"]);
    case.put("proc/cmdline", "crashkernel=1M ".repeat(200_000));
    assert!(case.json(&["--reuse-cmdline"])["cmdline"].as_str().unwrap().starts_with("elfcorehdr="));
}

#[test]
fn a_closed_or_full_output_is_an_error_and_no_panic() {
    let case = Case::new("output");
    for args in [&["plan", "--root", "root", "--kernel", "bzImage"][..], &["collect", "--root", "root", "a"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = case.kdump(args).stdout(Stdio::from(full)).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
    assert!(case.dir.join("a/kdump-collect.txt").exists(), "recorded all the same");
}

#[test]
fn a_recording_tells_whether_the_kernel_would_accept() {
    let case = Case::new("environment");
    case.put("proc/meminfo", "MemTotal:         482712 kB\n");
    case.put("proc/cpuinfo", "flags\t\t: fpu pdpe1gb\n");
    case.put("proc/sys/kernel/kexec_load_disabled", "0\n");
    case.put("proc/sys/kernel/kexec_load_limit_panic", "0\n");
    case.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    assert!(case.kdump(&["collect", "--root", "root", "copy"]).output().unwrap().status.success());
    let args = ["plan", "--root", "copy", "--kernel", "bzImage", "--json"];
    let output = case.kdump(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |rule: &str| {
        let all = document["preflight"].as_array().unwrap();
        all.iter().find(|finding| finding["rule"] == rule).unwrap()["verdict"].clone()
    };
    assert_eq!((verdict("load_disabled"), verdict("load_limit")), ("pass".into(), "fail".into()));
    assert_eq!((verdict("lockdown"), verdict("half_of_ram")), ("fail".into(), "pass".into()));
}

#[test]
fn status_does_not_claim_what_is_not_shown() {
    let case = Case::new("status");
    case.put("proc/iomem", "00000000-00000000 : System RAM\n");
    let output = case.kdump(&["status", "--root", "root", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["advice"][1].as_str().unwrap().contains("does not show"), "{document}");
    case.put("sys/kernel/kexec/crash_loaded", "0\n");
    let output = case.kdump(&["status", "--root", "root", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["advice"][1], "no capture kernel is loaded; run kdump load");
    // The region is seen, /sys is not.
    let case = Case::new("status-without-sys");
    fs::remove_dir_all(case.dir.join("root/sys")).unwrap();
    let output = case.kdump(&["status", "--root", "root"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("capture kernel loaded   not shown") && said.contains("unknown (mount"), "{said}");
    assert!(!said.contains("no capture kernel is loaded"), "{said}");
}

/// What kexec_file_load would silently leave out is refused, whoever calls; nothing is loaded here:
/// the caller lacks the right or the image.
#[test]
fn a_file_load_takes_no_plan_options() {
    let case = Case::new("file-options");
    let load = |more: &[&str]| {
        let args = ["load", "--syscall", "file", "--kernel", "none"];
        let output = case.kdump(&args).args(more).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    for option in [
        &["--purgatory-serial", "0x3f8"][..],
        &["--backup", "always"],
        &["--on-mismatch", "reset"],
        &["--purgatory-caches", "off"],
        &["--memmap-cmdline"],
        &["--out", "x"],
        &["--seed", "00"],
        &["--no-rng-seed"],
        &["--mem-max", "1G"],
        &["--hotplug"],
        &["--elf32"],
        &["--elf64"],
        &["--no-efi"],
        &["--entry-32bit"],
        &["--purgatory", "x"],
    ] {
        let (code, said) = load(option);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(option[0]) && said.contains("kexec_file_load"), "{said}");
    }
    assert!(!case.dir.join("x").exists());
    let (code, said) =
        load(&["--backup", "auto", "--on-mismatch", "halt", "--append", "x", "--verbose", "--json"]);
    assert_eq!(code, Some(1), "{said}");
}
