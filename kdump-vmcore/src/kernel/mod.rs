//! What the dead kernel's own data tell: its log, its symbols, its CPUs.

mod btf;
mod cpu_registers;
mod dmesg;
mod kallsyms;
mod log;
mod log_buf;
mod memory;
mod printk_ring;

pub use btf::Btf;
pub use cpu_registers::{CpuList, CpuRegisters, RegisterSource, UnreadCpu, cpu_registers, note_registers};
pub use kallsyms::Kallsyms;
pub use log::{Caller, Dmesg, LogRecord};
pub use memory::KernelMemory;
