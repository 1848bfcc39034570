//! All structures that C sees, for the checks that C and Rust agree.

use kdump_ffi_core::{Layout, core_layouts};

/// The layouts, those of the core first.
pub fn layouts() -> impl Iterator<Item = Layout> {
    core_layouts().chain([
        Layout::of::<crate::range::libkdump_range>(),
        Layout::of::<crate::machine_info::libkdump_machine_info>(),
        Layout::of::<crate::machine_info::libkdump_cpu_note>(),
        Layout::of::<crate::capture::libkdump_low_memory>(),
        Layout::of::<crate::capture::libkdump_extent>(),
        Layout::of::<crate::crashkernel::libkdump_crashkernel>(),
        Layout::of::<crate::crashkernel::libkdump_reservation>(),
        Layout::of::<crate::plan_options::libkdump_plan_options>(),
        Layout::of::<crate::plan_info::libkdump_plan_info>(),
        Layout::of::<crate::plan_x86::libkdump_plan_x86>(),
        Layout::of::<crate::plan_info::libkdump_segment>(),
        Layout::of::<crate::preflight::libkdump_preflight_info>(),
        Layout::of::<crate::preflight::libkdump_finding>(),
        Layout::of::<crate::preflight::libkdump_kexec_segment>(),
        Layout::of::<crate::purgatory::libkdump_purgatory_info>(),
        Layout::of::<crate::dump_open::libkdump_open_options>(),
        Layout::of::<crate::dump::libkdump_dump_info>(),
        Layout::of::<crate::dump_cpu::libkdump_cpu>(),
        Layout::of::<crate::dmesg::libkdump_dmesg_info>(),
        Layout::of::<crate::dmesg::libkdump_log_record>(),
        Layout::of::<crate::progress::libkdump_progress>(),
        Layout::of::<crate::save::libkdump_save_options>(),
        Layout::of::<crate::save::libkdump_save_report>(),
        Layout::of::<crate::verify::libkdump_verification_info>(),
    ])
}
