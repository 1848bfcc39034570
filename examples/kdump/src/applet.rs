//! Other programs' command lines: taken under their names, or behind `kdump`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

use crate::{kexec, makedumpfile};

/// A program that this one stands in for.
pub(crate) struct Applet {
    pub(crate) name: &'static str,
    pub(crate) command: fn() -> Command,
    /// Runs with the words behind the name.
    pub(crate) main: fn(&[OsString]) -> ExitCode,
}

/// All of them.
pub(crate) const ALL: &[Applet] = &[
    Applet { name: "makedumpfile", command: makedumpfile::command, main: makedumpfile::main },
    Applet { name: "kexec", command: kexec::command, main: kexec::main },
];

/// Which is meant by a command line, and the words behind its name.
pub(crate) fn of(words: &[OsString]) -> Option<(&'static Applet, &[OsString])> {
    let named = |name: &OsString| {
        let name = Path::new(name).file_name()?;
        ALL.iter().find(|applet| name == applet.name)
    };
    let (own, rest) = words.split_first()?;
    if let Some(applet) = named(own) {
        return Some((applet, rest));
    }
    let (command, rest) = rest.split_first()?;
    let applet = ALL.iter().find(|applet| command == applet.name)?;
    Some((applet, rest))
}

#[cfg(test)]
mod tests {
    use super::of as called;
    use std::ffi::OsString;

    #[test]
    fn by_name_or_as_a_command() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            called(&words).map(|(applet, rest)| (applet.name, rest.len()))
        };
        assert_eq!(of("/sbin/kexec -p -u"), Some(("kexec", 2)));
        assert_eq!(of("makedumpfile"), Some(("makedumpfile", 0)));
        assert_eq!(of("kdump makedumpfile -h"), Some(("makedumpfile", 1)));
        for other in ["kdump", "kdump save makedumpfile x", "kdump ./kexec", "xkexec -p", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
