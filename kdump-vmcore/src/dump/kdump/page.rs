//! One page of a kdump-compressed file: its descriptor and its bytes.

use alloc::vec::Vec;

use kdump_elf::{Endian, with_byte_order};
use zerocopy::FromBytes;

use super::header::Header;
use super::raw::{DESC_LEN, PageDesc};
use super::zero_form::ZeroForm;
use crate::codec::{Codec, CodecError, Decoder};
use crate::dump::SpanKind;
use crate::dump::block_cache::BlockCache;
use crate::dump::part::Part;
use crate::dump::read_ahead::{AHEAD, ReadAhead};
use crate::dump::scan::offset_in;
use crate::error::{Error, PageFault, Stopped};
use crate::room::zeroed;
use crate::source::ReadAt;

/// Descriptors read at once: neighbours are usually wanted next.
pub(super) const DESCS: usize = 64;
/// Bytes that are kept of each: what no page has a use for is left out (`page_flags`).
const KEPT_DESC: usize = 16;

/// What a descriptor says of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The writer stopped before it came to the page.
    Lost,
    /// The page of zeros that all share.
    Zero,
    /// The bytes of the page, from this offset on.
    Raw(u64),
    /// So many bytes at this offset, to be decompressed.
    Packed(Codec, u64, u32),
}

/// The pages of one file.
pub(super) struct Pages<'s> {
    pub(super) source: Part<'s>,
    /// Whether pieces of the file may be kept.
    pub(super) is_cacheable: bool,
    pub(super) endian: Endian,
    /// Bytes of a page.
    pub(super) page_size: u32,
    /// Bytes of the file that are of the dump.
    pub(super) size: u64,
    /// Whether writing it was not finished, which its note says.
    pub(super) unfinished: bool,
    /// Offset of the first descriptor.
    pub(super) table: u64,
    /// Offset behind the last descriptor, of the first page.
    pub(super) data: u64,
    /// Whether the first page is zeros that several descriptors share.
    pub(super) zero: bool,
}

/// What a thread keeps to read pages: descriptors, data read ahead, pages.
#[derive(Debug, Default)]
pub(in crate::dump) struct PageScratch {
    decoder: Decoder,
    zero_form: ZeroForm,
    descs: ReadAhead,
    data: ReadAhead,
    /// Blocks of [`DESCS`] descriptors.
    tables: BlockCache,
    /// Pages by their number.
    pages: BlockCache,
    /// The page that was decompressed last, apart from those that are kept or went to the caller.
    page: Vec<u8>,
    /// Its number.
    page_of: Option<u64>,
}

/// One part in so many of what is kept is descriptors: a page takes 16 bytes of them, so that those of 4 GiB of memory in pages of
/// 4 KiB are kept as a whole by a cache of 64 MiB.
const TABLES: u64 = 4;

impl PageScratch {
    /// Makes ready for a read. Without a cache nothing is left of the one before.
    #[inline]
    pub(in crate::dump) fn begin(&mut self, cache_size: u64, page_size: usize, pages: u64) {
        if cache_size == 0 {
            self.descs.clear();
            self.data.clear();
            self.page_of = None;
        } else if !self.pages.is_for(page_size) {
            let tables = cache_size / TABLES;
            self.tables = BlockCache::new(KEPT_DESC * DESCS, tables, pages.div_ceil(DESCS as u64));
            self.pages = BlockCache::new(page_size, cache_size.saturating_sub(tables), pages);
        }
    }

    /// Copies from the page if it is here.
    #[inline]
    pub(in crate::dump) fn copy_kept(&mut self, pfn: u64, inside: usize, buf: &mut [u8]) -> bool {
        let Self { page, page_of, pages, .. } = self;
        let whole = if *page_of == Some(pfn) { Some(page.as_slice()) } else { pages.get(pfn) };
        let bytes = inside.checked_add(buf.len()).and_then(|end| whole?.get(inside..end));
        bytes.is_some_and(|bytes| {
            buf.copy_from_slice(bytes);
            true
        })
    }
}

