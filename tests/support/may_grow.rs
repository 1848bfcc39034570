//! Whether public types are marked as open, by a look at the source.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

/// Fails if one of `items` ("struct Name") below `src` of the crate in `manifest_dir` lacks the
/// attribute right above its declaration, or if there is no such item.
#[track_caller]
pub(crate) fn assert_non_exhaustive(manifest_dir: &str, items: &[&str]) {
    let mut items = items.to_vec();
    unmarked(&Path::new(manifest_dir).join("src"), &mut items);
    assert!(items.is_empty(), "not #[non_exhaustive], or gone: {items:?}");
}

/// Leaves in `items` those without the attribute.
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
