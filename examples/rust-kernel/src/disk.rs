//! The dump's place on the first IDE disk: written by programmed I/O, the one way that needs
//! neither memory nor interrupts (ATA/ATAPI-6, "WRITE SECTOR(S)").

use kdump_vmcore::{Error, IoError, WriteAt};

use crate::{cpu, say};

const SECTOR: usize = 512;

/// Sectors written by one command.
const BATCH: usize = 128;

const DATA: u16 = 0x1f0;
const COUNT: u16 = 0x1f2;
const LBA: u16 = 0x1f3;
const DEVICE: u16 = 0x1f6;
const COMMAND: u16 = 0x1f7;

const WRITE_SECTORS: u8 = 0x30;
const FLUSH_CACHE: u8 = 0xe7;

const BUSY: u8 = 0x80;
const DATA_REQUEST: u8 = 0x08;
const FAULT: u8 = 0x21;

/// Writes one file from the first sector on, in ascending order, and whole sectors of it again.
pub(crate) struct Disk {
    /// Bytes on the disk; a multiple of the sector size.
    written: u64,
    /// The beginning of the next sector.
    partial: [u8; SECTOR],
    filled: usize,
}

impl Disk {
    pub(crate) const fn new() -> Self {
        Self { written: 0, partial: [0; SECTOR], filled: 0 }
    }

    /// Appends whole sectors.
    fn write_sectors(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.put_sectors(self.written, bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes whole sectors at `offset`, a multiple of their size.
    fn put_sectors(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        for (offset, batch) in (offset..).step_by(BATCH * SECTOR).zip(bytes.chunks(BATCH * SECTOR)) {
            let lba = (offset / SECTOR as u64).to_le_bytes();
            self.wait(0)?;
            // Device 0, LBA, and bits 24 to 27 of the address: 128 GiB can be reached.
            cpu::outb(DEVICE, 0xe0 | lba[3] & 0xf);
            cpu::outb(COUNT, (batch.len() / SECTOR) as u8);
            for (port, byte) in (LBA..).zip([lba[0], lba[1], lba[2]]) {
                cpu::outb(port, byte);
            }
            cpu::outb(COMMAND, WRITE_SECTORS);
            for sector in batch.chunks(SECTOR) {
                self.wait(DATA_REQUEST)?;
                cpu::out_words(DATA, sector);
            }
        }
        Ok(())
    }

    /// Waits until the disk is not busy and shows `want`.
    fn wait(&self, want: u8) -> Result<(), Error> {
        for _ in 0..10_000_000 {
            let status = cpu::inb(COMMAND);
            if status & BUSY != 0 {
                continue;
            }
            if status & FAULT != 0 {
                return Err(self.error("the disk reports a fault"));
            }
            if status & want == want {
                return Ok(());
            }
        }
        Err(self.error("the disk does not answer"))
    }

    fn error(&self, message: &str) -> Error {
        say!("disk: {message}");
        Error::Io { offset: self.written, cause: IoError::default() }
    }
}

impl WriteAt for Disk {
    fn write_all_at(&mut self, offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end <= self.written && offset % SECTOR as u64 == 0 && bytes.len() % SECTOR == 0 {
            return self.put_sectors(offset, bytes);
        }
        if offset != self.written + self.filled as u64 {
            return Err(self.error("a write that does not follow the one before"));
        }
        while !bytes.is_empty() {
            if self.filled == 0 && bytes.len() >= SECTOR {
                let (whole, rest) = bytes.split_at(bytes.len() / SECTOR * SECTOR);
                self.write_sectors(whole)?;
                bytes = rest;
                continue;
            }
            let (_, room) = self.partial.split_at_mut(self.filled);
            let (now, rest) = bytes.split_at(bytes.len().min(room.len()));
            room.iter_mut().zip(now).for_each(|(slot, byte)| *slot = *byte);
            self.filled += now.len();
            bytes = rest;
            if self.filled == SECTOR {
                self.filled = 0;
                let sector = self.partial;
                self.write_sectors(&sector)?;
            }
        }
        Ok(())
    }

    /// Nobody knows what was on the disk before.
    fn is_sparse(&self) -> bool {
        false
    }

    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        self.sync()
    }

    /// Writes the last sector, padded with zeros, and waits until all is on the medium.
    fn sync(&mut self) -> Result<(), Error> {
        let (partial, filled) = (self.partial, self.filled);
        if filled != 0 {
            let padded = partial.iter().zip(0..).map(|(byte, at)| if at < filled { *byte } else { 0 });
            let mut sector = [0; SECTOR];
            sector.iter_mut().zip(padded).for_each(|(slot, byte)| *slot = byte);
            self.put_sectors(self.written, &sector)?;
        }
        cpu::outb(COMMAND, FLUSH_CACHE);
        self.wait(0)
    }
}
