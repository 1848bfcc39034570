//! `cargo xtask install`: the C library as distributions ship it.
//!
//! The shared library is linked from the static one by the C compiler: only so do its symbols
//! get versions with every linker, because rustc brings a version script of its own.

mod manual;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, usage};
use crate::{repo, rust, shell};

/// Fixed: incompatible functions get new names, so no release needs another one.
const SONAME: &str = "libkdump.so.0";
/// The functions of each version.
pub(crate) const MAP: &str = "kdump-ffi/libkdump.map";
/// Where the core library runs: no operating system, no vector registers.
pub(crate) const CORE_TARGET: &str = "x86_64-unknown-none";

/// How the code of the full library is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As it is shipped: optimised as a whole, which takes minutes.
    Shipped,
    /// As what the guests run, most of which is compiled for the other steps anyway.
    Lab,
}

impl Profile {
    /// Its name in Cargo.toml, and of its directory below the target directory.
    fn name(self) -> &'static str {
        match self {
            Self::Shipped => "release",
            Self::Lab => "lab",
        }
    }
}

/// Where things go below `--prefix`.
#[derive(Debug)]
pub(crate) struct Places {
    prefix: PathBuf,
    destdir: PathBuf,
}

impl Places {
    pub(crate) fn new(prefix: &Path, destdir: &Path) -> Self {
        Self { prefix: prefix.to_owned(), destdir: destdir.to_owned() }
    }

    /// Where the files of `dir` are written: below `--destdir`.
    pub(crate) fn dir(&self, dir: &str) -> PathBuf {
        let prefix = self.prefix.strip_prefix("/").unwrap_or(&self.prefix);
        if self.destdir.as_os_str().is_empty() {
            self.prefix.join(dir)
        } else {
            self.destdir.join(prefix).join(dir)
        }
    }
}

/// `cargo xtask install --prefix P [--destdir D]`
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let prefix = args.value("--prefix")?;
    let destdir = args.value("--destdir")?.unwrap_or_default();
    args.finish()?;
    let prefix = prefix.ok_or_else(|| usage("--prefix is needed, for example --prefix /usr/local"))?;
    let prefix = std::path::absolute(&prefix).context(&prefix)?;
    install(&Places::new(&prefix, Path::new(&destdir)), Profile::Shipped)
}

/// Installs below the target directory, where nothing of an earlier run is left.
pub(crate) fn afresh(profile: Profile) -> Result<Places> {
    let prefix = repo::scratch("capi")?.join("prefix");
    if prefix.exists() {
        fs::remove_dir_all(&prefix).context(prefix.display())?;
    }
    let places = Places::new(&prefix, Path::new(""));
    install(&places, profile)?;
    Ok(places)
}

/// Builds everything and puts it in place.
pub(crate) fn install(places: &Places, profile: Profile) -> Result {
    let root = repo::root()?;
    let built = build_static(profile)?;
    let (lib, include) = (places.dir("lib"), places.dir("include"));
    for dir in [&lib, &include, &lib.join("pkgconfig")] {
        fs::create_dir_all(dir).context(dir.display())?;
    }
    let file = format!("{SONAME}.{}", version().split_once('.').map_or("", |(_, rest)| rest));
    link_shared(&built, &lib.join(&file))?;
    for (name, target) in [(SONAME, file.as_str()), ("libkdump.so", SONAME)] {
        let link = lib.join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).context(link.display())?;
        }
        symlink(target, &link).context(link.display())?;
    }
    pack_static(&built.archive, &functions()?, &lib.join("libkdump.a"))?;
    pack_static(&build_core()?, &core_functions()?, &lib.join("libkdump-core.a"))?;
    for header in ["kdump.h", "kdump-core.h"] {
        copy(&root.join("include").join(header), &include.join(header))?;
    }
    let pc = lib.join("pkgconfig/libkdump.pc");
    fs::write(&pc, pkg_config(places, &private_libs(&built.native_libs))).context(pc.display())?;
    man_pages(&root.join("man"), places)?;
    manual::write(&places.dir("share/man/man3"))?;
    println!("installed libkdump {} below {}", version(), places.dir("").display());
    Ok(())
}

