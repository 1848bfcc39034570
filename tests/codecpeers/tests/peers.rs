//! What we compress, the distribution's libraries decompress, and the other way round; and what
//! is no LZO1X block for one is none for the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(clippy::arithmetic_side_effects, reason = "tests may panic")]

use codecpeers::Peer;
use kdump_vmcore::codec::{Codec, Decoder, Encoder};
use proptest::prelude::*;

/// Pages as they lie in dumps: pointers, small numbers, text, code, poison, zeros, noise.
fn page(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (any::<u32>(), 1_usize..64).prop_map(|(base, count)| {
            let step = u64::from(base & 0xFFF);
            let start = 0xFFFF_8880_0000_0000 | u64::from(base);
            (0..count as u64).flat_map(|at| (start + at * step).to_le_bytes()).collect::<Vec<u8>>()
        }),
        (any::<u8>(), 1_usize..2000).prop_map(|(byte, count)| vec![byte; count]),
        (1_usize..2000).prop_map(|count| vec![0; count]),
        proptest::collection::vec(any::<u8>(), 1..80),
        "[a-z_]{2,8}( [a-z0-9_]{1,6}){0,20}".prop_map(String::into_bytes),
        (0_usize..24000, 1_usize..500).prop_map(|(at, count)| {
            let code = include_bytes!("../../../kdump-purgatory/objects/x86_64.o");
            code.iter().cycle().skip(at % code.len()).take(count).copied().collect()
        }),
    ];
    proptest::collection::vec(piece, 1..60).prop_map(move |pieces| {
        let mut page: Vec<u8> = pieces.concat();
        while page.len() < len {
            page.extend_from_within(..);
        }
        page.truncate(len);
        page
    })
}

fn both_ways(page: &[u8]) {
    let mut output = vec![0; page.len() * 2 + 1024];
    let mut back = vec![0; page.len()];
    for peer in Peer::all().expect("the peers") {
        let codec = Codec::from_name(peer.codec).unwrap();
        let len = Encoder::new(codec).unwrap().encode(page, &mut output).unwrap().unwrap();
        back.fill(0xA5);
        assert_eq!(peer.decompress(&output[..len], &mut back), Ok(page.len()), "{}", peer.file);
        assert!(back == page, "{} reads another page than we wrote", peer.file);
        let len = peer.compress(page, &mut output).unwrap();
        back.fill(0xA5);
        Decoder::new().decode(codec, &output[..len], &mut back).unwrap();
        assert!(back == page, "we read another page than {} wrote", peer.file);
    }
}

proptest! {
    #[test]
    fn pages_of_4_kib(page in page(4096)) {
        both_ways(&page);
    }

    #[test]
    fn pages_of_64_kib(page in page(65536)) {
        both_ways(&page);
    }

    #[test]
    fn short_inputs(page in proptest::collection::vec(0_u8..3, 0..300)) {
        both_ways(&page);
    }

    #[test]
    fn long_inputs(page in page(300_000)) {
        both_ways(&page);
    }

    /// The verdict on damaged blocks, and the page where it is accepted.
    #[test]
    fn damaged_lzo_is_judged_alike(
        page in page(4096),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let [lzo, ..] = Peer::all().unwrap();
        let mut output = vec![0; 16384];
        let len = lzo.compress(&page, &mut output).unwrap();
        output.truncate(len);
        for (at, byte) in changes {
            *at.get_mut(&mut output) = byte;
        }
        if cuts {
            output.truncate(cut.index(len));
        }
        judged_alike(&lzo, &output, 4096)?;
    }

    /// Blocks made of opcodes, so that all kinds and the states between them are met.
    #[test]
    fn any_lzo_is_judged_alike(
        bytes in proptest::collection::vec(prop_oneof![3 => 0_u8..32, 2 => any::<u8>(), 1 => Just(0)], 0..60),
        room in 0_usize..700,
    ) {
        let [lzo, ..] = Peer::all().unwrap();
        let mut block = bytes.clone();
        judged_alike(&lzo, &block, room)?;
        block.extend([0x11, 0, 0]);
        judged_alike(&lzo, &block, room)?;
        // Enough behind it to copy from anywhere.
        let mut far: Vec<u8> = Encoder::new(Codec::Lzo)
            .and_then(|mut encoder| {
                let mut out = vec![0; 8192];
                let noise: Vec<u8> = (0_u32..1200).flat_map(|at| (at.wrapping_mul(0x9E37_79B1)).to_be_bytes()).collect();
                let len = encoder.encode(&noise, &mut out)?.unwrap_or(0);
                out.truncate(len.saturating_sub(3));
                Ok(out)
            })
            .unwrap();
        far.extend(block);
        judged_alike(&lzo, &far, 4800 + room)?;
    }
}

fn judged_alike(lzo: &Peer, block: &[u8], room: usize) -> Result<(), TestCaseError> {
    let (mut ours, mut theirs) = (vec![0xA5; room], vec![0xA5; room]);
    let our = kdump_vmcore::codec::lzo::decompress(block, &mut ours);
    let their = lzo.decompress(block, &mut theirs);
    match (&our, &their) {
        (Ok(left), Ok(right)) => {
            prop_assert_eq!(left, right);
            prop_assert_eq!(&ours[..*left], &theirs[..*right]);
        }
        (Err(_), Err(_)) => {}
        _ => prop_assert!(false, "we: {our:?}, liblzo2: {their:?}, block {block:02x?}"),
    }
    Ok(())
}

#[test]
fn a_peer_that_is_missing_is_an_error() {
    // The libraries are there; a comparison that cannot be made must not pass for one.
    assert_eq!(Peer::all().unwrap().map(|peer| peer.codec), ["lzo", "zlib", "snappy", "zstd"]);
}
