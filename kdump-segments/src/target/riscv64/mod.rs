//! riscv64: how its kernel is entered, and the rules of its plans. All else it shares with whom a device
//! tree tells everything.

use alloc::format;
use alloc::string::String;

use kdump_elf::PhysRange;

use super::Target;
use super::device_tree::layout::{self, Boot};
use super::device_tree::{self, rules};
use crate::plan::builder::NO_LIMIT;
use crate::preflight::{Checked, Outcome, PlanRule, header, plan_rules};
use crate::purgatory::Entry;

/// riscv64. Its purgatory has no SHA instructions.
pub(super) const RISCV64: Target = Target {
    describe: |machine, files, _| device_tree::describe(machine, files),
    lay_out: |inputs, images, region| layout::lay_out(&BOOT, inputs, images, region),
    segment_limit: rules::segment_limit,
    control_pages: rules::control_pages,
    plan_rules: &PLAN_RULES,
};

const BOOT: Boot = Boot {
    // COMMAND_LINE_SIZE of riscv is 1024 with the NUL since Linux 6.4 (include/uapi/asm/setup.h).
    cmdline_limit: 1023,
    // Documentation/arch/riscv/boot.rst bounds neither.
    window: |kernel| PhysRange::from_half_open(0, NO_LIMIT).unwrap_or(kernel),
    entry: |kernel, dtb| Entry::Riscv64 { kernel, dtb },
    // A 16550 whose registers are bytes, one after the other.
    serial: (1, 8),
};

const PLAN_RULES: [PlanRule; 14] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    // Documentation/arch/riscv/boot.rst, "Kernel location".
    ("kernel_alignment", rules::kernel_alignment),
    // Documentation/devicetree/bindings/chosen.txt.
    ("device_tree", rules::device_tree),
    ("device_tree_memory", rules::device_tree_memory),
    ("one_device_tree", one_device_tree),
    ("segments_in_capture_ram", rules::segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", rules::command_line),
    ("memory_limit", plan_rules::memory_limit),
    ("region_not_claimed", plan_rules::not_claimed),
];

/// The kernel finds the tree by its magic among the segments, and refuses a load without one.
fn one_device_tree(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
    let trees = || plan.segments.iter().filter(|segment| segment.data.starts_with(&MAGIC));
    match trees().count() {
        1 => Ok(String::from("one segment begins with the magic of a device tree")),
        count => Err(format!(
            "{count} segments begin with the magic of a device tree, by which the kernel finds it"
        )),
    }
}
