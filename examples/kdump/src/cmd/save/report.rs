//! What is told of a save: what was saved, what was left out, what the source lacked.

use core::time::Duration;

use kdump_vmcore::{BtfKeys, LeftOut, SaveReport, WrittenOrder};
use serde_json::{Value, json};

use super::info;

/// Lines about one thing at most; the rest is counted.
pub(super) const LINES: usize = 32;

/// What the source lacked, in a sentence.
pub(crate) fn lacking(report: &SaveReport) -> String {
    let unreadable = unreadable(report);
    let kinds = [
        (report.missing, "missing: behind the end of the source"),
        (unreadable, "could not be read"),
        (report.corrupt, "corrupt"),
        (report.given_up, "given up, because the list of what could not be read was full"),
    ];
    let kinds = kinds.iter().filter(|(bytes, _)| *bytes > 0);
    let mut text = format!("the source lacked {} bytes of memory", report.lacking());
    for (index, (bytes, kind)) in kinds.enumerate() {
        let separator = if index == 0 { " (" } else { ", " };
        text.push_str(&format!("{separator}{bytes} {kind}"));
    }
    if report.lacking() > 0 {
        text.push(')');
    }
    if report.source_defects > 0 {
        text.push_str(&format!(", and had {} other defects", report.source_defects));
    }
    text
}

/// Bytes that could not be read, those told apart left out.
fn unreadable(report: &SaveReport) -> u64 {
    report.unreadable.bytes.saturating_sub(report.missing).saturating_sub(report.corrupt)
}

pub(super) fn left_out_pages(left_out: &LeftOut) -> serde_json::Map<String, Value> {
    left_out.classes().map(|(class, pages)| (class.name().to_owned(), pages.into())).collect()
}

pub(super) fn document(report: &SaveReport, time: Duration) -> Value {
    let micros = time.as_micros().max(1);
    let rate = u128::from(report.memory).saturating_mul(1_000_000).checked_div(micros).unwrap_or(0);
    json!({
        "milliseconds": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        "bytes_per_second": u64::try_from(rate).unwrap_or(u64::MAX),
        "written": report.written,
        "resumed": report.resumed,
        "stage_milliseconds": {
            "read": report.times.read / 1_000_000,
            "zero_test": report.times.zero_test / 1_000_000,
            "compress": report.times.compress / 1_000_000,
            "write": report.times.write / 1_000_000,
            "sync": report.times.sync / 1_000_000,
        },
        "stored_pages": {
            "zero": report.stored.zero,
            "plain": report.stored.plain,
            "compressed": report.stored.compressed,
        },
        "saved": true,
        "whole": report.is_whole(),
        "file_size": report.file_size,
        "memory": report.memory,
        "missing": report.missing,
        "unreadable": unreadable(report),
        "corrupt": report.corrupt,
        "given_up": report.given_up,
        "left_out_pages": left_out_pages(&report.left_out),
        "short_run_pages": report.left_out.short,
        "undecided_pages": report.left_out.unreadable,
        "pages_without_record": report.left_out.without,
        "from_btf": report.left_out.from_btf.names().collect::<Vec<_>>(),
        "doubt": report.left_out.doubt.map(|doubt| json!({ "blocks": doubt.blocks, "impossible": doubt.impossible })),
        "source_defects": report.source_defects,
    })
}

/// What was left out, and what was kept because nothing could be told of it.
pub(super) fn left_out(left_out: &LeftOut) -> Vec<String> {
    let LeftOut { unreadable, without, .. } = *left_out;
    let classes = left_out.classes().map(|(class, pages)| format!("{pages} {}", class.name()));
    let classes: Vec<String> = classes.collect();
    let mut lines = Vec::new();
    if !classes.is_empty() {
        lines.push(format!("left out pages: {}", classes.join(", ")));
    }
    lines.extend(from_btf(left_out.from_btf));
    if let Some(doubt) = left_out.doubt {
        lines.push(format!(
            "kept all pages: the kernel's records (struct page) are not what VMCOREINFO says; of {} free \
             blocks that they tell, {} records contradict themselves",
            doubt.blocks, doubt.impossible
        ));
    }
    if left_out.short > 0 {
        lines.push(format!(
            "of these saved even so: {} pages in runs too short for an ELF core",
            left_out.short
        ));
    }
    if unreadable > 0 {
        lines.push(format!("kept {unreadable} pages of which the kernel's record cannot be read"));
    }
    if without > 0 {
        lines.push(format!(
            "kept {without} pages of which the kernel has no record (struct page): none of them could be judged"
        ));
    }
    lines
}

