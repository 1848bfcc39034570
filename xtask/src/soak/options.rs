//! What a soak is asked to do.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::args::Args;
use crate::crash::options::{Series, mebibytes};
use crate::error::{Context, Result};

/// A region so small that it is quickly filled but for a few pages.
const REGION: &str = "1M";
const MEM_MIB: u64 = 512;
/// Three GiB below 4 GiB and three above: room for a high region, and several page tables.
const LARGE_MEM_MIB: u64 = 6 << 10;

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) series: Series,
    pub(crate) candidates: u64,
    pub(crate) seed: u64,
    pub(crate) mem_mib: u64,
    pub(crate) la57: bool,
    pub(crate) gib_pages: bool,
    /// What stands behind `crashkernel=`.
    pub(crate) crashkernel: String,
    /// Calls to be tried instead of random ones.
    pub(crate) replay: Option<PathBuf>,
    /// Where verdicts are kept as test data.
    pub(crate) record: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut args = Args::new(args);
        let series = args.value("--kernel")?.map_or(Ok(Series::V6_1), |name| Series::parse(&name))?;
        let candidates = args.number("--candidates")?.unwrap_or(10_000);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("clock")?;
        let seed = args.number("--seed")?.unwrap_or(now.as_secs());
        let (la57, gib_pages) = (!args.flag("--no-la57"), !args.flag("--no-gib-pages"));
        let high = args.flag("--high-region");
        let default = if high || !gib_pages { LARGE_MEM_MIB } else { MEM_MIB };
        let mem_mib = args.value("--mem")?.map_or(Ok(default), |text| mebibytes(&text))?;
        let region = format!("{REGION}{}", if high { ",high" } else { "" });
        let crashkernel = args.value("--crashkernel")?.unwrap_or(region);
        let replay = args.value("--replay")?.map(PathBuf::from);
        let record = args.value("--record")?.map(PathBuf::from);
        args.finish()?;
        Ok(Self { series, candidates, seed, mem_mib, la57, gib_pages, crashkernel, replay, record })
    }

    pub(crate) fn cpu(&self) -> String {
        let mut cpu = "max".to_owned();
        cpu.push_str(if self.la57 { "" } else { ",-la57" });
        cpu.push_str(if self.gib_pages { "" } else { ",-pdpe1gb" });
        cpu
    }

    /// One word per choice, for the heading and the directory of the run.
    pub(crate) fn label(&self) -> String {
        let levels = if self.la57 { "la57" } else { "no-la57" };
        let gib_pages = if self.gib_pages { "" } else { "-no-gib-pages" };
        format!("{}-{}M-{levels}{gib_pages}-{}", self.series.name(), self.mem_mib, self.crashkernel)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> crate::error::Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_and_choices() {
        assert_eq!(parse("").unwrap().label(), "6.1-512M-la57-1M");
        let all = parse("--kernel 6.12 --no-la57 --no-gib-pages --high-region --seed 7").unwrap();
        assert_eq!(all.label(), "6.12-6144M-no-la57-no-gib-pages-1M,high");
        assert_eq!((all.cpu().as_str(), all.seed), ("max,-la57,-pdpe1gb", 7));
        assert!(parse("--kernel 5.10").is_err() && parse("--candidates x").is_err());
    }
}
