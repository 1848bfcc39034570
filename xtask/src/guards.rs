//! `cargo xtask guards`: whether a crate's tests notice when one of its guards is gone.
//!
//! A guard is an `if` that leaves: it returns, or ends a loop or a turn of it, and has no `else`. In a
//! copy of the tree every guard is given a switch, so that all are compiled at once; then the tests
//! run once for each guard with this one switched off.

mod find;

use core::time::Duration;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use serde_json::Value;

use crate::args::Args;
use crate::error::{Context, Result, failed, usage};
use crate::progress::Clock;
use crate::{repo, rust, shell};

/// Crates whose guards are looked at.
const CRATES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore"];
/// The variable that names the guard that is off.
const SWITCH: &str = "KDUMP_GUARD_OFF";
/// What a test process may take, so that a loop without its guard does not take all: KiB.
const MEMORY: u64 = 8 << 20;

/// A guard of the crate.
struct Place {
    file: PathBuf,
    line: usize,
    condition: String,
}

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let name =
        args.value("--crate")?.ok_or_else(|| usage("--crate is needed, for example --crate kdump-elf"))?;
    let sample = args.number("--sample")?;
    let seed = args.number("--seed")?.unwrap_or(0);
    let only = args.value("--only")?;
    let least = args.number("--at-least")?.unwrap_or(0);
    args.finish()?;
    if !CRATES.contains(&name.as_str()) {
        return Err(usage(format!("--crate {name}: it may be {}", CRATES.join(", "))));
    }
    let tree = copy_of_the_tree()?;
    let (places, constant) = install_switches(&tree.join(&name))?;
    println!("{name}: {} guards, and {constant} in const fn, which cannot be switched", places.len());
    let tests = Tests::build(&tree, &name)?;
    let wanted = |place: &Place| only.as_ref().is_none_or(|only| place.to_string().contains(only));
    let mut chosen: Vec<usize> = (0..places.len()).filter(|&at| places.get(at).is_some_and(wanted)).collect();
    if let Some(sample) = sample {
        chosen.sort_by_key(|&at| mix(seed, at as u64));
        chosen.truncate(usize::try_from(sample).unwrap_or(usize::MAX));
        chosen.sort_unstable();
    }
    let clock = Clock::start();
    let mut missed = Vec::new();
    for (done, &at) in chosen.iter().enumerate() {
        let Some(place) = places.get(at) else { continue };
        if tests.notice(at)? {
            continue;
        }
        clock.say(&format!("{} of {}: not noticed: {place}", done.saturating_add(1), chosen.len()));
        missed.push(place.to_string());
    }
    conclude(&name, chosen.len(), &missed, least)
}

fn conclude(name: &str, tried: usize, missed: &[String], least: u64) -> Result {
    if tried == 0 {
        return Err(failed(format!("{name}: no guard was tried: --only or --sample leaves none")));
    }
    let noticed = tried.saturating_sub(missed.len()) as u64;
    let percent = noticed.saturating_mul(100).checked_div(tried as u64).unwrap_or(0);
    println!("{name}: the tests notice {noticed} of {tried} guards that are gone: {percent} %");
    missed.iter().for_each(|place| println!("  not noticed: {place}"));
    if percent < least { Err(failed(format!("{name}: {percent} %, wanted {least} %"))) } else { Ok(()) }
}

/// An order that is the same at every run with one seed (the finalizer of SplitMix64).
fn mix(seed: u64, value: u64) -> u64 {
    let mut mixed = value.wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(1);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}: if {}", self.file.display(), self.line, self.condition)
    }
}

