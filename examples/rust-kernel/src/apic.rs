//! The local APIC: how one CPU starts and stops another.

use crate::{cpu, phys};

/// Physical address of the registers after reset (Intel SDM vol. 3, "Local APIC Register").
const BASE: u64 = 0xfee0_0000;
const ID: u64 = 0x20;
const SPURIOUS: u64 = 0xf0;
const COMMAND: u64 = 0x300;
const DESTINATION: u64 = 0x310;

const SEND_PENDING: u32 = 1 << 12;
const ALL_BUT_SELF: u32 = 0b11 << 18;

/// What an interprocessor interrupt asks for.
#[derive(Clone, Copy)]
pub(crate) enum Ipi {
    /// Reset the CPU and hold it.
    Init,
    /// Start it in real mode at this page below 1 MiB.
    Startup(u8),
}

fn read(register: u64) -> u32 {
    // SAFETY: registers of this CPU's own APIC; reading them changes nothing.
    unsafe { phys::pointer(BASE + register).cast::<u32>().read_volatile() }
}

fn write(register: u64, value: u32) {
    // SAFETY: callers write the command and spurious registers only, which touch no memory.
    unsafe { phys::pointer(BASE + register).cast::<u32>().write_volatile(value) };
}

/// Number of the CPU that runs.
pub(crate) fn id() -> u32 {
    read(ID) >> 24
}

/// Switches the local APIC on.
pub(crate) fn enable() {
    write(SPURIOUS, 0x1ff);
}

/// Sends `ipi` to one CPU.
pub(crate) fn send(apic_id: u32, ipi: Ipi) {
    write(DESTINATION, apic_id << 24);
    write(
        COMMAND,
        match ipi {
            Ipi::Init => 0x4500,
            Ipi::Startup(page) => 0x4600 | u32::from(page),
        },
    );
    wait();
}

/// Sends an NMI to all CPUs but this one.
pub(crate) fn nmi_to_others() {
    write(COMMAND, ALL_BUT_SELF | 0x4400);
    wait();
}

fn wait() {
    for _ in 0..1000 {
        if read(COMMAND) & SEND_PENDING == 0 {
            return;
        }
        cpu::delay(1);
    }
}
