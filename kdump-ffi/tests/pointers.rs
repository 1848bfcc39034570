//! Pointers from C become references in few places, and these are the ones.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::path::{Path, PathBuf};

/// Files that may have unsafe blocks.
const PLACES: [&str; 9] = [
    "core/src/callback.rs",
    "core/src/layout.rs",
    "core/src/pointer.rs",
    "core/src/sized.rs",
    "src/dump_open.rs",
    "src/handle.rs",
    "src/progress.rs",
    "src/reserve.rs",
    "src/save_to.rs",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_blocks_stand_only_where_pointers_are_handled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("core/src"), &mut files);
    assert!(files.len() > 30, "{}", files.len());
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let blocks = text.matches("unsafe {").count() + text.matches("unsafe impl").count();
        assert!(blocks == 0 || PLACES.contains(&name.as_str()), "{name} has {blocks} unsafe blocks");
    }
}
