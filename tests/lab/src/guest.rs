//! A guest under QEMU: its serial console and its end.

use core::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use crate::error::{Context, Error, Result, failed};
use crate::shell;

/// How many lines of the console an error shows.
const TAIL: usize = 25;
/// What scripts in guests print before they power off early.
pub const GAVE_UP: &str = "lab: FAILED";

/// How a wait ended.
enum Heard {
    Line(String),
    Silence,
    End,
}

/// A running QEMU, which is killed when this goes away.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// What it says when there is no need to wait any more.
    gave_up: &'static str,
    /// To be removed at the end.
    sockets: Vec<PathBuf>,
}

impl Guest {
    /// Starts QEMU, whose serial console is on its standard streams and recorded in `log`. A line with
    /// `gave_up` ends every wait. QEMU makes the `sockets`, and they go when it does.
    pub fn spawn(mut command: Command, log: &Path, gave_up: &'static str, sockets: &[&Path]) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let line = shell::describe(&command);
        let log = File::create(log).context(log.display())?;
        let mut child = command.spawn().context(&line)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(format!("{line}: no pipes")));
        };
        let (send, lines) = channel();
        thread::spawn(move || relay(output, log, &send));
        let sockets = sockets.iter().map(|&path| path.to_owned()).collect();
        Ok(Self { child, input, lines, seen: Vec::new(), gave_up, sockets })
    }

    /// Waits until a line holds one of `texts` and returns that line. A failure reported by the
    /// guest, the end of QEMU and the end of the `patience` are errors.
    pub fn wait_for(&mut self, texts: &[&str], patience: Duration) -> Result<String> {
        let waiting = format!("while waiting for {texts:?}");
        match self.listen(texts, patience)? {
            Heard::Line(line) if line.contains(self.gave_up) => Err(self.lost("the guest gave up", &waiting)),
            Heard::Line(line) => Ok(line),
            Heard::End => Err(self.lost("QEMU ended", &waiting)),
            Heard::Silence => Err(self.lost(&format!("not within {} s", patience.as_secs()), &waiting)),
        }
    }

    /// As [`wait_for`](Self::wait_for), but silence, the end of QEMU and a failure told by the
    /// guest are answers: `None`, or the line.
    pub fn hear(&mut self, texts: &[&str], patience: Duration) -> Result<Option<String>> {
        match self.listen(texts, patience)? {
            Heard::Line(line) => Ok(Some(line)),
            Heard::Silence | Heard::End => Ok(None),
        }
    }

    /// Passes if the guest runs on for `time` without a line that holds one of `texts`.
    pub fn stays_silent(&mut self, texts: &[&str], time: Duration) -> Result {
        match self.listen(texts, time)? {
            Heard::Silence => Ok(()),
            Heard::Line(line) => Err(failed(format!("the console said: {line}"))),
            Heard::End => Err(failed("QEMU ended")),
        }
    }

    /// Waits until QEMU has ended by itself.
    pub fn wait_for_end(&mut self, patience: Duration) -> Result {
        match self.listen(&[], patience)? {
            Heard::End => self.child.wait().context("QEMU").map(|_| ()),
            Heard::Line(_) => Err(self.lost("the guest gave up", "at its end")),
            Heard::Silence => Err(self.lost("QEMU did not end", "after the last step")),
        }
    }

    /// Collects lines until one holds one of `texts` or says that the guest gave up.
    fn listen(&mut self, texts: &[&str], patience: Duration) -> Result<Heard> {
        let deadline = Instant::now().checked_add(patience).context("deadline out of range")?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return Ok(Heard::End),
                Err(RecvTimeoutError::Timeout) => return Ok(Heard::Silence),
            };
            let wanted = texts.iter().any(|text| line.contains(text)) || line.contains(self.gave_up);
            self.seen.push(line.clone());
            if wanted {
                return Ok(Heard::Line(line));
            }
        }
    }

    /// Everything on the console so far.
    #[must_use]
    pub fn console(&self) -> &[String] {
        &self.seen
    }

    /// Processor time that QEMU has taken so far (`proc(5)`, utime and stime of /proc/PID/stat, in
    /// hundredths of a second), which a busy host does not lengthen.
    /// # Errors
    /// When /proc does not tell.
    pub fn processor_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).context(&path)?;
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<core::result::Result<u64, _>>();
        Ok(Duration::from_millis(ticks.context(&path)?.saturating_mul(10)))
    }

    /// Types a line on the serial console.
    pub fn type_line(&mut self, text: &str) -> Result {
        writeln!(self.input, "{text}").and_then(|()| self.input.flush()).context("serial console")
    }

    fn lost(&self, why: &str, waiting: &str) -> Error {
        let from = self.seen.len().saturating_sub(TAIL);
        let tail = self.seen.get(from..).unwrap_or_default().join("\n  ");
        failed(format!("{why}, {waiting}; the console said last:\n  {tail}"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails when QEMU has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for socket in &self.sockets {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Hands over the console line by line until QEMU closes it.
fn relay(output: ChildStdout, mut log: File, send: &Sender<String>) {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count != 0) {
        // The log is for people; a full disk shows where it matters.
        let _ = log.write_all(&bytes);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if send.send(line).is_err() {
            return;
        }
    }
}
