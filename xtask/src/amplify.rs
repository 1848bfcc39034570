//! `cargo xtask amplify`: what crafted files cost at most, optimised, as a table.

use std::collections::BTreeMap;
use std::fs;

use crate::error::{Context, Result, failed};
use crate::{repo, rust, shell};

/// What a command took on the most expensive file of a case.
struct Cost {
    input: u64,
    output: u64,
    seconds: f64,
    peak: u64,
    slow: bool,
}

/// Runs the test of the bounds in docs/limits.md, which judges memory and endings itself, and
/// shows and judges the times. Arguments go to the test unchanged: names of its cases.
pub(crate) fn run(args: &[String]) -> Result {
    let table = repo::scratch("amplify")?.join("table");
    if table.exists() {
        fs::remove_file(&table).context(table.display())?;
    }
    let mut cargo = rust::cargo()?;
    cargo.args(["test", "--quiet", "--release", "--package", "kdump", "--test", "cost", "--"]);
    // One at a time: they are measured.
    cargo.arg("--test-threads=1").args(args).env("KDUMP_COST_TABLE", &table);
    let outcome = shell::run(&mut cargo);
    let costs = read(&fs::read_to_string(&table).context(table.display())?)?;
    println!("{:<22} {:<62} {:>10} {:>10} {:>7} {:>5}", "case", "kdump", "file", "output", "seconds", "MiB");
    for ((case, command), Cost { input, output, seconds, peak, slow }) in &costs {
        let mark = if *slow { "  <-" } else { "" };
        let mib = peak >> 20;
        println!("{case:<22} {command:<62} {input:>10} {output:>10} {seconds:>7.2} {mib:>5}{mark}");
    }
    outcome?;
    let slow = costs.values().filter(|cost| cost.slow).count();
    if slow > 0 {
        return Err(failed(format!("{slow} of these take longer than a second and have little output")));
    }
    Ok(())
}

/// The lines of the test: case and file, command, bytes read, bytes written, seconds on a
/// processor, bytes of memory, verdict.
fn read(table: &str) -> Result<BTreeMap<(String, String), Cost>> {
    let mut costs = BTreeMap::<(String, String), Cost>::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [case, command, input, output, seconds, peak, verdict] = fields.as_slice() else {
            return Err(failed(format!("the test of the costs printed {line:?}")));
        };
        let case = case.split(' ').next().unwrap_or_default();
        let cost = Cost {
            input: input.parse().context(line)?,
            output: output.parse().context(line)?,
            seconds: seconds.parse().context(line)?,
            peak: peak.parse().context(line)?,
            slow: *verdict != "ok",
        };
        let worst = costs.entry((case.to_owned(), (*command).to_owned()));
        let worst = worst.or_insert(Cost { seconds: -1.0, ..cost });
        let (peak, slow) = (worst.peak.max(cost.peak), worst.slow || cost.slow);
        if cost.seconds > worst.seconds {
            *worst = cost;
        }
        (worst.peak, worst.slow) = (peak, slow);
    }
    Ok(costs)
}
