//! Starts the other CPUs by INIT and SIPI (Intel SDM vol. 3, "MP Initialization").

#![allow(bad_asm_style, reason = "boot.s changes the syntax and changes it back")]

use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::apic::{self, Ipi};
use crate::per_cpu::PerCpu;
use crate::{acpi, cpu, frames, phys, say, stack, task};

global_asm!(include_str!("boot.s"));

/// CPUs that run, the first one included.
pub(crate) static ONLINE: AtomicUsize = AtomicUsize::new(1);

unsafe extern "C" {
    static ap_start: u8;
    static ap_long: u8;
    static ap_gdt: u8;
    static ap_gdt_pointer: u8;
    static ap_cr3: u8;
    static ap_target: u8;
    static ap_stack: u8;
    static ap_main_address: u8;
    static ap_end: u8;
}

/// How many CPUs ACPI names.
///
/// # Safety
/// As for [`acpi::each_cpu`].
pub(crate) unsafe fn count(rsdp: u64) -> usize {
    let mut count = 0;
    // SAFETY: the caller's promise.
    unsafe { acpi::each_cpu(rsdp, |_| count += 1) };
    count
}

/// Starts every CPU that ACPI names, one after the other. Needs the identity map.
///
/// # Safety
/// As for [`acpi::each_cpu`].
pub(crate) unsafe fn start(rsdp: u64) {
    let Some(page) = frames::allocate().filter(|page| *page < 1 << 20) else {
        say!("no memory below 1 MiB: the other CPUs stay off");
        return;
    };
    let me = apic::id();
    // SAFETY: the caller's promise.
    unsafe {
        acpi::each_cpu(rsdp, |apic_id| {
            if apic_id != me {
                start_one(apic_id, page);
            }
        });
    }
}

fn start_one(apic_id: u32, page: u64) {
    let index = ONLINE.load(Ordering::Acquire);
    let (Some(per_cpu), Some(stack)) = (PerCpu::new(index, apic_id), stack::allocate()) else {
        say!("no stacks left for CPU {index}");
        return;
    };
    task::spawn_workload(per_cpu);
    fill_trampoline(page, stack, per_cpu);
    apic::send(apic_id, Ipi::Init);
    cpu::delay(10_000);
    // A second SIPI only for a CPU that missed the first.
    for patience in [1_000, 1_000_000] {
        apic::send(apic_id, Ipi::Startup((page >> 12) as u8));
        for _ in 0..patience / 100 {
            if ONLINE.load(Ordering::Acquire) > index {
                return;
            }
            cpu::delay(100);
        }
    }
    // It must not begin later, with the stack of the next one.
    apic::send(apic_id, Ipi::Init);
    say!("CPU {index} (APIC {apic_id}) does not answer");
}

/// Copies the trampoline of boot.s to `page` and fills its blanks in. The CPU finds its own
/// data on its stack.
fn fill_trampoline(page: u64, stack: u64, per_cpu: &'static PerCpu) {
    let start = &raw const ap_start;
    let offset = |symbol: *const u8| symbol as u64 - start as u64;
    let len = offset(&raw const ap_end) as usize;
    // SAFETY: the frame is ours, the code lies in the image.
    let copy = unsafe { phys::bytes_mut(page, len) };
    // SAFETY: from ap_start to ap_end.
    copy.copy_from_slice(unsafe { core::slice::from_raw_parts(start, len) });
    let mut put = |symbol: *const u8, skip: u64, value: u64, size: usize| {
        let at = (offset(symbol) + skip) as usize;
        if let (Some(field), Some(bytes)) = (copy.get_mut(at..at + size), value.to_le_bytes().get(..size)) {
            field.copy_from_slice(bytes);
        }
    };
    // SAFETY: the top of a fresh stack.
    let stack = unsafe {
        let top = (stack as *mut u64).sub(1);
        top.write(core::ptr::from_ref(per_cpu) as u64);
        top as u64
    };
    put(&raw const ap_gdt_pointer, 2, page + offset(&raw const ap_gdt), 4);
    put(&raw const ap_cr3, 0, phys::paddr_of(phys::page_table_root().cast()), 8);
    put(&raw const ap_target, 0, page + offset(&raw const ap_long), 4);
    put(&raw const ap_stack, 0, stack, 8);
    put(&raw const ap_main_address, 0, ap_main as *const () as u64, 8);
}

/// Where boot.s leaves a further CPU.
extern "C" fn ap_main(per_cpu: &'static PerCpu) -> ! {
    apic::enable();
    per_cpu.install();
    ONLINE.fetch_add(1, Ordering::Release);
    task::run()
}
