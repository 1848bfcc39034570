//! What all CPUs of the machine can do, from /proc/cpuinfo.

/// What the purgatory's fast digest is made of, by the kernel's names
/// (Documentation/arch/x86/cpuinfo.rst).
const SHA: [&[u8]; 4] = [b"sha_ni", b"sse2", b"ssse3", b"sse4_1"];

/// Whether every CPU listed has the SHA instructions, and the SSE that their code is mixed with.
/// A CPU without a list of flags has not, and neither has a file without a CPU.
pub(crate) fn sha_instructions(cpuinfo: &[u8]) -> bool {
    let (mut cpus, mut able) = (0_u64, 0_u64);
    for line in cpuinfo.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (key, value) = line.split_at(colon);
        match key.trim_ascii() {
            b"processor" => cpus = cpus.saturating_add(1),
            b"flags" if has_all(value) => able = able.saturating_add(1),
            _ => {}
        }
    }
    cpus != 0 && cpus == able
}

fn has_all(flags: &[u8]) -> bool {
    let has = |name: &[u8]| flags.split(u8::is_ascii_whitespace).any(|word| word == name);
    SHA.into_iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::sha_instructions;

    const ABLE: &str = "processor\t: 0\nflags\t\t: fpu sse2 ssse3 sse4_1 sha_ni\nbugs\t\t:\n\n";

    #[test]
    fn every_cpu_must_have_all_of_them() {
        assert!(sha_instructions(ABLE.as_bytes()));
        assert!(sha_instructions([ABLE, ABLE].concat().as_bytes()));
        for lacking in ["sse2 ", "ssse3 ", "sse4_1 ", "sha_ni", "flags", "processor"] {
            let other = ABLE.replace(lacking, "");
            assert!(!sha_instructions(other.as_bytes()), "{other}");
            assert!(!sha_instructions([ABLE, &other].concat().as_bytes()) || lacking == "processor");
        }
        assert!(!sha_instructions(ABLE.replace("sha_ni", "sha_nix").as_bytes()));
        assert!(!sha_instructions([ABLE, "processor\t: 1\n"].concat().as_bytes()));
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        for text in ["", "\n\n", ":", "flags: sha_ni", "processor: 0", "\u{fffd}:\0"] {
            assert!(!sha_instructions(text.as_bytes()), "{text:?}");
        }
    }
}
