//! What is printed, by the message level of makedumpfile, in the words that scripts look for.

use core::time::Duration;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kdump_vmcore::Progress;

/// Kinds of messages; a level is their sum (makedumpfile(8), "--message-level").
const PROGRESS: u8 = 1;
const COMMON: u8 = 2;
const ERROR: u8 = 4;
const DEBUG: u8 = 8;
const REPORT: u8 = 16;
/// The level that makedumpfile has.
const USUAL: u8 = PROGRESS | COMMON | ERROR;

/// Crash consoles are serial lines, and logs are kept: lines are rare.
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR_HZ: u8 = 4;

/// Which messages are printed, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Voice {
    level: u8,
    /// Standard output is for the dump.
    to_stderr: bool,
}

impl Voice {
    /// As the command line asks.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let mut level = matches.get_one("message-level").copied().unwrap_or(USUAL);
        if matches.get_flag("debug") {
            level |= DEBUG;
        }
        if matches.get_flag("show-stats") {
            level |= REPORT;
        }
        Self { level, to_stderr: matches.get_flag("flattened") }
    }

    /// That of a command line which could not be understood.
    pub(super) const fn usual(to_stderr: bool) -> Self {
        Self { level: USUAL, to_stderr }
    }

    /// What everybody wants to know.
    pub(super) fn say(self, text: &str) {
        self.print(COMMON, text);
    }

    /// What `--show-stats` asks for.
    pub(super) fn report(self, text: &str) {
        self.print(REPORT, text);
    }

    /// What `-D` asks for.
    pub(super) fn debug(self, text: &str) {
        self.print(DEBUG, text);
    }

    /// Why something failed, or what is wrong with the source.
    pub(super) fn warn(self, text: &str) {
        if self.level & ERROR != 0 {
            crate::terminal::tell!("{text}");
        }
    }

    fn print(self, kind: u8, text: &str) {
        if self.level & kind == 0 {
            return;
        }
        if self.to_stderr {
            crate::terminal::tell!("{text}");
            return;
        }
        // As a message on standard error: one that is gone or full ends no work.
        let mut out = crate::terminal::out();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Shows how far work is.
    pub(super) fn meter(self) -> Meter {
        let bar = (self.level & PROGRESS != 0 && std::io::stderr().is_terminal()).then(bar);
        let now = Instant::now();
        Meter { shown: self.level & PROGRESS != 0, bar, started: now, last: None }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(BAR_HZ));
    let style = ProgressStyle::with_template(
        "Copying data                                      : [{percent:>3} %]           eta: {eta}",
    );
    // A template that does not parse leaves the usual look.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// How far the copy is: a line that is drawn over on a terminal, else one now and then.
#[derive(Debug)]
pub(super) struct Meter {
    shown: bool,
    bar: Option<ProgressBar>,
    started: Instant,
    last: Option<Instant>,
}

impl Meter {
    /// Shows the state if it is time to, the last one always.
    pub(super) fn show(&mut self, state: Progress) {
        let Progress { done, total, .. } = state;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now.duration_since(last) >= LINE_EVERY);
        if !self.shown || !(due || done == total) {
            return;
        }
        self.last = Some(now);
        crate::terminal::tell!("{}", line(done, total, now.duration_since(self.started)));
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line as makedumpfile has it.
fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let tenths = done.saturating_mul(1000).checked_div(total).unwrap_or(1000);
    let left = total.saturating_sub(done);
    let seconds = u128::from(left).saturating_mul(elapsed.as_millis());
    let eta = seconds.checked_div(u128::from(done).saturating_mul(1000)).unwrap_or(0);
    format!("{:<50}: [{:>3}.{} %]           eta: {eta}s", "Copying data", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_in_the_words_of_makedumpfile() {
        let half = line(1, 2, Duration::from_secs(10));
        assert_eq!(half, format!("Copying data{}: [ 50.0 %]           eta: 10s", " ".repeat(38)));
        assert!(line(2, 2, Duration::from_secs(1)).ends_with("[100.0 %]           eta: 0s"));
        assert!(line(0, 0, Duration::ZERO).contains("[100.0 %]"));
        assert!(line(0, 8, Duration::from_secs(9)).contains("[  0.0 %]"));
    }
}
