//! Memory that is refused at any one moment is told; it ends nothing and makes no other machine, plan or verdict.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "../../tests/support/failing_allocator.rs"]
mod failing_allocator;
mod machine_support;
mod plan_support;

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use failing_allocator::{LARGE, refusing};
use kdump_elf::{Arch, PhysRange};
use kdump_segments::load::{FileLoad, probe_environment};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Verdict, check_plan};
use kdump_segments::{Error, Machine};
use machine_support::Kcore;
use plan_support::{TestPurgatory, bzimage};

/// Refuses one large allocation of `work` after the other, and each with all behind it. How many
/// there are, which is also how many times it failed: none may be done without.
fn sweep<T: PartialEq>(name: &str, work: impl Fn() -> Result<T, Error>) -> usize {
    let whole = work().map_err(|error| error.to_string());
    let mut count = 0;
    for for_good in [false, true] {
        // Each of the first ones; behind them the same is done over and over.
        let mut nth = 0;
        loop {
            nth += if nth < 200 { 1 } else { nth / 3 };
            let (outcome, refused) = refusing(nth, LARGE, for_good, &work);
            if !refused {
                assert!(outcome.map_err(|error| error.to_string()) == whole, "{name}: nothing was refused");
                count = nth - 1;
                break;
            }
            let outcome = outcome.map(|_| ());
            assert!(
                matches!(outcome, Err(Error::OutOfMemory { .. })),
                "{name}: {outcome:?} at refusal {nth}"
            );
        }
    }
    count
}

/// A recording that is large in everything, but not so large that it takes long.
struct Bundle(PathBuf);

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const RANGES: u64 = 400;
const CPUS: u64 = 600;

impl Bundle {
    fn new(name: &str) -> Self {
        let name = format!("kdump-no-memory-{name}-{}", std::process::id());
        let bundle = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&bundle.0);
        bundle.put("proc/sys/kernel/arch", "x86_64\n");
        bundle.put("proc/sys/kernel/osrelease", format!("{}\n", "6".repeat(5000)));
        bundle.put("proc/cmdline", format!("crashkernel=256M {}\n", "x=1 ".repeat(3000)));
        bundle.put("proc/meminfo", format!("MemTotal: 4000000 kB\n{}", "Other: 1 kB\n".repeat(1000)));
        bundle.memory();
        bundle.cpus();
        bundle.efi();
        bundle.kcore();
        bundle
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn memory(&self) {
        let mut iomem = String::from("00001000-0009fbff : System RAM\n00100000-3fffffff : System RAM\n");
        iomem.push_str("  20000000-2fffffff : Crash kernel\n");
        for index in 0..RANGES {
            let start = 0x2000_0000 + index * 0x10_0000 / 2;
            writeln!(iomem, "    {start:08x}-{:08x} : claimed", start + 0xfff).unwrap();
        }
        let mut cma = String::new();
        for index in 0..RANGES {
            let start = 0x1_0000_0000 + index * 0x400_0000;
            writeln!(iomem, "{start:x}-{:x} : System RAM", start + 0x1ff_ffff).unwrap();
            writeln!(iomem, "{:x}-{:x} : ACPI Tables", start + 0x200_0000, start + 0x200_0fff).unwrap();
            writeln!(iomem, "{:x}-{:x} : GART", start + 0x10_0000, start + 0x10_0fff).unwrap();
            writeln!(iomem, "nonsense {index}").unwrap();
            writeln!(cma, "{:x}-{:x}", start + 0x20_0000, start + 0x20_ffff).unwrap();
        }
        writeln!(iomem, "f00000000000-f00000000fff : {}", "device".repeat(1000)).unwrap();
        self.put("proc/iomem", iomem);
        self.put("sys/kernel/kexec_crash_cma_ranges", cma);
        for index in 0..RANGES / 2 {
            let dir = format!("sys/firmware/memmap/{index}");
            self.put(&format!("{dir}/start"), format!("{:#x}\n", index << 32));
            self.put(&format!("{dir}/end"), format!("{:#x}\n", (index << 32) + 0xffff));
            self.put(&format!("{dir}/type"), "System RAM\n");
        }
    }

    fn cpus(&self) {
        for cpu in 0..CPUS {
            // Some of them lie where no note can be, and are told.
            let at = if cpu % 3 == 0 { 0x2000_0000 } else { 0x3800_0000 + cpu * 512 };
            self.put(&format!("sys/devices/system/cpu/cpu{cpu}/crash_notes"), format!("{at:x}\n"));
            if cpu % 2 == 0 {
                self.put(&format!("sys/devices/system/cpu/cpu{cpu}/crash_notes_size"), "none\n");
            }
        }
        self.put("sys/kernel/vmcoreinfo", "39000000 1024\n");
    }

    fn efi(&self) {
        let mut page = vec![0; 4096];
        page[0x1c0..0x1c4].copy_from_slice(b"EL64");
        self.put("sys/kernel/boot_params/data", page);
        for name in ["fw_vendor", "runtime", "config_table"] {
            self.put(&format!("sys/firmware/efi/{name}"), "0x1000\n");
        }
        for index in 0..150 {
            let dir = format!("sys/firmware/efi/runtime-map/{index}");
            for name in ["phys_addr", "virt_addr", "num_pages", "type", "attribute"] {
                self.put(&format!("{dir}/{name}"), format!("{:#x}\n", index + 1));
            }
        }
    }

