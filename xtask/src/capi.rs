//! `cargo xtask capi`: the C library as its users meet it: installed, found by pkg-config, used
//! by the examples, under valgrind and AddressSanitizer.

mod machines;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Need;
use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::install::{self, Places, Profile};
use crate::progress::{self, Row};
use crate::{abi, apt, crash, header, repo, shell};

const NEEDS: &[Need] = &[
    Need { what: "cc", package: "gcc" },
    Need { what: "make", package: "make" },
    Need { what: "pkg-config", package: "pkg-config" },
    Need { what: "valgrind", package: "valgrind" },
    Need { what: "mandoc", package: "mandoc" },
    Need { what: "python3", package: "python3" },
];
/// Everything the command needs.
pub(crate) fn needs() -> Vec<Need> {
    [NEEDS, machines::NEEDS].concat()
}

/// The machine the plan example plans for.
const MACHINE: &str = "kdump-segments/tests/machines/bios-512m";
/// How valgrind says that it found something.
const VALGRIND_FOUND: i32 = 99;

/// `cargo xtask capi [--dump FILE] [--shipped]`: with `--shipped` the library is optimised as it is when it is
/// installed.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let profile = if args.flag("--shipped") { Profile::Shipped } else { Profile::Lab };
    args.finish()?;
    apt::ensure(&needs())?;
    let dir = repo::scratch("capi")?;
    let places = install::afresh(profile)?;
    let lab = Lab { places, kernel: kernel()?, dump, dir };
    let mut rows =
        vec![Row::of("header", header::run(&["--check".to_owned()]).map(|()| "as made".to_owned()))];
    rows.extend(abi::rows(&lab.places)?);
    rows.push(Row::of("manual", lab.manual()));
    rows.push(Row::of("examples", lab.examples("plain", "-O2 -g", "", &[])));
    // std keeps the handle of a thread by a pointer to its middle: "possibly lost", and told, but no failure.
    let valgrind = [
        "valgrind",
        "-q",
        "--error-exitcode=99",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect",
    ];
    rows.push(Row::of("valgrind", lab.examples("valgrind", "-O1 -g", "", &valgrind)));
    rows.push(Row::of("ASan", lab.address_sanitizer()));
    rows.push(Row::of("static", lab.linked_statically()));
    rows.push(Row::of("machines", lab.machines()));
    rows.push(Row::of("python", lab.python()));
    rows.push(Row::of("JSON", lab.same_json()));
    progress::close("C interface", &rows)
}

/// Where the examples are built and what they work on.
struct Lab {
    places: Places,
    kernel: PathBuf,
    /// A real dump, besides the one core-writer makes.
    dump: Option<PathBuf>,
    dir: PathBuf,
}

impl Lab {
    /// Builds all examples in one way and runs each.
    fn examples(&self, name: &str, cflags: &str, ldflags: &str, wrapper: &[&str]) -> Result<String> {
        let out = self.make(name, cflags, ldflags)?;
        let guest = self.dir.join("guest.elf");
        let saved = self.dir.join("saved.elf");
        let machine = repo::root()?.join(MACHINE);
        let text = |path: &Path| path.display().to_string();
        let mut runs = vec![
            (vec!["core-writer".to_owned(), text(&guest)], vec![0]),
            (strings(&["load", "--status"]), vec![0, 1]),
            (strings(&["load", "--kernel", "/nonexistent"]), vec![1]),
            (strings(&["plan", "--root", &text(&machine), "--kernel", &text(&self.kernel)]), vec![0]),
            (
                strings(&["plan", "--json", "--root", &text(&machine), "--kernel", &text(&self.kernel)]),
                vec![0],
            ),
        ];
        for dump in [Some(&guest), self.dump.as_ref()].into_iter().flatten() {
            let dump = text(dump);
            runs.push((strings(&["info", &dump]), vec![0]));
            runs.push((strings(&["read", &dump, "phys", "0x100000", "8192"]), vec![0]));
            runs.push((strings(&["read", &dump, "phys", "0xfffffffffff000", "16"]), vec![1]));
            runs.push((strings(&["save", &dump, &text(&saved)]), vec![0]));
            runs.push((strings(&["classes", &dump, &text(&saved)]), vec![0]));
            runs.push((strings(&["info", &text(&saved)]), vec![0]));
            runs.push((strings(&["integrate", &dump, &text(&machine), &text(&self.kernel)]), vec![0]));
        }
        for (words, expected) in &runs {
            self.run(&out, words, expected, wrapper)?;
        }
        Ok(format!("{} runs", runs.len()))
    }

