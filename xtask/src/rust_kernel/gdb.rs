//! What gdb makes of a dump: backtraces with names and lines, and values of statics.

use core::fmt::Write;
use std::path::Path;

use super::build::Build;
use crate::error::{Context, Result, failed};
use crate::shell;

/// Frames shown at each end of a backtrace; a stack that overflowed has thousands.
const FRAMES: u32 = 12;

/// One backtrace per CPU, innermost frame first.
pub(crate) fn backtraces(build: &Build, dump: &Path, cpus: usize) -> Result<Vec<String>> {
    let mut script = String::new();
    for thread in 1..=cpus {
        let _ = writeln!(script, "echo \\n@@\\n\nthread {thread}\nbt {FRAMES}\nbt -{FRAMES}");
    }
    let out = run(build, dump, &script)?;
    let traces: Vec<String> = out.split("@@\n").skip(1).map(str::to_owned).collect();
    if traces.len() == cpus {
        return Ok(traces);
    }
    Err(failed(format!("gdb shows {} CPUs instead of {cpus}:\n{out}", traces.len())))
}

/// The value of a static `AtomicU64`.
pub(crate) fn value(build: &Build, dump: &Path, name: &str) -> Result<u64> {
    let script = format!("echo @@\noutput *(unsigned long *)&{name}\necho \\n\n");
    let script = format!("set language c\n{script}");
    let out = run(build, dump, &script)?;
    let text = out.split("@@").nth(1).unwrap_or_default().trim();
    text.parse().context(format!("gdb says of {name}: {text:?}"))
}

fn run(build: &Build, dump: &Path, script: &str) -> Result<String> {
    let file = dump.with_extension("gdb");
    std::fs::write(&file, script).context(file.display())?;
    let mut gdb = shell::tool("gdb")?;
    // -nx: the user's settings stay out; confirm off and height 0 come with -batch.
    gdb.args(["-batch", "-nx", "-q"]).arg("-x").arg(&file).arg(&build.kernel).arg(dump);
    shell::text(&mut gdb)
}
