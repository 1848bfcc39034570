//! The loads that are tried, and what each must come to.

/// What is tried with each of them.
pub(super) const CALLS: [&str; 3] = ["load", "file", "auto"];

/// How one attempt must end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) exit: i32,
    /// What it must say, each of them.
    pub(super) says: &'static [&'static str],
}

/// A load, good or bad; the machine must be armed behind it in any case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Shell, run once before; `$pe` is the offset of the size of the image's signature.
    pub(super) before: &'static str,
    /// Shell; `@` stands for `kdump load --syscall CALL`.
    pub(super) command: &'static str,
    /// By call, in the order of [`CALLS`].
    pub(super) ends: [End; 3],
    /// The file of the guest without which the case cannot be.
    pub(super) needs: Option<&'static str>,
}

const fn refused(says: &'static [&'static str]) -> End {
    End { exit: 1, says }
}

const fn usage(says: &'static [&'static str]) -> End {
    End { exit: 2, says }
}

const LOADED: End = End { exit: 0, says: &["capture kernel loaded"] };

const fn case(name: &'static str, before: &'static str, command: &'static str, ends: [End; 3]) -> Case {
    Case { name, before, command, ends, needs: None }
}

/// The same end whatever the call.
const fn all(name: &'static str, before: &'static str, command: &'static str, says: End) -> Case {
    case(name, before, command, [says; 3])
}

