//! Streams in which each piece of a file says where it belongs (`makedumpfile -F`).

/// One record.
#[derive(Clone, Debug)]
pub struct FlatRecord {
    /// Where the bytes belong.
    pub offset: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the record says of their number, when it is not the number.
    pub size: Option<i64>,
}

/// A stream in the making.
#[derive(Clone, Debug)]
pub struct Flattened {
    /// The first 16 bytes.
    pub signature: [u8; 16],
    /// 1.
    pub kind: i64,
    /// 1.
    pub version: i64,
    /// Records in the order of the stream.
    pub records: Vec<FlatRecord>,
    /// Whether the record that ends the stream is written.
    pub end: bool,
    /// Bytes behind the end.
    pub tail: Vec<u8>,
    /// Where the stream is cut off.
    pub cut: Option<usize>,
}

impl Flattened {
    /// A file in pieces of `piece` bytes, in order.
    #[must_use]
    pub fn of(file: &[u8], piece: usize) -> Self {
        let chunks = file.chunks(piece).enumerate();
        Self {
            signature: *b"makedumpfile\0\0\0\0",
            kind: 1,
            version: 1,
            records: chunks.map(|(index, bytes)| Self::record((index * piece) as i64, bytes)).collect(),
            end: true,
            tail: vec![],
            cut: None,
        }
    }

    fn record(offset: i64, bytes: &[u8]) -> FlatRecord {
        FlatRecord { offset, bytes: bytes.to_vec(), size: None }
    }

    /// The records in an order of their own.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        let mut state = seed | 1;
        for last in (1..self.records.len()).rev() {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            self.records.swap(last, (state >> 33) as usize % (last + 1));
        }
        self
    }

    /// Puts a record in front of all others: they have the last word.
    #[must_use]
    pub fn first(mut self, offset: i64, bytes: &[u8]) -> Self {
        self.records.insert(0, Self::record(offset, bytes));
        self
    }

    /// Puts a record behind all others: it has the last word.
    #[must_use]
    pub fn last(mut self, offset: i64, bytes: &[u8]) -> Self {
        self.records.push(Self::record(offset, bytes));
        self
    }

    /// The bytes of the stream.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut out = self.signature.to_vec();
        out.extend(self.kind.to_be_bytes());
        out.extend(self.version.to_be_bytes());
        out.resize(4096, 0);
        for record in &self.records {
            out.extend(record.offset.to_be_bytes());
            out.extend(record.size.unwrap_or(record.bytes.len() as i64).to_be_bytes());
            out.extend(&record.bytes);
        }
        if self.end {
            out.extend([0xff; 16]);
        }
        out.extend(&self.tail);
        out.truncate(self.cut.unwrap_or(usize::MAX));
        out
    }
}
