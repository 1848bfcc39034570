/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Where Rust puts every field of every structure. Compiling this file is the test.
 * Written by the test kdump-ffi layout when UPDATE_LAYOUT is set. */
#include <kdump.h>

/* A pointer: all that differs between machines. */
#define WORD sizeof(void *)

#define FIELD(type, name, at, bytes) \
    _Static_assert(offsetof(struct type, name) == at, #type "." #name); \
    _Static_assert(sizeof(((struct type *)0)->name) == bytes, #type "." #name)

_Static_assert(sizeof(struct libkdump_error) == 304, "libkdump_error");
FIELD(libkdump_error, size, 0, 4);
FIELD(libkdump_error, code, 4, 4);
FIELD(libkdump_error, os_errno, 8, 4);
FIELD(libkdump_error, flags, 12, 4);
FIELD(libkdump_error, address, 16, 8);
FIELD(libkdump_error, offset, 24, 8);
FIELD(libkdump_error, pfn, 32, 8);
FIELD(libkdump_error, need, 40, 8);
FIELD(libkdump_error, message, 48, 256);

_Static_assert(sizeof(struct libkdump_arch_info) == 32, "libkdump_arch_info");
FIELD(libkdump_arch_info, size, 0, 4);
FIELD(libkdump_arch_info, arch, 4, 4);
FIELD(libkdump_arch_info, elf_class, 8, 4);
FIELD(libkdump_arch_info, endian, 12, 4);
FIELD(libkdump_arch_info, e_machine, 16, 4);
FIELD(libkdump_arch_info, prstatus_size, 20, 4);
FIELD(libkdump_arch_info, crash_note_size, 24, 4);
FIELD(libkdump_arch_info, reserved, 28, 4);

_Static_assert(sizeof(struct libkdump_phdr) == 56, "libkdump_phdr");
FIELD(libkdump_phdr, p_type, 0, 4);
FIELD(libkdump_phdr, p_flags, 4, 4);
FIELD(libkdump_phdr, p_offset, 8, 8);
FIELD(libkdump_phdr, p_vaddr, 16, 8);
FIELD(libkdump_phdr, p_paddr, 24, 8);
FIELD(libkdump_phdr, p_filesz, 32, 8);
FIELD(libkdump_phdr, p_memsz, 40, 8);
FIELD(libkdump_phdr, p_align, 48, 8);

_Static_assert(sizeof(struct libkdump_elf_params) == 24, "libkdump_elf_params");
FIELD(libkdump_elf_params, size, 0, 4);
FIELD(libkdump_elf_params, elf_class, 4, 4);
FIELD(libkdump_elf_params, endian, 8, 4);
FIELD(libkdump_elf_params, e_machine, 12, 4);
FIELD(libkdump_elf_params, phnum, 16, 4);
FIELD(libkdump_elf_params, flags, 20, 4);

_Static_assert(sizeof(struct libkdump_elf_header) == 40, "libkdump_elf_header");
FIELD(libkdump_elf_header, size, 0, 4);
FIELD(libkdump_elf_header, elf_class, 4, 4);
FIELD(libkdump_elf_header, endian, 8, 4);
FIELD(libkdump_elf_header, e_type, 12, 4);
FIELD(libkdump_elf_header, e_machine, 16, 4);
FIELD(libkdump_elf_header, arch, 20, 4);
FIELD(libkdump_elf_header, phnum, 24, 4);
FIELD(libkdump_elf_header, e_flags, 28, 4);
FIELD(libkdump_elf_header, e_phoff, 32, 8);

_Static_assert(sizeof(struct libkdump_note) == 32 + 2 * WORD, "libkdump_note");
FIELD(libkdump_note, size, 0, 4);
FIELD(libkdump_note, n_type, 4, 4);
FIELD(libkdump_note, offset, 8, 8);
FIELD(libkdump_note, name_len, 16, 8);
FIELD(libkdump_note, desc_len, 24, 8);
FIELD(libkdump_note, name, 32, WORD);
FIELD(libkdump_note, desc, 32 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_register) == 40, "libkdump_register");
FIELD(libkdump_register, size, 0, 4);
FIELD(libkdump_register, index, 4, 4);
FIELD(libkdump_register, value, 8, 8);
FIELD(libkdump_register, name, 16, 24);

_Static_assert(sizeof(struct libkdump_vmcoreinfo_entry) == 24 + 2 * WORD, "libkdump_vmcoreinfo_entry");
FIELD(libkdump_vmcoreinfo_entry, size, 0, 4);
FIELD(libkdump_vmcoreinfo_entry, reserved, 4, 4);
FIELD(libkdump_vmcoreinfo_entry, key_len, 8, 8);
FIELD(libkdump_vmcoreinfo_entry, value_len, 16, 8);
FIELD(libkdump_vmcoreinfo_entry, key, 24, WORD);
FIELD(libkdump_vmcoreinfo_entry, value, 24 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_vmcore_layout) == 32, "libkdump_vmcore_layout");
FIELD(libkdump_vmcore_layout, size, 0, 4);
FIELD(libkdump_vmcore_layout, phnum, 4, 4);
FIELD(libkdump_vmcore_layout, file_size, 8, 8);
FIELD(libkdump_vmcore_layout, notes_offset, 16, 8);
FIELD(libkdump_vmcore_layout, memory_offset, 24, 8);

