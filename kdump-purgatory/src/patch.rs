//! Writes a hand-over into a linked x86_64 purgatory.
//!
//! Every symbol the object has is set, needed or not, so that nothing depends on what a foreign
//! object holds at first; a symbol it lacks is an error only where the hand-over needs it.

use kdump_elf::Arch;
use kdump_segments::purgatory::{BackupCopy, Entry, Handover, MismatchAction, SerialPort};

use crate::{Error, LinkedImage, digest, regions};

/// The clock of a PC's UART divided by 16; line speeds are its divisors.
const BAUD_MAX: u32 = 115_200;

/// Writes all of the hand-over.
pub(crate) fn apply(image: &mut LinkedImage, arch: Arch, handover: &Handover<'_>) -> Result<(), Error> {
    enter(image, arch, handover.entry)?;
    let table = regions::encode(handover.regions, &image.memory())?;
    image.set("sha256_regions", &table)?;
    image.set("sha256_digest", &digest(handover.regions))?;
    // Ours; an object without it decides by itself.
    set(image, "sha_instructions", &u32::from(handover.sha_instructions).to_le_bytes(), false)?;
    mismatch(image, handover.on_mismatch)?;
    backup(image, handover.backup)?;
    serial(image, handover.serial)
}

/// The registers of the next kernel. Tables: 64-bit rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip,
/// 32-bit eax ebx ecx edx esi edi esp ebp eip. The 32-bit one serves an object whose
/// 64-bit one is left as it is.
fn enter(image: &mut LinkedImage, arch: Arch, entry: Entry) -> Result<(), Error> {
    let stack = image.address("stack_end")?;
    match entry {
        Entry::X86Bits64 { rip, boot_params } => {
            let mut table = [0; 17 * 8];
            put(&mut table, 4 * 8, &boot_params.to_le_bytes());
            put(&mut table, 6 * 8, &stack.to_le_bytes());
            put(&mut table, 16 * 8, &rip.to_le_bytes());
            image.set("entry64_regs", &table)
        }
        Entry::X86Bits32 { eip, boot_params } => {
            let stack = below_4_gib(image, stack)?;
            let mut table = [0; 9 * 4];
            put(&mut table, 4 * 4, &boot_params.to_le_bytes());
            put(&mut table, 6 * 4, &stack.to_le_bytes());
            put(&mut table, 8 * 4, &eip.to_le_bytes());
            image.set("entry32_regs", &table)
        }
        _ => Err(Error::Entry { arch }),
    }
}

/// The stack's address, if all of the purgatory can be reached without 64-bit mode.
fn below_4_gib(image: &LinkedImage, stack: u64) -> Result<u32, Error> {
    let memory = image.memory();
    let limit = u64::from(u32::MAX);
    match u32::try_from(stack) {
        Ok(stack) if memory.end <= limit => Ok(stack),
        _ => Err(Error::BeyondAddressSpace {
            base: memory.start,
            memsz: memory.end.saturating_sub(memory.start),
            limit,
        }),
    }
}

/// An object without `mismatch_action` halts; to continue is then to check nothing.
fn mismatch(image: &mut LinkedImage, action: MismatchAction) -> Result<(), Error> {
    let number: u32 = match action {
        MismatchAction::Halt => 0,
        MismatchAction::Reset => 1,
        MismatchAction::Continue => 2,
    };
    let known = image.contains("mismatch_action");
    let skip = !known && action == MismatchAction::Continue;
    if known || action == MismatchAction::Reset {
        image.set("mismatch_action", &number.to_le_bytes())?;
    }
    set(image, "skip_checks", &u32::from(skip).to_le_bytes(), skip)
}

fn backup(image: &mut LinkedImage, copy: Option<BackupCopy>) -> Result<(), Error> {
    let needed = copy.is_some();
    let copy = copy.unwrap_or(BackupCopy { source: 0, size: 0, destination: 0 });
    set(image, "panic_kernel", &[u8::from(needed)], needed)?;
    set(image, "backup_src_start", &copy.source.to_le_bytes(), needed)?;
    set(image, "backup_src_size", &copy.size.to_le_bytes(), needed)?;
    set(image, "backup_start", &copy.destination.to_le_bytes(), needed)
}

fn serial(image: &mut LinkedImage, port: Option<SerialPort>) -> Result<(), Error> {
    set(image, "console_serial", &[u8::from(port.is_some())], port.is_some())?;
    let Some(SerialPort { base, baud }) = port else {
        return Ok(());
    };
    if let Some(baud) = baud.filter(|baud| BAUD_MAX.checked_rem(*baud) != Some(0)) {
        return Err(Error::Baud { baud, limit: BAUD_MAX });
    }
    image.set("serial_base", &base.to_le_bytes())?;
    image.set("serial_baud", &baud.unwrap_or(0).to_le_bytes())
}

/// Writes a symbol which may be missing unless it is needed.
fn set(image: &mut LinkedImage, symbol: &str, value: &[u8], needed: bool) -> Result<(), Error> {
    if needed || image.contains(symbol) {
        return image.set(symbol, value);
    }
    Ok(())
}

/// Stores a field of a register table.
fn put(table: &mut [u8], offset: usize, value: &[u8]) {
    let field = table.get_mut(offset..).and_then(|tail| tail.get_mut(..value.len()));
    if let Some(field) = field {
        field.copy_from_slice(value);
    }
}
