//! `cargo xtask guards`: whether a crate's tests notice when one of its guards is gone.
//!
//! A guard is an `if` that leaves: it returns, or ends a loop or a turn of it, and has no `else`. In a
//! copy of the tree every guard is given a switch, so that all are compiled at once; then the tests
//! run once for each guard with this one switched off: those that come past it. What no test can tell
//! stands in `xtask/guards-accepted.txt`, each with its reason, and is counted apart.

mod find;
mod programs;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use programs::{Programs, SWITCHES};

use crate::args::Args;
use crate::error::{Context, Result, failed, usage};
use crate::progress::Clock;
use crate::{repo, shell};

/// One guard a line: the file and the condition, without the line it stands in.
const ACCEPTED: &str = "xtask/guards-accepted.txt";
/// Crates whose guards are looked at.
const CRATES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore"];

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
    let features = args.value("--features")?;
    let jobs = args.number("--jobs")?.unwrap_or(2);
    args.finish()?;
    if !CRATES.contains(&name.as_str()) {
        return Err(usage(format!("--crate {name}: it may be {}", CRATES.join(", "))));
    }
    let (root, sources) = (repo::root()?, Path::new(&name).join("src"));
    let tree = copy_of_the_tree(&root, &sources)?;
    let (places, constant) = install_switches(&root.join(&sources), &tree.join(&sources))?;
    println!("{name}: {} guards, and {constant} in const fn, which cannot be switched", places.len());
    let programs = Programs::build(&tree, &name, features.as_deref())?;
    let wanted = |place: &Place| {
        let place = place.to_string();
        only.as_ref().is_none_or(|only| only.split(',').any(|part| place.contains(part)))
    };
    let mut chosen: Vec<usize> = (0..places.len()).filter(|&at| places.get(at).is_some_and(wanted)).collect();
    let wanted = chosen.len();
    chosen.retain(|&at| places.get(at).is_some_and(|place| programs.have(&sources.join(&place.file))));
    if chosen.len() < wanted {
        let others = wanted.saturating_sub(chosen.len());
        println!("{others} of {wanted} are in files that belong to other features: --features LIST");
    }
    if let Some(sample) = sample {
        chosen.sort_by_key(|&at| mix(seed, at as u64));
        chosen.truncate(usize::try_from(sample).unwrap_or(usize::MAX));
        chosen.sort_unstable();
    }
    let path = root.join(ACCEPTED);
    let accepted = list(&fs::read_to_string(&path).context(path.display())?);
    let chosen: Vec<(usize, &Place)> = chosen.iter().filter_map(|&at| Some((at, places.get(at)?))).collect();
    let known = |place: &Place| accepted.contains(&place.without_line(&sources));
    try_all(&chosen, jobs, known, |at| programs.notice(at))?.conclude(&name, least)
}