_Static_assert(sizeof(struct libkdump_vmcore_phdr) == 88, "libkdump_vmcore_phdr");
FIELD(libkdump_vmcore_phdr, size, 0, 4);
FIELD(libkdump_vmcore_phdr, reserved, 4, 4);
FIELD(libkdump_vmcore_phdr, phdr, 8, 56);
FIELD(libkdump_vmcore_phdr, extent_offset, 64, 8);
FIELD(libkdump_vmcore_phdr, extent_paddr, 72, 8);
FIELD(libkdump_vmcore_phdr, extent_size, 80, 8);

_Static_assert(sizeof(struct libkdump_view) == 56 + 4 * WORD, "libkdump_view");
FIELD(libkdump_view, size, 0, 4);
FIELD(libkdump_view, phnum, 4, 4);
FIELD(libkdump_view, damaged_notes, 8, 4);
FIELD(libkdump_view, note_phdrs, 12, 4);
FIELD(libkdump_view, file_size, 16, 8);
FIELD(libkdump_view, memory_offset, 24, 8);
FIELD(libkdump_view, page_size, 32, 8);
FIELD(libkdump_view, elfcorehdr_len, 40, 8);
FIELD(libkdump_view, elfcorehdr, 48, WORD);
FIELD(libkdump_view, workspace, 48 + 1 * WORD, WORD);
FIELD(libkdump_view, read, 48 + 2 * WORD, WORD);
FIELD(libkdump_view, user, 48 + 3 * WORD, WORD);
FIELD(libkdump_view, first_damaged, 48 + 4 * WORD, 4);
FIELD(libkdump_view, first_damage, 52 + 4 * WORD, 4);

_Static_assert(sizeof(struct libkdump_range) == 24, "libkdump_range");
FIELD(libkdump_range, size, 0, 4);
FIELD(libkdump_range, kind, 4, 4);
FIELD(libkdump_range, start, 8, 8);
FIELD(libkdump_range, length, 16, 8);

_Static_assert(sizeof(struct libkdump_machine_info) == 88, "libkdump_machine_info");
FIELD(libkdump_machine_info, size, 0, 4);
FIELD(libkdump_machine_info, flags, 4, 4);
FIELD(libkdump_machine_info, arch, 8, 4);
FIELD(libkdump_machine_info, endian, 12, 4);
FIELD(libkdump_machine_info, cpu_notes, 16, 4);
FIELD(libkdump_machine_info, reserved, 20, 4);
FIELD(libkdump_machine_info, page_size, 24, 8);
FIELD(libkdump_machine_info, vmcoreinfo_paddr, 32, 8);
FIELD(libkdump_machine_info, vmcoreinfo_size, 40, 8);
FIELD(libkdump_machine_info, text_vaddr, 48, 8);
FIELD(libkdump_machine_info, text_paddr, 56, 8);
FIELD(libkdump_machine_info, text_size, 64, 8);
FIELD(libkdump_machine_info, direct_map_base, 72, 8);
FIELD(libkdump_machine_info, rsdp, 80, 8);

