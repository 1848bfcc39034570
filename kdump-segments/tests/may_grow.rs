//! What will grow may grow without a break: strangers neither construct it nor match all of it.

#[path = "../../tests/support/may_grow.rs"]
mod may_grow;

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

#[test]
fn what_will_grow_is_non_exhaustive() {
    may_grow::assert_non_exhaustive(env!("CARGO_MANIFEST_DIR"), ITEMS);
}
