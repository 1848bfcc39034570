//! Any bytes as the device tree of an arm64 machine, and damage to a recorded one: what a plan hands on keeps its own rules.
#![cfg_attr(not(feature = "one-program"), no_main)]

use std::sync::LazyLock;

use kdump_elf::{Arch, PhysRange};
use kdump_fuzz::fuzz_target;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, Verdict, check_plan};
use kdump_segments::{CpuNote, Machine, MemoryKind, MemoryMap};

/// The tree of a recorded machine, with which a plan is made.
const RECORDED: &[u8] = include_bytes!("../../kdump-segments/tests/machines/arm64-1g-61/sys/firmware/fdt");

/// The header of an arm64 Image of 1 MiB, and an instruction behind it.
fn kernel() -> [u8; 68] {
    let mut image = [0; 68];
    image[16..24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

/// Whether a plan was made.
fn plans(tree: &[u8]) -> bool {
    let mut map = MemoryMap::new();
    map.insert(PhysRange::from_half_open(0x4000_0000, 0x8000_0000).unwrap(), MemoryKind::Ram);
    let mut machine = Machine::new(Arch::Arm64, 0x1000, map);
    machine.crash_regions = vec![PhysRange::from_len(0x6000_0000, 64 << 20).unwrap()];
    machine.cpu_notes = vec![CpuNote { cpu: 0, paddr: 0x7000_0000, size: 424 }];
    machine.device_tree = Some(tree.to_vec());
    let options = PlanOptions::default().cmdline("quiet".to_owned()).rng_seed(Some([7; 32]));
    let (kernel, purgatory) = (kernel(), ObjectPurgatory::builtin(Arch::Arm64).unwrap());
    let inputs = PlanInputs::new(&machine, &kernel, &purgatory).initrd(Some(b"ramdisk")).options(&options);
    let Ok(plan) = Plan::new(&inputs) else { return false };
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    // Which memory there is the tree says, and not the plan.
    let failed = report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
    let failed: Vec<_> = failed.filter(|finding| finding.rule != "device_tree_memory").collect();
    assert!(failed.is_empty(), "{failed:?}");
    true
}

/// What no tree can be planned with would be looked at no further.
static WORKS: LazyLock<bool> = LazyLock::new(|| plans(RECORDED));

fuzz_target!(|tree: &[u8]| {
    assert!(*WORKS, "without damage it is planned");
    plans(tree);
    // The recorded tree with damage: each three bytes are a place and what stands there.
    let mut damaged = RECORDED.to_vec();
    for damage in tree.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % damaged.len();
        damaged[at] = damage[2];
    }
    plans(&damaged);
});
