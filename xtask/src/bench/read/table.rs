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
    fn is_for(&self, other: &Self) -> bool {
        (self.format, self.job) == (other.format, other.job)
    }

    /// Whether several processors do the work, so that their time is not that of the caller.
    fn is_shared(&self) -> bool {
        self.threads > 1 || self.reader.contains("helpers")
    }

    /// By the processor time of one thread, or by the clock.
    fn rate(&self, seconds: f64) -> String {
        let float = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        match self.job {
            "4 KiB" | "1 MiB" => format!("{:.0} MiB/s", float(self.bytes >> 10) / 1024.0 / seconds),
            _ => format!("{:.0} ns", seconds * 1e9 / float(self.reads as u64)),
        }
    }

    fn rates(&self) -> [String; 2] {
        [self.rate(self.took.wall), self.rate(self.took.processor)]
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

    /// One line for each of our ways and each peer. The clock counts the time that other programs of a
    /// busy machine take as well; processor time, which is that of all threads together, does not count
    /// waiting for locks. Of what one thread does the second is compared, of the rest both.
    pub(super) fn print(&self) {
        println!("\nTimes by the clock, and of all processors together.");
        for ours in self.0.iter().filter(|cell| cell.is_ours) {
            let about =
                format!("{:7} {:8} {} thread  {:12}", ours.format, ours.job, ours.threads, ours.reader);
            let peers = self.0.iter().filter(|peer| !peer.is_ours && peer.is_for(ours));
            for peer in peers.filter(|peer| peer.threads == ours.threads) {
                let clock = peer.took.wall / ours.took.wall;
                let processor = peer.took.processor / ours.took.processor;
                let verdict = verdict(clock, processor, ours.is_shared(), goal(ours, &peer.reader));
                let [clock_rate, processor_rate] = ours.rates();
                let [their_clock, theirs] = peer.rates();
                println!(
                    "{about} {clock_rate:>10} {processor_rate:>10}  {:12} {their_clock:>10} {theirs:>10}  ratio \
                     {clock:6.2} {processor:6.2}  {verdict}",
                    peer.reader
                );
            }
            let alone = self.0.iter().find(|cell| {
                ours.threads == 2 && cell.threads == 1 && cell.is_for(ours) && cell.reader == ours.reader
            });
            if let Some(alone) = alone {
                let clock = alone.took.wall / ours.took.wall;
                // As if each thread had a processor of its own all the time.
                let processor = 2.0 * alone.took.processor / ours.took.processor;
                println!(
                    "{about} times as fast as one thread: {clock:.2}, with processors for both {processor:.2}  {}",
                    verdict(clock, processor, true, Some(1.8))
                );
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

fn verdict(clock: f64, processor: f64, is_shared: bool, goal: Option<f64>) -> String {
    let Some(goal) = goal else { return String::new() };
    let word = |ratio: f64| if ratio >= goal { "met" } else { "NOT MET" };
    match is_shared && word(clock) != word(processor) {
        true => format!("goal {goal:.1} {} by the clock, {} by processor time", word(clock), word(processor)),
        false => format!("goal {goal:.1} {}", word(processor)),
    }
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
