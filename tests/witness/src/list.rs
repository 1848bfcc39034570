//! The witness list: a text file with one fact per line.
//!
//! ```text
//! seed 0x1f
//! page 0 0x1a2b000
//! cpu 0 writer 112
//! cpu 1 spinner 113
//! ```

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

/// One page whose content and place were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Which content of [`page`](crate::page) it holds.
    pub index: u64,
    /// Physical address of its first byte.
    pub paddr: u64,
}

/// What a pinned thread was doing when the machine crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Wrote `c` to /proc/sysrq-trigger: its registers are those of the kernel.
    Writer,
    /// Spun in user mode with [`spinner_magic`](crate::spinner_magic) in r12.
    Spinner,
}

/// The thread pinned to one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// Number of the CPU, as in /sys/devices/system/cpu/cpuN.
    pub cpu: u32,
    /// What the thread did.
    pub role: Role,
    /// Its thread id, which the kernel stores as `pr_pid`.
    pub tid: u32,
}

/// Everything a witness recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Seed of the page contents.
    pub seed: u64,
    /// The pages, in order of physical address.
    pub pages: Vec<Witness>,
    /// The pinned threads, one per CPU.
    pub cpus: Vec<Cpu>,
}

/// A line that is not part of a witness list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line as found.
    pub line: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a line of a witness list: {:?}", self.line)
    }
}

impl core::error::Error for ParseError {}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {:#x}", self.seed)?;
        for page in &self.pages {
            writeln!(f, "page {} {:#x}", page.index, page.paddr)?;
        }
        for cpu in &self.cpus {
            let role = match cpu.role {
                Role::Writer => "writer",
                Role::Spinner => "spinner",
            };
            writeln!(f, "cpu {} {role} {}", cpu.cpu, cpu.tid)?;
        }
        Ok(())
    }
}

impl FromStr for List {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut list = Self::default();
        for line in text.lines() {
            list.push(line).ok_or_else(|| ParseError { line: line.to_owned() })?;
        }
        Ok(list)
    }
}

impl List {
    fn push(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["seed", seed] => self.seed = hex(seed).ok()?,
            ["page", index, paddr] => {
                let (index, paddr) = (index.parse().ok()?, hex(paddr).ok()?);
                self.pages.push(Witness { index, paddr });
            }
            ["cpu", cpu, role, tid] => {
                let role = match role {
                    "writer" => Role::Writer,
                    "spinner" => Role::Spinner,
                    _ => return None,
                };
                let (cpu, tid) = (cpu.parse().ok()?, tid.parse().ok()?);
                self.cpus.push(Cpu { cpu, role, tid });
            }
            _ => return None,
        }
        Some(())
    }
}

fn hex(text: &str) -> Result<u64, ParseIntError> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16)
}

#[cfg(test)]
mod tests {
    use super::{Cpu, List, Role, Witness};

    #[test]
    fn text_and_list_are_the_same() {
        let list = List {
            seed: 0x1f,
            pages: vec![Witness { index: 4, paddr: 0x1a2_b000 }],
            cpus: vec![
                Cpu { cpu: 0, role: Role::Writer, tid: 112 },
                Cpu { cpu: 1, role: Role::Spinner, tid: 113 },
            ],
        };
        assert_eq!(list.to_string().parse::<List>(), Ok(list));
    }

    #[test]
    fn a_cut_line_is_an_error() {
        let error = "seed 0x1\npage 3".parse::<List>().unwrap_err();
        assert_eq!(error.line, "page 3");
    }
}
