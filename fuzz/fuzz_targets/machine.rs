//! Any bytes as the files that describe a machine: the map keeps its invariants.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_segments::{Machine, MachineFiles};

/// The files read at a fixed place; the first input byte of each says which.
const PATHS: [&str; 16] = [
    "proc/iomem",
    "proc/kcore",
    "proc/kallsyms",
    "proc/cmdline",
    "sys/kernel/vmcoreinfo",
    "sys/kernel/boot_params/data",
    "sys/kernel/boot_params/version",
    "sys/kernel/kexec_crash_size",
    "sys/kernel/kexec/crash_cma_ranges",
    "sys/devices/system/cpu/cpu0/crash_notes",
    "sys/devices/system/cpu/cpu77/crash_notes_size",
    "sys/firmware/memmap/0/start",
    "sys/firmware/memmap/0/end",
    "sys/firmware/memmap/0/type",
    "sys/firmware/efi/systab",
    "sys/firmware/efi/runtime-map/0/phys_addr",
];

fuzz_target!(|parts: Vec<(u8, &[u8])>| {
    let mut files = MachineFiles::new();
    files.insert("proc/iomem", *b"00001000-0009fbff : System RAM\n00100000-1ffdffff : System RAM\n");
    for (which, content) in parts {
        files.insert(PATHS[usize::from(which) % PATHS.len()], content);
    }
    let Ok(machine) = Machine::from_files(&files) else { return };
    let mut last = 0;
    for range in machine.memory.iter() {
        assert!(range.range.start() >= last);
        last = range.range.end();
    }
    let dump = machine.dump_ram().unwrap();
    assert!(machine.crash_regions.iter().all(|&region| !dump.overlaps(region)));
    assert!(dump.subtract(&machine.ram().unwrap()).unwrap().is_empty());
    let _ = (machine.load_region(), machine.free_at_boot().unwrap(), machine.dump_ranges().unwrap());
});
