//! Any bytes as a page that is compressed with snappy and read back, and as snappy data.
#![no_main]

use std::cell::RefCell;

use kdump_vmcore::codec::{Codec, Decoder, Encoder};
use libfuzzer_sys::fuzz_target;

const CODEC: Codec = Codec::Snappy;

thread_local! {
    /// Kept from run to run, as a reader of dumps keeps them from page to page.
    static STATE: RefCell<(Decoder, Encoder)> =
        RefCell::new((Decoder::new(), Encoder::new(CODEC).expect("a codec of this build")));
}

fuzz_target!(|bytes: &[u8]| {
    STATE.with_borrow_mut(|(decoder, encoder)| {
        let mut data = vec![0; CODEC.bound(bytes.len())];
        let len = encoder.encode(bytes, &mut data).expect("it compresses").expect("the bound suffices");
        let mut page = vec![0xA5; bytes.len()];
        decoder.decode(CODEC, &data[..len], &mut page).expect("what was compressed can be read");
        assert!(page == bytes, "another page came back");

        let mut room = [0; 4096];
        if decoder.decode(CODEC, bytes, &mut room).is_ok() {
            let mut again = [0xA5; 4096];
            decoder.decode(CODEC, bytes, &mut again).expect("it was read once");
            assert!(room == again, "the page depends on what was in its place");
        }
        // The first bytes as flips of good data: damage that passes the first checks.
        for flip in bytes.chunks_exact(3).take(8) {
            let at = usize::from(flip[0]) << 8 | usize::from(flip[1]);
            data[at % len] ^= flip[2];
        }
        let _ = decoder.decode(CODEC, &data[..len], &mut page);
    });
});
