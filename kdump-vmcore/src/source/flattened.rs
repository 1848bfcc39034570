//! A flattened stream (`makedumpfile -F`) as the file it describes, read in place.
//!
//! The stream begins with `makedumpfile` and a version in a block of 4096 bytes. Records
//! follow, all numbers big endian: offset in the file, number of bytes, the bytes. A record
//! whose numbers are both -1 ends it.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::ops::Range;

use zerocopy::byteorder::big_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Error, Stopped};
use crate::source::ReadAt;

/// What a stream begins with.
pub(crate) const SIGNATURE: &[u8] = b"makedumpfile\0\0\0\0";
/// Bytes in front of the first record.
const HEAD: u64 = FLATTENED_HEAD as u64;
/// Bytes in front of a record's data.
const RECORD_HEAD: u64 = 16;
/// Bytes of a whole stream's file that no record gives and that therefore are zeros. Writers
/// leave out the ends of blocks, not gigabytes; a stream of a few bytes must not make a file
/// that takes hours to read.
pub(crate) const MAX_GAPS: u64 = 1 << 30;

/// Records of a stream: those of 64 KiB that makedumpfile writes are 4 TiB, and the index of as many
/// takes 1.5 GiB.
const MAX_RECORDS: u64 = 1 << 26;

/// Offsets are signed in the stream.
const MAX_OFFSET: u64 = i64::MAX.unsigned_abs();

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    signature: [u8; 16],
    kind: U64,
    version: U64,
}

#[derive(Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RecordHead {
    offset: U64,
    size: U64,
}

/// Bytes of the block a stream begins with.
pub(crate) const FLATTENED_HEAD: usize = 4096;
/// The record that ends a stream: both numbers are -1.
pub(crate) const FLATTENED_END: [u8; 16] = [0xff; 16];

/// Writes the beginning of a stream into `block`, which is zero.
pub(crate) fn flattened_head(block: &mut [u8; FLATTENED_HEAD]) {
    let mut signature = [0; 16];
    signature.copy_from_slice(SIGNATURE);
    let head = Head { signature, kind: U64::new(1), version: U64::new(1) };
    let bytes = head.as_bytes();
    block.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
}

/// What stands in front of `size` bytes that belong at `offset`.
pub(crate) fn flattened_record(offset: u64, size: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let head = RecordHead { offset: offset.into(), size: size.into() };
    bytes.copy_from_slice(head.as_bytes());
    bytes
}

/// A record or what later ones have left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Of the first byte, in the file.
    at: u64,
    len: u64,
    /// Of the first byte, in the stream.
    from: u64,
}

impl Piece {
    const fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// A file inside a flattened stream.
///
/// Where records overlap the later one counts, as when `makedumpfile -R` writes them one after
/// the other. Of a stream without its end, bytes that no record has given are
/// [`Error::Truncated`]; of a whole one they are zeros, as in the file with holes that
/// `makedumpfile -R` makes.
#[derive(Clone, Debug)]
pub struct Flattened<S> {
    stream: S,
    /// Sorted by place in the file, disjoint.
    pieces: Vec<Piece>,
    size: u64,
    records: u64,
    /// Why the stream has no end; `None` when it has.
    cut: Option<Error>,
    /// The first byte that two records give in different places or numbers.
    overlap: Option<u64>,
}

impl<S: ReadAt> Flattened<S> {
    /// Reads the head of every record. A stream that ends early or is damaged behind its first
    /// record opens; [`Flattened::cut`] tells.
    ///
    /// # Errors
    /// When the header is not that of a flattened stream, or the records leave gaps that no
    /// writer leaves.
    pub fn open(stream: S) -> Result<Self, Error> {
        let mut head = Head { signature: [0; 16], kind: U64::ZERO, version: U64::ZERO };
        stream.read_full_at(0, head.as_mut_bytes()).map_err(|stopped| stopped.error)?;
        if head.signature != SIGNATURE {
            let value = head.signature.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
            let expected = "\"makedumpfile\" and zeros";
            return Err(Error::Corrupt { what: "signature of the flattened stream", value, expected });
        }
        for (what, value) in [("type of the flattened stream", head.kind), ("version of it", head.version)] {
            if value.get() != 1 {
                return Err(Error::Corrupt { what, value: value.get(), expected: "1" });
            }
        }
        let stream_size = stream.size()?;
        let mut records = Vec::new();
        let cut = index(&stream, stream_size, MAX_RECORDS, &mut records).err();
        let here =
            |piece: &Piece| piece.at.saturating_add(piece.len.min(stream_size.saturating_sub(piece.from)));
        let size = records.iter().map(here).max().unwrap_or(0);
        let count = records.len() as u64;
        let (pieces, overlap) = resolve(records)?;
        if cut.is_none() {
            let given = pieces.iter().map(|piece| piece.len).fold(0, u64::saturating_add);
            let (value, limit) = (size.saturating_sub(given), MAX_GAPS.saturating_add(stream_size));
            if value > limit {
                let what = "bytes of the file that no record of the flattened stream gives";
                return Err(Error::TooLarge { what, value, limit });
            }
        }
        Ok(Self { stream, pieces, size, records: count, cut, overlap })
    }

