//! Runs the shipped object on this machine: maps it executable, calls its digest function, and
//! compares with sha2 as a crate of the host.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "maps machine code and calls it")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use common::Random;
use kdump_elf::Arch;
use kdump_purgatory::{ObjectPurgatory, digest};
use kdump_segments::purgatory::{DigestRegion, Entry, Handover, Purgatory};

type DigestEntry = unsafe extern "C" fn(*const [u64; 2], *mut [u8; 32], u32);

/// The object linked where it is mapped.
struct Mapped {
    at: *mut libc::c_void,
    size: usize,
    entry: DigestEntry,
}

impl Mapped {
    fn new() -> Self {
        let purgatory = ObjectPurgatory::builtin(Arch::X86_64).expect("built in");
        let size = usize::try_from(purgatory.memsz()).expect("small");
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: a new private mapping wherever the kernel likes.
        let at = unsafe {
            libc::mmap(core::ptr::null_mut(), size, all, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert_ne!(at, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        let image = purgatory.object().link(at as u64).expect("links");
        // SAFETY: the mapping holds memsz bytes, at least as many as there are.
        unsafe { core::ptr::copy_nonoverlapping(image.bytes().as_ptr(), at.cast(), image.bytes().len()) };
        let entry = image.address("purgatory_digest").expect("digest entry") as usize;
        // SAFETY: the code at the symbol has this signature.
        let entry = unsafe { core::mem::transmute::<usize, DigestEntry>(entry) };
        Self { at, size, entry }
    }

    fn digest(&self, regions: &[&[u8]], sha: bool) -> [u8; 32] {
        let mut table = [[0_u64; 2]; 16];
        for (row, region) in table.iter_mut().zip(regions) {
            *row = [region.as_ptr() as u64, region.len() as u64];
        }
        let mut out = [0; 32];
        // SAFETY: sixteen rows that name slices; the code uses the stack as any C function.
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

fn expected(regions: &[&[u8]]) -> [u8; 32] {
    let regions: Vec<_> = regions.iter().map(|bytes| DigestRegion { start: 0, bytes }).collect();
    digest(&regions)
}

/// Region sets that reach every case of the padding and of partial blocks.
fn region_sets(data: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut sets: Vec<Vec<&[u8]>> = vec![vec![]];
    for len in [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 4096, 65_537] {
        sets.push(vec![&data[..len]]);
        sets.push(vec![&data[3..3 + len], &data[17..17 + len]]);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let count = random.below(17);
        sets.push(
            (0..count)
                .map(|_| {
                    let longest = [3, 64, 200, 9000][random.below(4)];
                    let start = random.below(data.len() - longest);
                    &data[start..start + random.below(longest + 1)]
                })
                .collect(),
        );
    }
    sets
}

/// Whether this processor has what a loader promises with `sha_instructions`.
fn has_sha() -> bool {
    std::arch::is_x86_feature_detected!("sha")
        && std::arch::is_x86_feature_detected!("ssse3")
        && std::arch::is_x86_feature_detected!("sse4.1")
}

fn compare(sha: bool) {
    let mapped = Mapped::new();
    let data = Random(1).bytes(1 << 18);
    for set in region_sets(&data) {
        let lens: Vec<_> = set.iter().map(|region| region.len()).collect();
        assert_eq!(mapped.digest(&set, sha), expected(&set), "sha {sha}, region lengths {lens:?}");
    }
}

#[test]
fn known_answer() {
    // FIPS 180-4 example: "abc".
    let abc = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0,
        0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    ];
    let mapped = Mapped::new();
    assert_eq!(mapped.digest(&[b"abc"], false), abc);
    assert_eq!(mapped.digest(&[b"a", b"", b"bc"], has_sha()), abc);
}

#[test]
fn portable_code_agrees_with_sha2() {
    compare(false);
}

/// Set where the SHA instructions of the purgatory cannot run and another machine tests them.
const WITHOUT_SHA: &str = "KDUMP_TEST_WITHOUT_SHA";

#[test]
fn sha_instructions_agree_with_sha2() {
    if has_sha() {
        return compare(true);
    }
    let meant = std::env::var_os(WITHOUT_SHA).is_some();
    assert!(meant, "this processor has no SHA instructions: test on one that has, or set {WITHOUT_SHA}");
    common::not_tested("this processor has no SHA instructions");
}

#[test]
fn a_changed_byte_changes_the_digest() {
    let mapped = Mapped::new();
    let mut data = Random(2).bytes(10_000);
    let before = mapped.digest(&[&data[..5000], &data[5000..]], false);
    data[7777] ^= 0x10;
    assert_ne!(mapped.digest(&[&data[..5000], &data[5000..]], false), before);
}

/// What is patched in is what the program computes from memory at run time.
#[test]
fn patched_table_and_digest_belong_together() {
    let data = Random(3).bytes(100_000);
    let regions: Vec<_> = [&data[..10], &data[10..4000], &data[5000..99_999]]
        .into_iter()
        .map(|bytes| DigestRegion { start: bytes.as_ptr() as u64, bytes })
        .collect();
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64).expect("built in");
    let handover = Handover::new(&regions, Entry::X86Bits64 { rip: 0x100_0200, boot_params: 0x9_0000 });
    let base = 0x7000_0000;
    let linked = purgatory.link(base, &handover).expect("links");
    let image = purgatory.object().link(base).expect("links");
    let field = |symbol: &str, size: usize| {
        let at = usize::try_from(image.address(symbol).expect("there") - base).expect("small");
        linked.bytes[at..at + size].to_vec()
    };
    let table = field("sha256_regions", 256);
    let rows: Vec<[u64; 2]> = table
        .chunks_exact(16)
        .map(|row| [0, 8].map(|at| u64::from_le_bytes(row[at..at + 8].try_into().expect("8"))))
        .collect();
    assert_eq!(rows[0], [data.as_ptr() as u64, 4000], "neighbours are joined");
    assert!(rows[2..].iter().all(|row| *row == [0, 0]));

    let mapped = Mapped::new();
    let mut out = [0; 32];
    // SAFETY: sixteen rows that name slices of `data`.
    unsafe { (mapped.entry)(rows.as_ptr(), &raw mut out, 0) };
    assert_eq!(field("sha256_digest", 32), out);
}
