//! What was measured, beside the goals.

use super::dumps::Made;
use super::places::Job;
use super::readers::{Reader, Took};
use crate::error::{Result, failed};

/// How fast a list was read from a dump by a reader: the best round.
#[derive(Debug)]
struct Cell {
    format: &'static str,
    job: &'static str,
    threads: usize,
    reader: String,
    is_ours: bool,
    reads: usize,
    bytes: u64,
    took: Took,
}

impl Cell {
    /// Seconds that count: with one thread those of the processor, which other programs of a busy
    /// machine take little from; with two those on the clock, or waiting for a lock would be free.
    fn seconds(&self) -> f64 {
        let alone = self.threads == 1 && !self.reader.contains("helpers");
        if alone { self.took.processor } else { self.took.wall }
    }

    fn is_for(&self, other: &Self) -> bool {
        (self.format, self.job) == (other.format, other.job)
    }

    fn rate(&self) -> String {
        let float = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        match self.job {
            "4 KiB" | "1 MiB" => format!("{:.0} MiB/s", float(self.bytes >> 10) / 1024.0 / self.seconds()),
            _ => format!("{:.0} ns", self.seconds() * 1e9 / float(self.reads as u64)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table(Vec<Cell>);

impl Table {
    pub(super) fn add(&mut self, made: &Made, job: &Job, reader: &Reader, took: Took) {
        let new = Cell {
            format: made.name,
            job: job.name,
            threads: job.threads,
            reader: reader.name.clone(),
            is_ours: reader.is_ours,
            reads: job.reads,
            bytes: job.bytes,
            took,
        };
        let same = |cell: &&mut Cell| {
            cell.is_for(&new) && (cell.threads, &cell.reader) == (new.threads, &new.reader)
        };
        match self.0.iter_mut().find(same) {
            Some(cell) => {
                cell.took.wall = cell.took.wall.min(new.took.wall);
                cell.took.processor = cell.took.processor.min(new.took.processor);
            }
            None => self.0.push(new),
        }
    }

    /// One line for each of our ways and each peer, with the ratio of their times.
    pub(super) fn print(&self) {
        println!("\nformat  places   threads  reader");
        for ours in self.0.iter().filter(|cell| cell.is_ours) {
            let about = format!("{:7} {:8} {:7}  {:12}", ours.format, ours.job, ours.threads, ours.reader);
            let peers = self.0.iter().filter(|peer| !peer.is_ours && peer.is_for(ours));
            for peer in peers.filter(|peer| peer.threads == ours.threads) {
                let against = format!("{} {}", peer.reader, peer.rate());
                // What has helpers is on the clock, and so is its peer.
                let theirs = if ours.reader.contains("helpers") { peer.took.wall } else { peer.seconds() };
                line(&about, &ours.rate(), &against, theirs / ours.seconds(), goal(ours, &peer.reader));
            }
            let alone = self.0.iter().find(|cell| {
                ours.threads == 2 && cell.threads == 1 && cell.is_for(ours) && cell.reader == ours.reader
            });
            if let Some(alone) = alone {
                line(&about, &ours.rate(), "itself, one thread", alone.took.wall / ours.took.wall, Some(1.8));
            }
        }
    }

    /// Every reader must have read the same bytes.
    pub(super) fn compare(&self) -> Result {
        for cell in &self.0 {
            let differs = |other: &&Cell| other.job == cell.job && other.took.checksum != cell.took.checksum;
            if let Some(other) = self.0.iter().find(differs) {
                return Err(failed(format!(
                    "{}: {} from {} and {} from {} read different bytes",
                    cell.job, cell.reader, cell.format, other.reader, other.format
                )));
            }
        }
        println!("all read the same bytes");
        Ok(())
    }
}

fn line(about: &str, rate: &str, against: &str, ratio: f64, goal: Option<f64>) {
    let verdict = goal.map_or(String::new(), |goal| {
        format!("goal {goal:.1} {}", if ratio >= goal { "met" } else { "NOT MET" })
    });
    println!("{about} {rate:>11}  against {against:26} {ratio:6.2}  {verdict}");
}

/// How many times as fast as the peer this should be.
fn goal(ours: &Cell, peer: &str) -> Option<f64> {
    let elf = ours.format == "elf";
    let large = ours.threads == 2 || ours.reader.contains("helpers");
    match (ours.job, peer) {
        ("random", "libkdumpfile") if !elf => Some(5.0),
        ("random", "drgn") => Some(if ours.reader.contains("mmap") { 2.0 } else { 1.2 }),
        ("hot set", "libkdumpfile") => Some(2.0),
        ("4 KiB" | "1 MiB", "libkdumpfile") if elf => Some(1.2),
        ("4 KiB" | "1 MiB", "libkdumpfile") if large => Some(3.0),
        _ => None,
    }
}