    /// `make -C examples/c`, as a user types it.
    fn make(&self, name: &str, cflags: &str, ldflags: &str) -> Result<PathBuf> {
        let out = self.dir.join(name);
        std::fs::create_dir_all(&out).context(out.display())?;
        let mut make = install::with_library(shell::tool("make")?, &self.places);
        make.args(["-s", "-B", "-C"]).arg(repo::root()?.join("examples/c"));
        make.arg(format!("OUT={}", out.display()));
        make.arg(format!("CFLAGS={cflags}")).arg(format!("LDFLAGS={ldflags}"));
        shell::stdout(&mut make)?;
        Ok(out)
    }

    fn run(&self, out: &Path, words: &[String], expected: &[i32], wrapper: &[&str]) -> Result {
        let (program, args) = words.split_first().context("a run has a program")?;
        let program = out.join(program).into_os_string();
        let mut line: Vec<_> = wrapper.iter().map(std::ffi::OsString::from).collect();
        line.push(program);
        let (first, rest) = line.split_first().context("a run has a program")?;
        let mut command = install::with_library(Command::new(first), &self.places);
        let output = shell::capture(command.args(rest).args(args))?;
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(VALGRIND_FOUND) if !wrapper.is_empty() => {}
            Some(code) if expected.contains(&code) => return Ok(()),
            _ => {}
        }
        Err(failed(format!("{}: {}\n{said}", words.join(" "), output.status)))
    }

    /// The examples again, after a program with a known overflow was caught.
    fn address_sanitizer(&self) -> Result<String> {
        let program = self.dir.join("asan-proof");
        let mut cc = shell::tool("cc")?;
        cc.args(["-g", "-fsanitize=address", "-I"]).arg(self.places.dir("include"));
        cc.arg("-o").arg(&program).arg(repo::root()?.join("kdump-ffi/abi/asan-proof.c"));
        shell::stdout(cc.arg("-L").arg(self.places.dir("lib")).arg("-lkdump"))?;
        let mut command = install::with_library(Command::new(&program), &self.places);
        let output = shell::capture(command.arg(self.dir.join("guest.elf")))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !said.contains("heap-buffer-overflow") {
            return Err(failed("the sanitizer did not catch an overflow in a read through the library"));
        }
        let flags = "-fsanitize=address,undefined";
        let runs = self.examples("asan", &format!("-O1 -g {flags}"), flags, &[])?;
        let symbols = shell::text(shell::tool("nm")?.arg(self.dir.join("asan/info")))?;
        if !symbols.contains("__asan_init") {
            return Err(failed("the examples were linked without the sanitizer"));
        }
        Ok(format!("{runs}; a known overflow is caught"))
    }

    /// A program with nothing shared, linked with exactly what `pkg-config --static` says.
    fn linked_statically(&self) -> Result<String> {
        let flags = self.static_flags()?;
        let program = self.dir.join("info-static");
        let mut cc = shell::tool("cc")?;
        cc.arg("-static").arg("-o").arg(&program).arg(repo::root()?.join("examples/c/info.c"));
        shell::stdout(cc.args(flags.split_whitespace()))?;
        shell::stdout(Command::new(&program).arg(self.dir.join("guest.elf")))?;
        let shared = shell::text(shell::tool("readelf")?.arg("-d").arg(&program))?;
        if shared.contains("NEEDED") {
            return Err(failed("a program linked with -static needs shared libraries"));
        }
        Ok("cc -static with what pkg-config --static says".to_owned())
    }

    fn static_flags(&self) -> Result<String> {
        let mut pkg_config = install::with_library(shell::tool("pkg-config")?, &self.places);
        shell::text(pkg_config.args(["--static", "--cflags", "--libs", "libkdump"]))
    }

    fn machines(&self) -> Result<String> {
        let installed = self.static_flags()?;
        machines::check(&self.dir.join("guest.elf"), &self.kernel, &installed, &self.dir)
    }

    fn python(&self) -> Result<String> {
        let script = repo::root()?.join("examples/python/read.py");
        let mut python = install::with_library(shell::tool("python3")?, &self.places);
        let guest = self.dir.join("guest.elf");
        let bytes = shell::stdout(python.arg(script).arg(&guest).args(["0x100000", "4096"]))?;
        let info = self.dir.join("plain/read");
        let mut read = install::with_library(Command::new(info), &self.places);
        let same = shell::stdout(read.arg(&guest).args(["phys", "0x100000", "4096"]))?;
        if bytes.len() == 4096 && bytes == same {
            Ok("reads the same bytes".to_owned())
        } else {
            Err(failed("read.py and read.c give different bytes"))
        }
    }

    /// The plan example and the command-line tool say the same.
    fn same_json(&self) -> Result<String> {
        let machine = repo::root()?.join(MACHINE);
        let plan = |mut command: Command| -> Result<serde_json::Value> {
            command.arg("--json").arg("--root").arg(&machine).arg("--kernel").arg(&self.kernel);
            let text = shell::stdout(command.args(["--append", "console=ttyS0 quiet"]))?;
            serde_json::from_slice(&text).context("plan --json")
        };
        let mut tool = Command::new(crash::programs::build()?.kdump);
        tool.args(["plan", "--no-rng-seed"]);
        let example = install::with_library(Command::new(self.dir.join("plain/plan")), &self.places);
        let (tool, example) = (plan(tool)?, plan(example)?);
        if tool == example {
            return Ok("the example plans what the tool plans".to_owned());
        }
        let fields = tool.as_object().into_iter().flatten();
        let odd: Vec<_> = fields.filter(|(name, value)| example.get(name) != Some(value)).collect();
        Err(failed(format!("kdump plan and examples/c/plan differ: {odd:?}")))
    }

    /// The manual pages, by a linter that knows their language.
    fn manual(&self) -> Result<String> {
        let mut pages = Vec::new();
        for section in ["share/man/man3", "share/man/man8"] {
            let dir = self.places.dir(section);
            for entry in std::fs::read_dir(&dir).context(dir.display())? {
                pages.push(entry.context(dir.display())?.path());
            }
        }
        // Pages that only include another one have no prologue of their own.
        pages.retain(|page| std::fs::metadata(page).is_ok_and(|file| file.len() > 100));
        let mut mandoc = shell::tool("mandoc")?;
        let output = shell::capture(mandoc.args(["-T", "lint", "-W", "style"]).args(&pages))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // Whether a page that is referred to is installed is no property of ours.
        let known = ["referenced manual not found", "outdated mandoc.db"];
        let bad: Vec<_> = said.lines().filter(|line| !known.iter().any(|text| line.contains(text))).collect();
        if bad.is_empty() { Ok(format!("{} pages", pages.len())) } else { Err(failed(bad.join("\n"))) }
    }
}

/// A kernel image to plan with: one that an earlier run fetched, or Debian's.
fn kernel() -> Result<PathBuf> {
    let shelf = repo::scratch("kernels")?;
    if let Some(image) = image_below(&shelf)? {
        return Ok(image);
    }
    let package = apt::resolve("linux-image-amd64", "linux-image-")?;
    let dir = shelf.join(&package);
    std::fs::create_dir_all(&dir).context(dir.display())?;
    apt::unpack(&package, &dir)?;
    image_below(&shelf)?.context(format!("{package} has no boot/vmlinuz"))
}

fn image_below(shelf: &Path) -> Result<Option<PathBuf>> {
    for package in std::fs::read_dir(shelf).context(shelf.display())? {
        let boot = package.context(shelf.display())?.path().join("boot");
        let Ok(files) = std::fs::read_dir(&boot) else { continue };
        let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
        // Kernels of other machines stand on the same shelf.
        let is_image = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("vmlinuz") && name.ends_with("-amd64")
        };
        if let Some(image) = paths.find(is_image) {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
