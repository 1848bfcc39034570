//! How the purgatory of x86_64 enters the next kernel.

use kdump_elf::Arch;
use kdump_segments::purgatory::Entry;

use crate::{Error, LinkedImage};

/// The registers of the next kernel. Tables: 64-bit rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip,
/// 32-bit eax ebx ecx edx esi edi esp ebp eip. The 32-bit one serves an object whose
/// 64-bit one is left as it is.
pub(crate) fn enter(image: &mut LinkedImage, entry: Entry) -> Result<(), Error> {
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
        _ => Err(Error::Entry { arch: Arch::X86_64 }),
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

/// Stores a field of a register table.
fn put(table: &mut [u8], offset: usize, value: &[u8]) {
    let field = table.get_mut(offset..).and_then(|tail| tail.get_mut(..value.len()));
    if let Some(field) = field {
        field.copy_from_slice(value);
    }
}
