//! What a library links it also uses.

use std::fs;
use std::path::Path;

use super::words::sources;
use crate::error::{Context, Result};

/// The dependencies of which no source below `src` has the name.
pub(super) fn dependencies(names: &[String], src: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    sources(src, &mut files)?;
    let mut texts = Vec::new();
    for file in files {
        texts.push(fs::read_to_string(&file).context(file.display())?);
    }
    Ok(judge(names, &texts))
}

fn judge(names: &[String], texts: &[String]) -> Vec<String> {
    // Comments may name what is not linked.
    let lines: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let is_word = |line: &str, name: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
    };
    let used = |name: &str| lines.iter().any(|line| is_word(line, &name.replace('-', "_")));
    names.iter().filter(|name| !used(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_listed_is_found() {
        let names = ["zlib-rs", "snap", "libc", "sha2"].map(str::to_owned);
        let texts =
            ["use zlib_rs::Inflate;\n// snap would do\nlet snapshot = 1;", "libc::EINVAL"].map(str::to_owned);
        assert_eq!(judge(&names, &texts), ["snap", "sha2"]);
        assert!(judge(&names[..1], &texts).is_empty());
    }
}
