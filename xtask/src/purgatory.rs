//! `cargo xtask purgatory [--check]`: builds the checked-in purgatory objects, or proves that
//! they are what the source builds.
//!
//! The purgatory is a program for another execution environment, so its object is data to the
//! crates of this repository: checked in, included as bytes, and compared here with a build from
//! a copy of the source in another directory.

#![allow(clippy::print_stdout, reason = "a build tool says what it did on standard output")]

mod instructions;
mod object;

pub(crate) use object::place;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// How the object of an architecture is built.
struct Build {
    /// The name of its files.
    name: &'static str,
    target: &'static str,
    rustflags: &'static [&'static str],
    rules: &'static object::Rules,
    /// Looks for instructions that an object must not have.
    instructions: fn(&Path) -> Result<(), String>,
}

const BUILDS: [Build; 5] = [
    // Compiled code uses SSE, which the entry code switches on: sha2 reaches the SHA instructions
    // through SSE registers, and the soft-float target `x86_64-unknown-none` cannot compile that
    // (LLVM: "Do not know how to split the result of this operator"). Position-independent, so that
    // the program may lie anywhere; symbols of its own are reached directly. No red zone, because an
    // NMI is taken on the same stack. Unwind tables would be dead weight.
    Build {
        name: "x86_64",
        target: "x86_64-unknown-linux-gnu",
        rustflags: &["-Crelocation-model=pie", "-Cno-redzone=yes", "-Cforce-unwind-tables=no"],
        rules: &object::X86_64,
        instructions: |object| instructions::check(object, &[]),
    },
    // The processor of this target has no vector registers, whose use nothing has switched on.
    Build {
        name: "i386",
        target: "i586-unknown-linux-gnu",
        rustflags: &["-Crelocation-model=static", "-Cforce-unwind-tables=no"],
        rules: &object::I386,
        instructions: |object| instructions::check(object, &instructions::REGISTERS_SWITCHED_OFF),
    },
    // This target aligns every access, which memory of type Device needs, and its static code forms
    // addresses relative to the page of the program counter.
    Build {
        name: "arm64",
        target: "aarch64-unknown-none",
        rustflags: &["-Crelocation-model=static", "-Cforce-unwind-tables=no"],
        rules: &object::ARM64,
        instructions: |_| Ok(()),
    },
    // Addresses relative to the program counter, and nothing left for a linker that shortens code.
    Build {
        name: "riscv64",
        target: "riscv64gc-unknown-none-elf",
        rustflags: &[
            "-Crelocation-model=static",
            "-Ccode-model=medium",
            "-Ctarget-feature=-relax",
            "-Cforce-unwind-tables=no",
        ],
        rules: &object::RISCV64,
        instructions: |_| Ok(()),
    },
    // Static code forms addresses relative to the TOC pointer, which the entry code makes.
    Build {
        name: "ppc64le",
        target: "powerpc64le-unknown-linux-gnu",
        rustflags: &["-Crelocation-model=static", "-Cforce-unwind-tables=no"],
        rules: &object::PPC64LE,
        instructions: |_| Ok(()),
    },
];

/// The targets that are built for.
pub(crate) fn targets() -> [&'static str; BUILDS.len()] {
    BUILDS.map(|build| build.target)
}

/// Symbols that pull the program out of the archive the compiler makes.
const ROOTS: &[&str] = &["purgatory_start", "purgatory_digest"];

/// Builds the objects into the source tree; with `--check` compares instead of writing.
///
/// # Errors
/// A missing or different compiler, a failed build, an object which breaks a rule, or a
/// checked-in object that differs from what its source builds.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(String::from("usage: cargo xtask purgatory [--check]")),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = root.join("kdump-purgatory/purgatory");
    let objects = root.join("kdump-purgatory/objects");
    let toolchain = Toolchain::pinned(&root)?;
    let scratch = Scratch::new()?;

    // Another directory, so that nothing of this one can be in the object unnoticed.
    let copy = scratch.0.join("source");
    copy_tree(&source, &copy)?;
    for build in &BUILDS {
        let object = toolchain.build(build, &copy, &scratch.0)?;
        object::check(build.rules, &object).map_err(|why| format!("{}: {why}", build.name))?;
        (build.instructions)(&scratch.0.join("purgatory.o"))?;
        refuse_paths(&object, &[&scratch.0, &source, &toolchain.sysroot])?;
        let description = describe(build, &object, &toolchain);

        let object_path = objects.join(format!("{}.o", build.name));
        let description_path = objects.join(format!("{}.txt", build.name));
        if check {
            compare(&object_path, &object)?;
            compare(&description_path, description.as_bytes())?;
            println!("purgatory: {}.o is what its source builds\n{description}", build.name);
        } else {
            write(&object_path, &object)?;
            write(&description_path, description.as_bytes())?;
            println!("purgatory: wrote {}\n{description}", object_path.display());
        }
    }
    Ok(())
}