_Static_assert(sizeof(struct libkdump_cpu_note) == 24, "libkdump_cpu_note");
FIELD(libkdump_cpu_note, size, 0, 4);
FIELD(libkdump_cpu_note, cpu, 4, 4);
FIELD(libkdump_cpu_note, paddr, 8, 8);
FIELD(libkdump_cpu_note, length, 16, 8);

_Static_assert(sizeof(struct libkdump_low_memory) == 32, "libkdump_low_memory");
FIELD(libkdump_low_memory, size, 0, 4);
FIELD(libkdump_low_memory, fate, 4, 4);
FIELD(libkdump_low_memory, source, 8, 8);
FIELD(libkdump_low_memory, length, 16, 8);
FIELD(libkdump_low_memory, destination, 24, 8);

_Static_assert(sizeof(struct libkdump_extent) == 24, "libkdump_extent");
FIELD(libkdump_extent, start, 0, 8);
FIELD(libkdump_extent, length, 8, 8);
FIELD(libkdump_extent, kind, 16, 4);
FIELD(libkdump_extent, reserved, 20, 4);

_Static_assert(sizeof(struct libkdump_crashkernel) == 40, "libkdump_crashkernel");
FIELD(libkdump_crashkernel, size, 0, 4);
FIELD(libkdump_crashkernel, flags, 4, 4);
FIELD(libkdump_crashkernel, main, 8, 8);
FIELD(libkdump_crashkernel, base, 16, 8);
FIELD(libkdump_crashkernel, low, 24, 8);
FIELD(libkdump_crashkernel, cma, 32, 8);

_Static_assert(sizeof(struct libkdump_reservation) == 48, "libkdump_reservation");
FIELD(libkdump_reservation, size, 0, 4);
FIELD(libkdump_reservation, reserved, 4, 4);
FIELD(libkdump_reservation, main_start, 8, 8);
FIELD(libkdump_reservation, main_length, 16, 8);
FIELD(libkdump_reservation, low_start, 24, 8);
FIELD(libkdump_reservation, low_length, 32, 8);
FIELD(libkdump_reservation, cma, 40, 8);

_Static_assert(sizeof(struct libkdump_plan_options) == 104 + 6 * WORD, "libkdump_plan_options");
FIELD(libkdump_plan_options, size, 0, 4);
FIELD(libkdump_plan_options, flags, 4, 4);
FIELD(libkdump_plan_options, backup, 8, 4);
FIELD(libkdump_plan_options, on_mismatch, 12, 4);
FIELD(libkdump_plan_options, serial_base, 16, 4);
FIELD(libkdump_plan_options, serial_baud, 20, 4);
FIELD(libkdump_plan_options, mem_min, 24, 8);
FIELD(libkdump_plan_options, mem_max, 32, 8);
FIELD(libkdump_plan_options, rng_seed, 40, 32);
FIELD(libkdump_plan_options, kernel, 72, WORD);
FIELD(libkdump_plan_options, initrd, 72 + 1 * WORD, WORD);
FIELD(libkdump_plan_options, cmdline, 72 + 2 * WORD, WORD);
FIELD(libkdump_plan_options, kernel_data, 72 + 3 * WORD, WORD);
FIELD(libkdump_plan_options, initrd_data, 72 + 4 * WORD, WORD);
FIELD(libkdump_plan_options, purgatory, 72 + 5 * WORD, WORD);
FIELD(libkdump_plan_options, kernel_len, 72 + 6 * WORD, 8);
FIELD(libkdump_plan_options, initrd_len, 80 + 6 * WORD, 8);
FIELD(libkdump_plan_options, purgatory_len, 88 + 6 * WORD, 8);
FIELD(libkdump_plan_options, serial_address, 96 + 6 * WORD, 8);

