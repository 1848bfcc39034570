//! Instructions a purgatory object must not have, as binutils' disassembler reads it.

use std::path::Path;

use crate::apt::{self, Need};
use crate::shell;

pub(super) const NEEDS: &[Need] = &[Need { what: "objdump", package: "binutils" }];

/// Exceptions in a guest with encrypted state, where the program has no handler and the dump is
/// lost: #VC of SEV-ES and SEV-SNP (AMD APM vol. 2, "SEV-ES", non-automatic exits), #VE of TDX
/// (Intel TDX module specification, "Instructions that cause a #VE unconditionally"). The last two
/// are undefined because CR4.OSXSAVE is clear. Not listed are the I/O and model-specific registers
/// of what a loader must ask for: a serial port, the 32-bit entry, the end of a mismatch.
const REFUSED: [&str; 10] =
    ["cpuid", "rdtsc", "rdtscp", "rdpmc", "invd", "wbinvd", "monitor", "mwait", "xgetbv", "xsetbv"];
/// One that is in every purgatory (`lgdtd` in 32-bit code): where it is not seen, nothing was disassembled.
const PRESENT: &str = "lgdt";
/// How the registers of SSE, of MMX and of the floating-point unit begin, where the program uses none.
pub(super) const REGISTERS_SWITCHED_OFF: [&str; 3] = ["xmm", "mm", "st("];

/// Checks the object in a file: no refused instruction, and no register of those that begin so.
///
/// # Errors
/// Names the instruction or register and its place.
pub(super) fn check(object: &Path, registers: &[&str]) -> Result<(), String> {
    apt::ensure(NEEDS).map_err(|error| error.to_string())?;
    let disassemble = || {
        let mut objdump = shell::tool("objdump")?;
        shell::text(objdump.args(["-d", "-M", "intel", "--no-show-raw-insn", "--no-addresses"]).arg(object))
    };
    judge(&disassemble().map_err(|error| error.to_string())?, registers)
}

fn judge(listing: &str, registers: &[&str]) -> Result<(), String> {
    let mut place = "";
    let mut seen = false;
    for line in listing.lines() {
        if let Some(name) = line.strip_suffix(">:") {
            place = name.trim_start_matches('<');
        }
        for word in line.split_ascii_whitespace() {
            if REFUSED.contains(&word) {
                return Err(format!("object: {word} in {place}, an exception in some guests"));
            }
            for operand in word.split(',') {
                if registers.iter().any(|register| operand.starts_with(register)) {
                    return Err(format!("object: register {operand} in {place}, which is not switched on"));
                }
            }
            seen |= word.starts_with(PRESENT);
        }
    }
    if seen { Ok(()) } else { Err(format!("object: no {PRESENT}; objdump read no x86 code in it")) }
}

#[cfg(test)]
mod tests {
    use super::{REFUSED, REGISTERS_SWITCHED_OFF, judge};

    const CODE: &str =
        "\nDisassembly of section .text:\n\n<purgatory_start>:\n\tcli\n\tlgdt   [rsp]\n\tret\n";

    #[test]
    fn each_is_found_by_name_and_place() {
        assert_eq!(judge(CODE, &REGISTERS_SWITCHED_OFF), Ok(()));
        for word in REFUSED {
            let error = judge(&format!("{CODE}\n<probe>:\n\t{word}\n"), &[]).unwrap_err();
            assert!(error.contains(word) && error.contains("in probe,"), "{error}");
        }
    }

    #[test]
    fn a_register_that_is_not_switched_on_is_found() {
        for register in ["xmm3", "mm0", "st(1)"] {
            let code = format!("{CODE}\n<probe>:\n\tmov    eax,{register}\n");
            assert_eq!(judge(&code, &[]), Ok(()));
            let error = judge(&code, &REGISTERS_SWITCHED_OFF).unwrap_err();
            assert!(error.contains(register) && error.contains("in probe,"), "{error}");
        }
    }

    #[test]
    fn nothing_disassembled_is_nothing_checked() {
        assert!(judge("", &[]).is_err());
        assert!(judge(&CODE.replace("lgdt", "lidt"), &[]).is_err());
    }
}
