//! `libkdump-core.a`: needs nothing, and works in a program without a C library.

use std::collections::BTreeSet;
use std::process::Command;

use crate::error::{Result, failed};
use crate::install::{self, Places};
use crate::{repo, shell};

/// What a compiler may call by itself.
const MEMORY: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

pub(super) fn check(places: &Places) -> Result<String> {
    let library = places.dir("lib").join("libkdump-core.a");
    let symbols = |option: &str| -> Result<BTreeSet<String>> {
        let text = shell::text(shell::tool("nm")?.args(["--extern-only", option]).arg(&library))?;
        let lines = text.lines().filter(|line| !line.ends_with(':'));
        Ok(lines.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect())
    };
    let defined = symbols("--defined-only")?;
    if defined != install::core_functions()?.into_iter().collect() {
        return Err(failed(format!("{} and kdump-core.h have different functions", library.display())));
    }
    let mut undefined = symbols("--undefined-only")?;
    undefined.retain(|name| !MEMORY.contains(&name.as_str()));
    if !undefined.is_empty() {
        return Err(failed(format!("{} needs {undefined:?}", library.display())));
    }
    let root = repo::root()?;
    let program = repo::scratch("capi")?.join("freestanding");
    let mut cc = shell::tool("cc")?;
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffreestanding", "-nostdlib"]);
    cc.args(["-static", "-no-pie", "-fno-stack-protector", "-Wl,--gc-sections", "-I"]);
    cc.arg(places.dir("include")).arg("-o").arg(&program);
    cc.arg(root.join("kdump-ffi/abi/freestanding.c")).arg(&library);
    shell::stdout(&mut cc)?;
    shell::stdout(&mut Command::new(&program))?;
    let size = std::fs::metadata(&program).map_or(0, |file| file.len());
    Ok(format!("{} functions; runs without a C library ({} KiB program)", defined.len(), size >> 10))
}
