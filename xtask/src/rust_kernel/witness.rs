//! What the kernel said about itself while it was alive.

use core::ops::Range;

use crate::error::{Context, Result, failed};

/// Tasks of each CPU that fill pages.
pub(crate) const TASKS_PER_CPU: usize = 2;

/// Pages each of them fills.
const PAGES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Witness {
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) tasks: Vec<Task>,
    /// Physical addresses.
    pub(crate) pages: Vec<u64>,
    /// The root of the page tables of all CPUs.
    pub(crate) page_table: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    pub(crate) gs_base: u64,
    /// Virtual addresses of the stack the crash path runs on.
    pub(crate) crash_stack: Range<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) cpu: u64,
    pub(crate) stack: Range<u64>,
}

impl Witness {
    /// From the lines that begin with `witness`.
    pub(crate) fn parse(console: &[String], cpus: usize) -> Result<Self> {
        let mut this = Self::default();
        for line in console.iter().filter_map(|line| line.strip_prefix("witness ")) {
            let field = |name: &str| {
                let found = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
                found.context(format!("console: no {name}= in {line:?}"))
            };
            if line.starts_with("page=") {
                this.pages.push(number(field("page")?)?);
            } else if line.starts_with("page_table=") {
                this.page_table = number(field("page_table")?)?;
            } else if line.starts_with("task=") {
                let (id, cpu) = (number(field("task")?)?, number(field("cpu")?)?);
                this.tasks.push(Task { id, cpu, stack: range(field("stack")?)? });
            } else if line.starts_with("cpu=") {
                let (gs_base, crash_stack) = (number(field("gs_base")?)?, range(field("crash_stack")?)?);
                this.cpus.push(Cpu { gs_base, crash_stack });
            }
        }
        let want = cpus.saturating_mul(TASKS_PER_CPU).saturating_mul(PAGES);
        let (ran, found) = (this.cpus.len(), this.pages.len());
        if ran != cpus || found != want {
            return Err(failed(format!("{ran} CPUs and {found} pages, not {cpus} and {want}")));
        }
        Ok(this)
    }
}

/// The content of a page of the workload: SplitMix64 of the physical address of each word.
pub(crate) fn known_page(paddr: u64) -> Vec<u8> {
    (0..512_u64).flat_map(|index| known_word(paddr.wrapping_add(index << 3)).to_le_bytes()).collect()
}

fn known_word(paddr: u64) -> u64 {
    let mut z = paddr.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `START-END`, the end exclusive.
fn range(text: &str) -> Result<Range<u64>> {
    let (start, end) = text.split_once('-').context(format!("console: {text:?} is no range"))?;
    Ok(number(start)?..number(end)?)
}

/// Decimal, or hexadecimal behind `0x`.
pub(crate) fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.context(format!("{text:?} is no number"))
}
