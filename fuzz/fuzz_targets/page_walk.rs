//! Virtual addresses in dumps whose page tables are damaged: what is mapped is mapped as far as is
//! said, and the same whatever was asked before.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::Vaddr;
use kdump_fuzz::MAPPED;
use kdump_fuzz::fuzz_target;
use kdump_vmcore::{Dump, KernelMemory};

fuzz_target!(|input: &[u8]| {
    // The first half is the damage, the second the addresses.
    let (damage, asked) = input.split_at(input.len() / 2);
    let asked =
        asked.chunks_exact(8).take(8).filter_map(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?)));
    let asked: Vec<u64> = asked.collect();
    let Ok(dump) = Dump::open(kdump_fuzz::elf(damage)) else {
        assert!(!damage.is_empty(), "without damage it opens");
        return;
    };
    let mut memory = KernelMemory::new(&dump);
    let _ = memory.contradicted();
    let offsets =
        asked.iter().flat_map(|offset| MAPPED.map(|mapped| mapped.wrapping_add(offset % (1 << 31))));
    for vaddr in asked.iter().copied().chain(offsets).chain(MAPPED) {
        let found = memory.translate(Vaddr(vaddr));
        let fresh = KernelMemory::new(&dump).translate(Vaddr(vaddr));
        match (&found, &fresh) {
            (Ok(found), Ok(fresh)) => assert_eq!(found, fresh, "at {vaddr:#x}"),
            (Err(_), Err(_)) => {}
            _ => panic!("{found:?}; {fresh:?} at {vaddr:#x}"),
        }
        if let Ok(mapping) = found {
            assert!(mapping.len > 0 && vaddr.checked_add(mapping.len - 1).is_some());
            let last = memory.translate(Vaddr(vaddr + (mapping.len - 1))).expect("it was mapped that far");
            assert_eq!(last.paddr.0, mapping.paddr.0.wrapping_add(mapping.len - 1), "at {vaddr:#x}");
        }
        let mut bytes = [0; 24];
        let _ = memory.read(Vaddr(vaddr), &mut bytes);
    }
});
