//! The automation of this repository: `cargo xtask help`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its user is at a terminal")]

mod abi;
mod amplify;
mod apt;
mod args;
mod bench;
mod bench_save;
mod capi;
mod ci;
mod consumers;
mod crash;
mod crash_note;
mod formats;
mod fuzz;
mod guards;
mod header;
mod install;
mod layers;
mod licences;
mod metadata;
mod miri;
mod nightly;
mod nostd;
mod progress;
mod purgatory;
mod repo;
mod rooms;
mod rust;
mod rust_kernel;
mod setup;
mod soak;
mod targets;
mod tools;

use std::process::ExitCode;

use lab::{error, shell};

use error::{Error, Result};

/// A subcommand: its name, what it does, an example, and its code.
struct Command {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    run: fn(&[String]) -> Result,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        about: "install all that the other commands need: packages, Rust targets, Debian kernels",
        example: "cargo xtask setup",
        run: setup::run,
    },
    Command {
        name: "test",
        about: "everything a change must pass, a real crash included; ci is the same",
        example: "cargo xtask test --only clippy,nostd",
        run: ci::run,
    },
    Command { name: "ci", about: "the same as test", example: "cargo xtask ci", run: ci::run },
    Command {
        name: "check",
        about: "the quick part of test, for daily use; needs neither QEMU nor root",
        example: "cargo xtask check",
        run: ci::check,
    },
    Command {
        name: "crash",
        about: "crash a Debian kernel under QEMU, capture it, and check the dump",
        example: "cargo xtask crash --kernel 6.12 --no-la57 --backup",
        run: crash::run,
    },
    Command {
        name: "region-sizes",
        about: "panic guests with crash regions of several sizes: what kdump says of them, what happens",
        example: "cargo xtask region-sizes --kernel 6.12 --sizes 80,96,112",
        run: crash::run_region_sizes,
    },
    Command {
        name: "formats",
        about: "compare dumps of makedumpfile and QEMU, page by page, with their source and libkdumpfile",
        example: "cargo xtask formats --arch arm64 --kernel 6.12",
        run: formats::run,
    },
    Command {
        name: "load-matrix",
        about: "try bad loads on an armed guest, which must stay armed",
        example: "cargo xtask load-matrix --kernel 6.12",
        run: crash::load_matrix,
    },
    Command {
        name: "preflight-soak",
        about: "try random crash loads on a Debian kernel, and compare its verdicts with preflight's",
        example: "cargo xtask preflight-soak --kernel 6.12 --candidates 10000 --no-la57 --high-region",
        run: soak::run,
    },
    Command {
        name: "rust-kernel",
        about: "crash the example kernel of every cause under QEMU, and check its dumps",
        example: "cargo xtask rust-kernel --cause nmi",
        run: rust_kernel::run,
    },
    Command {
        name: "crash-note",
        about: "search the crash-note path of kdump-elf for panics, and weigh it",
        example: "cargo xtask crash-note",
        run: crash_note::run,
    },
    Command {
        name: "nostd",
        about: "build the libraries for targets without an operating system",
        example: "cargo xtask nostd",
        run: nostd::run,
    },
    Command {
        name: "targets",
        about: "the minimum compiler; other targets checked, two of them tested under emulation",
        example: "cargo xtask targets --only s390x",
        run: targets::run,
    },
    Command {
        name: "install",
        about: "build the C library and install it with headers, pkg-config file and manual",
        example: "cargo xtask install --prefix /usr/local",
        run: install::run,
    },
    Command {
        name: "capi",
        about: "check the installed C library: header, ABI, examples, valgrind, sanitizer, manual",
        example: "cargo xtask capi --dump vmcore",
        run: capi::run,
    },
    Command {
        name: "abi",
        about: "compare symbols, types and layout of the C library with what was released",
        example: "cargo xtask abi --update",
        run: abi::run,
    },
    Command {
        name: "kexec-tools",
        about: "build kexec-tools with libkdump and compare its plans with those it makes alone",
        example: "cargo xtask kexec-tools",
        run: consumers::run_kexec_tools,
    },
    Command {
        name: "crash-plugin",
        about: "load the extension of the crash utility into crash, on a dump",
        example: "cargo xtask crash-plugin --dump vmcore",
        run: consumers::run_crash_plugin,
    },
    Command {
        name: "crash-utility",
        about: "compare sessions of crash with and without libkdump; fetches 850 MB of symbols",
        example: "cargo xtask crash-utility --dump vmcore",
        run: consumers::run_crash_utility,
    },
    Command {
        name: "header",
        about: "make include/*.h from the sources of the C interface; --check compares",
        example: "cargo xtask header --check",
        run: header::run,
    },
    Command {
        name: "layers",
        about: "check the direction of dependency among the crates and inside kdump-vmcore",
        example: "cargo xtask layers",
        run: layers::run,
    },
    Command {
        name: "rooms",
        about: "make the module tables of docs/ARCHITECTURE.md from the sources; --check compares",
        example: "cargo xtask rooms --check",
        run: rooms::run,
    },
    Command {
        name: "licences",
        about: "check the licence and the source of every dependency by cargo-deny",
        example: "cargo xtask licences",
        run: licences::run,
    },
    Command {
        name: "fuzz",
        about: "run every fuzz target for --seconds N (60)",
        example: "cargo xtask fuzz --seconds 10 --only kdump,elf_dump",
        run: fuzz::run,
    },
    Command {
        name: "amplify",
        about: "what crafted files cost at most, optimised: time and memory of each command, as a table",
        example: "cargo xtask amplify",
        run: amplify::run,
    },
    Command {
        name: "guards",
        about: "take each guard of a crate away, and see whether its tests notice",
        example: "cargo xtask guards --crate kdump-elf --sample 60 --at-least 92",
        run: guards::run,
    },
    Command {
        name: "nightly",
        about: "what takes hours: fuzzing, mutants, guards, soak, every guest; --help lists the parts",
        example: "cargo xtask nightly --only fuzz,guards --seconds 60",
        run: nightly::run,
    },
    Command {
        name: "bench",
        about: "run the benchmarks, which print ratios against a peer; `read` and `capture` need a guest",
        example: "cargo xtask bench read --mem 4G",
        run: bench::run,
    },
    Command {
        name: "purgatory",
        about: "build the checked-in purgatory objects; --check: prove they are what the source builds",
        example: "cargo xtask purgatory --check",
        run: |args| purgatory::run(args).map_err(Error::Failed),
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        help();
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        help();
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("xtask: {name}: no such command (cargo xtask help lists them)");
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage(text)) => {
            eprintln!("xtask {name}: {text}\n  example: {}", command.example);
            ExitCode::from(2)
        }
        Err(Error::Failed(text)) => {
            eprintln!("xtask {name}: {text}");
            ExitCode::FAILURE
        }
    }
}

fn help() {
    println!("The automation of this repository.\n\nUsage: cargo xtask COMMAND [OPTIONS]\n");
    for command in COMMANDS {
        println!("  {:10} {}\n  {:10}   {}", command.name, command.about, "", command.example);
    }
}
