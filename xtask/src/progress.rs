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
    pub(crate) passed: bool,
    pub(crate) detail: String,
}

impl Row {
    /// A check that could fail to run at all: the error becomes the detail of a failed row.
    pub(crate) fn of(name: &str, outcome: Result<String>) -> Self {
        let (passed, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, error.to_string()),
        };
        Self { name: name.to_owned(), passed, detail }
    }
}

/// Prints the table; an error when any row failed.
pub(crate) fn close(title: &str, rows: &[Row]) -> Result {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    println!("\n{title}");
    for row in rows {
        let result = if row.passed { "ok" } else { "FAILED" };
        let detail = row.detail.trim_end().replace('\n', "\n    ");
        println!("  {:width$}  {result:6}  {detail}", row.name);
    }
    let bad = rows.iter().filter(|row| !row.passed).count();
    if bad == 0 { Ok(()) } else { Err(failed(format!("{bad} of {} checks failed", rows.len()))) }
}