/// The version all crates share.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The static library as rustc makes it.
struct Built {
    archive: PathBuf,
    /// What it must be linked with, for example `-lgcc_s -lc`.
    native_libs: String,
}

fn build_static(profile: Profile) -> Result<Built> {
    let target = repo::target()?;
    let listing = repo::scratch("capi")?.join("native-static-libs");
    let mut cargo = rust::cargo()?;
    cargo.args(["rustc", "--quiet", "--profile", profile.name()]);
    cargo.args(["--package", "kdump-ffi", "--lib", "--features", "quiet"]);
    cargo.args(["--crate-type", "staticlib", "--target-dir"]).arg(&target);
    cargo.arg("--").arg(format!("--print=native-static-libs={}", listing.display()));
    shell::stdout(&mut cargo)?;
    let native_libs = fs::read_to_string(&listing).context(listing.display())?.trim().to_owned();
    Ok(Built { archive: target.join(profile.name()).join("libkdump_ffi.a"), native_libs })
}

/// The shared library with debug information, not optimised and not as it is installed. Most of it is
/// what the tests are linked with.
pub(crate) fn with_debug_information(to: &Path) -> Result {
    let (target, listing) = (repo::target()?, repo::scratch("capi")?.join("native-debug-libs"));
    let mut cargo = rust::cargo()?;
    cargo.args(["rustc", "--quiet", "--package", "kdump-ffi", "--lib", "--crate-type", "staticlib"]);
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "full").arg("--target-dir").arg(&target);
    // Nothing of it runs.
    cargo.args(
        ["kdump-elf", "kdump-vmcore"].map(|name| format!("--config=profile.dev.package.{name}.opt-level=0")),
    );
    cargo.arg("--").arg(format!("--print=native-static-libs={}", listing.display()));
    shell::stdout(&mut cargo)?;
    let native_libs = fs::read_to_string(&listing).context(listing.display())?.trim().to_owned();
    link_shared(&Built { archive: target.join("debug/libkdump_ffi.a"), native_libs }, to)
}

/// `libkdump-core.a`, which needs nothing but memcpy and its like.
pub(crate) fn build_core() -> Result<PathBuf> {
    rust::ensure_targets(&[CORE_TARGET])?;
    let target = repo::target()?;
    let mut cargo = rust::cargo()?;
    cargo.args(["rustc", "--quiet", "--release", "--package", "kdump-ffi-core", "--lib"]);
    cargo.args(["--crate-type", "staticlib", "--features", "freestanding", "--target", CORE_TARGET]);
    shell::stdout(cargo.arg("--target-dir").arg(&target))?;
    Ok(target.join(CORE_TARGET).join("release/libkdump_ffi_core.a"))
}

fn link_shared(built: &Built, to: &Path) -> Result {
    let map = repo::root()?.join(MAP);
    let mut cc = shell::tool("cc")?;
    cc.arg("-shared").arg("-o").arg(to).arg(format!("-Wl,-soname,{SONAME}"));
    cc.arg(format!("-Wl,--version-script={}", map.display()));
    // A program that exports thousands of names must not interpose ours.
    cc.args(["-Wl,-Bsymbolic-functions", "-Wl,--gc-sections", "-Wl,-z,relro,-z,now,-z,defs"]);
    cc.arg("-Wl,--whole-archive").arg(&built.archive).arg("-Wl,--no-whole-archive");
    shell::stdout(cc.args(built.native_libs.split_whitespace())).map(|_| ())
}

