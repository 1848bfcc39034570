//! Verifying ends when its caller says so, and names what is lost in as few ranges as there are.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may panic")]

use core::ops::ControlFlow;

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_vmcore::{Dump, Error, Flattened, ReadAt, verify};

/// Pages 1 and 2 stored, 4 to 6 lost, 8 and 9 stored, 10 damaged.
fn dump() -> Dump<'static> {
    let file = (4..7).fold(KdumpFile::new(Wire::LE64, 16), |file, pfn| file.with(pfn, Stored::Lost));
    let file = file.with_pages([1, 2, 8, 9], &[PageCodec::Raw]).with(10, Stored::Given(2, vec![0; 60]));
    Dump::open(file.build()).unwrap()
}

/// Pages 1 to 3, 4 to 6 behind the end of the file, 9 and 10 behind it, too.
fn cut() -> Dump<'static> {
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() };
    let file = file.with(Segment::load(0x1000, &[7; 0x6000])).with(Segment::load(0x9000, &[7; 0x2000]));
    let mut bytes = file.build();
    bytes.truncate(bytes.len() - 0x5000);
    Dump::open(bytes).unwrap()
}

/// What verifying gives when it may call back `times` times, and how often it did.
fn verified(dump: &Dump<'_>, times: usize) -> (Result<Vec<(u64, u64)>, Error>, usize) {
    let mut calls = 0;
    let found = verify(dump, &mut |_| {
        calls += 1;
        if calls == times { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let pages = |found: kdump_vmcore::Verification| {
        let ranges = found.unreadable.ranges.iter();
        ranges.map(|lost| (lost.range.start() >> 12, lost.range.end() >> 12)).collect()
    };
    (found.map(pages), calls)
}

#[test]
fn it_ends_at_once_wherever_it_is() {
    for (dump, lost) in [(dump(), [(4, 7), (10, 11)]), (cut(), [(4, 7), (9, 11)])] {
        let (found, all) = verified(&dump, 0);
        assert_eq!(found, Ok(lost.to_vec()));
        assert!(all >= 3, "{all}");
        for times in 1..=all {
            assert_eq!(verified(&dump, times), (Err(Error::Cancelled), times));
        }
    }
}

#[test]
fn an_empty_file_is_a_truncated_one() {
    for bytes in [&[][..], &[0x7f][..]] {
        let error = Dump::open(bytes).unwrap_err();
        let truncated = matches!(error, Error::Truncated { what: "signature", have: 0, .. });
        assert_eq!(truncated, bytes.is_empty(), "{error}");
    }
}

/// Where what is there of a stream ends, a read ends, too: there is nothing to tell.
#[test]
fn the_end_of_a_cut_stream_is_an_end() {
    let core = CoreFile::x86_64().with(Segment::load(0, &[7; 4096])).build();
    let mut stream = dumpgen::Flattened::of(&core, 512).build();
    stream.truncate(stream.len() - 16);
    // Within the record that is the last one now.
    let within = Flattened::open(&stream[..stream.len() - 5]).unwrap();
    assert!(
        matches!(within.cut(), Some(Error::Truncated { what: "a record of the flattened stream", .. })),
        "{:?}",
        within.cut()
    );
    let stream = Flattened::open(stream).unwrap();
    assert!(stream.cut().is_some());
    let size = stream.size().unwrap();
    assert_eq!(stream.read_at(size, &mut [0; 8]), Ok(0));
    assert_eq!(stream.read_at(0, &mut []), Ok(0));
    assert_eq!(stream.read_at(size - 4, &mut [0; 8]), Ok(4));
}
