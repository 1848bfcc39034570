//! `cargo xtask targets`: the minimum compiler, the other word sizes and the other byte order.
//!
//! What users build is compiled by the oldest Rust that is promised; the libraries with std are checked
//! for every target a distribution builds them for; tests run where a word has 32 bits and where the
//! byte order is the other one, under QEMU's user emulation where the machine needs it. `--all` adds
//! the tests for the oldest Rust, and those that neither word nor byte order can change, or one of them alone.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Result, usage};
use crate::progress::{self, Clock, Row};
use crate::{metadata, repo, rust, shell};

/// `rust-version` of Cargo.toml.
const MINIMUM: &str = "1.85.0";

/// Targets the libraries are only checked for; those of [`EMULATED`] are too, and tested.
const CHECKED: &[&str] = &[
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "powerpc64le-unknown-linux-gnu",
    "riscv64gc-unknown-linux-gnu",
];

/// A target whose tests run here: its linker, the place of its libraries, and the emulator.
struct Emulated {
    target: &'static str,
    linker: &'static str,
    libraries: &'static str,
    emulator: &'static str,
    /// Starts programs of the target where the machine runs them itself.
    loader: &'static str,
    /// Whether it is tested for its byte order, and not for its words.
    other_bytes: bool,
}

impl Emulated {
    /// Most x86_64 machines run i686 themselves, eight times as fast as the emulator. Where programs of
    /// other machines are given to an emulator by the kernel, this finds the same.
    fn runs_without(&self) -> bool {
        let mut loader = Command::new(self.loader);
        loader.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        loader.status().is_ok_and(|status| status.success())
    }
}

const EMULATED: &[Emulated] = &[
    Emulated {
        target: "i686-unknown-linux-gnu",
        linker: "i686-linux-gnu-gcc",
        libraries: "/usr/i686-linux-gnu",
        emulator: "qemu-i386-static",
        loader: "/usr/i686-linux-gnu/lib/ld-linux.so.2",
        other_bytes: false,
    },
    Emulated {
        target: "s390x-unknown-linux-gnu",
        linker: "s390x-linux-gnu-gcc",
        libraries: "/usr/s390x-linux-gnu",
        emulator: "qemu-s390x-static",
        loader: "/usr/s390x-linux-gnu/lib/ld64.so.1",
        other_bytes: true,
    },
];

/// The C compilers are for zstd, which the tests are linked with, and link them.
pub(crate) const NEEDS: &[Need] = &[
    Need { what: "pkg-config", package: "pkg-config" },
    Need { what: "/usr/include/zstd.h", package: "libzstd-dev" },
    Need { what: "qemu-s390x-static", package: "qemu-user-static" },
    Need { what: "i686-linux-gnu-gcc", package: "gcc-i686-linux-gnu" },
    Need { what: "/usr/i686-linux-gnu/lib/libc.so.6", package: "libc6-dev-i386-cross" },
    Need { what: "s390x-linux-gnu-gcc", package: "gcc-s390x-linux-gnu" },
    Need { what: "/usr/s390x-linux-gnu/lib/libc.so.6", package: "libc6-dev-s390x-cross" },
];

/// What has std and is not tied to the machine it is built on.
const LIBRARIES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore", "kdump-ffi"];
/// Of these, what is tested elsewhere: kdump-purgatory runs its x86_64 objects.
const TESTED: &[&str] = &["kdump-elf", "kdump-segments", "kdump-vmcore"];

/// Tests that say the same whatever the word and the byte order: what things cost, in which order
/// files are written, what is left when memory, a thread or a disk fails. The bytes that are read and
/// written are those of the other tests. They are most of the time of an emulated run.
const SAME_EVERYWHERE: &[(&str, &[&str])] = &[
    ("kdump-elf", &["may_grow"]),
    ("kdump-segments", &["no_memory"]),
    (
        "kdump-vmcore",
        &[
            "allocation",
            "draft",
            "elf_cost",
            "kdump_cost",
            "may_grow",
            "no_memory",
            "resume",
            "save_first",
            "save_order",
        ],
    ),
];

