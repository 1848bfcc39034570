//! `cargo xtask abi`: what programs that are already compiled rely on.
//!
//! - the functions in the headers, in the version script and in the library are the same, and
//!   each has a version;
//! - the types and prototypes of the headers are those of the committed baseline, and Rust lays
//!   the structures out as C does;
//! - the library itself, by its symbols and its debug information, is what the baseline says;
//! - the headers compile in every dialect of C and C++ that is promised;
//! - the library goes into one program with its peers.

mod core_library;
mod peers;
mod real;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::apt::Need;
use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::install::{self, Places, Profile};
use crate::progress::{self, Row};
use crate::{apt, repo, shell};

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "cc", package: "gcc" },
    Need { what: "g++", package: "g++" },
    Need { what: "abidw", package: "abigail-tools" },
    Need { what: "/usr/include/libkdumpfile/kdumpfile.h", package: "libkdumpfile-dev" },
    Need { what: "crash", package: "crash" },
    Need { what: "i686-linux-gnu-gcc", package: "gcc-i686-linux-gnu" },
    Need { what: "arm-linux-gnueabihf-gcc", package: "gcc-arm-linux-gnueabihf" },
];
const BASELINE: &str = "kdump-ffi/abi/libkdump.abi";
const LAYOUT: &str = "kdump-ffi/abi/layout.c";
const HEADERS: [&str; 2] = ["kdump-core.h", "kdump.h"];

/// `cargo xtask abi [--update]`
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let update = args.flag("--update");
    args.finish()?;
    if update {
        // The headers and the version script are all it is made of.
        return update_baseline();
    }
    let places = install::afresh(Profile::Shipped)?;
    progress::close("ABI", &rows(&places)?)
}

/// All checks of what is installed at `places`.
pub(crate) fn rows(places: &Places) -> Result<Vec<Row>> {
    apt::ensure(NEEDS)?;
    Ok(vec![
        Row::of("functions", functions(places)),
        Row::of("dialects", dialects()),
        Row::of("layout", layout()),
        Row::of("baseline", baseline()),
        Row::of("real symbols", real::symbols(places)),
        Row::of("real types", real::types()),
        Row::of("no clash", peers::link_with_libkdumpfile(places)),
        Row::of("crash's names", peers::compare_with_crash()),
        Row::of("core library", core_library::check(places)),
    ])
}

/// Headers, version script and library name the same functions.
fn functions(places: &Places) -> Result<String> {
    let listed: BTreeSet<String> = install::functions()?.into_iter().collect();
    let declared: BTreeSet<String> = prototypes()?.iter().filter_map(|text| name_of(text)).collect();
    differ("the headers and the version script", &declared, &listed)?;
    let library = places.dir("lib").join("libkdump.so");
    let text = shell::text(
        shell::tool("nm")?.args(["--dynamic", "--defined-only", "--with-symbol-versions"]).arg(&library),
    )?;
    let mut exported = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(kind), Some(symbol)) = (words.next(), words.next()) else { continue };
        // The nodes of the version script are symbols themselves.
        if kind == "A" {
            continue;
        }
        match symbol.split_once("@@LIBKDUMP_") {
            Some((name, _)) => exported.insert(name.to_owned()),
            None => return Err(failed(format!("{symbol} is exported without a version of ours"))),
        };
    }
    differ("the library and the version script", &exported, &listed)?;
    Ok(format!("{} functions, all with a version", listed.len()))
}

fn differ(what: &str, one: &BTreeSet<String>, other: &BTreeSet<String>) -> Result {
    let odd: Vec<_> = one.symmetric_difference(other).cloned().collect();
    if odd.is_empty() { Ok(()) } else { Err(failed(format!("{what} differ in {}", odd.join(", ")))) }
}