    /// Why the stream has no end; `None` when it is whole.
    #[must_use]
    pub const fn cut(&self) -> Option<Error> {
        self.cut
    }

    /// What is wrong with a whole stream in which a record gives some of the bytes of another one.
    /// A writer that changes its mind writes the same bytes again, all of them; anything else is a
    /// record with a damaged offset or number of bytes, and what it was to give is given by none.
    #[must_use]
    pub fn overlap(&self) -> Option<Error> {
        let expected = "bytes that no other record gives, or all of another's";
        let what = "offset of a record of the flattened stream";
        self.overlap.map(|value| Error::Corrupt { what, value, expected })
    }

    /// Records the stream has.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// What a read finds where no record gives bytes, up to `next`.
    fn gap(&self, offset: u64, next: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if self.cut.is_some() {
            let what = "the rest of the flattened stream with the data";
            return Err(Error::Truncated { what, offset, need: buf.len() as u64, have: 0 });
        }
        let count = clamp(next.saturating_sub(offset), buf.len());
        buf.get_mut(..count).unwrap_or_default().fill(0);
        Ok(count)
    }
}

/// `len`, but at most the length of a buffer.
fn clamp(len: u64, room: usize) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(room)
}

impl<S: ReadAt> ReadAt for Flattened<S> {
    fn is_cacheable(&self) -> bool {
        self.stream.is_cacheable()
    }

    fn hole(&self, range: Range<u64>) -> Option<Range<u64>> {
        if self.cut.is_some() {
            // Nobody knows that they are zeros, and no read makes them so.
            return None;
        }
        let mut at = range.start;
        let first = self.pieces.partition_point(|piece| piece.end() <= at);
        for piece in self.pieces.get(first..).unwrap_or_default() {
            if piece.at > at || at >= range.end {
                return (at < range.end).then(|| at..piece.at.min(range.end));
            }
            at = piece.end();
        }
        (at < range.end).then_some(at..range.end)
    }

    /// The end of the last byte that a record gives.
    fn size(&self) -> Result<u64, Error> {
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let room = clamp(self.size.saturating_sub(offset), buf.len());
        let buf = buf.get_mut(..room).unwrap_or_default();
        if buf.is_empty() {
            return Ok(0);
        }
        let next = self.pieces.partition_point(|piece| piece.end() <= offset);
        let Some(piece) = self.pieces.get(next).filter(|piece| piece.at <= offset) else {
            let next = self.pieces.get(next).map_or(self.size, |piece| piece.at);
            return self.gap(offset, next, buf);
        };
        let skip = offset.saturating_sub(piece.at);
        let count = clamp(piece.len.saturating_sub(skip), buf.len());
        let from = piece.from.saturating_add(skip);
        match self.stream.read_at(from, buf.get_mut(..count).unwrap_or_default())? {
            // The stream ends inside a record; what follows is not older data and not zeros.
            0 => {
                let what = "a record of the flattened stream";
                Err(Error::Truncated { what, offset: from, need: count as u64, have: 0 })
            }
            count => Ok(count),
        }
    }
}

