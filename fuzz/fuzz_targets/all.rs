//! Every target in one program, which is compiled in half the time of 33: the environment says which one runs.
#![no_main]
#![allow(
    clashing_extern_declarations,
    reason = "each target says what of the C library it calls, with types of its own"
)]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};

mod btf;
mod classes;
mod cmdline;
mod codec_lzo;
mod codec_snappy;
mod codec_zlib;
mod codec_zstd;
mod crashkernel;
mod device_tree;
mod diskdump;
mod elf_dump;
mod elf_header;
mod elf_notes;
mod ffi_core;
mod ffi_dump;
mod flattened;
mod initrd;
mod kdump;
mod kernel_image;
mod kernel_memory;
mod machine;
mod page_walk;
mod plan;
mod preflight;
mod prstatus;
mod purgatory_link;
mod save;
mod save_formats;
mod save_note;
mod split;
mod vmcore_layout;
mod vmcore_view;
mod vmcoreinfo;

/// What the target does with an input.
type Run = fn(&[u8]) -> Corpus;

static CHOSEN: LazyLock<Run> = LazyLock::new(|| {
    let name = std::env::var("KDUMP_FUZZ_TARGET").expect("KDUMP_FUZZ_TARGET names the target");
    match name.as_str() {
        "btf" => btf::run,
        "classes" => classes::run,
        "cmdline" => cmdline::run,
        "codec_lzo" => codec_lzo::run,
        "codec_snappy" => codec_snappy::run,
        "codec_zlib" => codec_zlib::run,
        "codec_zstd" => codec_zstd::run,
        "crashkernel" => crashkernel::run,
        "device_tree" => device_tree::run,
        "diskdump" => diskdump::run,
        "elf_dump" => elf_dump::run,
        "elf_header" => elf_header::run,
        "elf_notes" => elf_notes::run,
        "ffi_core" => ffi_core::run,
        "ffi_dump" => ffi_dump::run,
        "flattened" => flattened::run,
        "initrd" => initrd::run,
        "kdump" => kdump::run,
        "kernel_image" => kernel_image::run,
        "kernel_memory" => kernel_memory::run,
        "machine" => machine::run,
        "page_walk" => page_walk::run,
        "plan" => plan::run,
        "preflight" => preflight::run,
        "prstatus" => prstatus::run,
        "purgatory_link" => purgatory_link::run,
        "save" => save::run,
        "save_formats" => save_formats::run,
        "save_note" => save_note::run,
        "split" => split::run,
        "vmcore_layout" => vmcore_layout::run,
        "vmcore_view" => vmcore_view::run,
        "vmcoreinfo" => vmcoreinfo::run,
        _ => panic!("KDUMP_FUZZ_TARGET={name}: no such target in fuzz_targets/all.rs"),
    }
});

fuzz_target!(|input: &[u8]| -> Corpus { CHOSEN(input) });
