//! The library itself, and not what its headers say of it: the symbols of the one that is installed,
//! and what its debug information says of parameters, results and structures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{BASELINE, differ};
use crate::error::{Context, Result, failed};
use crate::install::{self, Places};
use crate::{repo, shell};

/// The library as it is installed has the functions of the baseline, in their versions.
pub(super) fn symbols(places: &Places) -> Result<String> {
    let library = places.dir("lib").join("libkdump.so");
    let text = read(&describe(&library, "installed.abi")?)?;
    let symbols = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("<elf-symbol "));
        lines.map(str::to_owned).collect()
    };
    let (found, expected) = (symbols(&text), symbols(&read(&repo::root()?.join(BASELINE))?));
    differ("the installed library and the baseline", &found, &expected)?;
    if !text.lines().next().is_some_and(|line| line.contains("soname='libkdump.so.0'")) {
        return Err(failed(format!("{} has another soname", library.display())));
    }
    Ok(format!("{} symbols of the installed library are those of the baseline", found.len()))
}

/// Parameters, results and structures of the code are those of the baseline. abidiff compares the
/// calls: their number of parameters, and the size of each. It does not look through the types that
/// stand for pointers in the code, whose structures are compared here.
pub(super) fn types() -> Result<String> {
    let library = repo::scratch("capi")?.join("libkdump-debug.so");
    install::with_debug_information(&library)?;
    let (real, baseline) = (describe(&library, "real.abi")?, repo::root()?.join(BASELINE));
    if let Some(report) = difference(&baseline, &real)? {
        return Err(failed(format!("the library is not what the baseline says:\n{report}")));
    }
    proof(&baseline, &real)?;
    let (found, expected) = (structures(&read(&real)?), structures(&read(&baseline)?));
    let wrong = wrong(&found, &expected);
    if expected.is_empty() || !wrong.is_empty() {
        return Err(failed(format!(
            "structures of the library differ from the baseline: {}",
            wrong.join("; ")
        )));
    }
    Ok(format!("parameters and results by abidiff, {} structures field by field", expected.len()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).context(file.display())
}

fn describe(library: &Path, name: &str) -> Result<PathBuf> {
    let out = repo::scratch("capi")?.join(name);
    let mut abidw = shell::tool("abidw")?;
    abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file"]).arg(&out);
    shell::stdout(abidw.arg(library))?;
    Ok(out)
}

/// What abidiff finds; `None` when that is nothing.
fn difference(old: &Path, new: &Path) -> Result<Option<String>> {
    let output = shell::capture(shell::tool("abidiff")?.arg(old).arg(new))?;
    let report = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    Ok((!output.status.success()).then_some(report))
}

/// abidiff does notice when a function of the library loses a parameter, or one changes its size.
fn proof(baseline: &Path, real: &Path) -> Result {
    let (text, changed) = (read(real)?, repo::scratch("capi")?.join("changed.abi"));
    for (what, change) in
        [("a parameter less", without_parameter as fn(&str) -> _), ("another size", resized)]
    {
        let text = change(&text).context(format!("{}: no place for {what}", real.display()))?;
        fs::write(&changed, text).context(changed.display())?;
        if difference(baseline, &changed)?.is_none() {
            return Err(failed(format!("abidiff does not notice {what} in {}", changed.display())));
        }
    }
    Ok(())
}

const FUNCTION: &str = "<function-decl name='libkdump_dump_read_phys'";

/// `text` with a function that has its first parameter no more.
fn without_parameter(text: &str) -> Option<String> {
    let from = text.find(FUNCTION)?;
    let first = text.get(from..)?.find("<parameter ")?.checked_add(from)?;
    let end = text.get(first..)?.find("/>")?.checked_add(first)?.checked_add(2)?;
    Some([text.get(..first)?, text.get(end..)?].concat())
}

/// `text` with a function whose address is of the type of its result, which has 32 bits.
fn resized(text: &str) -> Option<String> {
    let from = text.find(FUNCTION)?;
    let function = text.get(from..text.get(from..)?.find("</function-decl>")?.checked_add(from)?)?;
    let attribute = |line: &str| Some(line.split_once("type-id='")?.1.split_once('\'')?.0.to_owned());
    let line = |part: &str| function.lines().find(|line| line.contains(part));
    let (address, result) = (line("name='paddr'")?, line("<return ")?);
    let changed = address.replace(&attribute(address)?, &attribute(result)?);
    Some(text.replace(function, &function.replace(address, &changed)))
}

/// A structure: its size in bits, and the offset in bits and the name of each field.
type Structure = (String, Vec<(String, String)>);

/// The structures of ours that `text`, made by abidw, describes.
fn structures(text: &str) -> BTreeMap<String, Structure> {
    let attribute = |line: &str, name: &str| {
        Some(line.split_once(&format!(" {name}='"))?.1.split_once('\'')?.0.to_owned())
    };
    let mut found: BTreeMap<String, Structure> = BTreeMap::new();
    let (mut inside, mut offset) = (None, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with("<class-decl ") {
            inside = attribute(line, "name").filter(|name| name.starts_with("libkdump_"));
            // Handles are declared and no more.
            inside = inside.filter(|_| !line.contains("is-declaration-only='yes'") && !line.ends_with("/>"));
            if let (Some(name), Some(size)) = (&inside, attribute(line, "size-in-bits")) {
                found.insert(name.clone(), (size, Vec::new()));
            }
        } else if line.starts_with("</class-decl>") {
            inside = None;
        } else if line.starts_with("<data-member ") {
            offset = attribute(line, "layout-offset-in-bits");
        } else if line.starts_with("<var-decl ") {
            let structure = inside.as_ref().and_then(|name| found.get_mut(name));
            if let (Some((_, fields)), Some(offset), Some(field)) =
                (structure, offset.take(), attribute(line, "name"))
            {
                fields.push((offset, field));
            }
        }
    }
    // The order in which fields are told is the compiler's.
    found.values_mut().for_each(|(_, fields)| fields.sort_by_key(|(offset, _)| offset.parse::<u64>().ok()));
    found
}

/// Structures of `expected` that are not so in `found`.
fn wrong(found: &BTreeMap<String, Structure>, expected: &BTreeMap<String, Structure>) -> Vec<String> {
    let differ = expected.iter().filter(|(name, structure)| found.get(*name) != Some(structure));
    differ.map(|(name, structure)| format!("{name}: {:?} for {structure:?}", found.get(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{structures, wrong};
    use crate::{abi::BASELINE, repo};

    /// Every kind of change of a structure, made to what is recorded.
    #[test]
    fn a_structure_that_changed_is_noticed() {
        let text = std::fs::read_to_string(repo::root().unwrap().join(BASELINE)).unwrap();
        let recorded = structures(&text);
        assert!(recorded.len() > 25, "{:?}", recorded.keys());
        assert_eq!(recorded["libkdump_range"].1[0], ("0".to_owned(), "size".to_owned()));
        assert!(wrong(&recorded, &recorded).is_empty());
        let at = text.find("<class-decl name='libkdump_plan_info'").unwrap();
        let (front, behind) = text.split_at(at);
        let other = |old: &str, new: &str| {
            let changed = format!("{front}{}", behind.replacen(old, new, 1));
            assert!(changed != text);
            wrong(&structures(&changed), &recorded).len()
        };
        assert_eq!(other("size-in-bits='", "size-in-bits='1"), 1);
        assert_eq!(other("layout-offset-in-bits='64'", "layout-offset-in-bits='96'"), 1);
        assert_eq!(other("<var-decl name='arch'", "<var-decl name='machine'"), 1);
        assert_eq!(other("libkdump_plan_info", "libkdump_plan_facts"), 1);
    }
}
