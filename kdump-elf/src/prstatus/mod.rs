// SPDX-License-Identifier: MIT OR Apache-2.0
//! `struct elf_prstatus`, the descriptor of a CPU's NT_PRSTATUS note (`elf(5)`,
//! include/uapi/linux/elfcore.h).

pub(crate) mod note_size;
pub(crate) mod registers;

use crate::{Arch, Class, Endian, Error};

/// Offsets that follow from the width of `long` alone.
pub(crate) struct Frame {
    pub(crate) pr_pid: usize,
    pub(crate) pr_reg: usize,
}

pub(crate) const fn frame(class: Class) -> Frame {
    match class {
        Class::Elf64 => Frame { pr_pid: 32, pr_reg: 112 },
        Class::Elf32 => Frame { pr_pid: 24, pr_reg: 72 },
    }
}

/// Size in bytes of `struct elf_prstatus`, the `n_descsz` of a CPU note.
#[must_use]
pub const fn prstatus_size(arch: Arch) -> usize {
    let regs = registers::table(arch).size;
    let end = frame(arch.class()).pr_reg.saturating_add(regs).saturating_add(4);
    let word = arch.class().word_size();
    end.saturating_add(word.saturating_sub(1)) & !word.saturating_sub(1)
}

/// Registers of one CPU as its note has them.
#[derive(Clone, Copy, Debug)]
pub struct PrStatus<'a> {
    desc: &'a [u8],
    arch: Arch,
    endian: Endian,
}

impl<'a> PrStatus<'a> {
    /// Takes the descriptor of an NT_PRSTATUS note named `CORE`. A longer one is accepted:
    /// what stands behind the known part is left alone.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the registers do not lie within `desc`.
    pub fn parse(desc: &'a [u8], arch: Arch, endian: Endian) -> Result<Self, Error> {
        let need = frame(arch.class()).pr_reg.saturating_add(registers::table(arch).size);
        if desc.len() < need {
            let (need, have) = (need as u64, desc.len() as u64);
            return Err(Error::Truncated { what: "elf_prstatus", offset: 0, need, have });
        }
        Ok(Self { desc, arch, endian })
    }

    /// The task that ran on the CPU, 0 when it was idle. On s390x the 1-based number of the
    /// CPU. Kernels other than Linux give each CPU a number of its own: gdb takes notes with
    /// equal numbers for one thread.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let at = frame(self.arch.class()).pr_pid;
        // `parse` saw that it is there.
        self.endian.read(self.desc, at).unwrap_or(0)
    }

    /// All registers in the order of `pr_reg`, with the kernel's names: the fields of the
    /// architecture's structure in [`registers`](crate::registers).
    pub fn registers(&self) -> impl Iterator<Item = (&'static str, u64)> + use<'a> {
        let this = *self;
        registers::fields(this.arch).map(move |field| (field.name, this.read(field.offset, field.size)))
    }

    /// One register by its name, for example `rip`, `pc` or `gpr1`.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<u64> {
        self.registers().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> Option<u64> {
        self.register(registers::table(self.arch).instruction_pointer)
    }

    /// The stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> Option<u64> {
        self.register(registers::table(self.arch).stack_pointer)
    }

    /// The registers as they stand, `pr_reg`.
    #[must_use]
    pub fn pr_reg(&self) -> &'a [u8] {
        let start = frame(self.arch.class()).pr_reg;
        let end = start.saturating_add(registers::table(self.arch).size);
        self.desc.get(start..end).unwrap_or_default()
    }

    fn read(&self, offset: usize, size: usize) -> u64 {
        let at = frame(self.arch.class()).pr_reg.saturating_add(offset);
        let field = self.desc.get(at..at.saturating_add(size));
        // `parse` saw that all registers are there, and they have 4 or 8 bytes.
        field.and_then(|field| self.endian.unsigned(field)).unwrap_or(0)
    }
}

/// A `struct elf_prstatus` in the making, in a buffer of the caller.
#[derive(Debug)]
pub struct PrStatusMut<'a> {
    desc: &'a mut [u8],
    arch: Arch,
    endian: Endian,
}

impl<'a> PrStatusMut<'a> {
    /// Zeroes the first [`prstatus_size`] bytes of `out` and begins there.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is shorter.
    pub fn new(out: &'a mut [u8], arch: Arch, endian: Endian) -> Result<Self, Error> {
        let need = prstatus_size(arch);
        let have = out.len() as u64;
        let desc = out.get_mut(..need).ok_or(Error::Buffer { need: need as u64, have })?;
        desc.fill(0);
        Ok(Self { desc, arch, endian })
    }

    /// Sets the task that runs on the CPU.
    pub fn set_pid(&mut self, pid: i32) {
        let _ = self.endian.write(self.desc, frame(self.arch.class()).pr_pid, pid);
    }

    /// Sets one register by its name; says whether the architecture has it. Only the low
    /// half of `value` is stored where registers have 32 bits.
    pub fn set_register(&mut self, name: &str, value: u64) -> bool {
        let Some(field) = registers::fields(self.arch).find(|field| field.name == name) else {
            return false;
        };
        self.set_field(field, value);
        true
    }

    /// Sets registers in the order of `pr_reg`, which is that of the fields of the architecture's
    /// structure in [`registers`](crate::registers); surplus values are left out, missing ones
    /// stay 0. Returns how many were set.
    pub fn set_registers(&mut self, values: &[u64]) -> usize {
        let mut count: usize = 0;
        for (field, &value) in registers::fields(self.arch).zip(values) {
            self.set_field(field, value);
            count = count.saturating_add(1);
        }
        count
    }

    fn set_field(&mut self, field: registers::Field, value: u64) {
        let at = frame(self.arch.class()).pr_reg.saturating_add(field.offset);
        // `new` made room for all of them.
        let _ = match field.size {
            8 => self.endian.write(self.desc, at, value),
            _ => self.endian.write(self.desc, at, low_half(value)),
        };
    }
}

/// What a register of 32 bits keeps of a value.
const fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
