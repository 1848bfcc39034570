//! Manual pages of the functions, made from what the headers say: one page per noun, with the
//! structures, callbacks and constants its functions need, and under the name of each function a
//! page that includes it.

mod declarations;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Context, Result};
use crate::install;
use crate::repo;
use declarations::Declarations;

/// A function as the header has it.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    result: String,
    parameters: Vec<String>,
    /// Paragraphs of the comment.
    text: Vec<String>,
    header: &'static str,
}

/// Writes the pages into `dir`; returns how many nouns and functions there are.
pub(crate) fn write(dir: &Path) -> Result<(usize, usize)> {
    let mut nouns: BTreeMap<String, Vec<Function>> = BTreeMap::new();
    let (mut count, mut declarations) = (0_usize, Declarations::default());
    let since = install::since()?;
    for header in ["kdump-core.h", "kdump.h"] {
        let path = repo::root()?.join("include").join(header);
        let text = fs::read_to_string(&path).context(path.display())?;
        declarations.read(&text);
        for function in text.split("\n\n").filter_map(|block| parse(block, header)) {
            count = count.saturating_add(1);
            nouns.entry(noun(&function.name)).or_default().push(function);
        }
    }
    for (noun, functions) in &nouns {
        let page = format!("libkdump_{noun}.3");
        put(dir, &page, &render(noun, functions, &declarations, &since))?;
        for function in functions.iter().filter(|function| function.name != format!("libkdump_{noun}")) {
            put(dir, &format!("{}.3", function.name), &format!(".so man3/{page}\n"))?;
        }
    }
    Ok((nouns.len(), count))
}

fn put(dir: &Path, name: &str, text: &str) -> Result {
    let path = dir.join(name);
    fs::write(&path, text).context(path.display())
}

/// The second word of the name: `libkdump_dump_open` belongs to `dump`.
fn noun(name: &str) -> String {
    let rest = name.strip_prefix("libkdump_").unwrap_or(name);
    match rest.split('_').next() {
        Some("format" | "unload" | "load" | "has" | "strerror" | "version") | None => "misc".to_owned(),
        Some("register") => "prstatus".to_owned(),
        Some("crash") => "crash_note".to_owned(),
        Some(noun) => noun.to_owned(),
    }
}

/// A block of the header that is a comment and a prototype.
fn parse(block: &str, header: &'static str) -> Option<Function> {
    let (comment, code) = block.trim().strip_prefix("/**")?.split_once("*/")?;
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let (front, parameters) = code.strip_suffix(");")?.split_once('(')?;
    if front.contains("typedef") {
        return None;
    }
    let start = front.rfind([' ', '*'])?.checked_add(1)?;
    let (result, name) = front.split_at_checked(start)?;
    let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
    let text = lines.collect::<Vec<_>>().join("\n");
    Some(Function {
        name: name.to_owned(),
        result: result.trim().to_owned(),
        parameters: parameters.split(',').map(|parameter| parameter.trim().to_owned()).collect(),
        text: text.split("\n\n").map(|paragraph| paragraph.trim().replace('\n', " ")).collect(),
        header,
    })
}

fn render(
    noun: &str,
    functions: &[Function],
    declarations: &Declarations,
    since: &BTreeMap<String, String>,
) -> String {
    let mut out = String::from(
        ".\\\" Made from the headers of libkdump by cargo xtask install.\n.Dd November 21, 2026\n",
    );
    let upper = noun.to_uppercase();
    out.push_str(&format!(".Dt LIBKDUMP_{upper} 3\n.Os\n.Sh NAME\n"));
    let names = functions.iter().map(|function| format!(".Nm {}", function.name));
    out.push_str(&names.collect::<Vec<_>>().join(" ,\n"));
    out.push_str(&format!(
        "\n.Nd functions of libkdump: {noun}\n.Sh LIBRARY\nlibkdump (-lkdump)\n.Sh SYNOPSIS\n"
    ));
    let header = if functions.iter().all(|function| function.header == "kdump-core.h") {
        "kdump-core.h"
    } else {
        "kdump.h"
    };
    out.push_str(&format!(".In {header}\n"));
    for Function { name, result, parameters, .. } in functions {
        out.push_str(&format!(".Ft {result}\n.Fo {name}\n"));
        for parameter in parameters {
            out.push_str(&format!(".Fa \"{parameter}\"\n"));
        }
        out.push_str(".Fc\n");
    }
    out.push_str(".Sh DESCRIPTION\nWhat all functions have in common is in\n.Xr libkdump 3 .\n");
    for Function { name, text, .. } in functions {
        out.push_str(&format!(".Ss {name}\n"));
        out.push_str(&text.iter().map(|paragraph| sentences(paragraph)).collect::<Vec<_>>().join(".Pp\n"));
    }
    let words = functions.iter().flat_map(|function| function.parameters.iter().chain(&function.text));
    out.push_str(&declarations.render(&words.cloned().collect::<Vec<_>>().join(" ")));
    out.push_str(".Sh SEE ALSO\n.Xr libkdump 3\n");
    out.push_str(&history(functions, since));
    out
}

