//! What will grow may grow without a break: strangers neither construct it nor match all of it.

#[path = "../../tests/support/may_grow.rs"]
mod may_grow;

use kdump_segments::Remark;
use kdump_segments::capture_need::{Basis, CaptureNeed, Fit, NeedItem};

const ITEMS: &[&str] = &[
    "struct AllParts",
    "struct CaptureNeed",
    "struct CrashkernelLimits",
    "struct CrashkernelRequest",
    "struct DeviceTreePlan",
    "struct Environment",
    "struct FileCandidate",
    "struct Finding",
    "struct FlatImage",
    "struct Handover",
    "struct InitrdSize",
    "struct KexecState",
    "struct LoadRecord",
    "struct LoongArch64Plan",
    "struct Machine",
    "struct NeedInputs",
    "struct NeedItem",
    "struct Plan",
    "struct PlanInputs",
    "struct PlanOptions",
    "struct Recorded",
    "struct Remark",
    "struct Report",
    "struct Request",
    "struct Reservation",
    "struct SetupHeader",
    "struct Shortage",
    "struct Status",
    "struct Suggestion",
    "struct VmcorePrediction",
    "struct X86Plan",
    "enum Advice",
    "enum BackupPolicy",
    "enum Basis",
    "enum Buffer",
    "enum Entry",
    "enum Error",
    "enum Fit",
    "enum Image",
    "enum LowMemory",
    "enum MemoryKind",
    "enum MismatchAction",
    "enum SegmentKind",
    "enum SerialPort",
    "enum Source",
    "enum SyscallKind",
    "enum TargetPlan",
];

/// What is made of strangers' values can be made by strangers.
#[test]
fn what_a_machine_and_a_need_hold_can_be_made() {
    let remark = Remark::new("proc/iomem".to_owned(), "has an odd line".to_owned());
    assert_eq!(remark.to_string(), "proc/iomem: has an odd line");
    let item = NeedItem::new("console", 1 << 20, Basis::Estimated, "a guess".to_owned());
    let mut need = CaptureNeed::default();
    need.items.push(item);
    assert_eq!((need.total(), need.fit()), (1 << 20, Fit::Unlikely));
}

#[test]
fn what_will_grow_is_non_exhaustive() {
    may_grow::assert_non_exhaustive(env!("CARGO_MANIFEST_DIR"), ITEMS);
}
