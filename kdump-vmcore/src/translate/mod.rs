//! From the dead kernel's virtual addresses to physical ones.
//!
//! One walker ([`Radix`]) for all architectures; what they differ in stands in a file and a
//! row for each.

mod address_space;
mod architecture;
mod arm64;
mod cache;
mod control_registers;
mod i386;
mod loongarch64;
mod ppc64;
mod radix;
mod riscv64;
mod row;
mod s390x;
mod x86_64;

pub use address_space::AddressSpace;
pub use cache::TranslationCache;
pub use radix::{Mapping, Radix};
