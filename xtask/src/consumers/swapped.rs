//! The distribution's kexec with our purgatory in the place of its own.
//!
//! The program carries its purgatory as an ELF file in its data. Ours is smaller and takes its
//! place; what follows it there is read by nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::recorded;
use crate::apt::{self, Need};
use crate::error::{Context, Result, failed};
use crate::install::Places;
use crate::progress::Row;
use crate::repo;

pub(super) const NEEDS: &[Need] =
    &[Need { what: PROGRAM, package: "kexec-tools" }, Need { what: "unshare", package: "util-linux" }];

const PROGRAM: &str = "/usr/sbin/kexec";
const OBJECT: &str = "kdump-purgatory/objects/x86_64.o";
const MACHINES: &[&str] = &["bios-512m", "efi-1g-612"];
/// Options that make kexec write other symbols of the purgatory.
const VARIANTS: &[&[&str]] = &[
    &[],
    &["--entry-32bit"],
    &["--no-checks"],
    &["--console-vga", "--reset-vga"],
    &["--console-serial", "--serial=0x2f8", "--serial-baud=9600"],
];

/// ELF64, little-endian, version 1; ET_REL for x86_64 (`elf(5)`).
const IDENT: &[u8] = b"\x7fELF\x02\x01\x01";
const RELOCATABLE_X86_64: [u8; 4] = [1, 0, 62, 0];

/// A row per machine and variant: kexec must get as far as the system call, with our object and,
/// so that a failure is ours, with its own.
pub(super) fn rows(image: &Path, places: &Places) -> Vec<Row> {
    let swapped = match swap() {
        Ok(swapped) => swapped,
        Err(error) => return vec![Row::of("our object in kexec", Err::<String, _>(error))],
    };
    let pairs = MACHINES.iter().flat_map(|machine| VARIANTS.iter().map(move |options| (machine, options)));
    pairs
        .map(|(machine, options)| {
            let name = [&["our object in kexec", *machine], *options].concat().join(" ");
            let said = recorded::say(Path::new(PROGRAM), machine, options, image, places)
                .and_then(|_| recorded::say(&swapped, machine, options, image, places));
            Row::of(&name, said.map(|_| "up to kexec_load(2)".to_owned()))
        })
        .collect()
}

/// A copy of the program with our object.
fn swap() -> Result<PathBuf> {
    apt::ensure(NEEDS)?;
    let path = repo::root()?.join(OBJECT);
    let object = fs::read(&path).context(path.display())?;
    let mut program = fs::read(PROGRAM).context(PROGRAM)?;
    replace(&mut program, &object)?;
    let swapped = repo::scratch("kexec-tools")?.join("kexec-swapped");
    fs::write(&swapped, program).context(swapped.display())?;
    fs::set_permissions(&swapped, fs::Permissions::from_mode(0o755)).context(swapped.display())?;
    Ok(swapped)
}

/// Puts `object` over the only relocatable x86_64 object inside `program`.
fn replace(program: &mut [u8], object: &[u8]) -> Result {
    let found: Vec<usize> = program
        .windows(20)
        .enumerate()
        .filter(|(_, window)| window.starts_with(IDENT) && window.ends_with(&RELOCATABLE_X86_64))
        .map(|(at, _)| at)
        .collect();
    let [at] = found[..] else {
        return Err(failed(format!("{PROGRAM}: {} purgatories inside, not one", found.len())));
    };
    let theirs = program.get_mut(at..).unwrap_or_default();
    let size = size(theirs).context(format!("{PROGRAM}: the purgatory inside has no section headers"))?;
    let Some((target, rest)) = theirs.get_mut(..size).and_then(|own| own.split_at_mut_checked(object.len()))
    else {
        return Err(failed(format!("our object has {} bytes, the place in {PROGRAM} {size}", object.len())));
    };
    target.copy_from_slice(object);
    rest.fill(0);
    Ok(())
}

/// Bytes of an object up to the end of its section headers, which linkers put last.
fn size(object: &[u8]) -> Option<usize> {
    let table = u64::from_le_bytes(*object.get(40..)?.first_chunk()?);
    let count = u16::from_le_bytes(*object.get(60..)?.first_chunk()?);
    usize::try_from(table.checked_add(u64::from(count).checked_mul(64)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{IDENT, RELOCATABLE_X86_64, replace};

    /// An object of `len` bytes whose one section header is at the end.
    fn object(len: usize, fill: u8) -> Vec<u8> {
        let mut object = vec![fill; len];
        object[..7].copy_from_slice(IDENT);
        object[16..20].copy_from_slice(&RELOCATABLE_X86_64);
        object[40..48].copy_from_slice(&u64::try_from(len.saturating_sub(64)).unwrap().to_le_bytes());
        object[60..62].copy_from_slice(&1_u16.to_le_bytes());
        object
    }

    #[test]
    fn nothing_but_the_object_changes() {
        let mut program = [vec![9; 100], object(300, 7), vec![8; 50]].concat();
        let ours = object(200, 5);
        replace(&mut program, &ours).unwrap();
        assert_eq!(program, [vec![9; 100], ours, vec![0; 100], vec![8; 50]].concat());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut program = object(200, 7);
        assert!(replace(&mut program, &object(201, 5)).is_err());
        assert!(replace(&mut [0; 100], &object(200, 5)).is_err());
        assert!(replace(&mut object(200, 7).repeat(2), &object(200, 5)).is_err());
    }
}
