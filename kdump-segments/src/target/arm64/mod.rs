//! arm64: where its kernel wants its ramdisk, how it is entered, and the rules of its plans. All else it
//! shares with whom a device tree tells everything.

mod window;

use kdump_elf::VmcoreInfo;

use super::Target;
use super::device_tree::layout::{self, Boot};
use super::device_tree::{self, rules};
use crate::machine::paths::CPUINFO;
use crate::preflight::{PlanRule, header, plan_rules};
use crate::purgatory::Entry;
use crate::{Machine, MachineFiles};

/// arm64.
pub(super) const ARM64: Target = Target {
    describe,
    lay_out: |inputs, images, region| layout::lay_out(&BOOT, inputs, images, region),
    segment_limit: rules::segment_limit,
    control_pages: rules::control_pages,
    plan_rules: &PLAN_RULES,
};

const BOOT: Boot = Boot {
    // COMMAND_LINE_SIZE of arm64 is 2048 with the NUL (include/uapi/asm/setup.h).
    cmdline_limit: 2047,
    window: window::window,
    entry: |kernel, dtb| Entry::Arm64 { kernel, dtb },
    // Up to the end of UARTFR, the last register of a PL011 that is needed to write (Arm DDI 0183, 3.2).
    serial: (4, 0x1c),
};

const PLAN_RULES: [PlanRule; 14] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    // Documentation/arch/arm64/booting.rst.
    ("kernel_alignment", rules::kernel_alignment),
    ("initrd_reachable", window::initrd_reachable),
    // Documentation/devicetree/bindings/chosen.txt.
    ("device_tree", rules::device_tree),
    ("device_tree_memory", rules::device_tree_memory),
    ("segments_in_capture_ram", rules::segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", rules::command_line),
    ("memory_limit", plan_rules::memory_limit),
    ("region_not_claimed", plan_rules::not_claimed),
];

fn describe(machine: &mut Machine, files: &MachineFiles, _: Option<&VmcoreInfo<'_>>) {
    device_tree::describe(machine, files);
    machine.sha_instructions = files.get(CPUINFO).is_some_and(sha_instructions);
}

/// Whether every CPU that is listed has the instructions of SHA-256
/// (Documentation/arch/arm64/elf_hwcaps.rst, HWCAP_SHA2).
fn sha_instructions(cpuinfo: &[u8]) -> bool {
    let (mut cpus, mut able) = (0_u64, 0_u64);
    for line in cpuinfo.split(|&byte| byte == b'\n') {
        let has = |name: &[u8]| line.split(u8::is_ascii_whitespace).any(|word| word == name);
        cpus = cpus.saturating_add(u64::from(line.starts_with(b"processor")));
        able = able.saturating_add(u64::from(line.starts_with(b"Features") && has(b"sha2")));
    }
    cpus != 0 && cpus == able
}
