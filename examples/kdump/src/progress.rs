//! Shows how far long work is: a bar for people, JSON lines for programs, or nothing.

use core::ops::ControlFlow;
use core::time::Duration;
use std::io::IsTerminal;
use std::time::Instant;

use clap::{Arg, ArgMatches};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kdump_vmcore::Progress;

/// Crash consoles are serial lines: draw rarely.
const BAR_HZ: u8 = 4;
const JSON_EVERY: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// `--progress auto|json|none`.
pub(crate) fn arg() -> Arg {
    Arg::new("progress")
        .long("progress")
        .value_name("HOW")
        .value_parser(["auto", "json", "none"])
        .default_value("auto")
        .help("auto: a bar on a terminal, else a line now and then; json: one JSON object per line")
}

enum Kind {
    Bar(ProgressBar),
    Log,
    Json,
    Silent,
}

/// Where progress is shown; everything goes to standard error.
pub(crate) struct Reporter {
    kind: Kind,
    started: Instant,
    last: Instant,
}

impl Reporter {
    /// As the command line asks.
    pub(crate) fn new(matches: &ArgMatches) -> Self {
        let kind = match matches.get_one::<String>("progress").map(String::as_str) {
            Some("json") => Kind::Json,
            Some("none") => Kind::Silent,
            _ if std::io::stderr().is_terminal() => Kind::Bar(bar()),
            _ => Kind::Log,
        };
        let started = Instant::now();
        Self { kind, started, last: started }
    }

    /// Shows the state if it is time to, the last one always. Never asks to stop.
    pub(crate) fn show(&mut self, state: Progress) -> ControlFlow<()> {
        let Progress { done, total, written, .. } = state;
        let last = done == total;
        match &self.kind {
            Kind::Silent => {}
            Kind::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Kind::Json => {
                if let Some(elapsed) = self.due(JSON_EVERY, last) {
                    let seconds = elapsed.as_secs_f64();
                    let line = serde_json::json!({
                        "done": done, "total": total, "written": written, "seconds": seconds,
                    });
                    crate::terminal::tell!("{line}");
                }
            }
            Kind::Log => {
                if self.due(LOG_EVERY, last).is_some() {
                    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
                    crate::terminal::tell!("{percent:3} % {} of {} MiB", done >> 20, total >> 20);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }

    /// The time since the start when the interval has passed since the last line.
    fn due(&mut self, every: Duration, last: bool) -> Option<Duration> {
        let now = Instant::now();
        let due = last || now.duration_since(self.last) >= every;
        due.then(|| {
            self.last = now;
            now.duration_since(self.started)
        })
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(BAR_HZ));
    let style = ProgressStyle::with_template(
        "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
    );
    // A template that does not parse leaves the usual look.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