_Static_assert(sizeof(struct libkdump_plan_info) == 80, "libkdump_plan_info");
FIELD(libkdump_plan_info, size, 0, 4);
FIELD(libkdump_plan_info, arch, 4, 4);
FIELD(libkdump_plan_info, segments, 8, 4);
FIELD(libkdump_plan_info, phnum, 12, 4);
FIELD(libkdump_plan_info, vmcore_phnum, 16, 4);
FIELD(libkdump_plan_info, reserved, 20, 4);
FIELD(libkdump_plan_info, entry, 24, 8);
FIELD(libkdump_plan_info, flags, 32, 8);
FIELD(libkdump_plan_info, region_start, 40, 8);
FIELD(libkdump_plan_info, region_length, 48, 8);
FIELD(libkdump_plan_info, leftover, 56, 8);
FIELD(libkdump_plan_info, vmcore_size, 64, 8);
FIELD(libkdump_plan_info, cmdline_limit, 72, 8);

_Static_assert(sizeof(struct libkdump_plan_x86) == 16, "libkdump_plan_x86");
FIELD(libkdump_plan_x86, size, 0, 4);
FIELD(libkdump_plan_x86, e820, 4, 4);
FIELD(libkdump_plan_x86, initrd_limit, 8, 8);

_Static_assert(sizeof(struct libkdump_plan_arm64) == 16, "libkdump_plan_arm64");
FIELD(libkdump_plan_arm64, size, 0, 4);
FIELD(libkdump_plan_arm64, usable, 4, 4);
FIELD(libkdump_plan_arm64, text_offset, 8, 8);

_Static_assert(sizeof(struct libkdump_segment) == 32 + 2 * WORD, "libkdump_segment");
FIELD(libkdump_segment, size, 0, 4);
FIELD(libkdump_segment, kind, 4, 4);
FIELD(libkdump_segment, mem, 8, 8);
FIELD(libkdump_segment, memsz, 16, 8);
FIELD(libkdump_segment, bufsz, 24, 8);
FIELD(libkdump_segment, buf, 32, WORD);
FIELD(libkdump_segment, reserved, 32 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_preflight_info) == 24, "libkdump_preflight_info");
FIELD(libkdump_preflight_info, size, 0, 4);
FIELD(libkdump_preflight_info, verdict, 4, 4);
FIELD(libkdump_preflight_info, findings, 8, 4);
FIELD(libkdump_preflight_info, os_errno, 12, 4);
FIELD(libkdump_preflight_info, armed_image_lost, 16, 4);
FIELD(libkdump_preflight_info, reserved, 20, 4);

_Static_assert(sizeof(struct libkdump_finding) == 8 + 2 * WORD, "libkdump_finding");
FIELD(libkdump_finding, size, 0, 4);
FIELD(libkdump_finding, verdict, 4, 4);
FIELD(libkdump_finding, rule, 8, WORD);
FIELD(libkdump_finding, detail, 8 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_kexec_segment) == 0 + 4 * WORD, "libkdump_kexec_segment");
FIELD(libkdump_kexec_segment, buf, 0, WORD);
FIELD(libkdump_kexec_segment, bufsz, 0 + 1 * WORD, WORD);
FIELD(libkdump_kexec_segment, mem, 0 + 2 * WORD, WORD);
FIELD(libkdump_kexec_segment, memsz, 0 + 3 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_purgatory_info) == 24, "libkdump_purgatory_info");
FIELD(libkdump_purgatory_info, size, 0, 4);
FIELD(libkdump_purgatory_info, arch, 4, 4);
FIELD(libkdump_purgatory_info, memsz, 8, 8);
FIELD(libkdump_purgatory_info, align, 16, 8);

