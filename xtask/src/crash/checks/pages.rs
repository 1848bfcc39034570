//! The witness pages, read back by physical address.

use kdump_witness::{PAGE, Witness, page};

use super::Evidence;
use crate::error::{Context, Result, failed};
use crate::shell;

/// Fewer pages than this prove too little.
pub(super) const ENOUGH: usize = 256;

pub(crate) fn witness(evidence: &Evidence) -> Result<String> {
    let list = evidence.witness()?;
    let (Some(first), Some(last)) = (list.pages.first(), list.pages.last()) else {
        return Err(failed("the witness listed no page"));
    };
    if list.pages.len() < ENOUGH {
        return Err(failed(format!("only {} pages were listed", list.pages.len())));
    }
    for witness in &list.pages {
        compare(list.seed, *witness, &read(evidence, *witness)?)?;
    }
    let count = list.pages.len();
    Ok(format!("{count} identical, from {:#x} to {:#x}", first.paddr, last.paddr))
}

fn read(evidence: &Evidence, witness: Witness) -> Result<Vec<u8>> {
    let dump = evidence.dump();
    let mut command = evidence.kdump(&["read"]);
    command.arg(dump).args(["--phys", &format!("{:#x}", witness.paddr), "--len"]);
    shell::stdout(command.arg(PAGE.to_string()))
}

/// Fails unless `bytes` is what the witness put into its page.
pub(super) fn compare(seed: u64, witness: Witness, bytes: &[u8]) -> Result {
    let expected = page(seed, witness.index);
    if bytes == expected {
        return Ok(());
    }
    let place = format!("page {} at {:#x}", witness.index, witness.paddr);
    if bytes.len() != expected.len() {
        return Err(failed(format!("{place}: {} bytes came back", bytes.len())));
    }
    let at = expected.iter().zip(bytes).position(|(a, b)| a != b);
    Err(failed(format!("{place} differs first at {:#x}", at.context("no difference")?)))
}
