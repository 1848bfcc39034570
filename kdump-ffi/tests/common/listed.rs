//! What each function of the headers says it returns. Every call of the tests is held against it.

use core::ffi::c_int;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

pub const HEADERS: [&str; 2] =
    [include_str!("../../../include/kdump-core.h"), include_str!("../../../include/kdump.h")];

/// What every function may give: the conventions at the top of kdump-core.h.
const EVERY: [&str; 6] = [
    "LIBKDUMP_OK",
    "LIBKDUMP_ERR_INVALID",
    "LIBKDUMP_ERR_ABI",
    "LIBKDUMP_ERR_NO_MEMORY",
    "LIBKDUMP_ERR_PANIC",
    "LIBKDUMP_ERR_POISONED",
];

/// The functions that can fail, each with the names of what it says it returns.
#[derive(Debug, Default)]
pub struct Lists {
    pub codes: BTreeMap<String, c_int>,
    pub functions: BTreeMap<String, BTreeSet<String>>,
    /// Those of them that take an index or a cursor.
    pub steps: BTreeSet<String>,
    /// What is named and does not exist: the function and the name.
    pub unknown: Vec<(String, String)>,
}

impl Lists {
    pub fn of_headers() -> &'static Self {
        static LISTS: OnceLock<Lists> = OnceLock::new();
        LISTS.get_or_init(|| Self::new(&HEADERS))
    }

    pub fn new(headers: &[&str]) -> Self {
        let mut lists = Self::default();
        let mut comments = BTreeMap::new();
        for header in headers {
            lists.codes.extend(header.lines().filter_map(code));
            for (name, comment, parameters) in functions_of(header) {
                if parameters.contains("uint32_t index,") || parameters.contains(" *cursor,") {
                    lists.steps.insert(name.clone());
                }
                comments.insert(name, comment);
            }
        }
        for (name, comment) in &comments {
            let mut named = BTreeSet::new();
            lists.resolve(name, comment, &comments, &mut named);
            named.extend(EVERY.map(str::to_owned));
            lists.functions.insert(name.clone(), named);
        }
        lists
    }

    /// The codes that `comment` names as results, and those of the functions it refers to.
    fn resolve(
        &mut self,
        function: &str,
        comment: &str,
        comments: &BTreeMap<String, String>,
        named: &mut BTreeSet<String>,
    ) {
        // Codes in the sentences before are said of something else.
        let behind = |start: &str| comment.find(start).map_or("", |at| &comment[at..]);
        let errors = behind("Errors:");
        let own = format!("{} {errors}", behind("Returns"));
        for word in words(&own) {
            if word.starts_with("LIBKDUMP_ERR_") || matches!(word, "LIBKDUMP_END" | "LIBKDUMP_LACKING") {
                if !self.codes.contains_key(word) {
                    self.unknown.push((function.to_owned(), word.to_owned()));
                }
                named.insert(word.to_owned());
            }
        }
        for word in words(errors).filter(|word| word.starts_with("libkdump_")) {
            match comments.get(word) {
                Some(other) if word != function => {
                    let mut theirs = BTreeSet::new();
                    self.resolve(word, other, comments, &mut theirs);
                    named.extend(theirs.into_iter().filter(|name| name.starts_with("LIBKDUMP_ERR_")));
                }
                Some(_) => {}
                None if word == "libkdump_has" => {}
                None => self.unknown.push((function.to_owned(), word.to_owned())),
            }
        }
    }

    /// Why `code` is no result of `function`, which may be one that cannot fail.
    pub fn judge(&self, function: &str, code: c_int) -> Result<(), String> {
        let Some(listed) = self.functions.get(function) else { return Ok(()) };
        let Some((name, _)) = self.codes.iter().find(|(_, value)| **value == code) else {
            return Err(format!("{function} returned {code}, which is no code"));
        };
        if listed.contains(name) { Ok(()) } else { Err(format!("{function} returned {name}: not listed")) }
    }
}

/// A result of a C function.
pub trait Returned: Sized {
    /// The result of `function`, which must be one that it lists.
    fn listed(self, _function: &str) -> Self {
        self
    }
}

impl Returned for () {}
impl<T> Returned for *const T {}
impl<T> Returned for *mut T {}
impl Returned for u32 {}
impl Returned for u64 {}
impl Returned for c_int {
    #[track_caller]
    fn listed(self, function: &str) -> Self {
        assert_eq!(Lists::of_headers().judge(function, self), Ok(()));
        self
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
}

/// A code and its value, of a line that defines one.
fn code(line: &str) -> Option<(String, c_int)> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
    let ours = name.starts_with("LIBKDUMP_ERR_")
        || matches!(name, "LIBKDUMP_OK" | "LIBKDUMP_END" | "LIBKDUMP_LACKING");
    Some((name.to_owned(), value.parse().ok().filter(|_| ours)?))
}

/// Each function that takes an error: its name, the comment before it and its parameters.
fn functions_of(header: &str) -> Vec<(String, String, &str)> {
    let mut found = Vec::new();
    for piece in header.split("\n/**\n").skip(1) {
        let Some((comment, code)) = piece.split_once("*/\n") else { continue };
        let Some((prototype, _)) = code.split_once(");") else { continue };
        let Some((name, parameters)) = prototype.strip_prefix("int ").and_then(|rest| rest.split_once('('))
        else {
            continue;
        };
        if parameters.contains("struct libkdump_error *error") {
            let lines = comment.lines().map(|line| line.trim_start_matches([' ', '*']));
            found.push((name.to_owned(), lines.collect::<Vec<_>>().join(" "), parameters));
        }
    }
    found
}
