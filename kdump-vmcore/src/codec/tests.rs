//! Round trips, known streams, and everything that must not be taken for a good page.
#![allow(clippy::indexing_slicing, reason = "tests may panic")]

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Codec, CodecError, Decoder, Encoder};

/// A page of runs, repeated pieces and noise, as `seed` will have it.
fn page(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut page = Vec::new();
    while page.len() < len {
        let size = match next(8) {
            0 => next(len) + 1,
            _ => next(40) + 1,
        };
        match next(4) {
            0 => page.resize(page.len() + size, u8::try_from(next(256)).unwrap()),
            1 | 2 if !page.is_empty() => {
                let from = page.len() - 1 - next(page.len());
                (0..size).for_each(|at| page.push(page[from + at]));
            }
            _ => (0..size).for_each(|_| page.push(u8::try_from(next(256)).unwrap())),
        }
    }
    page.truncate(len);
    page
}

fn encode(codec: Codec, level: i32, page: &[u8]) -> Vec<u8> {
    let mut output = vec![0; codec.bound(page.len())];
    let len = Encoder::with_level(codec, level).unwrap().encode(page, &mut output).unwrap().unwrap();
    output.truncate(len);
    output
}

fn decode(codec: Codec, data: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut output = vec![0xA5; len];
    Decoder::new().decode(codec, data, &mut output).map(|()| output)
}

fn built() -> impl Iterator<Item = Codec> {
    Codec::ALL.into_iter().filter(|codec| codec.can_encode())
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(seed: u64, len in 0_usize..9000) {
        let page = page(seed, len);
        for codec in built() {
            let levels = codec.levels();
            for level in [levels.min, levels.default, levels.max.min(9)] {
                let data = encode(codec, level, &page);
                prop_assert!(data.len() <= codec.bound(len), "{codec} {level}: {} > {}", data.len(), codec.bound(len));
                prop_assert_eq!(&decode(codec, &data, len).unwrap(), &page, "{} {}", codec, level);
            }
        }
    }

    #[test]
    fn large_pages_use_the_far_copies(seed: u64, len in 50_000_usize..150_000) {
        let page = page(seed, len);
        for codec in built() {
            let data = encode(codec, codec.levels().default, &page);
            prop_assert_eq!(&decode(codec, &data, len).unwrap(), &page, "{}", codec);
        }
    }

    #[test]
    fn an_encoder_and_a_decoder_forget_the_page_before(first: u64, second: u64) {
        let (first, second) = (page(first, 4096), page(second, 4096));
        for codec in built() {
            let mut encoder = Encoder::new(codec).unwrap();
            let mut output = vec![0; codec.bound(4096)];
            encoder.encode(&first, &mut output).unwrap();
            // Neither a page that did not fit nor data that is refused may leave anything.
            prop_assert_eq!(encoder.encode(&first, &mut [0; 3]), Ok(None));
            let len = encoder.encode(&second, &mut output).unwrap().unwrap();
            prop_assert_eq!(&output[..len], &encode(codec, encoder.level(), &second));
            let mut decoder = Decoder::new();
            let mut back = [0; 4096];
            prop_assert!(decoder.decode(codec, &output[..len / 2], &mut back).is_err());
            decoder.decode(codec, &output[..len], &mut back).unwrap();
            prop_assert_eq!(&back[..], &second);
        }
    }

    #[test]
    fn a_changed_byte_never_harms(seed: u64, at: prop::sample::Index, byte: u8) {
        let page = page(seed, 4096);
        for codec in built() {
            let mut data = encode(codec, codec.levels().default, &page);
            *at.get_mut(&mut data) ^= byte;
            // zlib's checksum tells, but for bits without meaning; others may give another page.
            let result = decode(codec, &data, 4096);
            prop_assert!(codec != Codec::Zlib || result.is_err() || result.as_ref() == Ok(&page));
        }
    }

    #[test]
    fn any_bytes_are_data_or_an_error(data: Vec<u8>, len in 0_usize..600) {
        for codec in Codec::ALL {
            let _ = decode(codec, &data, len);
        }
    }
}

