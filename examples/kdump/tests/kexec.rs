//! `kdump kexec` and the distribution's kexec end alike, as far as nothing is loaded by it. Loads:
//! `cargo xtask crash --kdump-tools`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

const THEIRS: &str = "/usr/sbin/kexec";

fn ours(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kdump"));
    command.arg("kexec").args(line.split_whitespace()).output().unwrap()
}

#[test]
fn command_lines_end_alike() {
    assert!(Path::new(THEIRS).exists(), "{THEIRS} is missing: cargo xtask setup installs it");
    let lines = [
        "-h",
        "--help",
        "-v",
        "--version",
        "--bogus",
        "-p",
        "-p /nofile",
        "-z",
        "-l /nofile",
        "-p --initrd",
        "--append",
        "-S",
        "-S -p",
        "-S -l",
    ];
    for line in lines {
        let theirs = Command::new(THEIRS).args(line.split_whitespace()).output().unwrap();
        let ours = ours(line);
        let said = String::from_utf8_lossy(&ours.stderr).into_owned();
        assert_eq!(ours.status.code(), theirs.status.code(), "{line}: {said}");
        // The answer of -S is its exit status, which may be that there is none.
        assert!(line.starts_with("-S") || ours.status.success() == said.is_empty(), "{line}: {said}");
    }
}

#[test]
fn what_it_does_not_do_is_refused_by_name() {
    for (line, name) in
        [("-e", "--exec"), ("-f -p /k", "--force"), ("-l /k", "-l"), ("-u", "-p"), ("/k", "-p")]
    {
        let ours = ours(line);
        assert_eq!(ours.status.code(), Some(1), "{line}");
        assert!(String::from_utf8_lossy(&ours.stderr).contains(name), "{line}");
    }
}
