//! The test programs of a crate whose guards have switches, and which of their tests come past which guard.

use core::time::Duration;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Instant;

use serde_json::Value;

use crate::error::{Context, Result, failed};
use crate::{repo, rust, shell};

/// The variable that names the guard that is off.
const OFF: &str = "KDUMP_GUARD_OFF";
/// The variable that names the directory where every test leaves the guards it comes past.
const SEEN: &str = "KDUMP_GUARDS_SEEN";
/// What a test process may take, so that a loop without its guard does not take all: KiB.
const MEMORY: u64 = 8 << 20;

/// Compiled into the crate. The test runner names each thread by its test.
pub(super) const SWITCHES: &str = r#"
extern crate std as __std;
#[allow(missing_docs, unused)]
#[doc(hidden)]
pub fn __guard(number: u32) -> bool {
    use __std::{cell::RefCell, collections::BTreeSet, env, format, fs::File, path::PathBuf, sync::OnceLock, thread};
    static OFF: OnceLock<Option<u32>> = OnceLock::new();
    static SEEN: OnceLock<Option<PathBuf>> = OnceLock::new();
    __std::thread_local! { static PASSED: RefCell<BTreeSet<u32>> = RefCell::default(); }
    if let Some(dir) = SEEN.get_or_init(|| env::var_os("KDUMP_GUARDS_SEEN").map(PathBuf::from)) {
        let passed = |set: &RefCell<BTreeSet<u32>>| set.try_borrow_mut().is_ok_and(|mut set| set.insert(number));
        if PASSED.try_with(passed).unwrap_or(true) {
            let thread = thread::current();
            let _ = File::create(dir.join(format!("{number}@{}", thread.name().unwrap_or(""))));
        }
    }
    *OFF.get_or_init(|| env::var("KDUMP_GUARD_OFF").ok()?.parse().ok()) != Some(number)
}
"#;

/// The test programs of a crate.
pub(super) struct Programs {
    dir: PathBuf,
    all: Vec<Program>,
    /// What the compiler says it read for them.
    files: String,
    limit: Duration,
}

struct Program {
    path: PathBuf,
    /// The tests that come past a guard. Nothing is known of a program that fails while it is watched.
    seen: Option<BTreeMap<usize, Seen>>,
    takes: Duration,
    /// Held while it runs: it may have files of its own.
    alone: Mutex<()>,
}

/// What comes past a guard.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// These tests.
    By(BTreeSet<String>),
    /// A thread that no test is named after.
    Whole,
}

impl Programs {
    /// Builds them, and runs them with all guards on: all must pass.
    pub(super) fn build(tree: &Path, name: &str, features: Option<&str>) -> Result<Self> {
        let mut cargo = rust::cargo()?;
        cargo.args(["test", "--no-run", "--lib", "--tests", "--message-format=json", "--package", name]);
        cargo.arg("--manifest-path").arg(tree.join("Cargo.toml"));
        if let Some(features) = features {
            cargo.args(["--no-default-features", "--features", features]);
        }
        // Not that of the tree itself: cargo would take what has switches for what has none.
        cargo.env("CARGO_TARGET_DIR", repo::scratch("guards")?.join("target")).stderr(Stdio::inherit());
        let output = shell::text(&mut cargo)?;
        let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let program = |message: Value| Some(PathBuf::from(message.get("executable")?.as_str()?));
        let paths: Vec<PathBuf> = messages.filter_map(program).collect();
        if paths.is_empty() {
            return Err(failed(format!("{name} has no tests")));
        }
        let mut files = String::new();
        for path in &paths {
            let listed = path.with_extension("d");
            files.push_str(&fs::read_to_string(&listed).context(listed.display())?);
        }
        let limit = Duration::from_secs(900);
        let mut programs = Self { dir: tree.join(name), all: Vec::new(), files, limit };
        let start = Instant::now();
        for path in paths {
            let own = Instant::now();
            let seen = programs.watch(&path)?;
            // Watching itself may be too much for it.
            if seen.is_none() && !programs.passes(&path, &[], None, programs.limit)? {
                return Err(failed(format!("{} fails with all guards on", path.display())));
            }
            let takes = own.elapsed();
            programs.all.push(Program { path, seen, takes, alone: Mutex::new(()) });
        }
        // What ends the search soonest goes first.
        programs.all.sort_by_key(|program| program.takes);
        println!("{} test programs pass in {:.1} s", programs.all.len(), start.elapsed().as_secs_f32());
        Ok(programs)
    }

