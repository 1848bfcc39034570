//! The kernel that has yet to crash, read as a dump.

use super::Evidence;
use crate::error::{Context, Result, failed};

/// Lines that say which kernel it is and that the memory behind virtual addresses is the right one.
const BANNER: &str = "Linux version ";

/// /proc/kcore opens without a defect, names the kernel, has about as much memory as the machine,
/// and the log is read through its page tables.
pub(super) fn readable(evidence: &Evidence) -> Result<String> {
    let said = evidence.text("kcore.txt")?;
    let info: serde_json::Value =
        serde_json::from_str(&evidence.text("kcore.json")?).context(format!("kcore.json: {said}"))?;
    let release = info.get("release").and_then(|release| release.as_str()).context("no release")?;
    let defects = info.pointer("/completeness/defects").and_then(|defects| defects.as_array());
    if let Some(defect) = defects.context("no list of defects")?.first() {
        return Err(failed(format!("a defect: {defect}")));
    }
    let memory = info.get("memory").and_then(serde_json::Value::as_u64).context("no memory")?;
    let ram = system_ram(&evidence.text("iomem.first")?);
    // It lists whole pages only, and the first one never.
    if memory > ram || memory < ram.saturating_sub(ram / 16) {
        return Err(failed(format!("{memory} bytes of memory, the machine has {ram}")));
    }
    let log = evidence.text("kcore.dmesg")?;
    let banner = format!("{BANNER}{release}");
    if !log.lines().any(|line| line.contains(&banner)) {
        return Err(failed(format!("no {banner:?} in {} lines of the log; {said}", log.lines().count())));
    }
    Ok(format!("{memory} of {ram} bytes, {} lines of the log", log.lines().count()))
}

/// Bytes of the ranges that /proc/iomem calls System RAM.
fn system_ram(iomem: &str) -> u64 {
    let number = |text: &str| u64::from_str_radix(text.trim(), 16).ok();
    let sizes = iomem.lines().filter_map(|line| {
        let (range, name) = line.split_once(" : ")?;
        let (start, end) = range.split_once('-')?;
        (name == "System RAM" && !range.starts_with(' '))
            .then(|| Some(number(end)?.saturating_sub(number(start)?).saturating_add(1)))
            .flatten()
    });
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_is_what_stands_at_the_left_margin() {
        let iomem = "00000000-00000fff : Reserved\n00001000-00001fff : System RAM\n\
                     00100000-001fffff : System RAM\n  00100000-0010ffff : System RAM\n";
        assert_eq!(system_ram(iomem), 0x10_1000);
    }
}
