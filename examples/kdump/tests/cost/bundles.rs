//! Recorded machines whose files are as large, as many and as odd as they may be.

use crate::bzimage;
use crate::run::Case;

/// Fills in a recording.
type Fill = fn(&Case);

pub(crate) const ALL: [(&str, Fill); 7] = [
    ("iomem", |case| {
        machine(case);
        let start = |n: u64| 0x2000_0000 + (n << 13);
        let lines = (0..30_000).map(|n| format!("{:x}-{:x} : System RAM\n", start(n), start(n) + 0xfff));
        case.put("root/proc/iomem", (IOMEM.to_owned() + &lines.collect::<String>()).as_bytes());
    }),
    ("nonsense", |case| {
        machine(case);
        case.put("root/proc/iomem", "x\n".repeat(1 << 20).as_bytes());
    }),
    ("cpus", |case| {
        machine(case);
        for cpu in 0..2_000 {
            case.put(&format!("root/sys/devices/system/cpu/cpu{cpu}/crash_notes"), b"1000000\n");
        }
    }),
    ("sparse", |case| {
        machine(case);
        for cpu in 0..100 {
            let dir = format!("root/sys/devices/system/cpu/cpu{cpu}");
            case.put_sparse(&format!("{dir}/crash_notes"), b"", 60 << 20);
            case.put_sparse(&format!("{dir}/crash_notes_size"), b"", 15 << 20);
        }
    }),
    ("kcore", |case| {
        machine(case);
        let file = crate::files::damaged_loads(60_000);
        case.put_sparse("root/proc/kcore", &file, 1 << 40);
    }),
    ("kallsyms", |case| {
        machine(case);
        case.put("root/proc/kallsyms", "ffffffff81000000 T x\n".repeat(1 << 18).as_bytes());
    }),
    ("words", |case| {
        machine(case);
        case.put("root/proc/cmdline", "crashkernel=1M ".repeat(1 << 18).as_bytes());
        case.put("root/sys/kernel/vmcoreinfo", "f".repeat(4 << 20).as_bytes());
        case.put("root/proc/cpuinfo", "flags : sha_ni\n".repeat(1 << 18).as_bytes());
    }),
];

const IOMEM: &str = "\
00001000-0009fbff : System RAM
00100000-1ffdffff : System RAM
  09000000-12ffffff : Crash kernel
";

/// A machine that can be planned for.
fn machine(case: &Case) {
    case.put("root/proc/iomem", IOMEM.as_bytes());
    case.put("root/proc/sys/kernel/arch", b"x86_64\n");
    case.put("root/sys/kernel/vmcoreinfo", b"0x134e000 1024\n");
    case.put("root/sys/devices/system/cpu/cpu0/crash_notes", b"1000000\n");
    case.put("root/sys/devices/system/cpu/cpu0/crash_notes_size", b"368\n");
    case.put("bzImage", &bzimage::bzimage());
}
