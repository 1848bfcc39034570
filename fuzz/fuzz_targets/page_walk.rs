//! Virtual addresses in dumps whose page tables are damaged: what is mapped is mapped as far as is
//! said, and the same whatever was asked before.
#![no_main]

use kdump_fuzz::MAPPED;
use kdump_vmcore::{Dump, KernelMemory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], [u64; 4])| {
    let (input, asked) = input;
    let Ok(dump) = Dump::open(kdump_fuzz::elf(input)) else {
        assert!(!input.is_empty(), "without damage it opens");
        return;
    };
    let mut memory = KernelMemory::new(&dump);
    let _ = memory.contradicted();
    let offsets =
        asked.iter().flat_map(|offset| MAPPED.map(|mapped| mapped.wrapping_add(offset % (1 << 31))));
    for vaddr in asked.into_iter().chain(offsets).chain(MAPPED) {
        let found = memory.translate(vaddr);
        let fresh = KernelMemory::new(&dump).translate(vaddr);
        match (&found, &fresh) {
            (Ok(found), Ok(fresh)) => assert_eq!(found, fresh, "at {vaddr:#x}"),
            (Err(_), Err(_)) => {}
            _ => panic!("{found:?}; {fresh:?} at {vaddr:#x}"),
        }
        if let Ok(mapping) = found {
            assert!(mapping.len > 0 && vaddr.checked_add(mapping.len - 1).is_some());
            let last = memory.translate(vaddr + (mapping.len - 1)).expect("it was mapped that far");
            assert_eq!(last.paddr.0, mapping.paddr.0.wrapping_add(mapping.len - 1), "at {vaddr:#x}");
        }
        let mut bytes = [0; 24];
        let _ = memory.read(vaddr, &mut bytes);
    }
});