/// The compiler the objects are built with.
struct Toolchain {
    channel: String,
    /// What `rustc -Vv` says.
    version: String,
    sysroot: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// The compiler named by rust-toolchain.toml; another one would give other bytes.
    fn pinned(root: &Path) -> Result<Self, String> {
        let path = root.join("rust-toolchain.toml");
        let text = fs::read_to_string(&path).map_err(|e| failed(&path, &e))?;
        let channel = value(&text, "channel", '=')
            .map(|channel| channel.trim_matches('"').to_owned())
            .ok_or_else(|| format!("{}: no channel", path.display()))?;
        let rustc = |args: &[&str]| {
            let mut command = Command::new("rustc");
            output(command.env("RUSTUP_TOOLCHAIN", &channel).args(args))
        };
        let version = rustc(&["-Vv"])?;
        if value(&version, "release", ':') != Some(&channel) {
            return Err(format!("the objects are built with rustc {channel}, but rustc is\n{version}"));
        }
        let host = value(&version, "host", ':').ok_or("rustc -Vv names no host")?;
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let linker = sysroot.join(format!("lib/rustlib/{host}/bin/rust-lld"));
        for target in targets() {
            if !sysroot.join("lib/rustlib").join(target).is_dir() {
                return Err(format!("target {target} is missing: rustup target add {target}"));
            }
        }
        Ok(Self { channel, version, sysroot, linker })
    }

    /// Compiles `source` and links it into one relocatable object.
    fn build(&self, build: &Build, source: &Path, scratch: &Path) -> Result<Vec<u8>, String> {
        let target_dir = scratch.join("target");
        let mut cargo = Command::new("cargo");
        // The caller's settings would be in the bytes: CARGO_INCREMENTAL alone gives another
        // object of the same size.
        for (name, _) in std::env::vars_os().filter(|(name, _)| decides_output(name)) {
            cargo.env_remove(name);
        }
        cargo
            .current_dir(source)
            .env("RUSTUP_TOOLCHAIN", &self.channel)
            .env("CARGO_ENCODED_RUSTFLAGS", build.rustflags.join("\u{1f}"))
            .args(["build", "--quiet", "--locked", "--release"])
            .args(["--target", build.target, "--target-dir"])
            .arg(&target_dir);
        output(&mut cargo)?;
        let archive = target_dir.join(build.target).join("release/libpurgatory.a");
        let object = scratch.join("purgatory.o");
        let mut lld = Command::new(&self.linker);
        lld.args(["-flavor", "gnu", "-r", "--discard-all", "-T"])
            .arg(source.join("link.ld"))
            .args(ROOTS.iter().flat_map(|root| ["-u", root]))
            .arg(archive)
            .arg("-o")
            .arg(&object);
        output(&mut lld)?;
        fs::read(&object).map_err(|e| failed(&object, &e))
    }
}

/// Whether cargo or rustc may take this variable for a setting of the build. What says where they
/// keep their things stays.
fn decides_output(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    (name.starts_with("CARGO") || name.starts_with("RUSTC") || name == "RUSTFLAGS")
        && !matches!(&*name, "CARGO" | "CARGO_HOME")
        && !name.starts_with("CARGO_REGISTR")
        && !name.starts_with("CARGO_HTTP")
        && !name.starts_with("CARGO_NET")
        && !name.starts_with("CARGO_SOURCE")
}

/// What is recorded beside the object: how to recognise it and how it was made.
fn describe(build: &Build, object: &[u8], toolchain: &Toolchain) -> String {
    let digest: String = Sha256::digest(object).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "file: {}.o\nsize: {}\nsha256: {digest}\ntarget: {}\nrustflags: {}\n\n{}",
        build.name,
        object.len(),
        build.target,
        build.rustflags.join(" "),
        toolchain.version,
    )
}

/// No directory of the build may be in the object.
fn refuse_paths(object: &[u8], paths: &[&Path]) -> Result<(), String> {
    for path in paths {
        let name = path.as_os_str().as_encoded_bytes();
        if object.windows(name.len()).any(|window| window == name) {
            return Err(format!("the object contains the path {}", path.display()));
        }
    }
    Ok(())
}

/// The file must hold exactly these bytes.
fn compare(path: &Path, expected: &[u8]) -> Result<(), String> {
    let found = fs::read(path).map_err(|e| failed(path, &e))?;
    if found == expected {
        return Ok(());
    }
    let place = found
        .iter()
        .zip(expected)
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| found.len().min(expected.len()));
    Err(format!(
        "{} ({} bytes) is not what its source builds ({} bytes), first difference at {place:#x}; \
         run `cargo xtask purgatory` and commit the result",
        path.display(),
        found.len(),
        expected.len(),
    ))
}

/// The value in a line `key SEPARATOR value`.
fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(separator)?;
        (found.trim() == key).then(|| value.trim())
    })
}

/// Runs a program and returns what it wrote.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| failed(path, &e))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Copies a directory of sources, without what cargo built there.
fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|e| failed(to, &e))?;
    for entry in fs::read_dir(from).map_err(|e| failed(from, &e))? {
        let entry = entry.map_err(|e| failed(from, &e))?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if !source.is_dir() {
            fs::copy(&source, &copy).map_err(|e| failed(&source, &e))?;
        } else if entry.file_name() != "target" {
            copy_tree(&source, &copy)?;
        }
    }
    Ok(())
}

/// A directory of this process, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("kdump-purgatory-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| failed(&path, &e))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst.
        let _ = fs::remove_dir_all(&self.0);
    }
}
