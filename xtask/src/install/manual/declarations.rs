//! What functions are called with: structures, callback types and constants, as the headers have
//! them.

use super::sentences;

/// What one block of a header declares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declaration {
    name: String,
    /// The comment in front of it, without its marks.
    text: String,
    /// The code as it stands in the header; of a constant its value.
    code: String,
}

/// Everything that is no function.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    structures: Vec<Declaration>,
    callbacks: Vec<Declaration>,
    constants: Vec<Declaration>,
}

impl Declarations {
    /// Reads a header.
    pub(super) fn read(&mut self, header: &str) {
        for block in header.split("\n\n") {
            let Some((comment, code)) =
                block.trim().strip_prefix("/**").and_then(|rest| rest.split_once("*/"))
            else {
                continue;
            };
            let (text, code) = (plain(comment), code.trim());
            let declared = |name: &str, code: &str| Declaration {
                name: name.to_owned(),
                text: text.clone(),
                code: code.to_owned(),
            };
            if let Some(name) = code.strip_prefix("struct ").and_then(|rest| rest.split_once(" {")) {
                self.structures.push(declared(name.0, code));
            } else if let Some(define) = code.strip_prefix("#define ") {
                let (name, value) = define.split_once(' ').unwrap_or((define, ""));
                self.constants.push(declared(name, value));
            } else if let Some((_, rest)) = code.split_once("(*").filter(|_| code.starts_with("typedef ")) {
                let name = rest.split(')').next().unwrap_or_default();
                self.callbacks.push(declared(name, code));
            }
        }
    }

    /// The sections of a page in which `words` stand.
    pub(super) fn render(&self, words: &str) -> String {
        let mut words = words.to_owned();
        let callbacks = mentioned(&self.callbacks, &words);
        callbacks.iter().for_each(|found| words.push_str(&format!(" {} {}", found.text, found.code)));
        let structures = mentioned(&self.structures, &words);
        structures.iter().for_each(|found| words.push_str(&format!(" {} {}", found.text, found.code)));
        let is_told = |name: &str| {
            prefixes(name).any(|prefix| words.contains(&format!("{prefix} "))) || is_word(&words, name)
        };
        let constants: Vec<_> = self.constants.iter().filter(|constant| is_told(&constant.name)).collect();
        let mut out = String::new();
        for (title, found) in [("STRUCTURES", structures), ("CALLBACKS", callbacks)] {
            if !found.is_empty() {
                out.push_str(&format!(".Sh {title}\n"));
            }
            for declaration in found {
                out.push_str(&format!(".Ss {}\n{}", declaration.name, sentences(&declaration.text)));
                let code = declaration.code.replace('\\', "\\e");
                out.push_str(&format!(".Bd -literal\n{code}\n.Ed\n"));
            }
        }
        if !constants.is_empty() {
            out.push_str(".Sh CONSTANTS\n.Bl -tag -width Ds\n");
            for Declaration { name, text, code } in constants {
                out.push_str(&format!(".It Dv {name} Pq {code}\n{}", sentences(text)));
            }
            out.push_str(".El\n");
        }
        out
    }
}

/// `LIBKDUMP_PAGE_`, `LIBKDUMP_` and so on of `LIBKDUMP_PAGE_STORED`, but for what all begin with.
fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.match_indices('_').filter_map(|(at, _)| name.get(..=at));
    ends.filter(|prefix| *prefix != "LIBKDUMP_" && *prefix != "LIBKDUMP_ERR_")
}

fn mentioned(all: &[Declaration], words: &str) -> Vec<Declaration> {
    all.iter().filter(|declaration| is_word(words, &declaration.name)).cloned().collect()
}

/// Whether `name` stands in `text` and is not part of a longer name.
fn is_word(text: &str, name: &str) -> bool {
    let part = |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(name).any(|(at, _)| {
        let end = at.saturating_add(name.len());
        let before = text.get(..at).and_then(|front| front.chars().next_back());
        !part(before) && !part(text.get(end..).and_then(|behind| behind.chars().next()))
    })
}

fn plain(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/**\n * A state.\n */\n#define LIBKDUMP_PAGE_STORED 1\n\n/**\n * Bad.\n */\n\
                          #define LIBKDUMP_ERR_IO -4104\n\n/**\n * A range.\n */\nstruct libkdump_range {\n    \
                          /**\n     * LIBKDUMP_PAGE_ number.\n     */\n    uint32_t kind;\n};\n\n\
                          /**\n * Called.\n */\ntypedef int (*libkdump_read_fn)(void *user);";

    #[test]
    fn a_page_has_what_its_functions_are_called_with() {
        let mut declarations = Declarations::default();
        declarations.read(HEADER);
        let page = declarations.render("const struct libkdump_range *range. Errors: LIBKDUMP_ERR_IO.");
        for text in [
            ".Ss libkdump_range\nA range.\n",
            "uint32_t kind;",
            ".It Dv LIBKDUMP_PAGE_STORED Pq 1\nA state.\n",
        ] {
            assert!(page.contains(text), "{page}");
        }
        assert!(page.contains("LIBKDUMP_ERR_IO") && !page.contains("libkdump_read_fn"), "{page}");
        assert!(declarations.render("libkdump_read_fn read").contains(".Ss libkdump_read_fn\nCalled.\n"));
        assert_eq!(declarations.render("libkdump_range_more"), "");
    }
}
