// SPDX-License-Identifier: MIT OR Apache-2.0
//! What will grow may grow without a break: strangers neither construct it nor match all of it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

const ITEMS: &[&str] = &["struct SaveState", "struct LostRange", "enum LossReason"];

/// Leaves in `items` those without the attribute right above their declaration.
fn unmarked(dir: &Path, items: &mut Vec<&str>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            unmarked(&path, items);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            items.retain(|item| {
                ["<", " ", "("]
                    .iter()
                    .all(|end| !text.contains(&format!("#[non_exhaustive]\npub {item}{end}")))
            });
        }
    }
}

#[test]
fn what_will_grow_is_non_exhaustive() {
    let mut items = ITEMS.to_vec();
    unmarked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut items);
    assert!(items.is_empty(), "not #[non_exhaustive], or gone: {items:?}");
}