_Static_assert(sizeof(struct libkdump_open_options) == 32, "libkdump_open_options");
FIELD(libkdump_open_options, size, 0, 4);
FIELD(libkdump_open_options, flags, 4, 4);
FIELD(libkdump_open_options, raw_base, 8, 8);
FIELD(libkdump_open_options, cache_size, 16, 8);
FIELD(libkdump_open_options, threads, 24, 4);
FIELD(libkdump_open_options, reserved, 28, 4);

_Static_assert(sizeof(struct libkdump_dump_info) == 96, "libkdump_dump_info");
FIELD(libkdump_dump_info, size, 0, 4);
FIELD(libkdump_dump_info, format, 4, 4);
FIELD(libkdump_dump_info, arch, 8, 4);
FIELD(libkdump_dump_info, elf_class, 12, 4);
FIELD(libkdump_dump_info, endian, 16, 4);
FIELD(libkdump_dump_info, phnum, 20, 4);
FIELD(libkdump_dump_info, cpus, 24, 4);
FIELD(libkdump_dump_info, ranges, 28, 4);
FIELD(libkdump_dump_info, defects, 32, 4);
FIELD(libkdump_dump_info, complete, 36, 4);
FIELD(libkdump_dump_info, page_size, 40, 8);
FIELD(libkdump_dump_info, memory, 48, 8);
FIELD(libkdump_dump_info, file_size, 56, 8);
FIELD(libkdump_dump_info, expected_size, 64, 8);
FIELD(libkdump_dump_info, missing, 72, 8);
FIELD(libkdump_dump_info, unreadable, 80, 8);
FIELD(libkdump_dump_info, unfinished, 88, 4);
FIELD(libkdump_dump_info, reserved, 92, 4);

_Static_assert(sizeof(struct libkdump_cpu) == 48 + 2 * WORD, "libkdump_cpu");
FIELD(libkdump_cpu, size, 0, 4);
FIELD(libkdump_cpu, index, 4, 4);
FIELD(libkdump_cpu, pid, 8, 4);
FIELD(libkdump_cpu, reserved, 12, 4);
FIELD(libkdump_cpu, instruction_pointer, 16, 8);
FIELD(libkdump_cpu, stack_pointer, 24, 8);
FIELD(libkdump_cpu, note_offset, 32, 8);
FIELD(libkdump_cpu, desc_len, 40, 8);
FIELD(libkdump_cpu, desc, 48, WORD);
FIELD(libkdump_cpu, reserved_pointer, 48 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_dmesg_info) == 24, "libkdump_dmesg_info");
FIELD(libkdump_dmesg_info, size, 0, 4);
FIELD(libkdump_dmesg_info, records, 4, 4);
FIELD(libkdump_dmesg_info, defects, 8, 4);
FIELD(libkdump_dmesg_info, reserved, 12, 4);
FIELD(libkdump_dmesg_info, lost, 16, 8);

_Static_assert(sizeof(struct libkdump_log_record) == 48 + 2 * WORD, "libkdump_log_record");
FIELD(libkdump_log_record, size, 0, 4);
FIELD(libkdump_log_record, level, 4, 4);
FIELD(libkdump_log_record, facility, 8, 4);
FIELD(libkdump_log_record, caller_kind, 12, 4);
FIELD(libkdump_log_record, caller, 16, 8);
FIELD(libkdump_log_record, seq, 24, 8);
FIELD(libkdump_log_record, ts_nsec, 32, 8);
FIELD(libkdump_log_record, text_len, 40, 8);
FIELD(libkdump_log_record, text, 48, WORD);
FIELD(libkdump_log_record, reserved, 48 + 1 * WORD, WORD);

_Static_assert(sizeof(struct libkdump_progress) == 32, "libkdump_progress");
FIELD(libkdump_progress, size, 0, 4);
FIELD(libkdump_progress, reserved, 4, 4);
FIELD(libkdump_progress, done, 8, 8);
FIELD(libkdump_progress, total, 16, 8);
FIELD(libkdump_progress, written, 24, 8);

