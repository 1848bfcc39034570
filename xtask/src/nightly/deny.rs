//! cargo-deny: the licences, the versions and the sources of everything that is linked.

use crate::error::Result;
use crate::{rust, shell};

/// `advisories` is left out: its database lies where not every machine may look.
const CHECKS: &[&str] = &["licenses", "bans", "sources"];

pub(super) fn run() -> Result {
    if shell::find("cargo-deny").is_none() {
        println!("installing cargo-deny");
        shell::run(rust::cargo()?.args(["install", "--quiet", "--locked", "cargo-deny"]))?;
    }
    shell::run(rust::cargo()?.args(["deny", "check"]).args(CHECKS))
}
