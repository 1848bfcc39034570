//! Writes a hand-over into a linked purgatory.
//!
//! Every symbol the object has is set, needed or not, so that nothing depends on what a foreign
//! object holds at first; a symbol it lacks is an error only where the hand-over needs it.

use kdump_elf::Arch;
use kdump_segments::purgatory::{BackupCopy, Entry, Handover, MismatchAction};

use crate::{Error, LinkedImage, arm64, digest, i386, ppc64, regions, riscv64, x86_64};

/// Writes all of the hand-over.
pub(crate) fn apply(image: &mut LinkedImage, arch: Arch, handover: &Handover<'_>) -> Result<(), Error> {
    match handover.entry {
        entry @ (Entry::X86Bits64 { .. } | Entry::X86Bits32 { .. }) if arch == Arch::X86_64 => {
            x86_64::enter(image, entry)?;
        }
        entry if arch == Arch::I386 => {
            i386::enter(image, entry)?;
            i386::check_reach(handover)?;
        }
        entry @ Entry::Arm64 { .. } if arch == Arch::Arm64 => {
            arm64::enter(image, entry)?;
            arm64::check_action(handover.on_mismatch)?;
        }
        entry @ Entry::Riscv64 { .. } if arch == Arch::Riscv64 => riscv64::enter(image, entry)?,
        Entry::Ppc64 { .. } if arch == Arch::Ppc64 => {
            ppc64::enter(image, handover)?;
            ppc64::check_action(handover.on_mismatch)?;
        }
        _ => return Err(Error::Entry { arch }),
    }
    let table = regions::encode(handover.regions, &image.memory())?;
    image.set("sha256_regions", &table)?;
    image.set("sha256_digest", &digest(handover.regions))?;
    // Ours; an object without it decides by itself.
    set(image, "sha_instructions", &u32::from(handover.sha_instructions).to_le_bytes(), false)?;
    mismatch(image, arch, handover.on_mismatch)?;
    backup(image, handover.backup)?;
    match arch {
        Arch::Arm64 => {
            arm64::caches(image, handover.caches)?;
            arm64::serial(image, handover.serial)
        }
        _ if !handover.caches => Err(Error::Unsupported { what: "a digest with the caches off", arch }),
        Arch::Riscv64 => riscv64::serial(image, handover.serial),
        Arch::Ppc64 => ppc64::serial(image, handover.serial),
        _ => x86_64::serial(image, arch, handover.serial),
    }
}

/// An object without `mismatch_action` halts; to continue is then to check nothing.
fn mismatch(image: &mut LinkedImage, arch: Arch, action: MismatchAction) -> Result<(), Error> {
    let number: u32 = match action {
        MismatchAction::Halt => 0,
        MismatchAction::Reset => 1,
        MismatchAction::Continue => 2,
        _ => return Err(Error::Unsupported { what: "this action on a mismatch", arch }),
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

/// Writes a symbol which may be missing unless it is needed.
pub(crate) fn set(image: &mut LinkedImage, symbol: &str, value: &[u8], needed: bool) -> Result<(), Error> {
    if needed || image.contains(symbol) {
        return image.set(symbol, value);
    }
    Ok(())
}
