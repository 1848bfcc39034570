//! Which architecture, page size and release the kernel has.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use kdump_elf::{Arch, Endian, VmcoreInfo};

use super::paths::{ARCH, KCORE};
use super::remark::Remarks;
use super::text_file::shown;
use super::{Kcore, MachineFiles};
use crate::{Error, room};

/// kcore knows best; `proc/sys/kernel/arch` is the machine name of `uname(2)`.
pub(super) fn find_arch(
    files: &MachineFiles,
    kcore: Option<&Kcore>,
    notes: &mut Remarks,
) -> Result<(Arch, Endian), Error> {
    let stated = files.get(ARCH).map(|text| {
        let arch = core::str::from_utf8(text.trim_ascii()).ok().and_then(arch_of_uname);
        arch.ok_or_else(|| Error::UnsupportedArch { path: ARCH.to_owned(), value: shown(text) })
    });
    let Some(kcore) = kcore else { return stated.unwrap_or(Err(Error::UnknownArch)) };
    let Some(arch) = Arch::from_elf(kcore.e_machine, kcore.encoding.class) else {
        let value = format!("e_machine {} in {}", kcore.e_machine, kcore.encoding.class);
        return Err(Error::UnsupportedArch { path: KCORE.to_owned(), value });
    };
    let said = match stated {
        Some(Ok((stated, _))) if stated != arch => Some(stated.name().to_owned()),
        Some(Err(Error::UnsupportedArch { value, .. })) => Some(value),
        _ => None,
    };
    if let Some(said) = said {
        notes.add(ARCH, format!("says {said}, proc/kcore says {}, which is believed", arch.name()));
    }
    Ok((arch, kcore.encoding.endian))
}

/// The names the kernel gives architectures, and those of Rust's `std::env::consts::ARCH`.
fn arch_of_uname(name: &str) -> Option<(Arch, Endian)> {
    let arch = match name {
        "i386" | "i486" | "i586" | "i686" | "x86" => Arch::I386,
        "aarch64" | "aarch64_be" => Arch::Arm64,
        "ppc64le" | "powerpc64" => Arch::Ppc64,
        "ppc" | "powerpc" => Arch::Ppc32,
        _ if name.starts_with("armv") => Arch::Arm,
        _ => Arch::from_name(name)?,
    };
    let endian = match name {
        "ppc64le" => Endian::Little,
        "aarch64_be" => Endian::Big,
        _ => arch.endian(),
    };
    Some((arch, endian))
}

/// What VMCOREINFO states, where the architecture leaves a choice and it can be a page size.
pub(super) fn find_page_size(arch: Arch, info: Option<&VmcoreInfo<'_>>, notes: &mut Remarks) -> u64 {
    const USUAL: u64 = 4096;
    /// The largest page any kernel is built with (arch/powerpc/Kconfig, PPC_256K_PAGES).
    const LARGEST: u64 = 256 << 10;
    let fixed = matches!(arch, Arch::X86_64 | Arch::I386 | Arch::Arm | Arch::Riscv64 | Arch::S390x);
    let possible = if fixed { USUAL..=USUAL } else { USUAL..=LARGEST };
    match info.and_then(VmcoreInfo::page_size) {
        Some(size) if size.is_power_of_two() && possible.contains(&size) => size,
        Some(size) => {
            notes.add(KCORE, format!("says that pages have {size} bytes, which cannot be; 4096 is assumed"));
            USUAL
        }
        None => {
            if !fixed {
                notes.add(KCORE, "does not tell the page size; 4096 is assumed");
            }
            USUAL
        }
    }
}

pub(super) fn find_release(
    files: &MachineFiles,
    info: Option<&VmcoreInfo<'_>>,
    notes: &mut Remarks,
) -> Result<Option<String>, Error> {
    const WHAT: &str = "release of the kernel";
    let running = files.get("proc/sys/kernel/osrelease");
    let running = running.map(|text| room::lossy(WHAT, text.trim_ascii())).transpose()?;
    let noted = info.and_then(VmcoreInfo::release).map(|noted| room::text(WHAT, noted)).transpose()?;
    if let (Some(running), Some(noted)) = (&running, &noted) {
        if running != noted {
            let (running, noted) = (shown(running.as_bytes()), shown(noted.as_bytes()));
            let text = format!("says {running}, VMCOREINFO says {noted}: the files are of two kernels");
            notes.add("proc/sys/kernel/osrelease", text);
        }
    }
    Ok(noted.or(running))
}
