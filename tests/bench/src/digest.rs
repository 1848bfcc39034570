//! Throughput of the digest: the purgatory's object on this machine, with and without the SHA
//! instructions, next to sha2, to SHA-256 in plain C and to openssl.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(unsafe_code, reason = "maps the purgatory's machine code and calls it")]

use core::time::Duration;
use std::io;
use std::path::Path;
use std::process::Command;

use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::Purgatory;
use sha2::{Digest, Sha256};

use crate::clock::time;

/// What is hashed, about the size of a kernel with its initramfs; the best of some rounds counts,
/// and everything takes its turn in each round, so that a busy machine is busy for all.
const MEGABYTES: u32 = 32;
const ROUNDS: usize = 9;

/// Every failure is told to a person.
type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

/// Prints the throughputs and ratios.
///
/// # Errors
/// The object does not link or cannot be mapped, or digests differ. A missing C compiler or
/// openssl is printed, not an error.
pub(crate) fn run() -> Result<()> {
    let data: Vec<u8> = (0..MEGABYTES << 20).map(u32::to_le_bytes).map(mix).collect();
    let object = Mapped::new()?;
    println!("digest of {MEGABYTES} MiB, best of {ROUNDS} rounds");

    let reference: [u8; 32] = Sha256::digest(&data).into();
    let sha = std::arch::is_x86_feature_detected!("sha") && std::arch::is_x86_feature_detected!("sse4.1");
    if object.digest(&data, sha) != reference || object.digest(&data, false) != reference {
        return Err("the object and sha2 disagree".into());
    }
    let [mut fast, mut soft, mut sha2] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        fast = fast.min(time(|| object.digest(&data, sha)));
        sha2 = sha2.min(time(|| Sha256::digest(&data)));
        soft = soft.min(time(|| object.digest(&data, false)));
    }
    line("purgatory object", fast);
    line("purgatory object, SHA instructions forbidden", soft);
    line("sha2", sha2);
    match plain_c(&reference) {
        Ok(plain) => {
            line("plain C (cc -O2)", plain);
            println!("  object / plain C  {:6.2}", ratio(fast, plain));
        }
        Err(error) => println!("  NOT MEASURED: plain C: {error}"),
    }
    println!("  object / sha2     {:6.2}", ratio(fast, sha2));
    if !sha {
        println!("  this processor has no SHA instructions: both ways of the object are the same");
    }
    match openssl() {
        Ok(text) => println!("  openssl speed: {text}"),
        Err(error) => println!("  NOT MEASURED: openssl: {error}"),
    }
    Ok(())
}

/// The same bytes as the C program hashes.
fn mix(index: [u8; 4]) -> u8 {
    let [low, next, ..] = index;
    low.wrapping_mul(7).wrapping_add(next)
}

fn line(name: &str, time: Duration) {
    let bytes = f64::from(MEGABYTES << 20);
    println!("  {name:<46} {:7.0} MB/s", bytes / time.as_secs_f64() / 1e6);
}

/// How many times faster `a` is than `b`.
fn ratio(a: Duration, b: Duration) -> f64 {
    b.as_secs_f64() / a.as_secs_f64()
}

/// Compiles and runs the C program; it must find the same digest.
fn plain_c(reference: &[u8; 32]) -> Result<Duration> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sha256_plain.c");
    let program = std::env::temp_dir().join(format!("kdump-sha256-plain-{}", std::process::id()));
    let status = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status()?;
    if !status.success() {
        return Err(format!("cc: {status}").into());
    }
    let output = Command::new(&program).args([MEGABYTES.to_string(), ROUNDS.to_string()]).output();
    std::fs::remove_file(&program)?;
    let text = String::from_utf8(output?.stdout)?;
    let expected: String = reference.iter().map(|byte| format!("{byte:02x}")).collect();
    if text.lines().last() != Some(&expected) {
        return Err("it found another digest".into());
    }
    let seconds = text.lines().filter_map(|line| line.parse::<f64>().ok().filter(|s| *s < 3600.0));
    Ok(Duration::from_secs_f64(seconds.fold(3600.0, f64::min)))
}

/// The line `openssl speed` prints last; its columns are thousands of bytes per second.
fn openssl() -> Result<String> {
    let arguments = ["speed", "-evp", "sha256", "-bytes", "1048576", "-seconds", "1"];
    let output = Command::new("openssl").args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    Ok(line.ok_or("printed nothing")?.split_whitespace().collect::<Vec<_>>().join(" "))
}

type DigestEntry = unsafe extern "C" fn(*const [u64; 2], *mut [u8; 32], u32);

/// The purgatory, linked where it is mapped.
struct Mapped {
    at: *mut libc::c_void,
    size: usize,
    entry: DigestEntry,
}

impl Mapped {
    fn new() -> Result<Self> {
        let purgatory = ObjectPurgatory::builtin(Arch::X86_64)?;
        let size = usize::try_from(purgatory.memsz())?;
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new private mapping wherever the kernel likes.
        let at = unsafe { libc::mmap(core::ptr::null_mut(), size, all, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        let image = purgatory.object().link(u64::try_from(at.addr())?)?;
        let bytes = image.bytes();
        // SAFETY: the mapping holds memsz bytes, at least as many as there are.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast::<u8>(), bytes.len()) };
        let entry = usize::try_from(image.address("purgatory_digest")?)?;
        // SAFETY: the code at the symbol has this signature.
        let entry = unsafe { core::mem::transmute::<usize, DigestEntry>(entry) };
        Ok(Self { at, size, entry })
    }

    fn digest(&self, data: &[u8], sha: bool) -> [u8; 32] {
        let mut table = [[0_u64; 2]; 16];
        if let (Some(row), Ok(start), Ok(len)) =
            (table.first_mut(), u64::try_from(data.as_ptr().addr()), u64::try_from(data.len()))
        {
            *row = [start, len];
        }
        let mut out = [0; 32];
        // SAFETY: sixteen rows, of which the used one names a slice; an ordinary C function.
        unsafe { (self.entry)(table.as_ptr(), &raw mut out, u32::from(sha)) };
        out
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing runs in it any more.
        unsafe { libc::munmap(self.at, self.size) };
    }
}
