//! Circles inside a crate: modules of one folder that need each other.
//!
//! A folder is its files and what lies below them. What a file says of its own folder's `mod.rs`, or that of its
//! files, makes no circle: both are one module. Two files or folders side by side that need each other,
//! however long the way round, are one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::imports::collect;
use crate::error::Result;

/// An arrow that is not counted: the folder, from whom, to whom (`*` is everybody), and why it stays.
pub(super) type Accepted = (&'static str, &'static str, &'static str, &'static str);

/// What a name stands behind where it is defined.
const ITEMS: [&str; 7] = ["struct", "enum", "fn", "trait", "static", "type", "const"];

/// Modules by their path: `["dump", "kdump"]`, and `[]` for lib.rs.
type Modules = BTreeMap<Vec<String>, Module>;

#[derive(Default)]
struct Module {
    /// Names that `use` brings in, and the paths they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// The modules of which it brings in everything.
    globs: Vec<Vec<String>>,
    /// What stands here.
    items: BTreeSet<String>,
    /// Every path that is written, imports included.
    paths: Vec<Vec<String>>,
}

/// The circles in the crate whose sources lie in `src` that are not among the accepted ones.
pub(super) fn broken(src: &Path, accepted: &[Accepted]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(src, "", &mut files)?;
    Ok(judge(&files, accepted))
}

fn judge(files: &[(String, String)], accepted: &[Accepted]) -> Vec<String> {
    let modules: Modules = files
        .iter()
        .filter(|(name, _)| !name.ends_with("tests.rs"))
        .map(|(name, text)| (path_of(name), read(&path_of(name), text)))
        .collect();
    let mut broken = Vec::new();
    let mut folders = folders(&modules);
    for (folder, from, to, _) in accepted {
        let needs = folders.entry((*folder).to_owned()).or_default();
        let around = circles(needs);
        let counts = |name: &String| {
            (*to == "*" || to == name)
                && around.iter().any(|circle| circle.contains(*from) && circle.contains(name))
        };
        let before = needs.get(*from).map_or(0, BTreeSet::len);
        let left = needs.get_mut(*from).map_or(0, |all| {
            all.retain(|name| !counts(name));
            all.len()
        });
        if left == before {
            broken.push(format!("{folder}: {from} -> {to} is in no circle: strike it off the list"));
        }
    }
    for (folder, needs) in &folders {
        for circle in circles(needs) {
            broken.push(format!(
                "{}{} need each other: {}",
                if folder.is_empty() { String::new() } else { format!("{folder}: ") },
                circle.iter().cloned().collect::<Vec<_>>().join(", "),
                arrows(needs, &circle)
            ));
        }
    }
    broken
}

fn path_of(name: &str) -> Vec<String> {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    name.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// Who needs whom, folder by folder: of two modules the parts of their paths that differ first.
fn folders(modules: &Modules) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, read) in modules {
        for path in &read.paths {
            let owner = owner(modules, path, 0);
            let same = module.iter().zip(&owner).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (module.get(same), owner.get(same)) {
                let folder = module.get(..same).unwrap_or_default().join("/");
                folders.entry(folder).or_default().entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    folders
}

/// The module in which that stands what a path names, behind all `use` on the way.
fn owner(modules: &Modules, path: &[String], depth: u8) -> Vec<String> {
    let len = (0..=path.len())
        .rev()
        .find(|len| path.get(..*len).is_some_and(|start| modules.contains_key(start)))
        .unwrap_or(0);
    let (start, rest) = path.split_at(len);
    let through = modules.get(start).zip(rest.first()).and_then(|(module, name)| {
        let has = |glob: &&Vec<String>| {
            modules.get(*glob).is_some_and(|of| of.items.contains(name) || of.names.contains_key(name))
        };
        let glob = || {
            module.globs.iter().find(has).map(|glob| [glob.as_slice(), core::slice::from_ref(name)].concat())
        };
        module.names.get(name).cloned().or_else(glob)
    });
    match through {
        // A name may be brought in under itself.
        Some(through) if depth < 8 => {
            let further = rest.get(1..).unwrap_or_default();
            owner(modules, &[through.as_slice(), further].concat(), depth.saturating_add(1))
        }
        _ => start.to_vec(),
    }
}

/// The strongly connected modules of a folder: by who can be reached from whom.
fn circles(needs: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reach = |from: &String| {
        let (mut found, mut todo) = (BTreeSet::new(), vec![from]);
        while let Some(next) = todo.pop() {
            for to in needs.get(next).into_iter().flatten() {
                if found.insert(to.clone()) {
                    todo.push(to);
                }
            }
        }
        found
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = needs.keys().map(|name| (name, reach(name))).collect();
    let back = |from: &String, to: &String| reached.get(to).is_some_and(|found| found.contains(from));
    reached
        .iter()
        .filter(|(from, found)| found.contains(**from))
        .map(|(from, found)| found.iter().filter(|to| back(from, to)).cloned().collect())
        .collect()
}

fn arrows(needs: &BTreeMap<String, BTreeSet<String>>, circle: &BTreeSet<String>) -> String {
    let inside = circle.iter().filter_map(|from| Some((from, needs.get(from)?)));
    let arrows = inside.flat_map(|(from, all)| {
        all.iter().filter(|to| circle.contains(*to)).map(move |to| format!("{from} -> {to}"))
    });
    arrows.collect::<Vec<_>>().join(", ")
}

/// Words, and the signs that paths and imports are made of.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let len = match word {
            0 if rest.starts_with("::") => 2,
            0 => c.len_utf8(),
            word => word,
        };
        let (token, behind) = rest.split_at(len);
        if !token.trim().is_empty() {
            found.push(token);
        }
        rest = behind;
    }
    found
}

