//! Any bytes as the device tree of an arm64 machine: what a plan hands on keeps its own rules.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, PhysRange};
use kdump_fuzz::fuzz_target;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, check_plan};
use kdump_segments::{CpuNote, Machine, MemoryKind, MemoryMap};

/// The header of an arm64 Image of 1 MiB.
fn kernel() -> [u8; 64] {
    let mut image = [0; 64];
    image[16..24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

fuzz_target!(|tree: &[u8]| {
    let mut map = MemoryMap::new();
    map.insert(PhysRange::from_half_open(0x4000_0000, 0x8000_0000).unwrap(), MemoryKind::Ram);
    let mut machine = Machine::new(Arch::Arm64, 0x1000, map);
    machine.crash_regions = vec![PhysRange::from_len(0x6000_0000, 64 << 20).unwrap()];
    machine.cpu_notes = vec![CpuNote { cpu: 0, paddr: 0x7000_0000, size: 424 }];
    machine.device_tree = Some(tree.to_vec());
    let options = PlanOptions::default().cmdline("quiet".to_owned()).rng_seed(Some([7; 32]));
    let (kernel, purgatory) = (kernel(), ObjectPurgatory::builtin(Arch::Arm64).unwrap());
    let inputs = PlanInputs::new(&machine, &kernel, &purgatory).initrd(Some(b"ramdisk")).options(&options);
    if let Ok(plan) = Plan::new(&inputs) {
        let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
        assert!(report.failure().is_none(), "{:?}", report.failure());
    }
});
