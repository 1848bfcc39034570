//! Each program is run, and once so that it must fail.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests may panic"
)]

#[path = "../../kdump/tests/bzimage/mod.rs"]
mod bzimage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Exit status, standard output, and standard error of a program.
fn run(program: &str, args: &[&Path]) -> (bool, String, String) {
    let output = Command::new(program).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_kernel_dies_is_captured_and_read_by_eight_threads() {
    let dir = dir("dies");
    let (header, memory, dump) = (dir.join("elfcorehdr"), dir.join("memory"), dir.join("vmcore"));
    let (good, _, said) = run(env!("CARGO_BIN_EXE_die"), &[&dir]);
    assert!(good, "{said}");
    let base = Path::new("0x100000");
    let (good, out, said) = run(env!("CARGO_BIN_EXE_capture"), &[&header, &memory, base, &dump]);
    assert!(good && out.starts_with("3 CPUs, 65536 bytes of memory"), "{out}{said}");
    let (good, out, said) = run(env!("CARGO_BIN_EXE_read_by_threads"), &[&dump, Path::new("8")]);
    assert!(good && out.starts_with("8 threads read 65536 bytes each"), "{out}{said}");

    // Memory that ends too early is told, and what there is is saved all the same.
    let bytes = fs::read(&memory).unwrap();
    fs::write(&memory, bytes.get(..0x8000).unwrap()).unwrap();
    let lacking = dir.join("lacking");
    let (good, _, said) = run(env!("CARGO_BIN_EXE_capture"), &[&header, &memory, base, &lacking]);
    assert!(!good && said.contains("32768 bytes of memory are lacking"), "{said}");
    let (good, out, said) = run(env!("CARGO_BIN_EXE_read_by_threads"), &[&lacking, Path::new("2")]);
    assert!(good && out.starts_with("2 threads read 32768 bytes each"), "{out}{said}");
    // What is no header gives no dump.
    fs::write(&header, b"no header").unwrap();
    let (good, _, said) = run(env!("CARGO_BIN_EXE_capture"), &[&header, &memory, base, &dump]);
    assert!(!good && said.contains("elfcorehdr"), "{said}");
}

#[test]
fn a_recorded_machine_is_planned_for() {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kdump-segments/tests/machines");
    let dir = dir("plans");
    let kernel = dir.join("bzImage");
    fs::write(&kernel, bzimage::bzimage()).unwrap();
    let program = env!("CARGO_BIN_EXE_plan_and_preflight");
    for machine in ["bios-512m", "efi-1g-612"] {
        let (good, out, said) = run(program, &[&machines.join(machine), &kernel]);
        assert!(good && out.contains("Purgatory: ") && out.contains("Kernel: "), "{out}{said}");
    }
    fs::write(&kernel, b"no kernel").unwrap();
    let (good, _, said) = run(program, &[&machines.join("bios-512m"), &kernel]);
    assert!(!good && said.contains("NotAnImage"), "{said}");
}