#[test]
fn every_cut_is_an_error_and_so_is_every_byte_more() {
    let page = page(7, 4096);
    for codec in built() {
        let mut data = encode(codec, codec.levels().default, &page);
        for cut in 0..data.len() {
            let error = decode(codec, &data[..cut], 4096).unwrap_err();
            if codec == Codec::Lzo {
                assert!(
                    matches!(error, CodecError::Truncated { at, len, .. } if at <= cut && len == cut),
                    "{cut}: {error}"
                );
            }
        }
        data.push(0);
        let error = decode(codec, &data, 4096).unwrap_err();
        if matches!(codec, Codec::Lzo | Codec::Zlib) {
            assert_eq!(error, CodecError::Trailing { codec, at: data.len() - 1, len: 1 });
        }
    }
}

#[test]
fn the_page_must_be_filled_exactly() {
    let page = page(9, 4096);
    for codec in built() {
        let data = encode(codec, codec.levels().default, &page);
        assert_eq!(
            decode(codec, &data, 4097),
            Err(CodecError::TooShort { codec, got: 4096, expected: 4097 })
        );
        let error = decode(codec, &data, 4095).unwrap_err();
        assert!(matches!(error, CodecError::TooLong { room: 4095, .. }), "{codec}: {error}");
    }
}

#[test]
fn an_output_that_is_too_small_is_none() {
    let noise: Vec<u8> =
        (0_u32..1024).flat_map(|at| (at.wrapping_mul(0x9E37_79B1) ^ at << 7).to_le_bytes()).collect();
    for codec in built() {
        let page = page(11, 4096);
        let data = encode(codec, codec.levels().default, &page);
        let mut encoder = Encoder::new(codec).unwrap();
        // zstd asks for a little more than it needs.
        let spare = if codec == Codec::Zstd { 64 } else { 0 };
        let mut output = vec![0; data.len() + spare];
        assert_eq!(encoder.encode(&page, &mut output), Ok(Some(data.len())), "{codec}");
        assert_eq!(output[..data.len()], data);
        for room in [0, 1, 2, 16, data.len() - 17, data.len() - 1] {
            assert_eq!(encoder.encode(&page, &mut output[..room]), Ok(None), "{codec} {room}");
        }
        assert_eq!(encoder.encode(&noise, &mut [0; 3000]), Ok(None), "{codec}");
    }
}

#[test]
fn flags_and_names() {
    assert_eq!(Codec::from_flags(0), Ok(None));
    for (flag, name) in [(1, "zlib"), (2, "lzo"), (4, "snappy"), (0x20, "zstd")] {
        let codec = Codec::from_flags(flag).unwrap().unwrap();
        assert_eq!((codec.flag(), codec.name(), codec.to_string().as_str()), (flag, name, name));
        assert_eq!(Codec::from_name(name), Some(codec));
    }
    for flags in [3, 8, 0x10, 0x21, 0x40, u32::MAX] {
        assert_eq!(Codec::from_flags(flags), Err(CodecError::UnknownFlags { flags }));
    }
    assert_eq!(Codec::from_name("lz4"), None);
}

#[test]
fn levels_are_checked() {
    for codec in built() {
        let levels = codec.levels();
        for level in [levels.min - 1, levels.max + 1] {
            let error = Encoder::with_level(codec, level).unwrap_err();
            assert_eq!(error, CodecError::NoLevel { codec, level, min: levels.min, max: levels.max });
        }
    }
}

#[test]
fn a_codec_that_is_not_built_in_is_named() {
    for codec in Codec::ALL {
        if !codec.can_decode() {
            let error = decode(codec, &[0; 8], 8).unwrap_err();
            assert_eq!(error, CodecError::NotBuilt { codec, action: "read" });
            assert!(error.to_string().contains(codec.name()));
        }
        if !codec.can_encode() {
            let error = Encoder::new(codec).unwrap_err();
            assert_eq!(error, CodecError::NotBuilt { codec, action: "write" });
        }
    }
}