_Static_assert(sizeof(struct libkdump_save_options) == 32, "libkdump_save_options");
FIELD(libkdump_save_options, size, 0, 4);
FIELD(libkdump_save_options, format, 4, 4);
FIELD(libkdump_save_options, compression, 8, 4);
FIELD(libkdump_save_options, exclude, 12, 4);
FIELD(libkdump_save_options, threads, 16, 4);
FIELD(libkdump_save_options, flags, 20, 4);
FIELD(libkdump_save_options, level, 24, 4);
FIELD(libkdump_save_options, reserved, 28, 4);

_Static_assert(sizeof(struct libkdump_save_report) == 184, "libkdump_save_report");
FIELD(libkdump_save_report, size, 0, 4);
FIELD(libkdump_save_report, unreadable_ranges, 4, 4);
FIELD(libkdump_save_report, dropped_phdrs, 8, 4);
FIELD(libkdump_save_report, source_defects, 12, 4);
FIELD(libkdump_save_report, file_size, 16, 8);
FIELD(libkdump_save_report, memory, 24, 8);
FIELD(libkdump_save_report, written, 32, 8);
FIELD(libkdump_save_report, unreadable, 40, 8);
FIELD(libkdump_save_report, shared, 48, 8);
FIELD(libkdump_save_report, missing, 56, 8);
FIELD(libkdump_save_report, corrupt, 64, 8);
FIELD(libkdump_save_report, given_up, 72, 8);
FIELD(libkdump_save_report, pages_zero, 80, 8);
FIELD(libkdump_save_report, pages_plain, 88, 8);
FIELD(libkdump_save_report, pages_compressed, 96, 8);
FIELD(libkdump_save_report, excluded_cache, 104, 8);
FIELD(libkdump_save_report, excluded_cache_private, 112, 8);
FIELD(libkdump_save_report, excluded_user, 120, 8);
FIELD(libkdump_save_report, excluded_free, 128, 8);
FIELD(libkdump_save_report, excluded_hwpoison, 136, 8);
FIELD(libkdump_save_report, excluded_offline, 144, 8);
FIELD(libkdump_save_report, short_runs, 152, 8);
FIELD(libkdump_save_report, undecided, 160, 8);
FIELD(libkdump_save_report, without_record, 168, 8);
FIELD(libkdump_save_report, doubtful, 176, 4);
FIELD(libkdump_save_report, reserved, 180, 4);

_Static_assert(sizeof(struct libkdump_classes_info) == 80, "libkdump_classes_info");
FIELD(libkdump_classes_info, size, 0, 4);
FIELD(libkdump_classes_info, doubtful, 4, 4);
FIELD(libkdump_classes_info, page_size, 8, 8);
FIELD(libkdump_classes_info, cache, 16, 8);
FIELD(libkdump_classes_info, cache_private, 24, 8);
FIELD(libkdump_classes_info, user, 32, 8);
FIELD(libkdump_classes_info, free, 40, 8);
FIELD(libkdump_classes_info, hwpoison, 48, 8);
FIELD(libkdump_classes_info, offline, 56, 8);
FIELD(libkdump_classes_info, undecided, 64, 8);
FIELD(libkdump_classes_info, without_record, 72, 8);

_Static_assert(sizeof(struct libkdump_classes_range) == 24, "libkdump_classes_range");
FIELD(libkdump_classes_range, size, 0, 4);
FIELD(libkdump_classes_range, used_for, 4, 4);
FIELD(libkdump_classes_range, first, 8, 8);
FIELD(libkdump_classes_range, pages, 16, 8);

_Static_assert(sizeof(struct libkdump_verification_info) == 40, "libkdump_verification_info");
FIELD(libkdump_verification_info, size, 0, 4);
FIELD(libkdump_verification_info, sound, 4, 4);
FIELD(libkdump_verification_info, unreadable_ranges, 8, 4);
FIELD(libkdump_verification_info, defects, 12, 4);
FIELD(libkdump_verification_info, memory, 16, 8);
FIELD(libkdump_verification_info, unreadable, 24, 8);
FIELD(libkdump_verification_info, unlisted_ranges, 32, 8);