/// Without comments and without the module of tests at the end.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut rest = code.as_str();
    let mut kept = String::new();
    while let Some((before, tests)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        // An item ends with its closing brace at the begin of a line, or is one of a line.
        let one_line = tests.trim_start().lines().next().is_some_and(|line| line.ends_with(';'));
        let end = if one_line { ";\n" } else { "\n}\n" };
        rest = tests.split_once(end).map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept
}

fn read(here: &[String], text: &str) -> Module {
    let code = code(text);
    let tokens = tokens(&code);
    let (mut module, mut rest, mut before) = (Module::default(), tokens.as_slice(), "");
    while let Some((&token, mut behind)) = rest.split_first() {
        if token == "use" {
            let end = behind.iter().position(|token| *token == ";").unwrap_or(behind.len());
            let (import, after) = behind.split_at_checked(end).unwrap_or_default();
            tree(here, &[], import, &mut module);
            behind = after;
        } else if ITEMS.contains(&token) {
            module.items.extend(behind.first().map(|name| (*name).to_owned()));
        } else if is_word(token) && !["::", "$", "."].contains(&before) {
            let mut path = vec![token];
            while let ["::", next, after @ ..] = behind {
                if !is_word(next) {
                    break;
                }
                path.push(next);
                behind = after;
            }
            // A single word may be a name that was brought in, which the import has told.
            if path.len() > 1 {
                module.paths.extend(absolute(here, &path));
            }
        }
        (before, rest) = (token, behind);
    }
    module
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Takes a tree of imports apart: `a::{b, c::{d as e}}`.
fn tree(here: &[String], before: &[&str], tokens: &[&str], module: &mut Module) {
    let (mut path, mut rest) = (before.to_vec(), tokens);
    let mut name = None;
    while let Some((&token, behind)) = rest.split_first() {
        match token {
            "{" => return members(behind).iter().for_each(|member| tree(here, &path, member, module)),
            "as" => {
                name = behind.first().copied();
                break;
            }
            "::" => {}
            word => path.push(word),
        }
        rest = behind;
    }
    if path.len() == before.len() {
        return;
    }
    let all = path.last() == Some(&"*");
    if all || path.last() == Some(&"self") && !before.is_empty() {
        path.pop();
    }
    let name = name.or(path.last().copied()).map(str::to_owned);
    if let Some(path) = absolute(here, &path) {
        module.paths.push(path.clone());
        if all {
            module.globs.push(path);
        } else if let Some(name) = name {
            // What stands for itself leads nowhere.
            let itself = path.split_last().is_some_and(|(last, folder)| *last == name && folder == here);
            if !itself {
                module.names.insert(name, path);
            }
        }
    }
}

/// The members of a group, up to its closing brace.
fn members<'t>(group: &[&'t str]) -> Vec<Vec<&'t str>> {
    let (mut depth, mut found) = (0_u32, vec![Vec::new()]);
    for token in group {
        match *token {
            "," if depth == 0 => found.push(Vec::new()),
            "}" if depth == 0 => break,
            token => {
                depth = match token {
                    "{" => depth.saturating_add(1),
                    "}" => depth.saturating_sub(1),
                    _ => depth,
                };
                found.last_mut().map(|member| member.push(token)).unwrap_or_default();
            }
        }
    }
    found
}