/// A word a kernel fills freed memory with (include/linux/poison.h, POISON_FREE and POISON_END)
/// as other programs compress it: python3's zlib at levels 1 and 0, liblzo2 2.10 by LZO1X-1 and
/// LZO1X-999, libsnappy 1.1.9, and libzstd 1.5.4, once with a checksum and without the size.
const STREAMS: &[(Codec, &[u8])] = &[
    (Codec::Zlib, &[0x78, 0x01, 0xCB, 0xCE, 0xC6, 0x0A, 0x96, 0x02, 0x00, 0x7D, 0xB6, 0x0A, 0x43]),
    (
        Codec::Zlib,
        &[
            0x78, 0x01, 0x01, 0x18, 0x00, 0xE7, 0xFF, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B,
            0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0xA5, 0x7D,
            0xB6, 0x0A, 0x43,
        ],
    ),
    (
        Codec::Lzo,
        &[
            0x29, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B,
            0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0x6B, 0xA5, 0x11, 0x00, 0x00,
        ],
    ),
    (Codec::Lzo, &[0x12, 0x6B, 0x34, 0x01, 0x00, 0xA5, 0x11, 0x00, 0x00]),
    (Codec::Snappy, &[0x18, 0x00, 0x6B, 0x56, 0x01, 0x00, 0x00, 0xA5]),
    (
        Codec::Zstd,
        &[
            0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x18, 0x4D, 0x00, 0x00, 0x18, 0x6B, 0x6B, 0xA5, 0x01, 0x00, 0x1F,
            0xC0, 0x02,
        ],
    ),
    (
        Codec::Zstd,
        &[
            0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x00, 0x4D, 0x00, 0x00, 0x18, 0x6B, 0x6B, 0xA5, 0x01, 0x00, 0x1F,
            0xC0, 0x02, 0x0B, 0xDE, 0x31, 0x15,
        ],
    ),
];

#[test]
fn damaged_streams_of_other_programs() {
    for (codec, data) in STREAMS.iter().filter(|(codec, _)| codec.can_decode()) {
        for cut in 0..data.len() {
            assert!(decode(*codec, &data[..cut], 24).is_err(), "{codec} {cut}");
        }
        for at in 0..data.len() {
            for byte in 0..=u8::MAX {
                let mut data = data.to_vec();
                data[at] = byte;
                let _ = decode(*codec, &data, 24);
            }
        }
        for len in [0, 23, 25] {
            assert!(decode(*codec, data, len).is_err(), "{codec} into {len} bytes");
        }
        let more = [data, &[0][..]].concat();
        assert!(decode(*codec, &more, 24).is_err(), "{codec} and a byte more");
    }
}

/// A header of RFC 8878 that asks for a window of 3.75 TiB, and one for a page of as much.
#[test]
fn a_zstd_header_cannot_ask_for_memory() {
    if Codec::Zstd.can_decode() {
        let window = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xFF, 0x01, 0x00, 0x00];
        let content = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0xC0, 3, 0, 0, 0x01, 0x00, 0x00];
        for data in [&window[..], &content] {
            assert!(decode(Codec::Zstd, data, 4096).is_err());
        }
    }
}

#[test]
fn streams_of_other_programs() {
    let page: Vec<u8> = [0x6B; 23].into_iter().chain([0xA5]).collect();
    for (codec, data) in STREAMS.iter().filter(|(codec, _)| codec.can_decode()) {
        assert_eq!(decode(*codec, data, page.len()).as_ref(), Ok(&page), "{codec}");
    }
}

/// Four letters, eight times the last of them, and the end.
#[cfg(feature = "lzo")]
#[test]
fn a_copy_of_lzo_ends_where_the_output_ends() {
    let block = [17 + 4, b'a', b'b', b'c', b'd', 0xe0, 0, 0x11, 0, 0];
    let mut output = [0; 12];
    assert_eq!(super::lzo::decompress(&block, &mut output), Ok(12));
    assert_eq!(&output, b"abcddddddddd");
    let full = CodecError::TooLong { codec: Codec::Lzo, at: 5, room: 11 };
    assert_eq!(super::lzo::decompress(&block, &mut output[..11]), Err(full));
}