/// Tests of texts, numbers and ranges, which no byte order changes; what is written of them are the other tests of
/// kdump-segments. Compiling one of them for an emulator takes longer than most of them run.
const NO_BYTES: (&str, &[&str]) = (
    "kdump-segments",
    &[
        "capture_need",
        "capture_need_hostile",
        "machine_hostile",
        "machine_kernel_layout",
        "machine_memory",
        "memory_algebra",
        "memory_crashkernel",
        "preflight_plan",
        "preflight_rules",
        "preflight_soak",
        "preflight_verdicts",
        "targets",
    ],
);

/// Tests that try the same damage, the same break or the same set at hundreds of places: a few places, as the other
/// tests of the file have them, show another byte order as well. An emulator would take a minute for each.
const MANY_PLACES: &[(&str, &str, &[&str])] = &[
    ("kdump-vmcore", "cut", &["cut_at_any_place_a_page_is_right_or_truncated"]),
    (
        "kdump-vmcore",
        "kdump",
        &[
            "a_record_in_a_wrong_place_is_told",
            "cut_anywhere_a_page_is_right_or_truncated",
            "cut_anywhere_every_page_of_a_span_gives_that_span",
            "no_value_of_any_header_field_stops_the_reader",
            "zeros_do_not_hide_that_a_file_is_cut",
        ],
    ),
    (
        "kdump-vmcore",
        "save_kdump",
        &[
            "a_panic_of_the_caller_ends_all_threads",
            "cancelled_with_threads",
            "no_thread_reads_but_those_that_were_asked_for",
            "stopped_anywhere_it_says_so",
            "stopped_anywhere_with_threads_it_says_so",
        ],
    ),
    (
        "kdump-vmcore",
        "save_split",
        &[
            "a_part_that_fails_costs_the_others_nothing",
            // The other tests of the file write sets and read them.
            "the_parts_are_the_dump",
            "who_is_told_may_end_it",
        ],
    ),
];

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let only = args.value("--only")?;
    let all = args.flag("--all");
    args.finish()?;
    prepare()?;
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let clock = Clock::start();
    let mut rows = Vec::new();
    let mut step = |name: String, work: &dyn Fn() -> Result| {
        if wanted(&name) {
            clock.say(&name);
            rows.push(Row::of(&name, work().map(|()| String::new())));
        }
    };
    step(format!("check with Rust {MINIMUM}"), &|| minimum(all));
    step(format!("check for {}", CHECKED.join(", ")), &|| check(CHECKED));
    for emulated in EMULATED {
        step(format!("test on {}", emulated.target), &|| test(emulated, all));
    }
    if rows.is_empty() {
        return Err(usage(format!(
            "--only {}: no part of targets has that in its name",
            only.unwrap_or_default()
        )));
    }
    progress::close("targets", &rows)
}

/// The part that has `name` in its name.
pub(crate) fn of(name: &str) -> Result {
    run(&["--only".to_owned(), name.to_owned()])
}

/// Installs the compilers, standard libraries and emulators.
pub(crate) fn prepare() -> Result {
    apt::ensure(NEEDS)?;
    rust::ensure_toolchain(MINIMUM)?;
    rust::ensure_targets(CHECKED)?;
    EMULATED.iter().try_for_each(|emulated| rust::ensure_targets(&[emulated.target]))
}

/// The libraries and programs of the workspace, or all of it, with the oldest compiler that is promised.
/// What it builds stands in a place of its own: two compilers in one would build everything anew at
/// every turn.
fn minimum(all: bool) -> Result {
    let mut cargo = rust::cargo_of(MINIMUM)?;
    cargo.args(["check", "--quiet", "--workspace"]).args(all.then_some("--all-targets"));
    shell::run(unlinked(&mut cargo).arg("--target-dir").arg(repo::scratch("minimum")?))
}

/// All targets in one call: what runs on the host while building is compiled once, for other steps too.
fn check(targets: &[&str]) -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["check", "--quiet"]);
    targets.iter().for_each(|target| _ = cargo.args(["--target", target]));
    shell::run(unlinked(packages(&mut cargo, LIBRARIES)))
}

/// Nothing is linked, so the C code of zstd need not be compiled: the host's library stands for it.
fn unlinked(cargo: &mut Command) -> &mut Command {
    cargo.env("ZSTD_SYS_USE_PKG_CONFIG", "1").env("PKG_CONFIG_ALLOW_CROSS", "1")
}

