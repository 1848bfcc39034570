//! What the guest said: counts, calls that differ, and samples.

use core::fmt::Write;

use crate::error::{Context, Result};
use crate::progress::Row;

#[derive(Debug, Default)]
pub(crate) struct Tidings {
    /// What was counted, and how often.
    tally: Vec<(u64, String)>,
    pub(crate) differing: Vec<String>,
    pub(crate) replayed: Vec<String>,
    /// Environments, each followed by calls in it.
    samples: Vec<String>,
}

impl Tidings {
    /// Reads the console; a line of the guest begins with `soak: ` and a word.
    pub(crate) fn read(console: &[String]) -> Result<Self> {
        let mut tidings = Self::default();
        let lines = console.iter().filter_map(|line| Some(line.split_once("soak: ")?.1));
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "tally" => {
                    let (count, what) = rest.split_once(' ').context("a tally without a name")?;
                    tidings.tally.push((count.parse().context(rest)?, what.to_owned()));
                }
                "differs" => tidings.differing.push(rest.to_owned()),
                "replayed" => tidings.replayed.push(rest.to_owned()),
                "sample" => tidings.samples.push(rest.to_owned()),
                "environment" => tidings.samples.push(line.to_owned()),
                _ => {}
            }
        }
        tidings.tally.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        Ok(tidings)
    }

    /// Test data for the rules: a comment, then lines as the guest wrote them.
    pub(crate) fn record(&self, release: &str, label: &str) -> String {
        let mut text = format!("# Linux {release}, {label}\n");
        for line in &self.samples {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Nothing differs; with `coverage`, everything that is counted was seen at least once.
    pub(crate) fn rows(&self, coverage: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        let passed = self.differing.is_empty();
        let rules = |(_, what): &&(u64, String)| what.starts_with("rule ");
        let tried = self.tally.iter().filter(rules).fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
        let detail = format!("{} of {tried} verdicts differ", self.count("differs"));
        rows.push(Row::new("verdicts", passed && tried != 0, detail));
        for (count, what) in self.tally.iter().filter(|(_, what)| what != "differs") {
            let missing = coverage && *count == 0;
            let percent = count.saturating_mul(1000).checked_div(tried).unwrap_or(0);
            let detail = match missing {
                true => "never seen: try more candidates".to_owned(),
                false => format!("{count} ({}.{} %)", percent / 10, percent % 10),
            };
            rows.push(Row::new(what, !missing, detail));
        }
        rows
    }

    fn count(&self, what: &str) -> u64 {
        self.tally.iter().find(|(_, name)| name == what).map_or(0, |(count, _)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::Tidings;

    fn read(lines: &[&str]) -> Tidings {
        Tidings::read(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn failed(tidings: &Tidings, coverage: bool) -> Vec<String> {
        let rows = tidings.rows(coverage).into_iter();
        rows.filter(|row| row.passed == Some(false)).map(|row| row.name).collect()
    }

    #[test]
    fn what_differs_and_what_was_never_seen_fails() {
        let good =
            ["kernel noise", "soak: tally 3 rule accepted", "soak: tally 0 rule no_wrap", "soak: done"];
        assert_eq!(failed(&read(&good), true), ["rule no_wrap"]);
        assert!(failed(&read(&good), false).is_empty());
        let bad = ["soak: differs entry=0x0 -> x", "soak: tally 1 differs", "soak: tally 3 rule accepted"];
        assert_eq!(failed(&read(&bad), true), ["verdicts"]);
        assert_eq!(failed(&read(&[]), true), ["verdicts"], "nothing was tried");
        assert!(Tidings::read(&["soak: tally x y".to_owned()]).is_err());
    }

    #[test]
    fn samples_are_kept_with_their_environment() {
        let lines = ["soak: environment region=0x0-0x1", "soak: sample entry=0x0 -> accepted accepted"];
        let text = read(&lines).record("6.1", "la57");
        assert_eq!(text, "# Linux 6.1, la57\nenvironment region=0x0-0x1\nentry=0x0 -> accepted accepted\n");
    }
}