/// Collects the records in the order of the stream, `max` of them at most. The error says why the last one is not the
/// end record.
fn index<S: ReadAt>(stream: &S, size: u64, max: u64, records: &mut Vec<Piece>) -> Result<(), Error> {
    let mut at = HEAD;
    loop {
        let mut head = RecordHead::default();
        let truncated = |stopped: Stopped| match stopped.error {
            Error::Truncated { need, have, .. } => {
                Error::Truncated { what: "the flattened stream without its end", offset: at, need, have }
            }
            other => other,
        };
        stream.read_full_at(at, head.as_mut_bytes()).map_err(truncated)?;
        let (offset, len) = (head.offset.get(), head.size.get());
        if (offset, len) == (u64::MAX, u64::MAX) {
            return Ok(());
        }
        let from = at.saturating_add(RECORD_HEAD);
        let bad = |what, value, expected| Err(Error::Corrupt { what, value, expected });
        if len > MAX_OFFSET {
            let expected = "a positive number, or -1 at the end";
            return bad("size of a record of the flattened stream", len, expected);
        }
        if offset > MAX_OFFSET.saturating_sub(len) {
            let expected = "a positive number with an end below 2^63, or -1 at the end";
            return bad("offset of a record of the flattened stream", offset, expected);
        }
        if len > 0 {
            let value = (records.len() as u64).saturating_add(1);
            if value > max {
                let what = "number of records of the flattened stream (`makedumpfile -R` makes a file of it)";
                return Err(Error::TooLarge { what, value, limit: max });
            }
            let need = value.saturating_mul(size_of::<Piece>() as u64);
            records
                .try_reserve(1)
                .map_err(|_| Error::OutOfMemory { what: "the index of the flattened stream", need })?;
            records.push(Piece { at: offset, len, from });
        }
        at = from.saturating_add(len);
        if at > size {
            let (need, have) = (len, size.saturating_sub(from));
            let what = "a record of the flattened stream";
            return Err(Error::Truncated { what, offset: from, need, have });
        }
    }
}

