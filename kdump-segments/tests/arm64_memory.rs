//! Whether the capture kernel of an arm64 machine finds in its device tree the memory it is loaded into.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::io::Write;
use std::process::{Command, Stdio};

use kdump_elf::Arch;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs};
use kdump_segments::preflight::{Environment, check_plan};
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError};

use plan_support::{machine, options};

struct Arm64Purgatory;

impl Purgatory for Arm64Purgatory {
    fn arch(&self) -> Arch {
        Arch::Arm64
    }

    fn memsz(&self) -> u64 {
        0x5000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, _: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        Ok(LinkedPurgatory { bytes: vec![0x5a; 0x4000], entry: base })
    }
}

fn compiled(dts: &str) -> Vec<u8> {
    let mut dtc = Command::new("dtc");
    dtc.args(["-q", "-I", "dts", "-O", "dtb"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = dtc.spawn().unwrap_or_else(|error| panic!("dtc (device-tree-compiler): {error}"));
    child.stdin.take().unwrap().write_all(dts.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{dts}");
    output.stdout
}

/// What the rules say first against a plan by a tree with these nodes; nothing where all is well.
fn refusal(nodes: &str) -> Option<String> {
    let mut kernel = vec![0; 0x10_0000];
    for (at, bytes) in [(0, b"MZ".as_slice()), (18, &[1, 2]), (56, b"ARM\x64")] {
        kernel.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = *byte);
    }
    let mut machine = machine("arm64-1g-61");
    machine.device_tree =
        Some(compiled(&format!("/dts-v1/; / {{ #address-cells = <1>; #size-cells = <1>; {nodes} }};")));
    let options = options(BackupPolicy::Auto);
    let plan = Plan::new(&PlanInputs::new(&machine, &kernel, &Arm64Purgatory).options(&options)).unwrap();
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    report.failure().map(|finding| format!("{}: {}", finding.rule, finding.detail))
}

const MEMORY: &str = "memory@40000000 { device_type = \"memory\"; reg = <0x40000000 0x40000000>; };";

/// The region is that of 0x6ac00000 to 0x7ac00000.
#[test]
fn the_crash_region_is_memory_by_the_tree() {
    let refused = |nodes: &str, what: &str| {
        let error = refusal(nodes).unwrap_or_else(|| panic!("{what}: {nodes} is taken"));
        assert!(error.contains("device_tree_memory: ") && error.contains(what), "{what}: {error}");
    };
    assert_eq!(refusal(MEMORY), None);
    refused("", "not all in the 0x0 bytes of /memory");
    refused(
        &MEMORY.replace("0x40000000 0x40000000>", "0x40000000 0x3ab00000>"),
        "0x3ab00000 bytes of /memory",
    );
    refused(&MEMORY.replace("\"memory\"", "\"cpu\""), "0x0 bytes");
    refused(&MEMORY.replace("};", "status = \"disabled\"; };"), "0x0 bytes");
    refused(&format!("soc {{ {MEMORY} }};"), "0x0 bytes");
    // Two nodes, and what counts stands in the node itself.
    let halves = "memory@40000000 { reg = <0x40000000 0x30000000>; device_type = \"memory\"; x { reg = <0 0>; }; }; \
        memory@70000000 { device_type = \"memory\"; status = \"okay\"; reg = <0x70000000 0x10000000>; };";
    assert_eq!(refusal(halves), None);
    // Where EFI tells of memory the kernel leaves that of the tree alone.
    assert_eq!(refusal("chosen { linux,uefi-mmap-start = <0 0x79b2d9c0>; };"), None);
}

#[test]
fn the_crash_region_is_not_kept_for_others() {
    let with = |node: &str| {
        refusal(&format!(
            "{MEMORY} reserved-memory {{ #address-cells = <1>; #size-cells = <1>; ranges; {node} }};"
        ))
    };
    let inside = "a@7abff000 { reg = <0x50000000 0x1000 0x7abff000 0x2000>; no-map; };";
    let error = with(inside).unwrap_or_default();
    assert!(error.contains("device_tree_memory: /reserved-memory has 0x2000 bytes at 0x7abff000"), "{error}");
    // Also where EFI tells of memory.
    let efi = "chosen { linux,uefi-mmap-start = <0 0x79b2d9c0>; };";
    assert!(refusal(&format!("{efi} reserved-memory {{ {inside} }};")).is_some());
    for fine in [
        "a@7ac00000 { reg = <0x7ac00000 0x1000>; };",
        "a@6abff000 { reg = <0x6abff000 0x1000>; };",
        "a@70000000 { reg = <0x70000000 0x1000>; status = \"disabled\"; };",
        "a { size = <0x1000>; };",
        "a { b@70000000 { reg = <0x70000000 0x1000>; }; };",
    ] {
        assert_eq!(with(fine), None, "{fine}");
    }
}
