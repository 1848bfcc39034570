//! What will grow may grow without a break: strangers neither construct it nor match all of it.

#[path = "../../tests/support/may_grow.rs"]
mod may_grow;

const ITEMS: &[&str] = &[
    "struct SaveReport",
    "struct ScanReport",
    "struct SaveFailure",
    "struct SplitFailure",
    "struct Estimate",
    "struct StageTimes",
    "struct Interrupted",
    "struct Doubt",
    "struct CpuList",
    "struct Levels",
    "enum SaveFormat",
    "enum SaveOrder",
    "enum OnFull",
];

#[test]
fn what_will_grow_is_non_exhaustive() {
    may_grow::assert_non_exhaustive(env!("CARGO_MANIFEST_DIR"), ITEMS);
}
