//! What the terminal shows: lines with the time since the start, and a closing table.

use core::time::Duration;
use std::time::Instant;

use crate::error::{Result, failed};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn say(self, text: &str) {
        println!("[{:6.1} s] {text}", self.elapsed().as_secs_f32());
    }
}

/// One line of a closing table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `None` when it could not be tried here; the detail says why.
    pub(crate) passed: Option<bool>,
    pub(crate) detail: String,
}

impl Row {
    /// A check that could fail to run at all: the error becomes the detail of a failed row.
    pub(crate) fn of(name: &str, outcome: Result<String>) -> Self {
        let (passed, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, error.to_string()),
        };
        Self::new(name, passed, detail)
    }

    /// A check that was made.
    pub(crate) fn new(name: &str, passed: bool, detail: String) -> Self {
        Self { name: name.to_owned(), passed: Some(passed), detail }
    }

    /// A check that cannot be made here: no pass, and no failure of what was to be checked.
    pub(crate) fn untested(name: &str, why: &str) -> Self {
        Self { name: name.to_owned(), passed: None, detail: why.to_owned() }
    }
}

/// Prints the table; an error when any row failed, or none was tested.
pub(crate) fn close(title: &str, rows: &[Row]) -> Result {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    println!("\n{title}");
    for row in rows {
        let result = match row.passed {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "UNTESTED",
        };
        let detail = row.detail.trim_end().replace('\n', "\n    ");
        println!("  {:width$}  {result:8}  {detail}", row.name);
    }
    let count = |passed| rows.iter().filter(|row| row.passed == passed).count();
    match (count(Some(true)), count(Some(false))) {
        (0, 0) => Err(failed("nothing was tested")),
        (_, 0) => Ok(()),
        (_, bad) => Err(failed(format!("{bad} of {} checks failed", rows.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, close};

    #[test]
    fn what_was_not_tested_is_no_pass() {
        let (good, bad) = (Row::new("a", true, String::new()), Row::new("b", false, String::new()));
        let untested = || Row::untested("c", "no peer");
        assert!(close("", &[untested()]).is_err() && close("", &[]).is_err());
        assert!(close("", &[untested(), bad]).is_err());
        assert!(close("", &[untested(), good]).is_ok());
    }
}
