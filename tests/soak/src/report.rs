//! Environments and outcomes as words.

use kdump_elf::PhysRange;
use kdump_segments::preflight::Environment;

use crate::kernel::Outcome;

/// What a prediction was made from. Numbers are hexadecimal, ends exclusive, `?` is not known.
pub(crate) fn environment(environment: &Environment) -> String {
    let range = |range: PhysRange| format!("{:#x}-{:#x}", range.start(), range.end());
    let ranges = |set: &kdump_segments::RangeSet| set.iter().map(range).collect::<Vec<_>>().join(",");
    let flag = |known: Option<bool>| known.map_or("?", |yes| if yes { "1" } else { "0" });
    let words = [
        ("region", environment.crash_region.map_or_else(String::new, range)),
        ("total", environment.total_ram.map_or_else(|| "?".to_owned(), |total| format!("{total:#x}"))),
        ("ram", ranges(&environment.ram)),
        ("tables", ranges(&environment.mapped_tables)),
        ("five_levels", flag(environment.five_levels).to_owned()),
        ("gib_pages", flag(environment.gib_pages).to_owned()),
        ("pair", flag(environment.control_pages.pair).to_owned()),
        ("whole_gib", flag(environment.control_pages.whole_gib).to_owned()),
        ("update_elfcorehdr", flag(environment.update_elfcorehdr).to_owned()),
        ("hotplug_support", flag(environment.hotplug_support).to_owned()),
        ("capable", flag(environment.capable).to_owned()),
        ("load_disabled", flag(environment.load_disabled).to_owned()),
        ("limited", flag(environment.load_limit.map(|limit| limit == 0)).to_owned()),
        ("locked_down", flag(environment.locked_down).to_owned()),
    ];
    let words = words.map(|(name, value)| format!("{name}={value}"));
    format!("environment {}", words.join(" "))
}

/// `accepted`, `refused 22`, or `refused 22 lost`.
pub(crate) fn outcome(outcome: Outcome) -> String {
    let lost = if outcome.loaded { "" } else { " lost" };
    match outcome.errno {
        None => format!("accepted{lost}"),
        Some(errno) => format!("refused {errno}{lost}"),
    }
}