/// In which version each function appeared.
fn history(functions: &[Function], since: &BTreeMap<String, String>) -> String {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for function in functions {
        if let Some(version) = since.get(&function.name) {
            versions.entry(version).or_default().push(&function.name);
        }
    }
    let mut out = String::from(".Sh HISTORY\n");
    for (version, names) in versions {
        let names: Vec<_> = names.iter().map(|name| format!(".Fn {name}")).collect();
        out.push_str(&format!("{}\nappeared in libkdump {version}.\n", names.join(" ,\n")));
    }
    out
}

/// A paragraph with one sentence per line, wrapped, and nothing that troff would take for a
/// request.
pub(super) fn sentences(paragraph: &str) -> String {
    let plain = paragraph.replace('\\', "\\e").replace('`', "");
    let mut out = String::new();
    for sentence in plain.replace(". ", ".\n").lines() {
        let mut width = 0_usize;
        for word in sentence.split(' ') {
            if let Some(request) = function_request(word) {
                out.push_str(if width == 0 { "" } else { "\n" });
                out.push_str(&request);
                width = 0;
                continue;
            }
            let needed = width.saturating_add(word.len()).saturating_add(1);
            if width != 0 && needed > 78 {
                out.push('\n');
                width = 0;
            }
            if width != 0 {
                out.push(' ');
            } else if word.starts_with(['.', '\'']) {
                out.push_str("\\&");
            }
            out.push_str(word);
            width = width.saturating_add(word.len()).saturating_add(1);
        }
        out.push_str(if width == 0 { "" } else { "\n" });
    }
    out
}

/// `libkdump_x(),` as the line that marks it as a function.
fn function_request(word: &str) -> Option<String> {
    let (front, tail) = word.split_once("()")?;
    let (kind, name) = match front.strip_prefix('(') {
        Some(name) => ("Pq Fn", name),
        None => ("Fn", front),
    };
    let tail = tail.strip_prefix(')').filter(|_| kind == "Pq Fn").unwrap_or(tail);
    if !name.starts_with("libkdump_") {
        return None;
    }
    let space = if tail.is_empty() { "" } else { " " };
    Some(format!(".{kind} {name}{space}{tail}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_the_header_is_a_function() {
        let block = "/**\n * Does it.\n *\n * Parameters: `a` one. Errors: none.\n */\n\
                     const char *libkdump_thing_do(const struct x *a,\n                  uint32_t b);";
        let function = parse(block, "kdump.h").unwrap();
        assert_eq!((function.name.as_str(), function.result.as_str()), ("libkdump_thing_do", "const char *"));
        assert_eq!(function.parameters, ["const struct x *a", "uint32_t b"]);
        assert_eq!(function.text, ["Does it.", "Parameters: `a` one. Errors: none."]);
        let since = BTreeMap::from([("libkdump_thing_do".to_owned(), "0.1".to_owned())]);
        let page = render("thing", &[function], &Declarations::default(), &since);
        assert!(page.ends_with(".Sh HISTORY\n.Fn libkdump_thing_do\nappeared in libkdump 0.1.\n"), "{page}");
        assert!(
            page.contains(".Ss libkdump_thing_do\nDoes it.\n.Pp\nParameters: a one.\nErrors: none.\n"),
            "{page}"
        );
        assert_eq!(parse("/**\n * No.\n */\n#define X 1", "kdump.h"), None);
        assert_eq!(parse("/**\n * No.\n */\ntypedef int (*f)(int a);", "kdump.h"), None);
    }

    #[test]
    fn functions_are_marked() {
        assert_eq!(
            sentences("Give it to libkdump_a(). Or (libkdump_b()), then go"),
            "Give it to\n.Fn libkdump_a .\nOr\n.Pq Fn libkdump_b ,\nthen go\n"
        );
    }

    #[test]
    fn lines_do_not_begin_with_requests() {
        assert_eq!(sentences(".so is no request"), "\\&.so is no request\n");
    }
}