/// One object in which only `names` are global: a program may link several static libraries made
/// by rustc, each with its own copy of the standard library.
fn pack_static(archive: &Path, names: &[String], to: &Path) -> Result {
    let scratch = repo::scratch("capi")?;
    let (object, keep) = (scratch.join("kdump.o"), scratch.join("keep"));
    fs::write(&keep, names.join("\n")).context(keep.display())?;
    let mut ld = shell::tool("ld")?;
    ld.args(["-r", "--gc-sections", "-o"]).arg(&object);
    shell::stdout(ld.args(names.iter().map(|name| format!("--undefined={name}"))).arg(archive))?;
    let mut objcopy = shell::tool("objcopy")?;
    objcopy.arg(format!("--keep-global-symbols={}", keep.display()));
    // Bitcode for link-time optimisation by rustc; it confuses the tools of others.
    objcopy.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    shell::stdout(objcopy.arg(&object))?;
    if to.exists() {
        fs::remove_file(to).context(to.display())?;
    }
    shell::stdout(shell::tool("ar")?.arg("rcsD").arg(to).arg(&object)).map(|_| ())
}

/// The functions the version script lists, in order.
pub(crate) fn functions() -> Result<Vec<String>> {
    let path = repo::root()?.join(MAP);
    let text = fs::read_to_string(&path).context(path.display())?;
    let lines = text.lines().filter_map(|line| line.trim().strip_suffix(';'));
    Ok(lines.filter(|name| name.starts_with("libkdump_")).map(str::to_owned).collect())
}

/// The version in which each function appeared: that of its node in the version script.
pub(crate) fn since() -> Result<BTreeMap<String, String>> {
    let path = repo::root()?.join(MAP);
    let text = fs::read_to_string(&path).context(path.display())?;
    let (mut found, mut version) = (BTreeMap::new(), "");
    for line in text.lines().map(str::trim) {
        if let Some(node) = line.strip_prefix("LIBKDUMP_").and_then(|rest| rest.strip_suffix(" {")) {
            version = node;
        } else if let Some(name) = line.strip_suffix(';').filter(|name| name.starts_with("libkdump_")) {
            found.insert(name.to_owned(), version.to_owned());
        }
    }
    Ok(found)
}

/// Those of them that kdump-core.h declares.
pub(crate) fn core_functions() -> Result<Vec<String>> {
    let path = repo::root()?.join("include/kdump-core.h");
    let text = fs::read_to_string(&path).context(path.display())?;
    let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('*')).collect();
    let declared = |name: &String| code.iter().any(|line| line.contains(&format!("{name}(")));
    Ok(functions()?.into_iter().filter(declared).collect())
}

/// What the archive must be linked with. The unwinder of the compiler comes as a shared library of
/// its own or, for programs without any, in two archives that every compiler has.
fn private_libs(native_libs: &str) -> String {
    let libs = native_libs.split_whitespace();
    libs.map(|lib| if lib == "-lgcc_s" { "-lgcc_eh -lgcc" } else { lib }).collect::<Vec<_>>().join(" ")
}

fn pkg_config(places: &Places, native_libs: &str) -> String {
    format!(
        "prefix={}\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
         Name: libkdump\nDescription: Load capture kernels and read the memory of crashed ones\n\
         URL: https://github.com/libkdump/libkdump\nVersion: {}\n\
         Cflags: -I${{includedir}}\nLibs: -L${{libdir}} -lkdump\nLibs.private: {native_libs}\n",
        places.prefix.display(),
        version(),
    )
}

/// Pages are named NAME.SECTION.
fn man_pages(from: &Path, places: &Places) -> Result {
    for entry in fs::read_dir(from).context(from.display())? {
        let path = entry.context(from.display())?.path();
        let Some(section) = path.extension().and_then(|end| end.to_str()) else { continue };
        let dir = places.dir(&format!("share/man/man{section}"));
        fs::create_dir_all(&dir).context(dir.display())?;
        copy(&path, &dir.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(|_| ()).context(format!("{} to {}", from.display(), to.display()))
}

/// A command for an installed thing: finds the library below `places`.
pub(crate) fn with_library(mut command: Command, places: &Places) -> Command {
    command.env("LD_LIBRARY_PATH", places.dir("lib"));
    command.env("PKG_CONFIG_PATH", places.dir("lib/pkgconfig"));
    command
}
