//! What the libraries say is said in their own words: their messages reach programs that have
//! neither the options nor the commands of the kdump tool.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

use crate::error::{Context, Result};

/// What is another program's, and meant so.
const FOREIGN: &[&str] = &["virsh dump --memory-only"];

/// The literals in the sources below `src` that name an option or a command of the tool.
pub(super) fn broken(src: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    sources(src, &mut files)?;
    let mut broken = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).context(file.display())?;
        let found = judge(&text).context(file.display())?;
        broken.extend(found.iter().map(|word| format!("{}: {word} is the tool's word", file.display())));
    }
    Ok(broken)
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn judge(text: &str) -> core::result::Result<Vec<String>, proc_macro2::LexError> {
    let mut literals = Vec::new();
    collect(text.parse()?, &mut literals);
    Ok(literals.into_iter().filter(|literal| names_the_tool(literal)).collect())
}

/// All literals of `tokens` but those of comments and of tests.
fn collect(tokens: TokenStream, literals: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut attribute = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) => {
                attribute = sign.as_char() == '#' || (attribute && sign.as_char() == '!')
            }
            TokenTree::Group(group) => {
                let text = group.stream().to_string();
                match () {
                    () if attribute && text.starts_with("doc") => {}
                    // What follows is left out, to the end of its body.
                    () if attribute && text == "cfg (test)" => {
                        let body = |token: &TokenTree| match token {
                            TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
                            TokenTree::Punct(sign) => sign.as_char() == ';',
                            _ => false,
                        };
                        let _ = tokens.find(body);
                    }
                    () => collect(group.stream(), literals),
                }
                attribute = false;
            }
            TokenTree::Literal(literal) => literals.push(literal.to_string()),
            TokenTree::Ident(_) => attribute = false,
        }
    }
}

fn names_the_tool(literal: &str) -> bool {
    let mut text = literal.replace('`', "");
    FOREIGN.iter().for_each(|foreign| text = text.replace(foreign, ""));
    let words: Vec<&str> =
        text.split(|sign: char| sign.is_whitespace() || "\"'(),;:/".contains(sign)).collect();
    let option = |word: &&str| {
        word.strip_prefix("--").is_some_and(|name| name.starts_with(|sign: char| sign.is_ascii_lowercase()))
    };
    let command = |pair: &[&str]| matches!(pair, ["kdump", name] if COMMANDS.contains(name));
    words.iter().any(option) || words.windows(2).any(command)
}

/// The commands of the tool.
const COMMANDS: &[&str] = &[
    "collect", "dmesg", "info", "load", "map", "notes", "plan", "read", "save", "status", "unload", "verify",
    "view",
];

#[cfg(test)]
mod tests {
    use super::{COMMANDS, judge};
    use crate::repo;

    #[test]
    fn an_option_or_a_command_in_a_message_is_found() {
        let found = |text: &str| judge(text).unwrap().len();
        assert_eq!(found(r#"const A: &str = "leave --force out";"#), 1);
        assert_eq!(found(r#"#[error("not meant (--force)")] enum E {}"#), 1);
        assert_eq!(found(r#"fn f() { say(format!("see `kdump plan`")) }"#), 1);
        assert_eq!(found(r#"fn f() { say("all of it", "run kdump load") }"#), 1);
        assert_eq!(found(r#"const A: &str = "a -- b, 0x1--0x2, the kdump kernel";"#), 0);
        assert_eq!(found("/// `kdump plan --suggest`\nfn f() {}"), 0);
        assert_eq!(found(r#"#[cfg(test)] mod tests { const A: &str = "--force"; } "#), 0);
        let behind = r#"#[cfg(test)] mod tests { } const A: &str = "--force";"#;
        assert_eq!(found(behind), 1);
    }

    #[test]
    fn the_commands_are_those_of_the_tool() {
        let dir = repo::root().unwrap().join("examples/kdump/src/cmd");
        let files =
            std::fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = files
            .filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()))
            .filter(|name| name != "mod")
            .collect();
        names.sort();
        assert_eq!(names, COMMANDS);
    }
}
