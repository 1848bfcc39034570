//! The log, the symbols and the registers of kernels whose dumps are damaged.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_vmcore::{Dmesg, Dump, Kallsyms, KernelMemory, cpu_registers};

fuzz_target!(|input: &[u8]| {
    let Ok(dump) = Dump::open(kdump_fuzz::elf(input)) else {
        assert!(!input.is_empty(), "without damage it opens");
        return;
    };
    let Some(info) = dump.vmcoreinfo() else { return };
    let mut memory = KernelMemory::new(&dump);
    let log = Dmesg::read(&mut memory, info);
    assert!(!input.is_empty() || log.as_ref().is_ok_and(|log| log.records.len() == 3), "{log:?}");
    if let Ok(log) = log {
        log.records.iter().take(1000).for_each(|record| drop(record.lines()));
    }
    if let Ok(symbols) = Kallsyms::read(&mut memory, info) {
        let wanted = ["first", "_stext", "no such symbol"];
        if let Ok(found) = symbols.addresses(&mut memory, &wanted) {
            assert_eq!(found.len(), wanted.len());
            assert!(found[1].is_some(), "what is found by _stext has it");
        }
    }
    let _ = cpu_registers(&dump);
});