/// In this order: the last ones cannot be undone.
pub(super) const CASES: &[Case] = &[
    all("good", "", "@ --kernel /boot/vmlinuz --initrd /bad/small", LOADED),
    all(
        "garbage",
        "head -c 100000 /dev/urandom > /bad/garbage",
        "@ --kernel /bad/garbage",
        refused(&["/bad/garbage"]),
    ),
    all("empty", ": > /bad/empty", "@ --kernel /bad/empty", refused(&["/bad/empty"])),
    all("directory", "", "@ --kernel /bad", refused(&["/bad is a directory"])),
    all("endless-device", "", "@ --kernel /dev/zero", refused(&["/dev/zero is a character device"])),
    all("pipe", "mkfifo /bad/pipe", "@ --kernel /bad/pipe", refused(&["/bad/pipe is a pipe"])),
    case(
        "half-bzimage",
        "head -c 4000000 /boot/vmlinuz > /bad/half",
        "@ --kernel /bad/half",
        [
            refused(&["/bad/half", "protected-mode part"]),
            refused(&["/bad/half", "image_complete"]),
            refused(&["/bad/half"]),
        ],
    ),
    all("dynamic-program", "", "@ --kernel /bad/ls", refused(&["/bad/ls"])),
    all("static-program", "", "@ --kernel /bin/busybox", refused(&["/bin/busybox"])),
    all("static-pie-program", "", "@ --kernel /bin/kdump", refused(&["/bin/kdump"])),
    case(
        "wrong-arch",
        "",
        "@ --kernel /bad/arm64",
        [
            refused(&["/bad/arm64", "for arm64"]),
            refused(&["/bad/arm64", "ELF"]),
            refused(&["/bad/arm64", "for arm64"]),
        ],
    ),
    all("cut-vmlinux", "", "@ --kernel /bad/cut-vmlinux", refused(&["/bad/cut-vmlinux"])),
    case(
        "no-64bit-entry",
        "patched 566 '\\0\\0'",
        "@ --kernel /bad/image",
        [LOADED, refused(&["/bad/image", "no 64-bit entry"]), LOADED],
    ),
    all(
        "header-cut-by-itself",
        "patched 513 '\\020'",
        "@ --kernel /bad/image",
        refused(&["/bad/image", "jump"]),
    ),
    case(
        "region-too-small",
        "patched 608 '\\0\\0\\0\\040'",
        "@ --kernel /bad/image",
        [refused(&["no room for kernel"]), refused(&["room", "kernel"]), refused(&["no room for kernel"])],
    ),
    all("missing-kernel", "rm /bad/image", "@ --kernel /bad/image", refused(&["/bad/image: No such file"])),
    all(
        "missing-initrd",
        "",
        "@ --kernel /boot/vmlinuz --initrd /bad/none",
        refused(&["/bad/none: No such file"]),
    ),
    all("initrd-directory", "", "@ --kernel /boot/vmlinuz --initrd /bad", refused(&["/bad is a directory"])),
    all(
        "initrd-device",
        "",
        "@ --kernel /boot/vmlinuz --initrd /dev/zero",
        refused(&["/dev/zero is a character device"]),
    ),
    all(
        "initrd-unreadable",
        "",
        "@ --kernel /boot/vmlinuz --initrd /sys/bus/pci/rescan",
        refused(&["/sys/bus/pci/rescan"]),
    ),
    all("initrd-empty", "", "@ --kernel /boot/vmlinuz --initrd /bad/empty", LOADED),
    case(
        "initrd-2g",
        "truncate -s 2G /bad/big",
        "@ --kernel /boot/vmlinuz --initrd /bad/big",
        [refused(&["/bad/big has 0x80000000 bytes"]), refused(&["room", "initrd"]), refused(&["/bad/big"])],
    ),
    case(
        "initrd-fills-region",
        "truncate -s 180M /bad/big",
        "@ --kernel /boot/vmlinuz --initrd /bad/big",
        [refused(&["no room for initrd"]), refused(&["room", "initrd"]), refused(&["no room for initrd"])],
    ),
    all(
        "command-line-2040",
        "rm /bad/big",
        "@ --kernel /boot/vmlinuz --append $(text 2040)",
        refused(&["command line", "2047"]),
    ),
    all(
        "command-line-5000",
        "",
        "@ --kernel /boot/vmlinuz --append $(text 5000)",
        refused(&["command line", "2047"]),
    ),
    case(
        "command-line-2016",
        "",
        "@ --kernel /boot/vmlinuz --append $(text 2016)",
        [refused(&["command line", "2047"]), LOADED, refused(&["command line", "2047"])],
    ),
    all("open-quote", "", "@ --kernel /boot/vmlinuz --append 'a=\"b'", refused(&["double quote"])),
    case(
        "plan-option",
        "",
        "@ --kernel /boot/vmlinuz --purgatory-serial 0x3f8 --no-rng-seed --backup never",
        [LOADED, usage(&["--purgatory-serial", "--no-rng-seed", "--backup"]), LOADED],
    ),
    all(
        "full-output",
        "",
        "@ --kernel /boot/vmlinuz > /dev/full",
        refused(&["the capture kernel is loaded", "No space left"]),
    ),
    all(
        "no-capability",
        "",
        "su -s /bin/sh nobody -c '@ --kernel /boot/vmlinuz'",
        refused(&["CAP_SYS_BOOT", "run as root"]),
    ),
    Case {
        needs: Some("/sys/kernel/security/lockdown"),
        ..case(
            "lockdown-unsigned",
            "echo integrity > /sys/kernel/security/lockdown; patched $pe '\\0\\0\\0\\0'",
            "@ --kernel /bad/image",
            [
                refused(&["lockdown", "signed kernel"]),
                refused(&["/bad/image", "no signature"]),
                refused(&["no signature"]),
            ],
        )
    },
    Case {
        needs: Some("/sys/kernel/security/lockdown"),
        ..case(
            "lockdown-untrusted",
            "",
            "@ --kernel /boot/vmlinuz",
            // Without firmware nobody tells the kernel of the key it is signed with.
            [
                refused(&["lockdown", "signed kernel"]),
                refused(&["image_trial", "/boot/vmlinuz"]),
                refused(&["image_trial", "/boot/vmlinuz"]),
            ],
        )
    },
    Case {
        needs: Some("/sys/kernel/security/lockdown"),
        ..case(
            "lockdown-plan-option",
            "",
            "@ --kernel /boot/vmlinuz --mem-min 0",
            [
                refused(&["lockdown", "signed kernel"]),
                usage(&["--mem-min"]),
                usage(&["--mem-min", "lockdown"]),
            ],
        )
    },
    Case {
        needs: Some("/proc/sys/kernel/kexec_load_limit_panic"),
        ..all(
            "load-limit",
            "echo 0 > /proc/sys/kernel/kexec_load_limit_panic",
            "@ --kernel /boot/vmlinuz",
            refused(&["kexec_load_limit_panic", "reboot"]),
        )
    },
    all(
        "load-disabled",
        "echo 1 > /proc/sys/kernel/kexec_load_disabled",
        "@ --kernel /boot/vmlinuz",
        refused(&["kexec_load_disabled", "reboot"]),
    ),
];

/// The script of the guest that tries all of them; `signature_size` is the offset of that field in
/// the good kernel.
pub(super) fn script(signature_size: u64) -> String {
    let mut script = format!("pe={signature_size}\n");
    for case in CASES {
        let condition = case.needs.map_or_else(|| ":".to_owned(), |path| format!("[ -e {path} ]"));
        script.push_str(&format!(
            "if {condition}; then\n{}\n",
            if case.before.is_empty() { ":" } else { case.before }
        ));
        for call in CALLS {
            let command = case.command.replace('@', &format!("/bin/kdump load --syscall {call}"));
            let quoted = command.replace('\'', "'\\''");
            // Substitutions such as $(text N) are functions of this script.
            let quoted = match quoted.split_once("$(") {
                Some((before, rest)) => match rest.split_once(')') {
                    Some((inside, behind)) => format!("{before}'$({inside})'{behind}"),
                    None => quoted,
                },
                None => quoted,
            };
            script.push_str(&format!("try {} {call} '{quoted}'\n", case.name));
        }
        script.push_str("fi\n");
    }
    script
}