/// Tries them, so many at a time, and tells of each that goes unnoticed when it is known to.
fn try_all(
    chosen: &[(usize, &Place)],
    jobs: u64,
    known: impl Fn(&Place) -> bool + Sync,
    notice: impl Fn(usize) -> Result<bool> + Sync,
) -> Result<Count> {
    let clock = Clock::start();
    let (next, count) = (AtomicUsize::new(0), Mutex::new(Ok(Count::default())));
    let work = || {
        while let Some((number, place)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let noticed = notice(*number);
            let mut all = count.lock().unwrap_or_else(PoisonError::into_inner);
            let word = match (noticed, &mut *all) {
                (Ok(noticed), Ok(count)) => count.add(place, noticed, known(place)),
                (Err(error), all) => {
                    *all = Err(error);
                    return;
                }
                // Another one failed.
                (_, Err(_)) => return,
            };
            if let (Some(word), Ok(count)) = (word, &*all) {
                clock.say(&format!("{} of {}: {word}: {place}", count.tried(), chosen.len()));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
    count.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What became of the guards that were tried.
#[derive(Debug, Default)]
struct Count {
    noticed: u64,
    /// Those that the list has, and that no test noticed.
    accepted: u64,
    missed: Vec<String>,
    /// Those that the list has, and that a test noticed.
    stale: Vec<String>,
}

impl Count {
    /// Counts a guard; the word for what is worth a line.
    fn add(&mut self, place: &Place, noticed: bool, known: bool) -> Option<&'static str> {
        match (noticed, known) {
            (true, _) => self.noticed = self.noticed.saturating_add(1),
            (false, true) => self.accepted = self.accepted.saturating_add(1),
            (false, false) => self.missed.push(place.to_string()),
        }
        if noticed && known {
            self.stale.push(place.to_string());
        }
        (!noticed).then_some(if known { "accepted" } else { "not noticed" })
    }

    fn tried(&self) -> u64 {
        self.noticed.saturating_add(self.accepted).saturating_add(self.missed.len() as u64)
    }

    /// Accepted guards are not noticed ones: they lower the percentage like all others.
    fn conclude(&self, name: &str, least: u64) -> Result {
        let (known, tried) = (self.noticed.saturating_add(self.accepted), self.tried());
        let percent = |part: u64| part.saturating_mul(100).checked_div(tried);
        let Some((noticed, known)) = percent(self.noticed).zip(percent(known)) else {
            return Err(failed(format!("{name}: no guard was tried: --only or --sample leaves none")));
        };
        println!("{name}: the tests notice {} of {tried} guards that are gone: {noticed} %", self.noticed);
        println!("  {} more are in {ACCEPTED}: {known} % with them", self.accepted);
        self.stale.iter().for_each(|place| println!("  accepted, and noticed: {place}"));
        self.missed.iter().for_each(|place| println!("  not noticed: {place}"));
        if noticed < least {
            return Err(failed(format!("{name}: {noticed} %, wanted {least} %")));
        }
        Ok(())
    }
}

/// The lines that are no comments.
fn list(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
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

impl Place {
    /// As the list of accepted guards has it. `sources` is the directory of the crate's.
    fn without_line(&self, sources: &Path) -> String {
        format!("{}: if {}", sources.join(&self.file).display(), self.condition)
    }
}

/// What git knows of, as it is in the work tree, but the sources that get switches. Only files that
/// differ are written, so that little is compiled anew.
fn copy_of_the_tree(root: &Path, switched: &Path) -> Result<PathBuf> {
    let tree = repo::scratch("guards")?.join("tree");
    let mut git = shell::tool("git")?;
    let listed =
        git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = shell::text(listed)?;
    let names: BTreeSet<&str> = listed.split('\0').filter(|name| !name.is_empty()).collect();
    let gets_switches = |name: &str| Path::new(name).starts_with(switched) && name.ends_with(".rs");
    for name in names.iter().filter(|name| !gets_switches(name)) {
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

/// Copies the sources in `src` and gives every guard a switch; also how many could not be given one.
fn install_switches(src: &Path, copy: &Path) -> Result<(Vec<Place>, usize)> {
    let mut files = Vec::new();
    crate::layers::sources(src, &mut files)?;
    let (mut places, mut constant) = (Vec::new(), 0_usize);
    for file in files {
        let text = fs::read_to_string(&file).context(file.display())?;
        let (guards, fixed) = find::guards(&text).context(file.display())?;
        constant = constant.saturating_add(fixed);
        let name = file.strip_prefix(src).context(file.display())?;
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
            places.push(Place { file: name.to_owned(), line: guard.line, condition });
        }
        out.push_str(text.get(from..).context(file.display())?);
        if name == Path::new("lib.rs") {
            out.push_str(SWITCHES);
        }
        write(&copy.join(name), out.as_bytes())?;
    }
    Ok((places, constant))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{CRATES, Count, Place, list, mix, try_all};
    use crate::error::failed;

    #[test]
    fn too_few_noticed_is_a_failure() {
        let place = Place { file: PathBuf::from("a.rs"), line: 3, condition: "b > 1".to_owned() };
        let mut count = Count::default();
        (0..9).for_each(|_| assert_eq!(count.add(&place, true, false), None));
        assert_eq!(count.add(&place, false, false), Some("not noticed"));
        assert!(count.conclude("c", 90).is_ok() && count.conclude("c", 91).is_err());
        assert!(Count::default().conclude("c", 0).is_err(), "nothing was tried");
        assert!(!CRATES.is_empty());
        assert_ne!(mix(0, 1) % 100, mix(1, 1) % 100);
    }

    #[test]
    fn accepted_guards_are_told_apart_and_are_not_noticed_ones() {
        let accepted = list("# why\nc/src/a.rs: if b > 1\n\n");
        let place = Place { file: PathBuf::from("a.rs"), line: 3, condition: "b > 1".to_owned() };
        assert!(accepted.contains(&place.without_line(Path::new("c/src"))));
        let mut count = Count::default();
        assert_eq!(count.add(&place, false, true), Some("accepted"));
        assert_eq!(count.add(&place, true, true), None);
        assert_eq!((count.missed.len(), count.stale.len()), (0, 1));
        assert!(count.conclude("c", 50).is_ok() && count.conclude("c", 51).is_err());
    }

    #[test]
    fn all_are_tried_by_any_number_of_jobs_and_a_failure_is_told() {
        let place = Place { file: PathBuf::from("a.rs"), line: 3, condition: "b > 1".to_owned() };
        let all: Vec<_> = (0..50).map(|number| (number, &place)).collect();
        for jobs in [0, 1, 2, 5] {
            let count = try_all(&all, jobs, |_| false, |number| Ok(number % 5 != 0)).unwrap();
            assert_eq!((count.noticed, count.missed.len()), (40, 10), "{jobs}");
            let fails = |number| if number == 30 { Err(failed("no program")) } else { Ok(true) };
            assert!(try_all(&all, jobs, |_| false, fails).is_err(), "{jobs}");
        }
    }
}
