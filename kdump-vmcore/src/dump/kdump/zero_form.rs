//! What a page of zeros looks like when it is compressed.

use crate::codec::Codec;
use crate::dump::scan::is_zero;

/// The longest form that is remembered; that of a page of 4 KiB has 195 bytes with snappy, 20 to 30 with
/// the others.
const MAX: usize = 256;

/// The compressed form of a page of zeros, as one was met in a dump. Dumps of level 0 have millions of
/// them, all alike, and to compare some bytes costs less than to decompress them again.
#[derive(Debug)]
pub(super) struct ZeroForm {
    codec: Option<Codec>,
    /// Bytes of the page.
    page: usize,
    bytes: [u8; MAX],
    /// How many of `bytes` it has.
    len: usize,
}

impl Default for ZeroForm {
    fn default() -> Self {
        Self { codec: None, page: 0, bytes: [0; MAX], len: 0 }
    }
}

impl ZeroForm {
    fn is_known(&self, codec: Codec, page: usize) -> bool {
        self.codec == Some(codec) && self.page == page
    }

    /// Whether `input` is known to become a page of so many zeros.
    #[inline]
    pub(super) fn is(&self, codec: Codec, input: &[u8], page: usize) -> bool {
        self.len == input.len() && self.is_known(codec, page) && self.bytes.get(..self.len) == Some(input)
    }

    /// Takes down that `input` has become `page`, if that is zeros and nothing is known yet.
    pub(super) fn learn(&mut self, codec: Codec, input: &[u8], page: &[u8]) {
        if input.len() > MAX || self.is_known(codec, page.len()) || !is_zero(page) {
            return;
        }
        if let Some(place) = self.bytes.get_mut(..input.len()) {
            place.copy_from_slice(input);
            (self.codec, self.page, self.len) = (Some(codec), page.len(), input.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_became_zeros_is_known_and_only_for_its_codec_and_size() {
        let mut form = ZeroForm::default();
        assert!(!form.is(Codec::Lzo, &[], 64));
        form.learn(Codec::Lzo, &[1, 2, 3], &[0, 0, 0, 1]);
        form.learn(Codec::Lzo, &[7; MAX + 1], &[0; 64]);
        assert!(!form.is(Codec::Lzo, &[1, 2, 3], 4) && !form.is(Codec::Lzo, &[7; MAX + 1], 64));
        form.learn(Codec::Lzo, &[1, 2, 3], &[0; 64]);
        assert!(form.is(Codec::Lzo, &[1, 2, 3], 64));
        assert!(!form.is(Codec::Lzo, &[1, 2, 4], 64) && !form.is(Codec::Lzo, &[1, 2], 64));
        assert!(!form.is(Codec::Zlib, &[1, 2, 3], 64) && !form.is(Codec::Lzo, &[1, 2, 3], 65));
        form.learn(Codec::Zlib, &[9; MAX], &[0; 64]);
        assert!(form.is(Codec::Zlib, &[9; MAX], 64));
    }
}
