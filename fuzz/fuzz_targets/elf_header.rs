//! Any bytes as a core header: every field of every program header is touched.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, CoreHeader, HeaderLayout};
use kdump_fuzz::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = CoreHeader::parse(bytes) else { return };
    let ehdr = header.ehdr();
    let _ = Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
    let mut out = [0; 64];
    assert_eq!(ehdr.encode(&mut out), Ok(usize::from(ehdr.encoding.ehdr_size())));
    assert_eq!(header.phdrs().len(), header.phdrs().count());
    // What was read must survive being written again.
    let layout = HeaderLayout::file(ehdr.encoding, ehdr.e_machine, header.phnum());
    let mut copy = vec![0; usize::try_from(layout.size()).unwrap()];
    let mut writer = layout.writer(&mut copy).unwrap();
    header.phdrs().for_each(|phdr| writer.push(&phdr).unwrap());
    writer.finish().unwrap();
    assert!(CoreHeader::parse(&copy).unwrap().phdrs().eq(header.phdrs()));
});
