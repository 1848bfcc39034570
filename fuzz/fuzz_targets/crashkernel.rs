//! Any command line as crashkernel= requests, and where they would go.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, PhysRange};
use kdump_fuzz::fuzz_target;
use kdump_segments::{CrashkernelLimits, CrashkernelRequest, RangeSet};

fuzz_target!(|input: (u64, &str)| {
    let (ram, cmdline) = input;
    for arch in Arch::all() {
        let Ok(Some(request)) = CrashkernelRequest::parse(cmdline, ram, arch) else { continue };
        let (Some(limits), Ok(all)) = (CrashkernelLimits::of(arch), PhysRange::from_len(0x1000, ram)) else {
            continue;
        };
        let free = RangeSet::from_ranges([all]).unwrap();
        if let Ok(reservation) = request.would_reserve(&free, &limits) {
            assert!(free.contains_range(reservation.main));
            assert_eq!(reservation.main.size(), request.size);
        }
    }
});