/// A path from the top of the crate; `None` for one that leads out of it.
fn absolute(here: &[String], path: &[&str]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|word| **word == "super").count();
    let (start, rest) = match *path.first()? {
        "crate" => (Vec::new(), path.get(1..)?),
        "self" => (here.to_vec(), path.get(1..)?),
        "super" => (here.get(..here.len().checked_sub(supers)?)?.to_vec(), path.get(supers..)?),
        "std" | "core" | "alloc" => return None,
        // A module below this one needs no `self::`; whether there is one, `owner` finds.
        _ => (here.to_vec(), path),
    };
    Some(start.into_iter().chain(rest.iter().map(|word| (*word).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::{Accepted, judge};

    fn judged(files: &[(&str, &str)], accepted: &[Accepted]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        judge(&files, accepted)
    }

    #[test]
    fn two_that_need_each_other_are_a_circle() {
        let planted = [
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            ("a.rs", "use crate::b::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;\nfn f(_: &super::a::A) {}"),
        ];
        assert_eq!(judged(&planted, &[]), ["a, b need each other: a -> b, b -> a"]);
        assert_eq!(judged(&planted[..2], &[]), Vec::<String>::new());
        // By the front page, also one with everything, and by an import taken apart.
        for text in ["use crate::A;", "use crate::{c, a::{self as x}};", "use super::{A as Other};"] {
            assert_eq!(judged(&[planted[0], planted[1], ("b.rs", text)], &[]).len(), 1, "{text}");
        }
        for text in [
            "// crate::a::A",
            "use other::a::A;",
            "#[cfg(test)]\nmod tests {\n use crate::a::A;\n}\n",
            "$crate::a::A",
        ] {
            assert_eq!(
                judged(&[planted[0], planted[1], ("b.rs", text)], &[]),
                Vec::<String>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn long_ways_round_and_folders_count_and_parents_do_not() {
        let three = [
            ("x/mod.rs", "mod a; mod b; mod c; use b::B; fn f() { a::g() }"),
            ("x/a.rs", "use super::B;\nuse super::f;"),
            ("x/b.rs", "pub struct B(crate::x::c::C);"),
            ("x/c.rs", "use super::a;"),
        ];
        assert_eq!(judged(&three, &[]), ["x: a, b, c need each other: a -> b, b -> c, c -> a"]);
        assert_eq!(judged(&three[..3], &[]), Vec::<String>::new());
        let folders = [
            ("x/a.rs", "use crate::y::B;"),
            ("y/mod.rs", "mod b; pub use b::B;"),
            ("y/b.rs", "use crate::x::a;"),
        ];
        assert_eq!(judged(&folders, &[]), ["x, y need each other: x -> y, y -> x"]);
    }

    #[test]
    fn an_accepted_arrow_is_not_counted_as_long_as_it_is_in_a_circle() {
        let pair = [("x/a.rs", "use super::b::B;"), ("x/b.rs", "use super::a::A;"), ("x/mod.rs", "")];
        for to in ["b", "*"] {
            assert_eq!(judged(&pair, &[("x", "a", to, "so")]), Vec::<String>::new());
            let gone = judged(&pair[..1], &[("x", "a", to, "so")]);
            assert_eq!(gone, [format!("x: a -> {to} is in no circle: strike it off the list")]);
        }
        // It hides no other way round.
        let more = [pair[0], ("x/b.rs", "use super::c::C;"), ("x/c.rs", "use super::{a::A, b::B};")];
        assert_eq!(judged(&more, &[("x", "c", "a", "so")]), ["x: b, c need each other: b -> c, c -> b"]);
    }
}
