//! A kernel that can die and be dumped, and that can capture the dump: two roles, one program.
//!
//! Started with `elfcorehdr=` on its command line it is the capture kernel, otherwise the one
//! that will crash. README.md tells how to run it and in which order to read it.
#![no_std]
#![no_main]

extern crate alloc;

mod acpi;
mod apic;
mod boot_info;
mod capture;
mod cause;
mod cpu;
mod crash;
mod disk;
mod frames;
mod heap;
mod load;
mod notes;
mod old_memory;
mod per_cpu;
mod phys;
mod serial;
mod shell;
mod smp;
mod stack;
mod stream;
mod task;
mod text;
mod trap;

use core::sync::atomic::Ordering;

use alloc::boxed::Box;

use boot_info::BootInfo;
use per_cpu::PerCpu;
use serial::say;

/// Where boot.s leaves the first CPU.
///
/// # Safety
/// Called once, with what the boot protocol passed.
#[unsafe(no_mangle)]
unsafe extern "C" fn kernel_main(linux: u64, info: u64, image: u64) -> ! {
    // SAFETY: the kernel before this one may have left something; `PerCpu::installed` asks.
    unsafe { cpu::wrmsr(cpu::MSR_GS_BASE, 0) };
    phys::init(image);
    stack::guard_boot_stack();
    serial::CONSOLE.init();
    // SAFETY: passed on.
    let boot = unsafe { BootInfo::read(linux != 0, info) };
    prepare_memory(&boot);
    let boot = Box::leak(Box::new(boot));
    match boot.option("elfcorehdr") {
        Some(_) => capture_kernel(boot),
        None => first_kernel(boot),
    }
}

/// Hands all memory that is not in use to the allocators.
fn prepare_memory(boot: &BootInfo) {
    boot.ram().for_each(frames::add);
    [phys::image(), boot.module].into_iter().flatten().for_each(frames::reserve);
    if !heap::init() {
        say!("no memory for the heap");
        cpu::halt();
    }
}

fn first_kernel(boot: &BootInfo) -> ! {
    say!("first kernel: {}", boot.cmdline());
    let region = load::reserve(boot).unwrap_or_else(|error| {
        say!("crashkernel: {error}");
        None
    });
    apic::enable();
    // SAFETY: the address is the firmware's.
    per_cpu::expect(unsafe { smp::count(boot.rsdp) }.max(1));
    let Some(per_cpu) = PerCpu::new(0, apic::id()) else { cpu::halt() };
    task::spawn(per_cpu, shell::run);
    task::spawn_workload(per_cpu);
    per_cpu.install();
    say!("witness page_table={:#x}", cpu::cr3());
    // SAFETY: the address is the firmware's.
    unsafe { smp::start(boot.rsdp) };
    phys::identity_map(false);
    say!("{} CPUs", smp::ONLINE.load(Ordering::Relaxed));
    let loaded = region.map(|region| load::load(boot, region));
    say_use("loading");
    match loaded {
        Some(Ok(())) => say!("armed"),
        Some(Err(error)) => say!("no capture kernel: {error}"),
        None => say!("no capture kernel: no memory is reserved (crashkernel=)"),
    }
    task::run()
}

/// How much memory the work so far has taken: a kernel that copies this wants to know.
pub(crate) fn say_use(work: &str) {
    let (stack, heap) = (stack::boot_stack_used(), heap::peak());
    say!("used for {work}: at most {stack} bytes of stack, {heap} bytes of heap");
}

fn capture_kernel(boot: &'static BootInfo) -> ! {
    let Some(per_cpu) = PerCpu::new(0, apic::id()) else { cpu::halt() };
    per_cpu.install();
    phys::identity_map(false);
    capture::run(boot)
}

/// Raises the exception which every crash begins with, unless the second kernel can do better. The
/// crash path says why, behind all that is more urgent.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    capture::after_panic(info);
    match PerCpu::installed() {
        Some(this) => crash::panic(this, info),
        None => say!("{info}"),
    }
    cpu::halt()
}
