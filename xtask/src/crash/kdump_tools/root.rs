//! A root file system in which the scripts of Debian's kdump-tools run as they are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::apt;
use crate::crash::kernel::Kernel;
use crate::crash::programs::{Programs, stripped};
use crate::error::{Context, Result};
use crate::progress::Clock;
use crate::{repo, shell};

/// kdump-tools, what its scripts call, and the libraries of that. No makedumpfile and no kexec-tools:
/// kdump stands in for them.
const PACKAGES: &[&str] = &[
    "kdump-tools",
    "sysvinit-utils",
    "debianutils",
    "dash",
    "coreutils",
    "sed",
    "grep",
    "findutils",
    "diffutils",
    "file",
    "libmagic1",
    "libmagic-mgc",
    "util-linux",
    "bsdutils",
    "bsdextrautils",
    "procps",
    "busybox-static",
    "libc6",
    "libacl1",
    "libattr1",
    "libselinux1",
    "libpcre2-8-0",
    "liblzma5",
    "libbz2-1.0",
    "zlib1g",
    "libsystemd0",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "libzstd1",
    "libtinfo6",
];

/// What no script looks at.
const UNUSED: &[&str] =
    &["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/lib/x86_64-linux-gnu/gconv"];

/// Where programs are that kdump stands in for.
const STANDS_FOR: &[&str] = &["usr/sbin/makedumpfile", "sbin/kexec"];

/// The packages, unpacked; fetched unless an earlier run did.
pub(super) fn fetch(clock: Clock) -> Result<PathBuf> {
    let shelf = repo::scratch("kdump-tools")?.join("packages");
    if shelf.exists() {
        return Ok(shelf);
    }
    clock.say("fetching kdump-tools and what its scripts call");
    let part = shelf.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).context(part.display())?;
    }
    fs::create_dir_all(&part).context(part.display())?;
    apt::with_fresh_lists(|| PACKAGES.iter().try_for_each(|name| apt::unpack(name, &part)))?;
    for name in UNUSED {
        let place = part.join(name);
        if place.exists() {
            fs::remove_dir_all(&place).context(place.display())?;
        }
    }
    fs::rename(&part, &shelf).context(shelf.display())?;
    Ok(shelf)
}

/// Makes the root file system of a run in `dir`: as it is after the package was configured and its kernel
/// hook has run.
pub(super) fn make(
    dir: &Path,
    shelf: &Path,
    kernel: &Kernel,
    programs: &Programs,
    initrd: &Path,
) -> Result<PathBuf> {
    let root = dir.join("root");
    shell::stdout(shell::tool("cp")?.arg("-a").arg(shelf).arg(&root))?;
    for name in ["proc", "sys", "dev", "run", "tmp", "boot", "root", "var/crash", "var/lib/kdump"] {
        let place = root.join(name);
        fs::create_dir_all(&place).context(place.display())?;
    }
    // The kernel package has no initrd, and its postinst hook of kdump-tools would make one.
    let release = &kernel.release;
    let boot = kernel.image.parent().context("the kernel image is nowhere")?;
    let config = format!("config-{release}");
    copy(&kernel.image, &root.join(format!("boot/vmlinuz-{release}")))?;
    copy(&boot.join(&config), &root.join("boot").join(&config))?;
    copy(initrd, &root.join(format!("var/lib/kdump/initrd.img-{release}")))?;
    let sysctls = root.join("etc/kdump/sysctl.conf");
    copy(&sysctls, &root.join(format!("var/lib/kdump/latest_sysctls-{release}")))?;
    configure(&root)?;
    let kdump = root.join("usr/bin/kdump");
    fs::write(&kdump, stripped(&programs.kdump, dir)?).context(kdump.display())?;
    shell::stdout(shell::tool("chmod")?.arg("755").arg(&kdump))?;
    for name in STANDS_FOR {
        link("/usr/bin/kdump", &root.join(name))?;
    }
    link("/bin/busybox", &root.join("sbin/reboot"))?;
    Ok(root)
}

/// The configuration that the package's postinst copies, with one line more: user memory is saved, because
/// the pages of the witness are user memory.
fn configure(root: &Path) -> Result {
    let usual = root.join("usr/share/kdump-tools/kdump-tools.conf");
    let mut text = fs::read_to_string(&usual).context(usual.display())?;
    text.push_str(&format!("MAKEDUMP_ARGS=\"{}\"\n", super::MAKEDUMP_ARGS));
    let place = root.join("etc/default/kdump-tools");
    fs::write(&place, text).context(place.display())
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(|_| ()).context(format!("{} to {}", from.display(), to.display()))
}

fn link(to: &str, place: &Path) -> Result {
    symlink(to, place).context(place.display())
}
