//! What a plan is made from, read from files.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::load::probe_environment;
use kdump_segments::plan::{PlanInputs, PlanOptions};
use kdump_segments::preflight::Environment;
use kdump_segments::{Error, Machine, MachineFiles};

use super::options::plan_options;
use crate::failure::Failure;

/// The file of a bundle that names the architecture.
const ARCH_FILE: &str = "proc/sys/kernel/arch";

/// The file of a bundle that shows the crash regions.
const IOMEM: &str = "proc/iomem";

/// Everything a plan needs, owned.
pub(crate) struct Inputs {
    pub(crate) machine: Machine,
    pub(crate) environment: Environment,
    pub(crate) kernel: Vec<u8>,
    kernel_path: PathBuf,
    pub(crate) initrd: Option<Vec<u8>>,
    pub(crate) options: PlanOptions,
    pub(crate) purgatory: ObjectPurgatory,
}

impl Inputs {
    /// Reads the machine, the images and the purgatory.
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, Failure> {
        let root = matches.get_one::<PathBuf>("root").map_or(Path::new("/"), PathBuf::as_path);
        let machine = machine(root, matches.get_one("arch").copied())?;
        let environment = probe_environment(&machine, root);
        let file = |name: &str| matches.get_one::<PathBuf>(name).map(|path| read(path)).transpose();
        let kernel_path = matches.get_one::<PathBuf>("kernel").cloned().unwrap_or_default();
        let kernel = file("kernel")?.ok_or_else(|| Failure::usage("--kernel is needed"))?;
        let purgatory = match matches.get_one::<PathBuf>("purgatory") {
            Some(path) => ObjectPurgatory::from_object(read(path)?)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
            None => ObjectPurgatory::builtin(machine.arch)?,
        };
        let initrd = file("initrd")?;
        let options = plan_options(matches)?;
        Ok(Self { machine, environment, kernel, kernel_path, initrd, options, purgatory })
    }

    /// All of it as the planner takes it.
    pub(super) fn plan_inputs(&self) -> PlanInputs<'_> {
        PlanInputs {
            machine: &self.machine,
            kernel: &self.kernel,
            initrd: self.initrd.as_deref(),
            options: &self.options,
            purgatory: &self.purgatory,
        }
    }

    /// The planner knows bytes only; the user wants to know which file is at fault.
    pub(super) fn name_file(&self, error: Error) -> Failure {
        match &error {
            Error::NotAnImage { .. }
            | Error::ImageField { .. }
            | Error::ImageTruncated { .. }
            | Error::Conflict { what: "kernel image", .. } => {
                Failure::new(format!("{}: {error}", self.kernel_path.display()))
            }
            Error::NoCrashRegion => {
                // A line that was not understood may have been the region's.
                let iomem = self.machine.notes.iter().filter(|note| note.path == IOMEM);
                let said: String = iomem.map(|note| format!("; {note}")).collect();
                Failure::new(format!("{error}{said}"))
            }
            _ => error.into(),
        }
    }
}

/// Describes the machine under `root`; `arch` is believed where its files do not tell.
fn machine(root: &Path, arch: Option<Arch>) -> Result<Machine, Failure> {
    let place = |error| Failure::new(format!("{}: {error}", root.display()));
    let mut files = MachineFiles::read(root).map_err(place)?;
    if let Some(arch) = arch.filter(|_| files.get(ARCH_FILE).is_none()) {
        files.insert(ARCH_FILE, arch.name());
    }
    let machine = Machine::from_files(&files).map_err(place)?;
    match arch {
        Some(arch) if arch != machine.arch => Err(Failure::new(format!(
            "{}: the machine is {}, not {} as --arch says",
            root.display(),
            machine.arch.name(),
            arch.name()
        ))),
        _ => Ok(machine),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
