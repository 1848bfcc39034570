//! What a plan is made from, read from files.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::image::unpack;
use kdump_segments::load::{ImageFile, probe_environment};
use kdump_segments::plan::{PlanInputs, PlanOptions};
use kdump_segments::preflight::Environment;
use kdump_segments::{Error, Machine, MachineFiles};

use super::options::plan_options;
use crate::failure::Failure;

/// The file of a bundle that names the architecture.
const ARCH_FILE: &str = "proc/sys/kernel/arch";

/// The file of a bundle that shows the crash regions.
const IOMEM: &str = "proc/iomem";

/// Many times the size of any purgatory, in bytes.
const PURGATORY_LIMIT: u64 = 16 << 20;

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
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let kernel_path = path("kernel").ok_or_else(|| Failure::usage("--kernel is needed"))?;
        // What is no file is told at once, and what is larger than the region is not read.
        let kernel = ImageFile::open(&kernel_path)?;
        let initrd = path("initrd").map(|path| ImageFile::open_ramdisk(&path)).transpose()?;
        let root = matches.get_one::<PathBuf>("root").map_or(Path::new("/"), PathBuf::as_path);
        let machine = machine(root, matches.get_one("arch").copied())?;
        let environment = probe_environment(&machine, root)?;
        // What is larger than the region needs no reading; a suggestion needs no region.
        let limit = match machine.load_region() {
            _ if matches.try_get_one::<bool>("suggest").ok().flatten() == Some(&true) => {
                machine.ram()?.total()
            }
            Some(region) => region.size(),
            None => return Err(no_region(&machine, machine.why_no_region())),
        };
        let kernel = kernel.read_kernel(limit).map_err(|error| named(&kernel_path, error))?;
        let unpacked = match unpack(&kernel, limit).map_err(|error| named(&kernel_path, error))? {
            Cow::Owned(unpacked) => Some(unpacked),
            Cow::Borrowed(_) => None,
        };
        let kernel = unpacked.unwrap_or(kernel);
        let initrd =
            initrd.map(|file| file.read(limit).map_err(|error| named(file.path(), error))).transpose()?;
        let purgatory = match path("purgatory") {
            Some(path) => purgatory(&path)?,
            None => ObjectPurgatory::builtin(machine.arch)?,
        };
        let options = plan_options(matches)?;
        Ok(Self { machine, environment, kernel, kernel_path, initrd, options, purgatory })
    }

    /// All of it as the planner takes it.
    pub(super) fn plan_inputs(&self) -> PlanInputs<'_> {
        PlanInputs::new(&self.machine, &self.kernel, &self.purgatory)
            .initrd(self.initrd.as_deref())
            .options(&self.options)
    }

    /// The planner knows bytes only; the user wants to know which file is at fault.
    pub(super) fn name_file(&self, error: Error) -> Failure {
        match &error {
            Error::NoCrashRegion | Error::ReservationFailed { .. } => no_region(&self.machine, error),
            _ => named(&self.kernel_path, error),
        }
    }
}

/// An error about an image, with the name of the file.
pub(crate) fn named(path: &Path, error: Error) -> Failure {
    match &error {
        Error::NotAnImage { .. }
        | Error::ImageField { .. }
        | Error::ImageTruncated { .. }
        | Error::OutOfMemory { what: "image file", .. }
        | Error::Conflict { what: "kernel image", .. } => Failure::from(error).of(path.display()),
        _ => error.into(),
    }
}

/// A line that was not understood may have been the region's.
fn no_region(machine: &Machine, error: Error) -> Failure {
    let iomem = machine.remarks.iter().filter(|note| note.path == IOMEM);
    let said: String = iomem.map(|note| format!("; {note}")).collect();
    Failure::from(error).followed_by(&said)
}

fn purgatory(path: &Path) -> Result<ObjectPurgatory, Failure> {
    let place = |error: &dyn core::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
    let file = ImageFile::open(path)?;
    if file.size() > PURGATORY_LIMIT {
        return Err(place(&format!(
            "it has {:#x} bytes, a purgatory at most {PURGATORY_LIMIT:#x}",
            file.size()
        )));
    }
    ObjectPurgatory::from_object(file.read(PURGATORY_LIMIT)?).map_err(|error| place(&error))
}

/// Describes the machine under `root`; `arch` is believed where its files do not tell.
pub(crate) fn machine(root: &Path, arch: Option<Arch>) -> Result<Machine, Failure> {
    let place = |error| Failure::new(format!("{}: {error}", root.display()));
    let mut files = MachineFiles::read(root).map_err(place)?;
    if let Some(arch) = arch.filter(|_| files.get(ARCH_FILE).is_none()) {
        files.insert(ARCH_FILE, arch.name());
    }
    let machine = Machine::from_files(&files).map_err(|error| match error {
        Error::UnknownArch => Failure::new(format!("{}: {error}, or use --arch", root.display())),
        error => place(error),
    })?;
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