/// Checks all libraries, and runs the tests of those that can be tested.
fn test(emulated: &Emulated, all: bool) -> Result {
    let mut check = cargo_for(emulated, "check")?;
    shell::run(packages(check.arg("--quiet"), LIBRARIES))?;
    let mut tests = cargo_for(emulated, "test")?;
    packages(tests.args(["--no-fail-fast", "--lib"]), TESTED);
    let left_out = |of: &str, name: &str| {
        let no_bytes = NO_BYTES.0 == of && NO_BYTES.1.contains(&name);
        same_everywhere(of, name) || no_bytes && emulated.other_bytes
    };
    let wanted =
        |(of, name): &(String, String)| TESTED.contains(&of.as_str()) && (all || !left_out(of, name));
    let names: BTreeSet<String> =
        metadata::tests()?.into_iter().filter(wanted).map(|(_, name)| name).collect();
    names.iter().for_each(|name| _ = tests.args(["--test", name]));
    if !all && !emulated.runs_without() {
        let many = MANY_PLACES.iter().flat_map(|(.., names)| *names);
        tests.arg("--").args(many.flat_map(|name| ["--skip", name]));
    }
    shell::run(&mut tests)
}

/// Property tests draw few cases: emulation is slow, and they have drawn many on the host. What is
/// emulated is optimised a little: s390x's tests then take a quarter of the processor time.
fn cargo_for(emulated: &Emulated, command: &str) -> Result<Command> {
    let name = emulated.target.to_uppercase().replace('-', "_");
    let mut cargo = rust::cargo()?;
    cargo.args([command, "--target", emulated.target]);
    cargo.env(format!("CARGO_TARGET_{name}_LINKER"), emulated.linker);
    if emulated.runs_without() {
        // Not `loader PROGRAM`: a test that starts itself again would start the loader.
        let flags = format!(
            "-Clink-arg=-Wl,--dynamic-linker={} -Clink-arg=-Wl,-rpath={}/lib",
            emulated.loader, emulated.libraries
        );
        cargo.env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), flags);
        // At 1, rustc takes generic code of the standard library from any crate that has it, also from one that is not
        // optimised: to fill a vector with zeros then takes eighty times as long.
        cargo.arg("--config=profile.dev.package.kdump-vmcore.opt-level=2");
    } else {
        let runner = format!("{} -L {}", emulated.emulator, emulated.libraries);
        cargo.env(format!("CARGO_TARGET_{name}_RUNNER"), runner);
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    }
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("PROPTEST_CASES", "8");
    Ok(cargo)
}

fn same_everywhere(package: &str, test: &str) -> bool {
    SAME_EVERYWHERE.iter().any(|(of, names)| *of == package && names.contains(&test))
}

fn packages<'c>(cargo: &'c mut Command, names: &[&str]) -> &'c mut Command {
    names.iter().fold(cargo, |cargo, name| cargo.args(["--package", name]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MANY_PLACES, MINIMUM, NO_BYTES, SAME_EVERYWHERE};
    use crate::{metadata, repo};

    /// A file that was renamed would be left out no more, and one that never was is no reason.
    #[test]
    fn what_is_left_out_exists() {
        for (package, names) in SAME_EVERYWHERE.iter().chain([&NO_BYTES]) {
            let tests = metadata::tests().unwrap();
            let exists = |name: &&str| tests.iter().any(|(of, test)| of == package && test == name);
            assert!(names.iter().all(exists), "{package}: {tests:?}");
        }
        for (package, file, names) in MANY_PLACES {
            let path = repo::root().unwrap().join(package).join("tests").join(file).with_extension("rs");
            let text = fs::read_to_string(path).unwrap();
            assert!(names.iter().all(|name| text.contains(&format!("fn {name}()"))), "{file}: {names:?}");
        }
    }

    #[test]
    fn the_minimum_is_the_promised_one() {
        let manifest = fs::read_to_string(repo::root().unwrap().join("Cargo.toml")).unwrap();
        let promised = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
        assert_eq!(format!("{}.0", promised.trim_matches('"')), MINIMUM);
    }
}