/// What git knows of, as it is in the work tree. Only files that differ are written, so that little is
/// compiled anew.
fn copy_of_the_tree() -> Result<PathBuf> {
    let (root, tree) = (repo::root()?, repo::scratch("guards")?.join("tree"));
    let mut git = shell::tool("git")?;
    let listed =
        git.arg("-C").arg(&root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = shell::text(listed)?;
    let names: BTreeSet<&str> = listed.split('\0').filter(|name| !name.is_empty()).collect();
    for name in &names {
        let (from, to) = (root.join(name), tree.join(name));
        if let Ok(bytes) = fs::read(&from) {
            write(&to, &bytes)?;
        }
    }
    // A file that is gone must be no source and no test of the copy.
    let mut there = Vec::new();
    crate::layers::sources(&tree, &mut there)?;
    let is_gone = |path: &PathBuf| {
        let name = path.strip_prefix(&tree).ok().and_then(Path::to_str);
        !path.starts_with(tree.join("target")) && name.is_some_and(|name| !names.contains(name))
    };
    for path in there.iter().filter(|path| is_gone(path)) {
        fs::remove_file(path).context(path.display())?;
    }
    Ok(tree)
}

fn write(to: &Path, bytes: &[u8]) -> Result {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let dir = to.parent().context(to.display())?;
    fs::create_dir_all(dir).context(dir.display())?;
    fs::write(to, bytes).context(to.display())
}

/// Gives every guard of the crate at `dir` a switch; also how many could not be given one.
fn install_switches(dir: &Path) -> Result<(Vec<Place>, usize)> {
    let (src, mut files) = (dir.join("src"), Vec::new());
    crate::layers::sources(&src, &mut files)?;
    let (mut places, mut constant) = (Vec::new(), 0_usize);
    for file in files {
        let text = fs::read_to_string(&file).context(file.display())?;
        let (guards, fixed) = find::guards(&text).context(file.display())?;
        constant = constant.saturating_add(fixed);
        let (mut out, mut from) = (String::new(), 0);
        for guard in guards {
            let condition = text.get(guard.condition.clone()).context(file.display())?;
            out.push_str(text.get(from..guard.condition.start).context(file.display())?);
            let number = places.len();
            out.push_str(&if guard.binds {
                format!("crate::__guard({number}) && {condition}")
            } else {
                format!("crate::__guard({number}) && ({condition})")
            });
            from = guard.condition.end;
            let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
            let file = file.strip_prefix(&src).unwrap_or(&file).to_owned();
            places.push(Place { file, line: guard.line, condition });
        }
        out.push_str(text.get(from..).context(file.display())?);
        if file.ends_with("src/lib.rs") {
            out.push_str(SWITCHES);
        }
        write(&file, out.as_bytes())?;
    }
    Ok((places, constant))
}

/// Compiled into the crate.
const SWITCHES: &str = r#"
extern crate std as __std;
#[allow(missing_docs, unused)]
#[doc(hidden)]
pub fn __guard(number: u32) -> bool {
    static OFF: __std::sync::OnceLock<Option<u32>> = __std::sync::OnceLock::new();
    *OFF.get_or_init(|| __std::env::var("KDUMP_GUARD_OFF").ok()?.parse().ok()) != Some(number)
}
"#;

/// The test programs of a crate.
struct Tests {
    dir: PathBuf,
    programs: Vec<PathBuf>,
    limit: Duration,
}

impl Tests {
    /// Builds them, and runs them once with all guards on: all must pass.
    fn build(tree: &Path, name: &str) -> Result<Self> {
        let mut cargo = rust::cargo()?;
        cargo.args(["test", "--no-run", "--lib", "--tests", "--message-format=json", "--package", name]);
        cargo.arg("--manifest-path").arg(tree.join("Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", repo::target()?).stderr(Stdio::inherit());
        let output = shell::text(&mut cargo)?;
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let program = |message: Value| Some(PathBuf::from(message.get("executable")?.as_str()?));
        let programs: Vec<PathBuf> = messages.filter_map(program).collect();
        let mut tests = Self { dir: tree.join(name), programs, limit: Duration::from_secs(900) };
        if tests.programs.is_empty() {
            return Err(failed(format!("{name} has no tests")));
        }
        // What ends the search soonest goes first.
        let mut times = BTreeMap::new();
        let start = Instant::now();
        for program in &tests.programs {
            let own = Instant::now();
            if !tests.passes(program, None)? {
                return Err(failed(format!("{} fails with all guards on", program.display())));
            }
            times.insert(program.clone(), own.elapsed());
        }
        tests.programs.sort_by_key(|program| times.get(program).copied());
        println!("{} test programs pass in {:.1} s", tests.programs.len(), start.elapsed().as_secs_f32());
        let slowest = times.values().max().copied().unwrap_or_default();
        tests.limit = slowest.saturating_mul(4).saturating_add(Duration::from_secs(20));
        Ok(tests)
    }

    /// Whether any program fails, or does not end, without the guard `number`.
    fn notice(&self, number: usize) -> Result<bool> {
        for program in &self.programs {
            if !self.passes(program, Some(number))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn passes(&self, program: &Path, off: Option<usize>) -> Result<bool> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v $0; ulimit -c 0; exec \"$@\"", &MEMORY.to_string()]).arg(program);
        command.args(["--quiet"]).current_dir(&self.dir).stdin(Stdio::null());
        command.env("PROPTEST_CASES", "32").env("RUST_BACKTRACE", "0");
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some(number) = off {
            command.env(SWITCH, number.to_string());
        }
        let mut child = command.spawn().context(program.display())?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().context(program.display())? {
                return Ok(status.success());
            }
            if start.elapsed() > self.limit {
                child.kill().context(program.display())?;
                child.wait().context(program.display())?;
                return Ok(false);
            }
            sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CRATES, SWITCH, SWITCHES, conclude, mix};

    #[test]
    fn too_few_noticed_is_a_failure() {
        assert!(conclude("c", 10, &["a".to_owned()], 90).is_ok());
        assert!(conclude("c", 10, &["a".to_owned()], 91).is_err());
        assert!(conclude("c", 0, &[], 0).is_err(), "nothing was tried");
        assert!(SWITCHES.contains(SWITCH) && !CRATES.is_empty());
        assert_ne!(mix(0, 1) % 100, mix(1, 1) % 100);
    }
}
