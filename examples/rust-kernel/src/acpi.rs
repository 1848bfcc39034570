//! The ACPI tables, as far as they name CPUs (ACPI specification, "MADT").

use crate::phys;

/// Entries of the MADT: a CPU with a local APIC, and one whose number needs more than 8 bits.
const LOCAL_APIC: u8 = 0;
const LOCAL_X2APIC: u8 = 9;

/// Calls `found` with the APIC number of each CPU that can be used.
///
/// # Safety
/// `rsdp` is 0 or the address of the root pointer that the firmware gave.
pub(crate) unsafe fn each_cpu(rsdp: u64, mut found: impl FnMut(u32)) {
    // SAFETY: tables of the firmware, each with its length in its header.
    unsafe {
        let Some(madt) = (rsdp != 0).then(|| find(rsdp, *b"APIC")).flatten() else { return };
        let end = madt + u64::from(phys::read::<u32>(madt + 4));
        let mut entry = madt + 44;
        while entry + 8 <= end {
            let [kind, len, _, apic_id] = phys::read::<[u8; 4]>(entry);
            let usable = |flags: u64| phys::read::<u32>(entry + flags) & 1 == 1;
            match kind {
                LOCAL_APIC if usable(4) => found(u32::from(apic_id)),
                LOCAL_X2APIC if len >= 16 && usable(8) => found(phys::read(entry + 4)),
                _ => {}
            }
            // An entry without length would keep us here for ever.
            entry += u64::from(len.max(2));
        }
    }
}

/// The table with this signature, through the XSDT or, for ACPI 1.0, the RSDT.
unsafe fn find(rsdp: u64, signature: [u8; 4]) -> Option<u64> {
    // SAFETY: as for `each_cpu`.
    unsafe {
        let extended = phys::read::<u8>(rsdp + 15) >= 2;
        let (root, width) = if extended {
            (phys::read::<u64>(rsdp + 24), 8)
        } else {
            (u64::from(phys::read::<u32>(rsdp + 16)), 4)
        };
        let len = u64::from(phys::read::<u32>(root + 4));
        let tables = (36..len).step_by(width).map(|at| match width {
            8 => phys::read::<u64>(root + at),
            _ => u64::from(phys::read::<u32>(root + at)),
        });
        tables.into_iter().find(|&table| phys::read::<[u8; 4]>(table) == signature)
    }
}
