//! QEMU's machine protocol over a socket (docs/interop/qmp-spec in its manual).

use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Context, Result, failed};

/// Writing a dump of half a GiB takes seconds, on a busy machine a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection whose commands are answered one by one.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and leaves the mode of negotiation.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context(socket.display())?;
        stream.set_read_timeout(Some(PATIENCE)).context(socket.display())?;
        let lines = BufReader::new(stream.try_clone().context(socket.display())?);
        let mut qmp = Self { stream, lines };
        qmp.run("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// What `command` returns.
    pub fn run(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        writeln!(self.stream, "{text}").context(command)?;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).context(command)? == 0 {
                return Err(failed(format!("{command}: QEMU hung up")));
            }
            let answer: Value = serde_json::from_str(&line).context(command)?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                return Err(failed(format!("{command}: {error}")));
            }
            // A greeting or an event.
        }
    }

    /// What the monitor for people answers; nothing when all went well.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let said = self.run("human-monitor-command", &json!({ "command-line": line }))?;
        Ok(said.as_str().unwrap_or_default().trim().to_owned())
    }
}
