//! All structures that C sees, for the checks that C and Rust agree.

use kdump_ffi_core::{StructLayout, core_layouts};

/// The layouts, those of the core first.
pub fn layouts() -> impl Iterator<Item = StructLayout> {
    core_layouts().chain([
        StructLayout::of::<crate::range::libkdump_range>(),
        StructLayout::of::<crate::machine_info::libkdump_machine_info>(),
        StructLayout::of::<crate::machine_info::libkdump_cpu_note>(),
        StructLayout::of::<crate::capture::libkdump_low_memory>(),
        StructLayout::of::<crate::capture::libkdump_extent>(),
        StructLayout::of::<crate::crashkernel::libkdump_crashkernel>(),
        StructLayout::of::<crate::crashkernel::libkdump_reservation>(),
        StructLayout::of::<crate::plan_options::libkdump_plan_options>(),
        StructLayout::of::<crate::plan_info::libkdump_plan_info>(),
        StructLayout::of::<crate::plan_x86::libkdump_plan_x86>(),
        StructLayout::of::<crate::plan_arm64::libkdump_plan_arm64>(),
        StructLayout::of::<crate::plan_info::libkdump_segment>(),
        StructLayout::of::<crate::preflight::libkdump_preflight_info>(),
        StructLayout::of::<crate::preflight::libkdump_finding>(),
        StructLayout::of::<crate::preflight::libkdump_kexec_segment>(),
        StructLayout::of::<crate::purgatory::libkdump_purgatory_info>(),
        StructLayout::of::<crate::dump_open::libkdump_open_options>(),
        StructLayout::of::<crate::dump::libkdump_dump_info>(),
        StructLayout::of::<crate::dump_cpu::libkdump_cpu>(),
        StructLayout::of::<crate::dmesg::libkdump_dmesg_info>(),
        StructLayout::of::<crate::dmesg::libkdump_log_record>(),
        StructLayout::of::<crate::progress::libkdump_progress>(),
        StructLayout::of::<crate::save::libkdump_save_options>(),
        StructLayout::of::<crate::save::libkdump_save_report>(),
        StructLayout::of::<crate::classes::libkdump_classes_info>(),
        StructLayout::of::<crate::classes::libkdump_classes_range>(),
        StructLayout::of::<crate::verify::libkdump_verification_info>(),
    ])
}