/// What was known of the kernel's pages although VMCOREINFO lacks it.
pub(crate) fn from_btf(keys: BtfKeys) -> Option<String> {
    let names: Vec<&str> = keys.names().collect();
    let list = names.join(", ");
    (!keys.is_empty()).then(|| format!("VMCOREINFO lacks {list}: taken from the kernel's types (BTF)"))
}

/// Whether pages were written in the order that was asked for.
pub(super) fn is_followed(order: WrittenOrder) -> bool {
    matches!(order, WrittenOrder::ByAddress | WrittenOrder::KernelFirst { .. })
}

/// In which order pages were written, where another one was asked for.
pub(super) fn order(order: WrittenOrder) -> Option<String> {
    let because = match order {
        WrittenOrder::ByAddress => return None,
        WrittenOrder::KernelFirst { pages } => return Some(format!("first {pages} pages of the kernel")),
        WrittenOrder::Unknown(error) => error.to_string(),
        WrittenOrder::Doubtful(_) => "the kernel's records (struct page) contradict themselves".to_owned(),
    };
    Some(format!("all pages in the order of their addresses, not the kernel's first: {because}"))
}

/// What a reader of the log must know about the file.
pub(super) fn tell(report: &SaveReport) {
    let size = info::human_size;
    crate::terminal::tell!(
        "saved {} of memory, {} written, file size {} bytes",
        size(report.memory),
        size(report.written),
        report.file_size
    );
    if report.resumed > 0 {
        crate::terminal::tell!(
            "went on with what was there: {} bytes of it are as they should be",
            report.resumed
        );
    }
    for line in left_out(&report.left_out).into_iter().chain(order(report.order)) {
        crate::terminal::tell!("{line}");
    }
    if report.shared > 0 {
        crate::terminal::tell!("{} that several PT_LOADs list are stored once", size(report.shared));
    }
    let dropped = report.dropped_phdrs.iter().map(|index| format!("program header {index} of the source"));
    crate::terminal::tell_some("left out, neither PT_LOAD nor PT_NOTE or past the last address", dropped);
    let unreadable = &report.unreadable;
    if unreadable.is_empty() {
        return;
    }
    crate::terminal::tell!("{} bytes of memory could not be read:", unreadable.bytes);
    for bad in unreadable.ranges.iter().take(LINES) {
        crate::terminal::tell!("  {}: {}", bad.range, bad.error);
    }
    let more = unreadable.ranges.len().saturating_sub(LINES) as u64;
    let more = more.saturating_add(unreadable.unlisted);
    if more > 0 {
        crate::terminal::tell!("  and {more} more ranges; `kdump map` of the copy has them all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_could_not_be_judged_are_told() {
        let of = |unreadable, without| {
            let mut found = LeftOut::default();
            (found.unreadable, found.without) = (unreadable, without);
            found
        };
        assert_eq!(left_out(&of(0, 0)), [""; 0]);
        let lines = left_out(&of(3, 5)).join("\n");
        assert!(lines.contains("kept 3 pages") && lines.contains("kept 5 pages"), "{lines}");
        let mut report = SaveReport::default();
        report.left_out = of(3, 5);
        let found = document(&report, Duration::from_secs(2));
        assert_eq!((&found["undecided_pages"], &found["pages_without_record"]), (&json!(3), &json!(5)));
    }
}
