//! What a crash run is asked to do.

use std::path::PathBuf;

use super::lab::Lab;
use crate::args::Args;
use crate::error::{Result, usage};

/// A line of Debian kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    V6_1,
    V6_12,
}

impl Series {
    pub(crate) const ALL: [Self; 2] = [Self::V6_1, Self::V6_12];

    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "6.1" => Ok(Self::V6_1),
            "6.12" => Ok(Self::V6_12),
            _ => Err(usage(format!("--kernel knows 6.1 and 6.12, not {text}"))),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }

    /// The package that depends on the newest kernel of the series.
    pub(crate) fn meta_package(self) -> &'static str {
        match self {
            Self::V6_1 => "linux-image-amd64",
            Self::V6_12 => "linux-image-6.12-amd64",
        }
    }

    /// MiB to reserve: the capture kernel, its initramfs, and room for both to run.
    pub(crate) fn crashkernel_mib(self) -> u64 {
        match self {
            Self::V6_1 => 192,
            Self::V6_12 => 224,
        }
    }

    /// MiB of memory of the guest unless asked otherwise. The kernel lies anywhere (KASLR): there
    /// must be room for the crash region either below or above it.
    fn mem_mib(self) -> u64 {
        match self {
            Self::V6_1 => 512,
            Self::V6_12 => 640,
        }
    }
}

/// Who loads the capture kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loader {
    /// `kdump load`.
    Kdump,
    /// examples/c/load.c, linked with the C library.
    C,
    /// kexec-tools, its crash loading done by the C library.
    KexecTools,
}

impl Loader {
    fn parse(text: &str) -> Result<Self> {
        let all = [Self::Kdump, Self::C, Self::KexecTools];
        all.into_iter()
            .find(|loader| loader.name() == text)
            .ok_or_else(|| usage(format!("--loader knows kdump, c and kexec-tools+libkdump, not {text}")))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kdump => "kdump",
            Self::C => "c",
            Self::KexecTools => "kexec-tools+libkdump",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) lab: &'static Lab,
    pub(crate) series: Series,
    /// Another CPU than the usual one.
    pub(crate) cpu: Option<String>,
    pub(crate) mem_mib: u64,
    pub(crate) cpus: u64,
    pub(crate) la57: bool,
    /// The kernel is entered at EL2, and so is the purgatory.
    pub(crate) el2: bool,
    /// The kernel has hashed page tables, and so has the capture kernel.
    pub(crate) hash: bool,
    pub(crate) backup: bool,
    pub(crate) corrupt: bool,
    pub(crate) loader: Loader,
    /// The purgatory is timed, with and without its digest and caches.
    pub(crate) purgatory_times: bool,
    /// Debian's kdump-tools does the work.
    pub(crate) kdump_tools: bool,
    pub(crate) keep: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut args = Args::new(args);
        let lab = Lab::of(&args.value("--arch")?.unwrap_or_else(|| String::from("x86_64")))?;
        let cpu = args.value("--cpu")?;
        let series = args.value("--kernel")?.map_or(Ok(Series::V6_1), |name| Series::parse(&name))?;
        let mem_mib = args
            .value("--mem")?
            .map_or(Ok(series.mem_mib().saturating_add(lab.memory_more)), |text| mebibytes(&text))?;
        let cpus = args.number("--cpus")?.unwrap_or(2);
        if !(1..=64).contains(&cpus) {
            return Err(usage(format!("--cpus {cpus}: 1 to 64")));
        }
        let (la57, no_la57) = (args.flag("--la57"), args.flag("--no-la57"));
        if la57 && no_la57 {
            return Err(usage("--la57 and --no-la57 exclude each other"));
        }
        let el2 = args.flag("--el2");
        if el2 && lab.is_host() {
            return Err(usage("--el2 needs --arch arm64"));
        }
        let hash = args.flag("--hash");
        if hash && lab.arch != "ppc64le" {
            return Err(usage("--hash needs --arch ppc64le"));
        }
        let backup = args.flag("--backup");
        let corrupt = args.flag("--corrupt");
        let loader = args.value("--loader")?.map_or(Ok(Loader::Kdump), |name| Loader::parse(&name))?;
        if corrupt && loader == Loader::KexecTools {
            return Err(usage("--corrupt needs a loader whose segments lie where `kdump plan` says"));
        }
        let kdump_tools = args.flag("--kdump-tools");
        if kdump_tools && (corrupt || backup || loader != Loader::Kdump) {
            return Err(usage("--kdump-tools loads by itself: no --corrupt, --backup or --loader with it"));
        }
        let arch = lab.arch;
        if !lab.is_host() && (la57 || no_la57 || kdump_tools || loader != Loader::Kdump) {
            return Err(usage(format!("--arch {arch}: no --la57, --kdump-tools or --loader with it")));
        }
        if backup && lab.low.is_none() {
            return Err(usage(format!("--arch {arch}: no --backup with it, it has no such memory")));
        }
        let always = lab.low.is_some_and(|low| low.always);
        if !lab.series.contains(&series) {
            return Err(usage(format!("--arch {arch}: Debian has no {} for it", series.name())));
        }
        let purgatory_times = args.flag("--purgatory-times");
        if purgatory_times && (lab.is_host() || corrupt) {
            return Err(usage(
                "--purgatory-times needs an --arch whose purgatory can leave the caches off (arm64), and no --corrupt",
            ));
        }
        let keep = args.value("--keep")?.map(PathBuf::from);
        args.finish()?;
        Ok(Self {
            lab,
            cpu,
            series,
            mem_mib,
            cpus,
            la57: !no_la57,
            el2,
            hash,
            backup: backup || always,
            corrupt,
            loader,
            purgatory_times,
            kdump_tools,
            keep,
        })
    }

    /// One word per choice, for the heading and the directory of the run.
    pub(crate) fn label(&self) -> String {
        let mut words = vec![format!("{}-{}M-{}cpu", self.series.name(), self.mem_mib, self.cpus)];
        if self.lab.is_host() {
            words.push(if self.la57 { "la57" } else { "no-la57" }.to_owned());
        } else {
            words.insert(0, self.lab.arch.to_owned());
        }
        // A comma means something else where the name of a file is an option's.
        words.extend(self.cpu.as_ref().map(|cpu| cpu.replace(',', "+")));
        words.extend(self.el2.then(|| "el2".to_owned()));
        words.extend(self.hash.then(|| "hash".to_owned()));
        let asked = self.backup && !self.lab.low.is_some_and(|low| low.always);
        words.extend(asked.then(|| "backup".to_owned()));
        words.extend(self.purgatory_times.then(|| "times".to_owned()));
        words.extend(self.corrupt.then(|| "corrupt".to_owned()));
        words.extend((self.loader != Loader::Kdump).then(|| self.loader.name().to_owned()));
        words.extend(self.kdump_tools.then(|| "kdump-tools".to_owned()));
        words.join("-")
    }
}

