//! Reads commands from the console: how to die.

use crate::serial::{CONSOLE, say};
use crate::{cause, load, task};

/// A task that obeys what is typed.
pub(crate) fn run(_id: u32) -> ! {
    let mut line = [0; 64];
    let mut len = 0;
    say!("ready");
    loop {
        match CONSOLE.read() {
            Some(b'\r' | b'\n') => {
                let command = line.get(..len).and_then(|bytes| core::str::from_utf8(bytes).ok());
                obey(command.unwrap_or_default());
                len = 0;
            }
            Some(byte) => {
                if let Some(slot) = line.get_mut(len) {
                    *slot = byte;
                    len += 1;
                }
            }
            None => {
                cause::obey(0);
                task::yield_now();
            }
        }
    }
}

fn obey(command: &str) {
    if let Some(what) = command.strip_prefix("damage ") {
        return load::damage(what);
    }
    if let Some(what) = command.strip_prefix("hurt ") {
        return cause::hurt(what);
    }
    let (name, cpu) = command.split_once(' ').unwrap_or((command, "0"));
    cause::order((cpu != "all").then(|| cpu.parse().unwrap_or(0)), name);
}