    fn kcore(&self) {
        let base = 0xffff_8880_0000_0000;
        let loads: Vec<_> = (0..RANGES).map(|index| (base + (index << 16), index << 16, 0x8000)).collect();
        let info = format!("OSRELEASE={}\nPAGESIZE=4096\n", "6".repeat(5000));
        self.put("proc/kcore", Kcore::new(Arch::X86_64, &loads, &info).build().0);
        self.put("proc/kallsyms", "ffffffff81000000 T _stext\nffff888000000000 D page_offset_base\n");
    }
}

/// A kernel that takes a long command line, in a file of 4 MiB.
fn kernel() -> Vec<u8> {
    let mut kernel = bzimage(0x80_0000, 1 << 22);
    kernel[0x238..0x23c].copy_from_slice(&0xf_0000_u32.to_le_bytes());
    kernel[0x236..0x238].copy_from_slice(&0x7f_u16.to_le_bytes());
    kernel
}

/// An ELF kernel of many pieces that share pages.
fn vmlinux(count: u64) -> Vec<u8> {
    let mut file = vec![0; 64 + 56 * count as usize + 0x100];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &0x100_0000_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0]);
    put(56, &(count as u16).to_le_bytes());
    for index in 0..count {
        let at = 64 + 56 * index as usize;
        // Two of three share a page; the others begin one.
        let paddr = 0x100_0000 + index / 3 * 0x2000 + index % 3 * 0x200;
        put(at, &[1, 0, 0, 0, 7]);
        put(at + 8, &(64 + 56 * count).to_le_bytes());
        put(at + 16, &(0xffff_ffff_8000_0000_u64 + paddr).to_le_bytes());
        put(at + 24, &paddr.to_le_bytes());
        put(at + 32, &0x100_u64.to_le_bytes());
        put(at + 40, &0x100_u64.to_le_bytes());
        put(at + 48, &0x1000_u64.to_le_bytes());
    }
    file
}

#[test]
fn describing_a_machine_tells_every_refusal() {
    let bundle = Bundle::new("machine");
    let count = sweep("collect", || Machine::collect(&bundle.0));
    assert!(count > 60, "{count} large allocations");
}

#[test]
fn planning_and_preflight_tell_every_refusal() {
    let bundle = Bundle::new("plan");
    let root = &bundle.0;
    let machine = Machine::collect(root).unwrap();
    // A region in which the parts fit, and one in which they do not.
    let mut small = machine.clone();
    small.crash_regions = vec![PhysRange::from_half_open(0x2000_0000, 0x2040_0000).unwrap()];
    let mut unclaimed = machine.clone();
    unclaimed.crash_claimed = kdump_segments::RangeSet::new();
    let mut linked = unclaimed.clone();
    linked.crash_regions = vec![PhysRange::from_half_open(0x80_0000, 0x1000_0000).unwrap()];
    let options = PlanOptions::default().reuse_cmdline(true).backup(BackupPolicy::Always);
    let short = PlanOptions::default().backup(BackupPolicy::Always).rng_seed(Some([7; 32]));
    let memmap = short.clone().memmap_cmdline(true);
    // Each range is a word, and each word is looked at for the next one.
    let mut fewer = unclaimed.clone();
    fewer.memory.remove(PhysRange::from_half_open(0x1_0000_0000 + 180 * 0x400_0000, 1 << 40).unwrap());
    let initrd = vec![0x11; 1 << 16];
    for (name, machine, kernel, options) in [
        ("bzImage", &unclaimed, kernel(), &options),
        ("memmap", &fewer, kernel(), &memmap),
        ("vmlinux", &linked, vmlinux(300), &short),
        ("no room", &small, kernel(), &options),
    ] {
        let inputs = PlanInputs::new(machine, &kernel, &TestPurgatory).initrd(Some(&initrd)).options(options);
        let count = sweep(name, || checked(&inputs, machine, root));
        assert!(count > 30, "{name}: {count} large allocations");
    }
}

/// All of a plan that says what it is, and what preflight says of it.
fn checked(
    inputs: &PlanInputs<'_>,
    machine: &Machine,
    root: &Path,
) -> Result<Vec<(&'static str, Verdict)>, Error> {
    let plan = Plan::new(inputs)?;
    let report = check_plan(&plan, machine, &probe_environment(machine, root)?)?;
    plan.into_owned()?;
    Ok(report.findings.iter().map(|finding| (finding.rule, finding.verdict)).collect())
}

#[test]
fn files_for_the_kernel_to_read_tell_every_refusal() {
    let bundle = Bundle::new("files");
    bundle.put("vmlinuz", kernel());
    let machine = Machine::collect(&bundle.0).unwrap();
    let line = "quiet ".repeat(1000);
    let count = sweep("files", || {
        let cmdline = kdump_segments::cmdline::CommandLine::new(&line)?;
        let load = FileLoad::open(&bundle.0.join("vmlinuz"), None, cmdline)?;
        let report = load.preflight(&machine, &probe_environment(&machine, &bundle.0)?)?;
        load.kernel().read_kernel(u64::MAX)?;
        Ok(report.failure().map(|finding| finding.rule))
    });
    assert!(count > 10, "{count} large allocations");
}
