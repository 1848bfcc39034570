//! What the planning tests share: recorded machines, a synthetic kernel and a purgatory that
//! says where it was linked.
#![allow(dead_code, unreachable_pub, reason = "a module of several tests, each of which uses a part of it")]

pub mod oracle;

use std::path::{Path, PathBuf};

use kdump_elf::{Arch, PhysRange};
use kdump_segments::plan::{BackupPolicy, PlanOptions};
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError};
use kdump_segments::{CpuNote, Machine, MemoryKind, MemoryMap};

/// Size of the initial ramdisk in the recorded plans.
pub const INITRD_SIZE: usize = 3_000_001;
/// The command line of the recorded plans.
pub const APPEND: &str = "console=ttyS0 irqpoll nr_cpus=1 reset_devices panic=5";

pub fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name)
}

pub fn machine(name: &str) -> Machine {
    Machine::collect(&recorded(name)).unwrap()
}

/// A bzImage with the header fields of the recorded kernels and a payload of one instruction and zeros.
pub fn bzimage(init_size: u32, payload: usize) -> Vec<u8> {
    let mut file = vec![0; 40 * 512 + payload];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[39]);
    put(0x1fe, &[0x55, 0xaa]);
    put(0x201, &[0x7b - 0x11]);
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1]);
    put(0x236, &0x7f_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &0x100_0000_u64.to_le_bytes());
    put(0x260, &init_size.to_le_bytes());
    file.iter_mut().skip(40 * 512).take(1).for_each(|byte| *byte = 0xcc);
    file
}

/// The kernel of the plans recorded for machine `name`.
pub fn kernel(name: &str) -> Vec<u8> {
    match name {
        "bios-512m" => bzimage(0x3f9_8000, 0x7d_87c0),
        "efi-1g-612" => bzimage(0x37d_c000, 0xb1_87c0),
        other => panic!("no kernel for {other}"),
    }
}

pub fn options(backup: BackupPolicy) -> PlanOptions {
    PlanOptions::default().cmdline(APPEND.to_owned()).backup(backup).rng_seed(Some([0xa5; 32]))
}

/// As large as the purgatory of the recorded plans, so that what is placed after it lies
/// where it does there. Its content lists the regions it was asked to verify.
pub struct TestPurgatory;

/// Where it is entered, from its start.
const ENTRY: usize = 0x760;

impl Purgatory for TestPurgatory {
    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    fn memsz(&self) -> u64 {
        0x9000
    }

    fn align(&self) -> u64 {
        0x1000
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        let mut bytes = Vec::new();
        for region in handover.regions {
            bytes.extend_from_slice(&region.start.to_le_bytes());
            bytes.extend_from_slice(&(region.bytes.len() as u64).to_le_bytes());
        }
        // Its program, of breakpoints.
        bytes.resize(bytes.len().max(ENTRY), 0);
        bytes.resize(bytes.len() + 16, 0xcc);
        Ok(LinkedPurgatory { bytes, entry: base + ENTRY as u64 })
    }
}

/// A machine with `ranges` ranges of RAM, `cpus` CPUs and a crash region of 256 MiB.
pub fn synthetic(ranges: u64, cpus: u32) -> Machine {
    let mut map = MemoryMap::new();
    map.insert(PhysRange::from_half_open(0x1000, 0x9_fc00).unwrap(), MemoryKind::Ram);
    map.insert(PhysRange::from_half_open(0x10_0000, 0x4000_0000).unwrap(), MemoryKind::Ram);
    for index in 0..ranges.saturating_sub(2) {
        let start = 0x1_0000_0000 + index * 0x20_0000;
        map.insert(PhysRange::from_len(start, 0x10_0000).unwrap(), MemoryKind::Ram);
    }
    let mut machine = Machine::new(Arch::X86_64, 0x1000, map);
    machine.crash_regions = vec![PhysRange::from_half_open(0x2000_0000, 0x3000_0000).unwrap()];
    machine.cpu_notes =
        (0..cpus).map(|cpu| CpuNote { cpu, paddr: 0x3800_0000 + u64::from(cpu) * 512, size: 368 }).collect();
    machine
}
