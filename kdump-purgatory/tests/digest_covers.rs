//! Of a whole plan: the table in the linked purgatory names every byte that is loaded, whatever
//! kind of segment it is in, and the digest beside it is of those bytes.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

#[path = "../../kdump-segments/tests/plan_support/mod.rs"]
mod plan_support;

use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs};
use kdump_segments::segment::{Segment, SegmentKind};
use plan_support::{bzimage, options, synthetic};
use sha2::{Digest, Sha256};

/// The kinds a plan for x86_64 can have. A new kind must be told here whether it is covered.
const fn is_covered(kind: SegmentKind, hotplug: bool) -> Option<bool> {
    match kind {
        // The program cannot hash itself, and the backup region is filled after the crash.
        SegmentKind::Purgatory | SegmentKind::Backup => Some(false),
        SegmentKind::Elfcorehdr => Some(!hotplug),
        SegmentKind::BootParams | SegmentKind::Kernel | SegmentKind::Initrd | SegmentKind::SetupData => {
            Some(true)
        }
        _ => None,
    }
}

/// A field of the linked purgatory.
fn field(plan: &Plan<'_>, symbol: &str, size: usize) -> Vec<u8> {
    let segment = plan.segment(SegmentKind::Purgatory).unwrap();
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64).unwrap();
    let image = purgatory.object().link(segment.mem()).unwrap();
    let at = usize::try_from(image.address(symbol).unwrap() - segment.mem()).unwrap();
    segment.data[at..at + size].to_vec()
}

/// What the purgatory computes over memory that holds `segments`.
fn digest(plan: &Plan<'_>, segments: &[Segment<'_>]) -> Vec<u8> {
    let mut sha = Sha256::new();
    for row in field(plan, "sha256_regions", 256).chunks_exact(16) {
        let [start, len] = [0, 8].map(|at| u64::from_le_bytes(row[at..at + 8].try_into().unwrap()));
        for at in start..start + len {
            let segment = segments.iter().find(|segment| segment.range.contains(at)).unwrap();
            let offset = usize::try_from(at - segment.mem()).unwrap();
            // The kernel clears what a segment does not fill.
            sha.update([segment.data.get(offset).copied().unwrap_or(0)]);
        }
    }
    sha.finalize().to_vec()
}

fn every_kind(hotplug: bool) {
    let mut machine = synthetic(3, 4);
    machine.kexec.elfcorehdr_size = Some(16 << 10);
    let (kernel, initrd) = (bzimage(0x20_0000, 9_000), vec![0x5a; 5_001]);
    let options = options(BackupPolicy::Always).hotplug(hotplug);
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64).unwrap();
    let inputs = PlanInputs::new(&machine, &kernel, &purgatory).initrd(Some(&initrd)).options(&options);
    let plan = Plan::new(&inputs).unwrap();
    let expected = field(&plan, "sha256_digest", 32);
    assert_eq!(digest(&plan, &plan.segments), expected);
    let mut seen = Vec::new();
    for (index, segment) in plan.segments.iter().enumerate() {
        let covered = is_covered(segment.kind, hotplug).unwrap_or_else(|| panic!("{}?", segment.kind.name()));
        seen.push(segment.kind);
        let Some(last) = segment.data.len().checked_sub(1) else { continue };
        for at in [0, last / 2, last] {
            let mut damaged = plan.segments.clone();
            damaged[index].data.to_mut()[at] ^= 0x01;
            let noticed = digest(&plan, &damaged) != expected;
            assert_eq!(noticed, covered, "byte {at} of {} ({hotplug})", segment.kind.name());
        }
    }
    for kind in [
        SegmentKind::Backup,
        SegmentKind::Elfcorehdr,
        SegmentKind::Purgatory,
        SegmentKind::BootParams,
        SegmentKind::Kernel,
        SegmentKind::Initrd,
        SegmentKind::SetupData,
    ] {
        assert!(seen.contains(&kind), "no {} in the plan", kind.name());
    }
}

#[test]
fn every_segment_kind_is_covered() {
    every_kind(false);
}

#[test]
fn an_elfcorehdr_that_hotplug_rewrites_is_not() {
    every_kind(true);
}
