//! What kexec_file_load(2) is to be given, judged before the system call.
//!
//! The kernel drops the capture kernel that is armed before it reads the new one, and what it
//! does not look at (whether the image is complete) it loads without a word.

use std::path::Path;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ImageFile;
use super::file_rules::{FileCandidate, check_files};
use crate::cmdline::CommandLine;
use crate::plan::command_line::remove_planned;
use crate::preflight::{Environment, Report};
use crate::{Error, Machine};

/// A kernel image, its ramdisk and its command line, opened but not loaded.
#[derive(Debug)]
pub struct FileLoad {
    kernel: ImageFile,
    initrd: Option<ImageFile>,
    cmdline: CommandLine,
    head: Vec<u8>,
    /// What was taken from the command line, in sentences.
    pub remarks: Vec<String>,
}

impl FileLoad {
    /// Opens the files and reads the beginning and the end of each. What the kernel itself puts on
    /// the command line is taken from it: a second `elfcorehdr=` would win over the kernel's.
    ///
    /// # Errors
    /// Those of [`ImageFile`]; an empty ramdisk is one.
    pub fn open(kernel: &Path, initrd: Option<&Path>, mut cmdline: CommandLine) -> Result<Self, Error> {
        let kernel = ImageFile::open(kernel)?;
        let head = kernel.head()?;
        kernel.check_end()?;
        // The kernel refuses an empty file, too, after it dropped what is armed.
        let initrd = initrd.map(ImageFile::open_ramdisk).transpose()?;
        if let Some(file) = &initrd {
            file.head()?;
            file.check_end()?;
        }
        let mut remarks = Vec::new();
        remove_planned(&mut cmdline, &mut remarks)?;
        Ok(Self { kernel, initrd, cmdline, head, remarks })
    }

    /// The kernel image.
    #[must_use]
    pub const fn kernel(&self) -> &ImageFile {
        &self.kernel
    }

    /// The initial ramdisk, if there is one.
    #[must_use]
    pub const fn initrd(&self) -> Option<&ImageFile> {
        self.initrd.as_ref()
    }

    /// The command line, to which the kernel adds `elfcorehdr=`.
    #[must_use]
    pub const fn cmdline(&self) -> &CommandLine {
        &self.cmdline
    }

    /// Applies the rules for this call. A rule about the image names the file.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn preflight(&self, machine: &Machine, environment: &Environment) -> Result<Report, Error> {
        let candidate = FileCandidate::new(&self.head, self.kernel.size())
            .initrd_size(self.initrd.as_ref().map_or(0, ImageFile::size))
            .cmdline_len(self.cmdline.as_str().len() as u64);
        let mut report = check_files(&candidate, machine, environment)?;
        let name = self.kernel.path().display().to_string();
        for finding in report.findings.iter_mut().filter(|finding| finding.rule.starts_with("image")) {
            finding.detail = format!("{name}: {}", finding.detail);
        }
        Ok(report)
    }
}
