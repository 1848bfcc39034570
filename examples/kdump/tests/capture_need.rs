//! What the tool says of a crash region the capture kernel cannot live in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod bzimage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The crash region of the recorded machine, in its iomem.
const REGION: &str = "09000000-12ffffff : Crash kernel";

fn kdump(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kdump")).args(args).output().unwrap()
}

/// A copy of the recorded machine bios-512m with another crash region, or none.
struct Bundle {
    root: PathBuf,
}

impl Bundle {
    fn new(name: &str, region: Option<&str>) -> Self {
        let from =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kdump-segments/tests/machines/bios-512m");
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("need-{name}"));
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        for part in ["proc", "sys"] {
            copy(&from.join(part), &root.join(part));
        }
        let iomem = root.join("proc/iomem");
        let text = fs::read_to_string(&iomem).unwrap();
        assert!(text.contains(REGION));
        let lines = text.lines().filter_map(|line| match line.contains("Crash kernel") {
            true => region.map(|region| format!("  {region} : Crash kernel\n")),
            false => Some(format!("{line}\n")),
        });
        fs::write(&iomem, lines.collect::<String>()).unwrap();
        let mut kernel = bzimage::bzimage();
        // init_size of Debian's 6.1.
        kernel[0x260..0x264].copy_from_slice(&0x3f9_8000_u32.to_le_bytes());
        fs::write(root.join("bzImage"), kernel).unwrap();
        fs::write(root.join("initrd"), vec![0x5a; 3_000_001]).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    fn plan(&self, more: &[&str]) -> Output {
        let (root, kernel, initrd) = (self.path(""), self.path("bzImage"), self.path("initrd"));
        let args =
            ["plan", "--root", &root, "--kernel", &kernel, "--initrd", &initrd, "--append", "nr_cpus=1"];
        kdump(&[&args[..], more].concat())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// 160 MiB are enough; 96 MiB hold all parts, and the plan is made with a warning.
#[test]
fn a_plan_says_whether_the_capture_kernel_can_live() {
    for (name, region, mib, verdict) in [
        ("enough", "09000000-12ffffff", 160, "enough"),
        ("unlikely", "09000000-0effffff", 96, "unlikely to boot"),
    ] {
        let bundle = Bundle::new(name, Some(region));
        let document = json(&bundle.plan(&["--json"]));
        let need = &document["need"];
        assert_eq!(need["verdict"], verdict, "{need}");
        assert_eq!(need["room"].as_u64().unwrap() >> 20, mib);
        let items = need["items"].as_array().unwrap();
        let sum: u64 = items.iter().map(|item| item["bytes"].as_u64().unwrap()).sum();
        assert_eq!(need["total"].as_u64().unwrap(), sum);
        for item in items {
            assert!(["exact", "estimated"].contains(&item["basis"].as_str().unwrap()), "{item}");
        }
        let notes = document["notes"].to_string();
        assert_eq!(notes.contains("unlikely to boot"), verdict != "enough", "{notes}");
        let plain = bundle.plan(&[]);
        assert!(plain.status.success(), "a warning blocks nothing");
        assert!(text(&plain.stdout).contains(&format!("the region has {mib} MiB: {verdict}\n")));
    }
}

#[test]
fn no_room_names_the_total_of_all_parts_and_a_size_that_fits() {
    let bundle = Bundle::new("no-room", Some("09000000-0affffff"));
    let output = bundle.plan(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for part in [
        "all parts together take",
        "kernel 65120 KiB",
        "initrd 2932 KiB",
        "the region must have",
        "MiB to run",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mib = said.split_once("the region must have ").unwrap().1.split_once(" MiB").unwrap().0;
    let mib: u64 = mib.parse().unwrap();
    let plan = |mib: u64| {
        let last = 0x0900_0000 + (mib << 20) - 1;
        Bundle::new("no-room", Some(&format!("09000000-{last:08x}"))).plan(&[])
    };
    assert!(plan(mib).status.success());
    assert!(!plan(mib - 1).status.success());
}

/// With a region that is too small, with none, and when none could be reserved: the same answer.
#[test]
fn a_suggestion_needs_no_crash_region() {
    let with = |name: &str, region| Bundle::new(name, region).plan(&["--suggest", "--json"]);
    let document = json(&with("suggest-small", Some("09000000-0affffff")));
    assert_eq!(json(&with("suggest-none", None)), document);
    let size = document["size"].as_u64().unwrap();
    assert_eq!(document["crashkernel"], format!("crashkernel={}M", size >> 20));
    assert_eq!((size % (16 << 20), document["need"]["verdict"].as_str()), (0, Some("enough")));
    let plain = Bundle::new("suggest-plain", None).plan(&["--suggest"]);
    let said = text(&plain.stdout);
    assert!(said.starts_with(&format!("crashkernel={}M\n", size >> 20)), "{said}");
    for reason in ["kernel image", "initrd unpacked", "page descriptions", "reserve to run", "estimated"] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    // What is suggested is called enough.
    let last = 0x0900_0000 + size - 1;
    let bundle = Bundle::new("suggest-taken", Some(&format!("09000000-{last:08x}")));
    assert_eq!(json(&bundle.plan(&["--json"]))["need"]["verdict"], "enough");
    // Without --suggest there is nothing to plan for, and it is said what to do.
    let refused = Bundle::new("suggest-none", None).plan(&[]);
    assert_eq!(refused.status.code(), Some(1));
}

/// The kernel shows only that something is loaded; what was noted at the load tells the rest.
#[test]
fn status_says_when_what_is_loaded_is_unlikely_to_boot() {
    let bundle = Bundle::new("status", Some("09000000-0effffff"));
    let sysfs = bundle.root.join("sys/kernel");
    fs::write(sysfs.join("kexec_crash_loaded"), "1\n").unwrap();
    fs::write(sysfs.join("kexec_crash_size"), format!("{}\n", 96 << 20)).unwrap();
    let status = |more: &[&str]| kdump(&[&["status", "--root", &bundle.path("")][..], more].concat());
    let said = text(&status(&[]).stdout);
    assert!(said.contains("not known: it was not loaded by kdump load"), "{said}");
    assert_eq!(json(&status(&["--json"]))["capture_need"], Value::Null);
    let note = |need: u64, reserved: u64| {
        fs::create_dir_all(bundle.root.join("run/kdump")).unwrap();
        let (need, room, reserved) = (need << 20, 96 << 20, reserved << 20);
        let text = format!(
            "need={need}\nroom={room}\nreserved={reserved}\nkernel=/boot/vmlinuz\ninitrd=/boot/initrd\n"
        );
        fs::write(bundle.root.join("run/kdump/loaded"), text).unwrap();
    };
    note(99, 96);
    let said = text(&status(&[]).stdout);
    assert!(said.contains("about 99 MiB; the region has 96 MiB: unlikely to boot"), "{said}");
    assert!(said.contains("/boot/vmlinuz needs about 99 MiB"), "{said}");
    let document = json(&status(&["--json"]));
    assert_eq!(document["capture_need"]["verdict"], "unlikely to boot");
    assert!(document["advice"].to_string().contains("kdump plan --suggest"), "{document}");
    note(90, 96);
    assert_eq!(json(&status(&["--json"]))["capture_need"]["verdict"], "enough");
    assert!(!text(&status(&[]).stdout).contains("unlikely"));
    // A note of a load into another region says nothing about this one.
    note(99, 128);
    assert_eq!(json(&status(&["--json"]))["capture_need"], Value::Null);
    // Nor does one of a kernel that is not loaded any more.
    note(99, 96);
    fs::write(sysfs.join("kexec_crash_loaded"), "0\n").unwrap();
    assert_eq!(json(&status(&["--json"]))["capture_need"], Value::Null);
}
