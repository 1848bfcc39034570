//! The local APIC: how one CPU starts and stops another.
//!
//! In x2APIC mode, which every CPU enters that has it, the registers are model specific ones and
//! the number of a CPU has 32 bits instead of 8.

use core::arch::x86_64::__cpuid;

use crate::{cpu, phys};

/// Physical address of the registers after reset (Intel SDM vol. 3, "Local APIC Register").
const BASE: u64 = 0xfee0_0000;
const ID: u64 = 0x20;
const SPURIOUS: u64 = 0xf0;
const COMMAND: u64 = 0x300;
const DESTINATION: u64 = 0x310;

const SEND_PENDING: u32 = 1 << 12;

/// IA32_APIC_BASE, and its bit that switches to x2APIC mode.
const MSR_APIC_BASE: u32 = 0x1b;
const X2APIC: u64 = 1 << 10;

/// The model specific register of the register at offset 0 (Intel SDM vol. 3, "x2APIC Register
/// Address Space"); one for every 16 bytes.
const MSR_FIRST: u32 = 0x800;

/// What an interprocessor interrupt asks for.
#[derive(Clone, Copy)]
pub(crate) enum Ipi {
    /// Reset the CPU and hold it.
    Init,
    /// Start it in real mode at this page below 1 MiB.
    Startup(u8),
    /// Interrupt it whatever it does.
    Nmi,
}

/// Whether this CPU is in x2APIC mode.
fn is_x2apic() -> bool {
    // SAFETY: every CPU with long mode has this register.
    unsafe { cpu::rdmsr(MSR_APIC_BASE) & X2APIC != 0 }
}

const fn msr(register: u64) -> u32 {
    MSR_FIRST + (register >> 4) as u32
}

fn read(register: u64) -> u32 {
    if is_x2apic() {
        // SAFETY: callers read registers that both modes have.
        return unsafe { cpu::rdmsr(msr(register)) } as u32;
    }
    // SAFETY: registers of this CPU's own APIC; reading them changes nothing.
    unsafe { phys::pointer(BASE + register).cast::<u32>().read_volatile() }
}

fn write(register: u64, value: u32) {
    if is_x2apic() {
        // SAFETY: callers write the spurious register only, which touches no memory.
        return unsafe { cpu::wrmsr(msr(register), u64::from(value)) };
    }
    // SAFETY: callers write the command and spurious registers only, which touch no memory.
    unsafe { phys::pointer(BASE + register).cast::<u32>().write_volatile(value) };
}

/// Number of the CPU that runs.
pub(crate) fn id() -> u32 {
    if is_x2apic() { read(ID) } else { read(ID) >> 24 }
}

/// Switches the local APIC of this CPU on, in x2APIC mode if it has that.
pub(crate) fn enable() {
    if __cpuid(1).ecx & 1 << 21 != 0 && !is_x2apic() {
        // SAFETY: the CPU has this mode, and nothing here keeps the other one's addresses.
        unsafe { cpu::wrmsr(MSR_APIC_BASE, cpu::rdmsr(MSR_APIC_BASE) | X2APIC) };
    }
    write(SPURIOUS, 0x1ff);
}

/// Sends `ipi` to one CPU.
pub(crate) fn send(apic_id: u32, ipi: Ipi) {
    let command = match ipi {
        Ipi::Init => 0x4500,
        Ipi::Startup(page) => 0x4600 | u32::from(page),
        Ipi::Nmi => 0x4400,
    };
    if is_x2apic() {
        // SAFETY: interrupts another CPU, and touches no memory of ours.
        return unsafe { cpu::wrmsr(msr(COMMAND), u64::from(apic_id) << 32 | u64::from(command)) };
    }
    write(DESTINATION, apic_id << 24);
    write(COMMAND, command);
    for _ in 0..1000 {
        if read(COMMAND) & SEND_PENDING == 0 {
            return;
        }
        cpu::delay(1);
    }
}