/// `512M`, `4G` or a bare number of MiB.
pub(crate) fn mebibytes(text: &str) -> Result<u64> {
    let (digits, scale) = match text.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let size = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(scale));
    match size {
        Some(mib) if (448..=65536).contains(&mib) => Ok(mib),
        _ => Err(usage(format!("--mem {text}: from 448M to 64G"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, mebibytes};

    fn parse(line: &str) -> crate::error::Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_and_choices() {
        assert_eq!(parse("").unwrap().label(), "6.1-512M-2cpu-la57");
        let line = "--kernel=6.12 --mem 4G --cpus 4 --no-la57 --backup --corrupt";
        assert_eq!(parse(line).unwrap().label(), "6.12-4096M-4cpu-no-la57-backup-corrupt");
        assert_eq!(parse("--loader c").unwrap().label(), "6.1-512M-2cpu-la57-c");
        assert!(parse("--loader kexec-tools+libkdump --corrupt").is_err());
        assert_eq!(parse("--kdump-tools").unwrap().label(), "6.1-512M-2cpu-la57-kdump-tools");
        assert_eq!(parse("--arch arm64 --cpu max").unwrap().label(), "arm64-6.1-1024M-2cpu-max");
        let times = parse("--arch arm64 --purgatory-times").unwrap();
        assert!(times.purgatory_times && times.label() == "arm64-6.1-1024M-2cpu-times");
        assert_eq!(parse("--arch arm64 --el2").unwrap().label(), "arm64-6.1-1024M-2cpu-el2");
        assert!(parse("--purgatory-times").is_err() && parse("--el2").is_err());
        assert!(parse("--arch arm64 --purgatory-times --corrupt").is_err());
        assert_eq!(parse("--cpu max,-la57").unwrap().label(), "6.1-512M-2cpu-la57-max+-la57");
        assert!(parse("--arch arm64 --backup").is_err() && parse("--arch vax").is_err());
        assert_eq!(parse("--arch i386-pae").unwrap().label(), "i386-pae-6.1-1024M-2cpu");
        let ppc64le = parse("--arch ppc64le").unwrap();
        assert_eq!(parse("--arch ppc64le --hash").unwrap().label(), "ppc64le-6.1-1024M-2cpu-hash");
        assert!(parse("--hash").is_err());
        assert!(ppc64le.backup && ppc64le.label() == "ppc64le-6.1-1024M-2cpu");
        assert!(parse("--arch i386 --backup").is_ok() && parse("--arch i386 --kernel 6.12").is_err());
        assert!(parse("--kdump-tools --backup").is_err() && parse("--kdump-tools --loader c").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--kernel 5.10", "--la57 --no-la57", "--loader x", "--cpus 0", "--mem 16M", "extra"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(mebibytes("1G").unwrap(), 1024);
    }
}