/// Sorts the records and gives each byte to the last of those that give it. Also says where the first
/// one begins that overlaps another without being in its very place.
fn resolve(records: Vec<Piece>) -> Result<(Vec<Piece>, Option<u64>), Error> {
    let ascending = |pieces: &[Piece]| pieces.is_sorted_by(|a, b| a.end() <= b.at);
    let mut sorted = records;
    // Later records lie behind earlier ones in the stream, so `from` is the order in time. Most come in order
    // of their places, which the sort finds at once.
    sorted.sort_unstable_by_key(|piece| (piece.at, piece.from));
    if ascending(&sorted) {
        return Ok((sorted, None));
    }
    let neighbours = sorted.iter().zip(sorted.iter().skip(1));
    let mut crossed = neighbours.filter(|(a, b)| a.end() > b.at && (a.at, a.len) != (b.at, b.len));
    let overlap = crossed.next().map(|(_, piece)| piece.at);
    let mut pieces: Vec<Piece> = Vec::new();
    let failed = |_| Error::OutOfMemory { what: "the index of the flattened stream", need: 0 };
    // Each record begins one piece and cuts another one in two at most.
    pieces.try_reserve(sorted.len().saturating_mul(2)).map_err(failed)?;
    // Records that have begun, the latest on top: where its data lies, and the record.
    let mut open: BinaryHeap<(u64, u64, u64)> = BinaryHeap::new();
    let mut rest = sorted.iter().peekable();
    let mut at = 0;
    loop {
        while let Some(piece) = rest.next_if(|piece| piece.at <= at || open.is_empty()) {
            at = at.max(piece.at);
            open.try_reserve(1).map_err(failed)?;
            open.push((piece.from, piece.at, piece.end()));
        }
        let Some(&(from, start, end)) = open.peek() else { break };
        if end <= at {
            open.pop();
            continue;
        }
        let next = rest.peek().map_or(u64::MAX, |piece| piece.at);
        let stop = end.min(next);
        let piece =
            Piece { at, len: stop.saturating_sub(at), from: from.saturating_add(at.saturating_sub(start)) };
        match pieces.last_mut() {
            Some(last) if last.end() == at && last.from.saturating_add(last.len) == piece.from => {
                last.len = last.len.saturating_add(piece.len);
            }
            _ => pieces.push(piece),
        }
        at = stop;
    }
    Ok((pieces, overlap))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// What `makedumpfile -R` would do: write one record after the other.
    fn written(records: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, bytes) in records {
            let at = *at as usize;
            if out.len() < at + bytes.len() {
                out.resize(at + bytes.len(), 0);
            }
            out[at..at + bytes.len()].copy_from_slice(bytes);
        }
        out
    }

    fn stream(records: &[(u64, Vec<u8>)]) -> dumpgen::Flattened {
        let mut made = dumpgen::Flattened::of(&[], 1);
        for (at, bytes) in records {
            made = made.last(i64::try_from(*at).unwrap(), bytes);
        }
        made
    }

    fn read_all<S: ReadAt>(source: &S) -> Vec<u8> {
        let mut out = vec![0xee; usize::try_from(source.size().unwrap()).unwrap()];
        source.read_full_at(0, &mut out).unwrap();
        out
    }

    proptest::proptest! {
        #[test]
        fn later_records_win_whatever_they_cover(
            records in proptest::collection::vec((0_u64..200, proptest::collection::vec(1_u8.., 0..60)), 0..30)
        ) {
            let source = Flattened::open(stream(&records).build()).unwrap();
            let records: Vec<_> = records.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
            proptest::prop_assert_eq!(read_all(&source), written(&records));
            proptest::prop_assert!(source.pieces.is_sorted_by(|a, b| a.end() <= b.at));
            proptest::prop_assert!(source.pieces.len() <= records.len() * 2);
        }
    }

    #[test]
    fn any_order_gives_the_same_file() {
        let file: Vec<u8> = (0..5000_u32).map(|at| (at % 251) as u8).collect();
        let flat = dumpgen::Flattened::of(&file, 37);
        assert_eq!(read_all(&Flattened::open(flat.build()).unwrap()), file);
        assert_eq!(read_all(&Flattened::open(flat.shuffled(7).build()).unwrap()), file);
    }

    #[test]
    fn a_cut_stream_is_truncated_and_never_zeros_or_older_data() {
        let flat = stream(&[(0, vec![1; 64]), (128, vec![2; 64]), (32, vec![3; 64])]);
        let whole = flat.build();
        let truth = read_all(&Flattened::open(whole.clone()).unwrap());
        assert_eq!(truth[40], 3);
        assert_eq!(truth[100], 0, "a hole of the whole file");
        for cut in HEAD as usize..whole.len() {
            let source = Flattened::open(whole[..cut].to_vec()).unwrap();
            assert!(source.cut().is_some(), "{cut}");
            for (at, &good) in truth.iter().enumerate() {
                let mut byte = [0xee];
                match source.read_full_at(at as u64, &mut byte) {
                    // Of a record that is not there at all nobody knows.
                    Ok(()) => assert!(byte[0] == good || cut < whole.len() - 16 - 64, "{cut} {at}"),
                    Err(stopped) => {
                        assert!(matches!(stopped.error, Error::Truncated { .. }), "{stopped}");
                    }
                }
                assert_ne!(byte[0], 0, "{cut} {at}");
            }
        }
    }

    #[test]
    fn damaged_records_end_the_stream_there() {
        for (offset, size, what) in [
            (-2, 4, "offset"),
            (i64::MIN, 4, "offset"),
            (i64::MAX, 4, "offset"),
            (-1, 0, "offset"),
            (4, -1, "size"),
            (0, -1, "size"),
            (0, i64::MIN, "size"),
        ] {
            let mut flat = stream(&[(0, vec![1; 8]), (8, vec![2; 8])]);
            flat.records[1].offset = offset;
            flat.records[1].size = Some(size);
            let source = Flattened::open(flat.build()).unwrap();
            let Some(Error::Corrupt { what: told, .. }) = source.cut() else {
                panic!("{offset} {size}: {:?}", source.cut());
            };
            assert!(told.starts_with(what), "{offset} {size}: {told}");
            let mut bytes = [0; 8];
            source.read_full_at(0, &mut bytes).unwrap();
            assert_eq!(bytes, [1; 8]);
        }
    }

    #[test]
    fn records_that_cross_are_told_and_those_that_are_written_again_are_not() {
        let crossed = |records: &[(u64, Vec<u8>)]| Flattened::open(stream(records).build()).unwrap().overlap;
        let plain = [(0, vec![1; 64]), (64, vec![2; 64]), (200, vec![3; 64])];
        assert_eq!(crossed(&plain), None);
        let with = |at: u64, len: usize| [plain.as_slice(), &[(at, vec![4; len])]].concat();
        // As makedumpfile does with its header, and into a gap.
        for (at, len) in [(0, 64), (200, 64), (128, 72), (264, 9)] {
            assert_eq!(crossed(&with(at, len)), None, "{at} {len}");
        }
        for (at, len, told) in
            [(0, 63, 0), (0, 65, 0), (1, 63, 1), (63, 1, 63), (128, 73, 200), (190, 90, 200)]
        {
            assert_eq!(crossed(&with(at, len)), Some(told), "{at} {len}");
        }
    }

    #[test]
    fn holes_are_what_no_record_gives() {
        let source =
            Flattened::open(stream(&[(10, vec![1; 10]), (20, vec![2; 5]), (40, vec![3; 8])]).build())
                .unwrap();
        for (range, hole) in [
            (10..25, None),
            (12..20, None),
            (9..12, Some(9..10)),
            (0..5, Some(0..5)),
            (12..30, Some(25..30)),
            (12..60, Some(25..40)),
            (25..26, Some(25..26)),
            (40..48, None),
            (40..50, Some(48..50)),
            (60..70, Some(60..70)),
            (30..30, None),
        ] {
            assert_eq!(source.hole(range.clone()), hole, "{range:?}");
        }
        let mut cut = stream(&[(10, vec![1; 10])]);
        cut.end = false;
        assert_eq!(Flattened::open(cut.build()).unwrap().hole(0..30), None);
    }

    #[test]
    fn records_beyond_the_limit_are_not_read_and_told() {
        let bytes = stream(&[(0, vec![1; 8]), (8, vec![2; 8]), (16, vec![3; 8])]).build();
        let (size, mut records) = (bytes.len() as u64, Vec::new());
        assert_eq!(index(&bytes, size, 3, &mut records), Ok(()));
        records.clear();
        let error = index(&bytes, size, 2, &mut records).unwrap_err();
        assert!(matches!(error, Error::TooLarge { value: 3, limit: 2, .. }), "{error}");
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn a_header_that_says_something_else_is_refused() {
        for (kind, version) in [(2, 1), (1, 2), (-1, 1)] {
            let mut flat = stream(&[]);
            (flat.kind, flat.version) = (kind, version);
            assert!(matches!(Flattened::open(flat.build()), Err(Error::Corrupt { .. })));
        }
        let mut flat = stream(&[]);
        flat.signature[14] = 1;
        assert!(matches!(Flattened::open(flat.build()), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn a_few_bytes_cannot_stand_for_terabytes() {
        let far = stream(&[(1 << 40, vec![1])]);
        let error = Flattened::open(far.build()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit, .. } if limit < 2 << 30), "{error}");
        let mut cut = far;
        cut.end = false;
        let source = Flattened::open(cut.build()).unwrap();
        assert!(matches!(source.read_at(0, &mut [0; 8]), Err(Error::Truncated { .. })));
    }
}
