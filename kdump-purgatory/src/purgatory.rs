//! An object as the planner's purgatory.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use kdump_elf::Arch;
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError};

use crate::{Error, RelObject, arm64, i386, patch, ppc64, riscv64, x86_64};

/// The symbol a purgatory begins at.
const START: &str = "purgatory_start";

/// A purgatory made from a relocatable object.
///
/// The object may be foreign, as long as it uses the symbol names of kexec-tools: `purgatory_start`,
/// `entry64_regs`, `entry32_regs`, `stack_end`, `sha256_regions`, `sha256_digest`, `skip_checks`,
/// `panic_kernel`, `backup_start`, `backup_src_start`, `backup_src_size`, `console_serial`,
/// `serial_base`, `serial_baud`. It fails to link only if the hand-over needs a symbol it lacks;
/// in particular `mismatch_action` (4 bytes: 0 halt, 1 reset, 2 continue) is ours, so that others
/// can only halt or check nothing.
#[derive(Clone, Debug)]
pub struct ObjectPurgatory {
    object: RelObject<'static>,
}

impl ObjectPurgatory {
    /// The purgatory shipped with this crate.
    ///
    /// # Errors
    /// There is none for `arch`.
    pub fn builtin(arch: Arch) -> Result<Self, Error> {
        match arch {
            Arch::X86_64 => Self::from_object(x86_64::OBJECT),
            Arch::I386 => Self::from_object(i386::OBJECT),
            Arch::Arm64 => Self::from_object(arm64::OBJECT),
            Arch::Riscv64 => Self::from_object(riscv64::OBJECT),
            Arch::Ppc64 => Self::from_object(ppc64::OBJECT),
            _ => Err(Error::NoBuiltin { arch }),
        }
    }

    /// A purgatory given as the bytes of a relocatable object.
    ///
    /// # Errors
    /// As [`RelObject::parse`].
    pub fn from_object(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Error> {
        Ok(Self { object: RelObject::parse(bytes)? })
    }

    /// The object, to be linked without a hand-over.
    #[must_use]
    pub fn object(&self) -> &RelObject<'static> {
        &self.object
    }

    fn link_patched(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, Error> {
        let mut image = self.object.link(base)?;
        patch::apply(&mut image, self.object.arch(), handover)?;
        Ok(LinkedPurgatory { entry: image.address(START)?, bytes: image.into_bytes() })
    }
}

impl Purgatory for ObjectPurgatory {
    fn arch(&self) -> Arch {
        self.object.arch()
    }

    fn memsz(&self) -> u64 {
        self.object.memsz()
    }

    fn align(&self) -> u64 {
        self.object.align()
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        self.link_patched(base, handover).map_err(|error| Box::new(error) as PurgatoryError)
    }
}
