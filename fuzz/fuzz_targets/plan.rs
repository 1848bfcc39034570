//! Any kernel image on any memory map: a plan that is made keeps the rules, or says so.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, PT_LOAD, PhysRange};
use kdump_fuzz::fuzz_target;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, check_plan};
use kdump_segments::{CpuNote, Machine, MemoryKind, MemoryMap};
use libfuzzer_sys::Corpus;

/// A bzImage header that is right; the input overwrites bytes of it.
fn kernel(patches: &[(u16, u8)]) -> Vec<u8> {
    let mut file = vec![0; 8 * 512];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4, 0]);
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a, b'H', b'd', b'r', b'S', 0x0f, 0x02]);
    put(0x211, &[1]);
    put(0x22c, &[0xff, 0xff, 0xff, 0x7f, 0, 0, 0x20, 0, 1, 21, 0x7f, 0, 0xff, 0x07]);
    put(0x258, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x10, 0]);
    for &(offset, value) in patches {
        if let Some(byte) = file.get_mut(usize::from(offset)) {
            *byte = value;
        }
    }
    file
}

fuzz_target!(|input: (Vec<(u32, u32, u8)>, Vec<(u16, u8)>, u8, &str)| -> Corpus {
    let (ranges, patches, switches, cmdline) = input;
    let sound = ranges.is_empty() && patches.is_empty() && switches == 0 && cmdline.is_empty();
    let mut map = MemoryMap::new();
    for (start, size, kind) in ranges {
        let kind = MemoryKind::all().nth(usize::from(kind) % 7).unwrap_or(MemoryKind::Ram);
        if let Ok(range) = PhysRange::from_len(u64::from(start), u64::from(size)) {
            map.insert(range, kind);
        }
    }
    let crash = PhysRange::from_half_open(0x2000_0000, 0x2800_0000).unwrap();
    map.insert(crash, MemoryKind::Ram);
    let mut machine = Machine::new(Arch::X86_64, 0x1000, map);
    machine.crash_regions = vec![crash];
    let places = (0..2).map(|cpu| CpuNote { cpu, paddr: 0x2800_0000 + u64::from(cpu) * 512, size: 368 });
    machine.cpu_notes = places.collect();
    let options = PlanOptions::default()
        .cmdline(cmdline.to_owned())
        .backup([BackupPolicy::Auto, BackupPolicy::Always, BackupPolicy::Never][usize::from(switches) % 3])
        .entry_32bit(switches & 0x10 != 0)
        .memmap_cmdline(switches & 0x20 != 0)
        .hotplug(switches & 0x40 != 0)
        .reuse_cmdline(switches & 0x80 != 0)
        .rng_seed(Some([7; 32]));
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64).unwrap();
    let kernel = kernel(&patches);
    let inputs = PlanInputs::new(&machine, &kernel, &purgatory).options(&options);
    let plan = match Plan::new(&inputs) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!sound, "{error}");
            return Corpus::Keep;
        }
    };
    let mut end = 0;
    for load in plan.elfcorehdr.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD) {
        assert!(load.p_paddr >= end && load.p_memsz > 0);
        end = load.p_paddr + load.p_memsz;
    }
    assert!(plan.segments.iter().all(|segment| crash.contains_range(segment.range)));
    let _ = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    Corpus::Keep
});
