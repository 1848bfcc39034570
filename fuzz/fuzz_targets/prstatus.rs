//! Any bytes as the registers of a CPU of every architecture, and written back.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, Endian, PrStatus, PrStatusMut, prstatus_size};
use kdump_fuzz::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for arch in Arch::all() {
        for endian in [Endian::Little, Endian::Big] {
            let Ok(status) = PrStatus::parse(bytes, arch, endian) else { continue };
            let values: Vec<u64> = status.registers().map(|(_, value)| value).collect();
            let mut copy = vec![0; prstatus_size(arch)];
            let mut writer = PrStatusMut::new(&mut copy, arch, endian).unwrap();
            writer.set_pid(status.pid());
            assert_eq!(writer.set_registers(&values), values.len());
            let again = PrStatus::parse(&copy, arch, endian).unwrap();
            assert!(again.registers().eq(status.registers()) && again.pid() == status.pid());
            assert_eq!(again.instruction_pointer(), status.instruction_pointer());
            assert!(status.stack_pointer().is_some() && !status.pr_reg().is_empty());
        }
    }
});
