//! Texts that go into buffers of the caller.

use crate::{Failure, Out};

/// Copies `text` and a NUL into `buf` and sets `len` to the length without the NUL.
///
/// # Errors
/// [`Failure::Buffer`] when `buf` is too small; `len` is set all the same.
pub fn copy_text(text: &[u8], buf: &mut [u8], len: Out<'_, usize>) -> Result<(), Failure> {
    len.set_if_given("len", text.len())?;
    let need = text.len().saturating_add(1);
    let have = buf.len() as u64;
    let (target, nul) = buf
        .get_mut(..need)
        .and_then(|buf| buf.split_at_mut_checked(text.len()))
        .ok_or(Failure::Buffer { need: need as u64, have })?;
    target.copy_from_slice(text);
    nul.fill(0);
    Ok(())
}
