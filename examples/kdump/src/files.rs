//! Whether two names on the command line mean the same file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::failure::{CommandResult, Failure};

/// Refuses to write `out` when that would destroy `input`, whatever the names look like.
pub(crate) fn refuse_same(out: &Path, input: &Path) -> CommandResult {
    let (Ok(written), Ok(read)) = (out.metadata(), input.metadata()) else { return Ok(()) };
    if (written.dev(), written.ino()) == (read.dev(), read.ino()) {
        let (out, input) = (out.display(), input.display());
        return Err(Failure::new(format!("{out}: writing it would destroy {input}, which is to be read")));
    }
    Ok(())
}
