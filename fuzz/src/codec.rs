//! Pages of one codec.

use std::cell::RefCell;

use kdump_vmcore::codec::{Codec, Decoder, Encoder};

thread_local! {
    /// Kept from run to run, as a reader of dumps keeps them from page to page.
    static STATE: RefCell<(Decoder, Option<Encoder>)> = RefCell::new((Decoder::new(), None));
}

/// `bytes` as a page that is compressed with `codec`, always the same in one process, and read back;
/// and as data of the codec.
pub fn exercise(codec: Codec, bytes: &[u8]) {
    STATE.with_borrow_mut(|(decoder, encoder)| {
        let encoder = encoder.get_or_insert_with(|| Encoder::new(codec).expect("a codec of this build"));
        let mut data = vec![0; codec.bound(bytes.len())];
        let len = encoder.encode(bytes, &mut data).expect("it compresses").expect("the bound suffices");
        let mut page = vec![0xA5; bytes.len()];
        decoder.decode(codec, &data[..len], &mut page).expect("what was compressed can be read");
        assert!(page == bytes, "another page came back");

        let mut room = [0; 4096];
        if decoder.decode(codec, bytes, &mut room).is_ok() {
            let mut again = [0xA5; 4096];
            decoder.decode(codec, bytes, &mut again).expect("it was read once");
            assert!(room == again, "the page depends on what was in its place");
        }
        // The first bytes as flips of good data: damage that passes the first checks.
        for flip in bytes.chunks_exact(3).take(8) {
            let at = usize::from(flip[0]) << 8 | usize::from(flip[1]);
            data[at % len] ^= flip[2];
        }
        let _ = decoder.decode(codec, &data[..len], &mut page);
    });
}
