//! The compressions of pages in kdump-compressed dumps.
//!
//! [`Codec`] names them, [`Decoder`] and [`Encoder`] hold what is reused from page to page and
//! belong to one thread. Each codec is a cargo feature; a build without it names what it lacks.

#[cfg(any(not(feature = "lzo"), not(feature = "zlib"), not(feature = "snappy"), not(feature = "zstd")))]
mod absent;
mod decoder;
#[cfg(feature = "zlib")]
mod deflate;
mod encoder;
mod error;
#[cfg(all(feature = "zlib", not(feature = "zlib-rs")))]
mod inflate;
#[cfg(feature = "zlib-rs")]
#[path = "inflate_zlib_rs.rs"]
mod inflate;
#[cfg(feature = "lzo")]
pub mod lzo;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(test)]
mod tests;
#[cfg(feature = "zlib")]
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;
#[cfg(all(feature = "zstd-decode", not(feature = "zstd")))]
#[path = "zstd_decode.rs"]
mod zstd;

#[cfg(not(feature = "lzo"))]
use absent as lzo;
#[cfg(not(feature = "snappy"))]
use absent as snappy;
#[cfg(not(feature = "zlib"))]
use absent as zlib;
#[cfg(not(any(feature = "zstd", feature = "zstd-decode")))]
use absent as zstd;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::CodecError;

/// A compression of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// zlib streams (RFC 1950).
    Zlib,
    /// Raw blocks of LZO1X.
    Lzo,
    /// Raw blocks of snappy (its `format_description.txt`).
    Snappy,
    /// Frames of Zstandard (RFC 8878).
    Zstd,
}

/// The levels an encoder takes; a higher one is slower and gives smaller pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Levels {
    /// The lowest.
    pub min: i32,
    /// The highest, itself allowed.
    pub max: i32,
    /// What a dump is written with when nothing else is asked for.
    pub default: i32,
}

/// What is to be known of a codec.
struct Row {
    codec: Codec,
    name: &'static str,
    /// The bit in a page descriptor's flags and in the main header's status.
    flag: u32,
    decodes: bool,
    encodes: bool,
    levels: Levels,
    /// The largest a page of so many bytes can become.
    bound: fn(usize) -> usize,
}

/// A codec without levels.
const ONE_LEVEL: Levels = Levels { min: 1, max: 1, default: 1 };

const ROWS: [Row; 4] = [
    Row {
        codec: Codec::Zlib,
        name: "zlib",
        flag: 0x1,
        decodes: cfg!(feature = "zlib"),
        encodes: cfg!(feature = "zlib"),
        levels: Levels { min: 0, max: 9, default: 1 },
        bound: |len| len.saturating_add(len / 10).saturating_add(128),
    },
    Row {
        codec: Codec::Lzo,
        name: "lzo",
        flag: 0x2,
        decodes: cfg!(feature = "lzo"),
        encodes: cfg!(feature = "lzo"),
        levels: ONE_LEVEL,
        bound: |len| len.saturating_add(len / 16).saturating_add(67),
    },
    Row {
        codec: Codec::Snappy,
        name: "snappy",
        flag: 0x4,
        decodes: cfg!(feature = "snappy"),
        encodes: cfg!(feature = "snappy"),
        levels: ONE_LEVEL,
        bound: |len| len.saturating_add(len / 6).saturating_add(32),
    },
    Row {
        codec: Codec::Zstd,
        name: "zstd",
        flag: 0x20,
        decodes: cfg!(any(feature = "zstd", feature = "zstd-decode")),
        encodes: cfg!(feature = "zstd"),
        // Negative levels exist down to -131072; below -7 nothing is gained on pages.
        levels: Levels { min: -7, max: 22, default: 1 },
        // ZSTD_COMPRESSBOUND of zstd.h.
        bound: |len| {
            let margin = (1_usize << 17).saturating_sub(len) >> 11;
            len.saturating_add(len >> 8).saturating_add(margin)
        },
    },
];

impl Codec {
    /// All of them, whether this build has them or not.
    pub const ALL: [Self; 4] = [Self::Zlib, Self::Lzo, Self::Snappy, Self::Zstd];

    const fn row(self) -> &'static Row {
        let [zlib, lzo, snappy, zstd] = &ROWS;
        match self {
            Self::Zlib => zlib,
            Self::Lzo => lzo,
            Self::Snappy => snappy,
            Self::Zstd => zstd,
        }
    }

    /// The codec of a page descriptor's `flags`: `None` when the page is stored as it is.
    ///
    /// # Errors
    /// [`CodecError::UnknownFlags`] when they name none of the codecs or several.
    pub fn from_flags(flags: u32) -> Result<Option<Self>, CodecError> {
        if flags == 0 {
            return Ok(None);
        }
        match ROWS.iter().find(|row| row.flag == flags) {
            Some(row) => Ok(Some(row.codec)),
            None => Err(CodecError::UnknownFlags { flags }),
        }
    }

    /// The codec of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.codec)
    }

    /// The bit of a page descriptor's flags that stands for it.
    #[must_use]
    pub const fn flag(self) -> u32 {
        self.row().flag
    }

    /// `zlib`, `lzo`, `snappy` or `zstd`: also the name of the feature that brings it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether this build reads it.
    #[must_use]
    pub const fn can_decode(self) -> bool {
        self.row().decodes
    }

    /// Whether this build writes it.
    #[must_use]
    pub const fn can_encode(self) -> bool {
        self.row().encodes
    }

    /// The levels [`Encoder::with_level`] takes.
    #[must_use]
    pub const fn levels(self) -> Levels {
        self.row().levels
    }

    /// The most bytes `len` bytes can become; an output of that size is never too small.
    #[must_use]
    pub fn bound(self, len: usize) -> usize {
        (self.row().bound)(len)
    }
}

impl core::fmt::Display for Codec {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