/// The prototypes of both headers, each on one line with its semicolon.
fn prototypes() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for header in HEADERS {
        let path = repo::root()?.join("include").join(header);
        let text = fs::read_to_string(&path).context(path.display())?;
        let code = text.lines().filter(|line| !line.trim_start().starts_with(['*', '/', '#']));
        let code: String = code.collect::<Vec<_>>().join(" ");
        let pieces = code.split_inclusive([';', '{', '}']).map(str::trim);
        let ours = pieces.filter(|piece| piece.ends_with(");") && !piece.contains("typedef"));
        found.extend(ours.map(|piece| piece.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    Ok(found)
}

fn name_of(prototype: &str) -> Option<String> {
    let (front, _) = prototype.split_once('(')?;
    front.rsplit([' ', '*']).next().map(str::to_owned)
}

/// Every promised dialect takes both headers without a word.
fn dialects() -> Result<String> {
    let include = repo::root()?.join("include");
    let dialects = [
        ("gcc", "c", "c99"),
        ("gcc", "c", "c11"),
        ("gcc", "c", "c17"),
        ("g++", "c++", "c++17"),
        ("g++", "c++", "c++20"),
    ];
    for (compiler, language, standard) in dialects {
        for header in HEADERS {
            let mut cc = shell::tool(compiler)?;
            cc.args(["-x", language, &format!("-std={standard}"), "-fsyntax-only"]);
            cc.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
            shell::stdout(cc.arg(include.join(header)))?;
        }
    }
    Ok("C99, C11, C17, C++17, C++20".to_owned())
}

/// C finds every field where Rust put it, with pointers of 64 and of 32 bits, and where 64-bit
/// numbers are aligned to 8 bytes and to 4.
fn layout() -> Result<String> {
    let root = repo::root()?;
    for compiler in ["cc", "i686-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"] {
        let mut cc = shell::tool(compiler)?;
        cc.args(["-std=c11", "-ffreestanding", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        shell::stdout(cc.arg("-Wpadded").arg("-I").arg(root.join("include")).arg(root.join(LAYOUT)))?;
    }
    Ok("every field where Rust has it, no padding: x86_64, i686, armv7".to_owned())
}

/// The types and prototypes as C sees them: a library with the functions of the headers and no
/// code, so that what handles hide is not part of it.
fn describe() -> Result<PathBuf> {
    let dir = repo::scratch("capi")?;
    let root = repo::root()?;
    let mut source = String::from("#include <kdump.h>\n");
    for prototype in prototypes()? {
        let head = prototype.trim_end_matches(';');
        source.push_str(&format!("{head} {{ __builtin_trap(); }}\n"));
    }
    let (file, library, out) = (dir.join("abi.c"), dir.join("libabi.so"), dir.join("libkdump.abi"));
    fs::write(&file, source).context(file.display())?;
    let mut cc = shell::tool("cc")?;
    cc.args(["-g", "-shared", "-fPIC", "-w", "-Wl,-soname,libkdump.so.0", "-I"]).arg(root.join("include"));
    cc.arg(format!("-Wl,--version-script={}", root.join(install::MAP).display()));
    shell::stdout(cc.arg("-o").arg(&library).arg(&file))?;
    let mut abidw = shell::tool("abidw")?;
    abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file"]).arg(&out);
    shell::stdout(abidw.arg(&library))?;
    without_paths(&out)?;
    Ok(out)
}

/// Takes the places of the source files out: they are those of one machine.
fn without_paths(file: &Path) -> Result {
    let text = fs::read_to_string(file).context(file.display())?;
    let clean = text.lines().map(|line| match line.split_once(" path='") {
        Some((front, rest)) => format!("{front}{}", rest.split_once('\'').map_or("", |(_, behind)| behind)),
        None => line.to_owned(),
    });
    fs::write(file, clean.collect::<Vec<_>>().join("\n") + "\n").context(file.display())
}

fn baseline() -> Result<String> {
    let (new, old) = (describe()?, repo::root()?.join(BASELINE));
    let output = shell::capture(shell::tool("abidiff")?.arg(&old).arg(&new))?;
    if output.status.success() {
        return Ok("abidiff finds no difference".to_owned());
    }
    let report = String::from_utf8_lossy(&output.stdout);
    Err(failed(format!("{}\nif that is meant: cargo xtask abi --update", report.trim_end())))
}

/// Shows the difference and replaces the baseline.
fn update_baseline() -> Result {
    apt::ensure(NEEDS)?;
    let (new, old) = (describe()?, repo::root()?.join(BASELINE));
    if old.exists() {
        let output = shell::capture(shell::tool("abidiff")?.arg(&old).arg(&new))?;
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
    fs::copy(&new, &old).map(|_| ()).context(old.display())
}
