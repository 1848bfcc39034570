//! The direction of dependency inside a crate: what the modules of each room import.

use std::fs;
use std::path::Path;

use crate::error::{Context, Result};

/// A room and the rooms it may import from. Files beside lib.rs are the room `ground`.
type Rule = (&'static str, &'static [&'static str]);

/// The rooms of kdump-vmcore along the way of the data.
pub(super) const VMCORE: &[Rule] = &[
    ("codec", &[]),
    ("ground", &["codec"]),
    ("source", &["ground", "codec"]),
    ("dump", &["ground", "codec", "source"]),
    ("translate", &["ground", "source", "dump"]),
    ("kernel", &["ground", "source", "dump", "translate"]),
    ("filter", &["ground", "source", "dump", "translate", "kernel"]),
    ("save", &["ground", "codec", "source", "dump", "kernel", "filter"]),
    ("capture", &["ground", "source", "dump"]),
];

/// What imports against the rules in the files of a crate whose sources lie in `src`.
pub(super) fn broken(src: &Path, rules: &[Rule]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(src, "", &mut files)?;
    Ok(judge(&files, rules))
}

/// All sources below `dir` by their path from the top of the crate, with their text.
pub(super) fn collect(dir: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> Result {
    for entry in fs::read_dir(dir).context(dir.display())? {
        let entry = entry.context(dir.display())?;
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((name, fs::read_to_string(&path).context(path.display())?));
        }
    }
    files.sort();
    Ok(())
}

fn judge(files: &[(String, String)], rules: &[Rule]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| name != "lib.rs") {
        let room = room_of(name);
        let Some((_, allowed)) = rules.iter().find(|(rule, _)| *rule == room) else {
            broken.push(format!("{name}: no rule says what the room {room} may import"));
            continue;
        };
        for import in imports(text) {
            let from = owner(&import, files);
            match from {
                None => broken.push(format!("{name}: crate::{import} is the front page, not its owner")),
                Some(from) if from == room || allowed.contains(&from) => {}
                Some(from) => broken.push(format!("{name}: {room} must not import from {from} ({import})")),
            }
        }
    }
    broken
}

/// The room a file lies in.
fn room_of(name: &str) -> &str {
    name.split_once('/').map_or("ground", |(room, _)| room)
}

/// The room that a module at the top of the crate is or belongs to; `None` for anything else.
fn owner<'a>(module: &'a str, files: &[(String, String)]) -> Option<&'a str> {
    let is = |path: &str| files.iter().any(|(name, _)| name == path);
    if is(&format!("{module}.rs")) {
        return Some("ground");
    }
    is(&format!("{module}/mod.rs")).then_some(module)
}

/// The first word behind each `crate::` outside of comments, groups taken apart.
fn imports(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        // `kdump_crate::` and `$crate::` are something else.
        if before.is_some_and(|before| before.is_alphanumeric() || "_$".contains(before)) {
            continue;
        }
        let rest = code.get(at..).and_then(|rest| rest.strip_prefix("crate::")).unwrap_or_default();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group)),
            None => found.push(word(rest)),
        }
    }
    found
}

/// The first words of the members of a group, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut found) = (0_u32, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' if depth == 0 => break,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => found.push(word(&core::mem::take(&mut member))),
            c => member.push(c),
        }
    }
    found.push(word(&member));
    found.retain(|name| !name.is_empty());
    found
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::{VMCORE, judge};

    fn judged(name: &str, text: &str) -> Vec<String> {
        let others =
            ["error.rs", "lib.rs", "dump/mod.rs", "save/mod.rs", "source/mod.rs", "translate/mod.rs"];
        let mut files: Vec<(String, String)> =
            others.iter().map(|&name| (name.to_owned(), String::new())).collect();
        files.push((name.to_owned(), text.to_owned()));
        judge(&files, VMCORE)
    }

    #[test]
    fn arrows_go_one_way() {
        assert!(
            judged("save/copy.rs", "use crate::dump::Dump;\nuse crate::{error::Error, source};").is_empty()
        );
        assert!(
            judged("dump/elf.rs", "// crate::save\nuse crate::dump::Span; $crate::save; xcrate::save")
                .is_empty()
        );
        let up = judged("dump/elf.rs", "use crate::save::SavePlan;");
        assert_eq!(up, ["dump/elf.rs: dump must not import from save (save)"]);
        assert_eq!(judged("error.rs", "use crate::dump::Dump;").len(), 1);
        let group =
            judged("dump/reader.rs", "use crate::{error::{Error, Stopped},\n  translate::Radix, save};");
        assert_eq!(group.len(), 2, "{group:?}");
        assert_eq!(judged("source/file.rs", "fn f(_: crate::translate::Radix) {}").len(), 1);
    }

    #[test]
    fn the_front_page_and_rooms_without_a_rule_are_refused() {
        let front = judged("save/copy.rs", "use crate::Dump;");
        assert_eq!(front, ["save/copy.rs: crate::Dump is the front page, not its owner"]);
        assert_eq!(judged("save/copy.rs", "use crate::{Dump, Error};").len(), 2);
        assert!(judged("attic/thing.rs", "")[0].contains("no rule"));
    }
}