    /// Runs a program and sees which of its tests come past which guard.
    fn watch(&self, path: &Path) -> Result<Option<BTreeMap<usize, Seen>>> {
        let dir = repo::scratch("guards")?.join("seen");
        if dir.exists() {
            fs::remove_dir_all(&dir).context(dir.display())?;
        }
        fs::create_dir_all(&dir).context(dir.display())?;
        if !self.passes(path, &[], Some((SEEN, &dir.display().to_string())), self.limit)? {
            return Ok(None);
        }
        let mut listing = Command::new(path);
        let listing = shell::text(listing.args(["--list", "--format", "terse"]).current_dir(&self.dir))?;
        let tests: BTreeSet<&str> = listing.lines().filter_map(|line| line.strip_suffix(": test")).collect();
        let mut left = Vec::new();
        for entry in fs::read_dir(&dir).context(dir.display())? {
            let name = entry.context(dir.display())?.file_name();
            left.push(name.into_string().map_err(|name| failed(format!("{}: {name:?}", dir.display())))?);
        }
        Ok(Some(seen(&left, &tests)))
    }

    /// Whether they are made of this file, too.
    pub(super) fn have(&self, file: &Path) -> bool {
        file.to_str().is_some_and(|file| self.files.contains(file))
    }

    /// Whether any program fails, or does not end, without the guard `number`.
    pub(super) fn notice(&self, number: usize) -> Result<bool> {
        for program in &self.all {
            let tests: Vec<&str> = match program.seen.as_ref().map(|seen| seen.get(&number)) {
                Some(None) => continue,
                Some(Some(Seen::By(tests))) => tests.iter().map(String::as_str).collect(),
                Some(Some(Seen::Whole)) | None => Vec::new(),
            };
            let _alone = program.alone.lock().unwrap_or_else(PoisonError::into_inner);
            // What ends late without a guard ends never, as a rule.
            let limit = program.takes.saturating_mul(4).saturating_add(Duration::from_secs(20));
            if !self.passes(&program.path, &tests, Some((OFF, &number.to_string())), limit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether these tests of a program pass, or all of them if none is named.
    fn passes(
        &self,
        program: &Path,
        tests: &[&str],
        variable: Option<(&str, &str)>,
        limit: Duration,
    ) -> Result<bool> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v $0; ulimit -c 0; exec \"$@\"", &MEMORY.to_string()]).arg(program);
        command.arg("--exact").args(tests).current_dir(&self.dir).stdin(Stdio::null());
        command.env("PROPTEST_CASES", "32").env("RUST_BACKTRACE", "0");
        // One for each guard that is tried at the same time.
        let said =
            format!("said-{}", variable.map_or("", |(_, value)| value).rsplit('/').next().unwrap_or(""));
        let said = repo::scratch("guards")?.join(said);
        let out = fs::File::create(&said).context(said.display())?;
        command.stdout(out).stderr(Stdio::null()).process_group(0).envs(variable);
        let mut child = command.spawn().context(program.display())?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().context(program.display())? {
                fs::remove_file(&said).context(said.display())?;
                return Ok(status.success());
            }
            // One test that fails is enough; the others may take long.
            let text = fs::read(&said).context(said.display())?;
            if start.elapsed() > limit || String::from_utf8_lossy(&text).contains("... FAILED\n") {
                child.kill().context(program.display())?;
                child.wait().context(program.display())?;
                fs::remove_file(&said).context(said.display())?;
                return Ok(false);
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Reads names like `12@module::test`.
fn seen(left: &[String], tests: &BTreeSet<&str>) -> BTreeMap<usize, Seen> {
    let mut seen = BTreeMap::new();
    for (number, thread) in left.iter().filter_map(|name| name.split_once('@')) {
        let Ok(number) = number.parse() else { continue };
        let by = seen.entry(number).or_insert_with(|| Seen::By(BTreeSet::new()));
        match by {
            Seen::By(names) if tests.contains(thread) => {
                names.insert(thread.to_owned());
            }
            _ => *by = Seen::Whole,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{OFF, SEEN, SWITCHES, Seen, seen};

    #[test]
    fn only_tests_that_come_past_a_guard_are_run_without_it() {
        assert!(SWITCHES.contains(&format!("{OFF:?}")) && SWITCHES.contains(&format!("{SEEN:?}")));
        let left = ["1@a::b", "1@c", "2@c", "3@c", "3@", "4@main", "x@c"].map(str::to_owned);
        let seen = seen(&left, &BTreeSet::from(["a::b", "c", "d"]));
        let by = |names: &[&str]| Some(Seen::By(names.iter().map(|&name| name.to_owned()).collect()));
        assert_eq!(seen.get(&1), by(&["a::b", "c"]).as_ref());
        assert_eq!(seen.get(&2), by(&["c"]).as_ref());
        assert_eq!((seen.get(&3), seen.get(&4)), (Some(&Seen::Whole), Some(&Seen::Whole)));
        assert_eq!((seen.get(&5), seen.len()), (None, 4));
    }
}
