//! What a build reads with the codecs it has, and what it says of those it lacks. `cargo xtask
//! nostd` runs this with none of them.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_elf::Paddr;
use kdump_vmcore::codec::{Codec, CodecError};
use kdump_vmcore::{Dump, Error, PageFault, PhysMemory, SpanKind};

fn codec(page: PageCodec) -> Option<Codec> {
    match page {
        PageCodec::Raw => None,
        PageCodec::Zlib => Some(Codec::Zlib),
        PageCodec::Lzo => Some(Codec::Lzo),
        PageCodec::Snappy => Some(Codec::Snappy),
        PageCodec::Zstd => Some(Codec::Zstd),
    }
}

#[test]
fn raw_pages_and_elf_are_read_without_any_codec() {
    let file = KdumpFile::new(Wire::LE64, 9).with_pages(1..7, &[PageCodec::Raw]).with(7, Stored::Zero);
    let dump = Dump::open(KdumpFile { dump_level: 1, ..file.clone() }.build()).unwrap();
    let mut page = [0xee; 4096];
    dump.reader().read_phys(Paddr(0x3000), &mut page).unwrap();
    assert_eq!(page.to_vec(), file.content(3));
    dump.reader().read_phys(Paddr(0x7000), &mut page).unwrap();
    assert_eq!(page, [0; 4096]);
    let elf = CoreFile::x86_64().with(Segment::load(0x1000, &file.content(5)));
    Dump::open(elf.build()).unwrap().reader().read_phys(Paddr(0x1000), &mut page).unwrap();
    assert_eq!(page.to_vec(), file.content(5));
}

#[test]
fn a_codec_that_is_not_built_in_is_named() {
    let mut lacking = 0;
    for (pfn, kind) in (1..).zip(PageCodec::ALL) {
        // The other pages of the dump are as good as ever.
        let file =
            KdumpFile::new(Wire::LE64, 9).with_pages([pfn], &[kind]).with_pages([8], &[PageCodec::Raw]);
        let dump = Dump::open(file.build()).unwrap();
        let mut reader = dump.reader();
        let mut page = [0xee; 4096];
        reader.read_phys(Paddr(0x8000), &mut page).unwrap();
        assert_eq!(reader.kind(Paddr(pfn * 4096)), Some(SpanKind::Stored));
        let got = reader.read_phys(Paddr(pfn * 4096), &mut page);
        match codec(kind).filter(|codec| !codec.can_decode()) {
            None => {
                got.unwrap();
                assert_eq!(page.to_vec(), file.content(pfn), "{kind:?}");
            }
            Some(codec) => {
                lacking += 1;
                let error = got.unwrap_err().error;
                let Error::Page { pfn: which, cause, .. } = error else { panic!("{error}") };
                assert_eq!(which, pfn);
                let expected = PageFault::Codec(CodecError::NotBuilt { codec, action: "read" });
                assert_eq!(cause, expected);
                assert!(error.to_string().contains(codec.name()), "{error}");
            }
        }
    }
    let all = [cfg!(feature = "lzo"), cfg!(feature = "zlib"), cfg!(feature = "snappy")];
    let zstd = cfg!(any(feature = "zstd", feature = "zstd-decode"));
    assert_eq!(lacking, all.into_iter().chain([zstd]).filter(|has| !has).count());
}