impl<'s> Pages<'s> {
    /// Those of a file in which so many bits of the bitmap of stored pages are set. What lies behind `good` is not
    /// known to be what it should be.
    pub(super) fn new(
        source: Part<'s>,
        header: &Header,
        ones: u64,
        good: Option<u64>,
    ) -> Result<Self, Error> {
        let blocks = u64::from(header.main.sub_hdr_size).saturating_add(header.main.bitmap_blocks.into());
        let table = header.block(blocks.saturating_add(1));
        Ok(Self {
            size: source.size()?.min(good.unwrap_or(u64::MAX)),
            is_cacheable: source.is_cacheable(),
            unfinished: good.is_some(),
            endian: header.encoding.endian,
            page_size: header.main.block_size,
            table,
            // Each part of a set has room for the descriptors of all pages.
            data: table.saturating_add(ones.saturating_mul(DESC_LEN as u64)),
            zero: false,
            source,
        })
    }
}

impl Pages<'_> {
    /// What the descriptor number `index` says of page frame `pfn`. `file` tells this file from
    /// others that use the same scratch.
    pub(super) fn place(
        &self,
        file: usize,
        index: u64,
        pfn: u64,
        scratch: &mut PageScratch,
    ) -> Result<Place, Error> {
        let (offset, size, flags) = self.desc(file, index, scratch)?;
        let fault = |cause| Err(Error::Page { pfn, offset, cause });
        if offset == 0 {
            return Ok(Place::Lost);
        }
        if offset < self.data {
            return fault(PageFault::Offset { data: self.data });
        }
        match Codec::from_flags(flags) {
            Ok(None) if size != self.page_size => fault(PageFault::RawSize { size, page: self.page_size }),
            Ok(None) if self.zero && offset == self.data => Ok(Place::Zero),
            Ok(None) => Ok(Place::Raw(offset)),
            Ok(Some(_)) if size > self.page_size || size == 0 => {
                fault(PageFault::Size { size, page: self.page_size })
            }
            Ok(Some(codec)) => Ok(Place::Packed(codec, offset, size)),
            Err(error) => fault(PageFault::Codec(error)),
        }
    }

    /// Offset, size and flags of the descriptor number `index`.
    fn desc(&self, file: usize, index: u64, scratch: &mut PageScratch) -> Result<(u64, u32, u32), Error> {
        let at = self.table.saturating_add(index.saturating_mul(DESC_LEN as u64));
        let have = self.size.saturating_sub(at);
        if have < DESC_LEN as u64 {
            // Of a cut file there may be millions.
            let (what, need) = ("page descriptor", DESC_LEN as u64);
            return Err(Error::Truncated { what, offset: at, need, have });
        }
        let mut kept = [0; DESC_LEN];
        let bytes = if self.copy_desc(file, index, &mut kept, &mut scratch.tables) {
            &kept
        } else {
            let more = self.data.saturating_sub(at).min((DESC_LEN * DESCS) as u64);
            scratch.descs.load((file, &*self.source), at, (DESC_LEN, more), "page descriptor")?
        };
        let desc =
            with_byte_order!(self.endian, O => PageDesc::<O>::ref_from_bytes(bytes).ok().map(PageDesc::get));
        Ok(desc.unwrap_or_default())
    }

    /// Whether data that begins at `first` lies where every writer puts it: behind the descriptors, and the page of
    /// zeros if there is one.
    pub(super) fn begin_at(&self, first: u64, shared_zeros: bool) -> bool {
        let behind_zeros = self.data.saturating_add(self.page_size.into());
        first == self.data || shared_zeros && first == behind_zeros
    }

    /// The smallest offset among those of the first 64 of `count` pages that have data; 0 when none of
    /// the first 4096 has. `None` when a descriptor cannot be read.
    pub(super) fn first_offset(&self, file: usize, count: u64, scratch: &mut PageScratch) -> Option<u64> {
        let (mut first, mut found) = (0, 0_usize);
        for index in 0..count.min(4096) {
            let (offset, ..) = self.desc(file, index, scratch).ok()?;
            if offset != 0 {
                first = if found == 0 { offset } else { offset.min(first) };
                found = found.saturating_add(1);
            }
            if found == DESCS {
                break;
            }
        }
        Some(first)
    }

    /// Copies a descriptor from the block of them it is in, which is kept from now on if it can be
    /// read as a whole.
    fn copy_desc(&self, file: usize, index: u64, desc: &mut [u8; DESC_LEN], tables: &mut BlockCache) -> bool {
        const LEN: usize = DESC_LEN * DESCS;
        let (block, inside) = (index >> DESCS.trailing_zeros(), offset_in(index, DESCS as u64));
        // Page frame numbers are below 2^52, so that no two files share a number.
        let number =
            u16::try_from(file).ok().and_then(|file| block.checked_mul(1 << 16)?.checked_add(file.into()));
        let Some(number) = number else { return false };
        let inside = inside.saturating_mul(KEPT_DESC);
        let mut copy = |bytes: &[u8]| {
            let found = bytes.get(inside..).and_then(<[u8]>::first_chunk::<KEPT_DESC>);
            found.zip(desc.first_chunk_mut()).is_some_and(|(from, to)| {
                *to = *from;
                true
            })
        };
        if let Some(bytes) = tables.get(number) {
            return copy(bytes);
        }
        let at = self.table.saturating_add(block.saturating_mul(LEN as u64));
        if at.saturating_add(LEN as u64) > self.data {
            return false;
        }
        let read = tables.put(number, |kept| {
            let mut table = [0; LEN];
            self.source.read_full_at(at, &mut table)?;
            for (kept, desc) in kept.chunks_exact_mut(KEPT_DESC).zip(table.chunks_exact(DESC_LEN)) {
                kept.copy_from_slice(desc.get(..KEPT_DESC).unwrap_or_default());
            }
            Ok::<_, Stopped>(())
        });
        read.and_then(Result::ok).is_some_and(copy)
    }

    /// Fills `buf` from byte `inside` of page `pfn` on, which descriptor `index` has. The error
    /// comes with the number of good bytes.
    pub(super) fn read(
        &self,
        (file, index, pfn): (usize, u64, u64),
        inside: usize,
        buf: &mut [u8],
        scratch: &mut PageScratch,
    ) -> Result<(), (usize, Error)> {
        let failed = |error| (0, error);
        let place = self.place(file, index, pfn, scratch).map_err(failed)?;
        self.written(place).and_then(|()| self.given(place)).map_err(failed)?;
        match place {
            Place::Zero => buf.fill(0),
            Place::Lost => {
                let offset = self.table.saturating_add(index.saturating_mul(DESC_LEN as u64));
                let what = "page that was never written (the dump is incomplete), with its descriptor";
                return Err(failed(Error::Truncated { what, offset, need: self.page_size.into(), have: 0 }));
            }
            Place::Raw(offset) => return self.read_raw((pfn, offset), inside, buf, scratch),
            Place::Packed(codec, offset, size) => {
                self.unpack((file, pfn), (codec, offset, size), inside, buf, scratch).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Fills `buf` from byte `inside` of page `pfn` on, whose `size` packed bytes stand at `offset`.
    fn unpack(
        &self,
        (file, pfn): (usize, u64),
        (codec, offset, size): (Codec, u64, u32),
        inside: usize,
        buf: &mut [u8],
        scratch: &mut PageScratch,
    ) -> Result<(), Error> {
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let more = if scratch.data.is_near(file, offset) { AHEAD } else { 0 };
        let PageScratch { decoder, zero_form, data, page, page_of, pages, .. } = scratch;
        let input = data.load((file, &*self.source), offset, (len, more), "compressed page")?;
        let page_size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let is_zero = zero_form.is(codec, input, page_size);
        let mut decode = |page: &mut [u8]| {
            if is_zero {
                page.fill(0);
                return Ok(());
            }
            let fault = |error: CodecError| Error::Page { pfn, offset, cause: PageFault::Codec(error) };
            decoder.decode(codec, input, page).map_err(fault)?;
            zero_form.learn(codec, input, page);
            Ok(())
        };
        if buf.len() == page_size {
            return decode(buf);
        }
        // What is wanted once goes where the next one goes, into memory that is near the processor.
        let kept = if pages.is_wanted_again(pfn) { pages.put(pfn, &mut decode) } else { None };
        let whole: &[u8] = match kept {
            Some(page) => page?,
            None if is_zero => {
                buf.fill(0);
                return Ok(());
            }
            None => {
                *page_of = None;
                if page.len() != page_size {
                    *page = zeroed("page", self.page_size.into())?;
                }
                decode(page)?;
                *page_of = Some(pfn);
                page
            }
        };
        let end = inside.saturating_add(buf.len());
        buf.copy_from_slice(whole.get(inside..end).unwrap_or_default());
        Ok(())
    }

    /// Where the page's bytes stand and how many they are; `None` of a page that has none.
    fn bytes_of(&self, place: Place) -> Option<(u64, u32)> {
        match place {
            Place::Raw(offset) => Some((offset, self.page_size)),
            Place::Packed(_, offset, len) => Some((offset, len)),
            Place::Zero | Place::Lost => None,
        }
    }

    /// An error where saving ended before the page's bytes were written.
    fn written(&self, place: Place) -> Result<(), Error> {
        let Some((offset, len)) = self.bytes_of(place) else { return Ok(()) };
        let have = self.size.saturating_sub(offset);
        if !self.unfinished || have >= len.into() {
            return Ok(());
        }
        let what = "page that was not written before saving ended";
        Err(Error::Truncated { what, offset, need: len.into(), have })
    }

    /// An error where bytes of the page are zeros for want of others: no record of a flattened stream has them, and
    /// no writer leaves out any of a page.
    fn given(&self, place: Place) -> Result<(), Error> {
        let Some((offset, len)) = self.bytes_of(place) else { return Ok(()) };
        let end = offset.saturating_add(len.into()).min(self.size);
        let Some(hole) = self.source.hole(offset..end) else { return Ok(()) };
        let what = "page of which the records of the flattened stream lack bytes";
        let have = hole.start.saturating_sub(offset);
        Err(Error::Truncated { what, offset, need: len.into(), have })
    }

    /// Fills `buf` from byte `inside` of page `pfn` on, whose bytes lie at `offset` as they are.
    fn read_raw(
        &self,
        (pfn, offset): (u64, u64),
        inside: usize,
        buf: &mut [u8],
        scratch: &mut PageScratch,
    ) -> Result<(), (usize, Error)> {
        let small = usize::try_from(self.page_size).is_ok_and(|size| buf.len() < size);
        if small && self.is_cacheable && scratch.pages.is_wanted_again(pfn) {
            // What cannot be read as a whole may have the bytes that are wanted.
            let read = scratch.pages.put(pfn, |page| self.source.read_full_at(offset, page));
            if read.is_some_and(|page| page.is_ok()) && scratch.copy_kept(pfn, inside, buf) {
                return Ok(());
            }
        }
        let offset = offset.saturating_add(inside as u64);
        self.source.read_full_at(offset, buf).map_err(|stopped| match stopped.error {
            Error::Truncated { need, have, .. } => {
                (stopped.read, Error::Truncated { what: "page", offset: stopped.at, need, have })
            }
            other => (stopped.read, other),
        })
    }

    /// What the dump has of page `pfn`, as far as its descriptor tells.
    pub(super) fn kind(&self, file: usize, index: u64, pfn: u64, scratch: &mut PageScratch) -> SpanKind {
        let place = self.place(file, index, pfn, scratch);
        let is_given = place.as_ref().is_ok_and(|place| self.given(*place).is_ok());
        let fits = |offset: u64, len: u32| match offset.saturating_add(len.into()) <= self.size && is_given {
            true => SpanKind::Stored,
            false => SpanKind::Missing,
        };
        match place {
            Ok(Place::Zero) => SpanKind::Zero,
            Ok(Place::Lost) | Err(Error::Truncated { .. }) => SpanKind::Missing,
            Ok(Place::Raw(offset)) => fits(offset, self.page_size),
            Ok(Place::Packed(_, offset, size)) => fits(offset, size),
            Err(Error::Page { .. }) => SpanKind::Corrupt,
            // Reading will say why.
            Err(_) => SpanKind::Stored,
        }
    }
}
