//! A client for QEMU's gdbstub, just large enough to read and write physical memory.
//!
//! Packets are those of the GDB Remote Serial Protocol (appendix E of the GDB manual);
//! `Qqemu.PhyMemMode` is described in QEMU's docs/system/gdb.rst. The guest stands still from
//! the connection to the detachment.

use core::time::Duration;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::error::{Context, Result, failed};

/// Bytes per memory packet: two digits each, below the stub's limit of 4096.
const CHUNK: usize = 1024;
const STEP: u64 = CHUNK as u64;

/// A connection; the guest stands still as long as it is there.
#[derive(Debug)]
pub struct Stub(UnixStream);

impl Stub {
    /// Connects, which stops the guest, and switches to physical addresses.
    pub fn attach(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context(socket.display())?;
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).context(socket.display())?;
        let mut stub = Self(stream);
        stub.expect_ok("Qqemu.PhyMemMode:1")?;
        Ok(stub)
    }

    /// `len` bytes of memory.
    pub fn read(&mut self, paddr: u64, len: u64) -> Result<Vec<u8>> {
        let end = paddr.checked_add(len).context("physical address out of range")?;
        let mut bytes = Vec::new();
        let mut at = paddr;
        while at < end {
            let count = end.saturating_sub(at).min(STEP);
            let reply = self.ask(&format!("m{at:x},{count:x}"))?;
            let got = unhex(&reply).context(format!("memory at {at:#x}: {reply:?}"))?;
            if got.len() as u64 != count {
                return Err(failed(format!("memory at {at:#x}: {reply:?}")));
            }
            bytes.extend_from_slice(&got);
            at = at.saturating_add(count);
        }
        Ok(bytes)
    }

    /// Changes memory.
    pub fn write(&mut self, paddr: u64, bytes: &[u8]) -> Result {
        let mut at = paddr;
        for chunk in bytes.chunks(CHUNK) {
            let digits: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            self.expect_ok(&format!("M{at:x},{:x}:{digits}", chunk.len()))?;
            at = at.saturating_add(STEP);
        }
        Ok(())
    }

    /// Lets the guest run on.
    pub fn detach(mut self) -> Result {
        self.expect_ok("D")
    }

    fn expect_ok(&mut self, packet: &str) -> Result {
        let reply = self.ask(packet)?;
        if reply == "OK" {
            return Ok(());
        }
        let short: String = packet.chars().take(40).collect();
        Err(failed(format!("gdbstub: {short:?} was answered {reply:?}")))
    }

    /// Sends one packet and returns the text of its answer.
    fn ask(&mut self, packet: &str) -> Result<String> {
        let sum = checksum(packet.as_bytes());
        write!(self.0, "${packet}#{sum:02x}").context("gdbstub")?;
        loop {
            let reply = self.packet()?;
            // The stop that follows the connection is reported whenever it happens.
            if !reply.starts_with(['T', 'S']) {
                return Ok(reply);
            }
        }
    }

    fn packet(&mut self) -> Result<String> {
        // Acknowledgements, if any, come before the dollar.
        while self.byte()? != b'$' {}
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => text.push(byte),
            }
        }
        let digits = [self.byte()?, self.byte()?];
        let expected = format!("{:02x}", checksum(&text));
        if !expected.as_bytes().eq_ignore_ascii_case(&digits) {
            return Err(failed("gdbstub: wrong checksum"));
        }
        self.0.write_all(b"+").context("gdbstub")?;
        String::from_utf8(text).context("gdbstub")
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).context("gdbstub")?;
        let [byte] = byte;
        Ok(byte)
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::{Stub, unhex};

    #[test]
    fn a_packet_and_its_answer() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            let mut question = [0; 11];
            theirs.read_exact(&mut question).unwrap();
            theirs.write_all(b"$T02thread:01;#04+$00ff#2c").unwrap();
            // Open until joined: the client acknowledges what it got.
            (question, theirs)
        });
        assert_eq!(Stub(ours).read(0x1000, 2).unwrap(), [0, 0xff]);
        assert_eq!(&peer.join().unwrap().0, b"$m1000,2#8c");
    }

    #[test]
    fn digits() {
        assert_eq!(unhex("0aFf"), Some(vec![10, 255]));
        assert_eq!(unhex("E14x"), None);
    }
}
