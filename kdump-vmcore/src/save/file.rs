//! Saving into a file or onto a block device, so that a crash in between leaves no file that
//! looks complete.

use core::ops::ControlFlow;
use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::device::{self, Device};
use super::draft::{Draft, check, failed};
use super::resume::{Continued, Fixed};
use super::space::{self, Bounded, OnFull, free_space};
use super::times::{StageTimes, Timed};
use super::{
    ElfOptions, Flatten, Interrupted, KdumpOptions, KdumpPlan, LeftOut, RawPlan, SavePlan, SaveReport,
    WriteAt,
};
use crate::dump::Dump;
use crate::error::Error;
use crate::progress::Progress;
use crate::source::FileId;

/// Saving that failed, and what is left of it.
#[derive(Clone, Debug, Error)]
#[error("{error}{}", self.left())]
#[non_exhaustive]
pub struct SaveFailure {
    /// Why.
    pub error: Error,
    /// Where the part that was saved is, which says that it is unfinished; `None` when there is
    /// none.
    pub kept: Option<PathBuf>,
    /// Bytes from the start of the file that are good; of a stream those that were written. 0 also when
    /// something is kept that may not be on the disk.
    pub good: u64,
    /// Bytes the file should have had, at most; 0 of a file that is a stream.
    pub size: u64,
    /// What was done until then, as [`Interrupted::report`] has it.
    pub report: Box<SaveReport>,
}

impl SaveFailure {
    fn left(&self) -> String {
        match (&self.kept, self.good) {
            (Some(path), 0) => format!("; what was written is kept in {}", path.display()),
            (Some(path), good) if self.size == 0 => {
                format!(
                    "; the first {good} bytes of a stream, without its end, are kept in {}",
                    path.display()
                )
            }
            (Some(path), good) => {
                format!("; the first {good} of {} bytes are usable in {}", self.size, path.display())
            }
            (None, 0) => String::new(),
            (None, good) => format!("; {good} bytes of the stream were written before, which lack its end"),
        }
    }

    pub(super) fn early(error: Error) -> Self {
        Self { error, kept: None, good: 0, size: 0, report: Box::default() }
    }
}

/// The format a dump is saved in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveFormat {
    /// An ELF core.
    Elf(ElfOptions),
    /// A raw image of the memory.
    Raw,
    /// A kdump-compressed file.
    Kdump(KdumpOptions),
    /// A kdump-compressed file as a flattened stream.
    Flattened(KdumpOptions),
    /// An ELF core as a flattened stream, with its zeros: of memory that no record gives a reader of a stream cannot
    /// tell that it is zero.
    FlattenedElf(ElfOptions),
}

impl SaveFormat {
    /// Whether a block device can hold it, of which the content before stands behind the end and in every gap.
    fn fits_a_device(self) -> Result<(), Error> {
        let what = match self {
            Self::Elf(_) | Self::Kdump(_) => return Ok(()),
            Self::Flattened(_) | Self::FlattenedElf(_) => {
                "a flattened stream on a block device, where nothing would tell its end"
            }
            Self::Raw => "a raw image on a block device, where what was there would be taken for memory",
        };
        Err(Error::Unsupported { what })
    }
}

impl Default for SaveFormat {
    fn default() -> Self {
        Self::Elf(ElfOptions::default())
    }
}

/// What the caller of [`save`] asks for and allows: [`SaveOptions::default`], and what differs from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveOptions {
    /// Write over a device that holds something else than zeros or a dump.
    pub force: bool,
    /// What is written.
    pub format: SaveFormat,
    /// Bytes of the file system that stay free, of those that are not set aside for root; of a device
    /// nothing but 0 is taken. A file that would take more is not finished.
    pub min_free: u64,
    /// Go on with what an earlier attempt left, if there is something: what is there is compared with what the
    /// source gives, and the file becomes the same as without a break. Of ELF cores and kdump-compressed
    /// files; not of devices.
    pub resume: bool,
    /// What is done when the file may be too large.
    pub on_full: OnFull,
}

impl SaveOptions {
    /// Whether all that is asked for can be had of a block device.
    fn fit_a_device(&self) -> Result<(), Error> {
        self.format.fits_a_device()?;
        if self.resume {
            let what = "going on with a dump on a block device: save it anew";
            return Err(Error::Unsupported { what });
        }
        if self.min_free > 0 {
            let what = "room to stay free (min_free) on a block device, which has no file system";
            return Err(Error::Unsupported { what });
        }
        Ok(())
    }

    /// Sets `force`.
    #[must_use]
    pub fn force(self, force: bool) -> Self {
        Self { force, ..self }
    }

    /// Sets `format`.
    #[must_use]
    pub fn format(self, format: SaveFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets `min_free`.
    #[must_use]
    pub fn min_free(self, min_free: u64) -> Self {
        Self { min_free, ..self }
    }

    /// Sets `resume`.
    #[must_use]
    pub fn resume(self, resume: bool) -> Self {
        Self { resume, ..self }
    }

    /// Sets `on_full`.
    #[must_use]
    pub fn on_full(self, on_full: OnFull) -> Self {
        Self { on_full, ..self }
    }
}

/// What would be saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Bytes of memory, those that are zero included.
    pub memory: u64,
    /// Bytes of the file at most, holes included: when nothing can be compressed.
    pub max_size: u64,
    /// Pages that would be left out.
    pub left_out: LeftOut,
}

/// What [`save`] would do in a format, as far as that is known without reading the memory.
///
/// # Errors
/// Those of the plans.
pub fn estimate(dump: &Dump<'_>, format: SaveFormat) -> Result<Estimate, Error> {
    Ok(Plan::new(dump, format)?.estimate())
}

/// Bytes in front of each record of a flattened stream, and of its head and its end.
const FLATTENED_HEADS: u64 = 16;
const FLATTENED_ENDS: u64 = 8192;

/// What tells nothing of how far it is cannot be gone on with.
const NO_RESUME: &str =
    "going on with a raw image or a flattened stream, in which nothing tells how far it is";

/// A file that is planned, in any format.
enum Plan<'d> {
    Elf(Box<SavePlan<'d>>),
    Raw(Box<RawPlan<'d>>),
    Kdump(Box<KdumpPlan<'d>>),
    Flattened(Box<KdumpPlan<'d>>),
    FlattenedElf(Box<SavePlan<'d>>),
}

impl<'d> Plan<'d> {
    fn new(dump: &'d Dump<'_>, format: SaveFormat) -> Result<Self, Error> {
        Ok(match format {
            SaveFormat::Elf(options) => Self::Elf(Box::new(SavePlan::with(dump, options)?)),
            SaveFormat::Raw => Self::Raw(Box::new(RawPlan::new(dump)?)),
            SaveFormat::Kdump(options) => Self::Kdump(Box::new(KdumpPlan::new(dump, options)?)),
            SaveFormat::Flattened(options) => Self::Flattened(Box::new(KdumpPlan::new(dump, options)?)),
            SaveFormat::FlattenedElf(options) => Self::FlattenedElf(Box::new(SavePlan::with(dump, options)?)),
        })
    }

    /// The least bytes it takes.
    fn size(&self) -> u64 {
        match self {
            Self::Elf(plan) | Self::FlattenedElf(plan) => plan.size(),
            Self::Raw(plan) => plan.size(),
            Self::Kdump(plan) | Self::Flattened(plan) => plan.size(),
        }
    }

    /// The bytes that are written in any case.
    fn least(&self) -> u64 {
        match self {
            Self::Elf(plan) => plan.head.len() as u64,
            Self::FlattenedElf(plan) => flattened_size(plan.size()),
            Self::Raw(_) => 0,
            Self::Kdump(plan) | Self::Flattened(plan) => plan.size(),
        }
    }

    /// What is known before a byte is written.
    fn estimate(&self) -> Estimate {
        match self {
            Self::Elf(plan) => {
                Estimate { memory: plan.memory(), max_size: plan.size(), left_out: plan.left_out() }
            }
            Self::Raw(plan) => {
                Estimate { memory: plan.memory(), max_size: plan.size(), left_out: LeftOut::default() }
            }
            Self::Kdump(plan) => {
                Estimate { memory: plan.memory(), max_size: plan.max_size(), left_out: plan.left_out() }
            }
            Self::Flattened(plan) => {
                let max_size = flattened_size(plan.max_size());
                Estimate { memory: plan.memory(), max_size, left_out: plan.left_out() }
            }
            Self::FlattenedElf(plan) => {
                let max_size = flattened_size(plan.size());
                Estimate { memory: plan.memory(), max_size, left_out: plan.left_out() }
            }
        }
    }

    /// Writes it, by the clock.
    fn copy<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        let mut sink = Timed { sink, write: 0, sync: 0 };
        let mut copied = self.copy_to(&mut sink, progress);
        let times = times_of(&mut copied);
        (times.write, times.sync) = (sink.write, sink.sync);
        copied
    }

    /// Writes the file, or the one that a stream describes.
    fn copy_file<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        match self {
            Self::Elf(plan) | Self::FlattenedElf(plan) => plan.copy(sink, progress),
            Self::Raw(plan) => plan.copy(sink, progress),
            Self::Kdump(plan) | Self::Flattened(plan) => plan.copy(sink, progress),
        }
    }

    fn copy_to<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        match self {
            Self::Elf(_) | Self::Raw(_) | Self::Kdump(_) => self.copy_file(sink, progress),
            Self::Flattened(_) | Self::FlattenedElf(_) => {
                let mut at = 0_u64;
                let mut stream = Flatten::new(|bytes: &[u8]| {
                    let written = sink.write_all_at(at, bytes);
                    at = at.saturating_add(bytes.len() as u64);
                    written
                });
                let mut copied = self.copy_file(&mut stream, progress);
                report_of(&mut copied).written = stream.written();
                // What it tells are offsets of the file in the stream.
                copied.map_err(|interrupted| match interrupted.good {
                    0 => interrupted,
                    _ => Interrupted { good: stream.written(), size: 0, ..interrupted },
                })
            }
        }
    }

    /// Goes on with a file that is written up to `good`.
    fn resume(
        &self,
        (file, good): (&File, u64),
        options: SaveOptions,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        let early = |error| Interrupted { error, good, size: self.size(), report: Box::default() };
        let (head, data) = self.front().map_err(early)?;
        // What nothing vouches for is none.
        file.set_len(good)
            .map_err(|error| early(failed("cut the .incomplete file to what is good")(error)))?;
        let sink = Bounded::new(file, options.min_free).behind(good);
        let mut sink = Continued { file, sink, head, data, good, kept: 0, written: 0, misfit: None };
        let mut timed = Timed { sink: &mut sink, write: 0, sync: 0 };
        let mut copied = match self {
            Self::Elf(plan) => plan.resume(good, &mut timed, progress),
            Self::Kdump(plan) => plan.copy_behind(good, &mut timed, progress),
            _ => Err(early(Error::Unsupported { what: NO_RESUME })),
        };
        let times = times_of(&mut copied);
        (times.write, times.sync) = (timed.write, timed.sync);
        let report = match &mut copied {
            Ok(report) => report,
            Err(interrupted) => {
                if sink.misfit.is_some() {
                    interrupted.good = good;
                }
                &mut interrupted.report
            }
        };
        (report.resumed, report.written) = (sink.kept, sink.written);
        copied
    }

    /// Bytes of header and notes of a file that can be gone on with, and where its memory begins.
    fn front(&self) -> Result<(u64, u64), Error> {
        match self {
            Self::Elf(plan) => Ok((plan.head.len() as u64, plan.head.len() as u64)),
            Self::Kdump(plan) => Ok((plan.head.len() as u64, plan.data())),
            _ => Err(Error::Unsupported { what: NO_RESUME }),
        }
    }

    /// What a file that is gone on with is to begin with.
    fn fixed(&self) -> Result<Fixed<'_>, Error> {
        match self {
            Self::Elf(plan) => plan.fixed(),
            Self::Kdump(plan) => plan.fixed(),
            _ => Err(Error::Unsupported { what: NO_RESUME }),
        }
    }

    /// Whether a file that ends where it is good is better than one that does not.
    fn is_cut(&self) -> bool {
        !matches!(self, Self::Flattened(_) | Self::FlattenedElf(_))
    }
}

/// Bytes of a stream of a file of so many. Each write of a piece has a head of its own; a piece is no smaller than a
/// page, but for descriptors and the ends of pieces of memory.
fn flattened_size(size: u64) -> u64 {
    let heads = (size / 4096).saturating_mul(FLATTENED_HEADS);
    size.saturating_add(heads).saturating_add(FLATTENED_ENDS)
}

/// That of what was done, to its end or not.
fn report_of(copied: &mut Result<SaveReport, Interrupted>) -> &mut SaveReport {
    match copied {
        Ok(report) => report,
        Err(interrupted) => &mut interrupted.report,
    }
}

/// Those of what was done, to its end or not.
fn times_of(copied: &mut Result<SaveReport, Interrupted>) -> &mut StageTimes {
    &mut report_of(copied).times
}

/// Saves `dump` as a flattened stream of a file of this format, which `output` gets in order: a
/// pipe, a connection. Where that goes cannot be known: a file the dump is read from ([`Dump::files`]) must not be
/// behind it.
///
/// # Errors
/// [`SaveFailure`], also for a raw image, of which there is no stream. The stream lacks its end then, which every reader of it tells.
pub fn save_stream(
    dump: &Dump<'_>,
    format: SaveFormat,
    output: &mut dyn std::io::Write,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    if matches!(format, SaveFormat::Raw) {
        let what = "a flattened stream of a raw image, in which nothing would tell where memory ends";
        return Err(SaveFailure::early(Error::Unsupported { what }));
    }
    let plan = Plan::new(dump, format).map_err(SaveFailure::early)?;
    let mut at = 0_u64;
    let mut stream = Flatten::new(|bytes: &[u8]| {
        let failed = |error: &std::io::Error| Error::Io { offset: at, cause: error.into() };
        output.write_all(bytes).map_err(|error| failed(&error))?;
        at = at.saturating_add(bytes.len() as u64);
        Ok(())
    });
    let mut timed = Timed { sink: &mut stream, write: 0, sync: 0 };
    let mut copied = plan.copy_file(&mut timed, progress);
    times_of(&mut copied).write = timed.write;
    let good = stream.written();
    report_of(&mut copied).written = good;
    let lost = |error, size, report| SaveFailure { error, kept: None, good, size, report };
    match copied {
        Ok(report) => match output.flush().map_err(failed("flush the stream")) {
            Ok(()) => Ok(report),
            Err(error) => Err(lost(error, report.file_size, Box::new(report))),
        },
        Err(Interrupted { error, size, report, .. }) => Err(lost(error, size, report)),
    }
}

/// Saves `dump` at `destination`, in the format that `options` name.
///
/// A regular file is written under its name with `.incomplete` appended ([`Draft`]), synced, and
/// renamed when it is finished; whatever was there is replaced in one step. An `.incomplete` file
/// that no process has locked was left by one that was killed, and is removed first. Zero pages
/// become holes. When the file system is full, or saving ends early for another reason, the
/// `.incomplete` file stays, cut to what is good: it says that it is unfinished. The file is
/// readable by its owner only: it holds the secrets of the dead kernel.
///
/// A block device is written in place, zeros included; nobody else may be using it, and its
/// first MiB must be zeros or begin with a dump, unless `options` say otherwise.
///
/// Neither is anything the dump is read from. What the source lacked is no failure: the copy
/// remembers it, and [`SaveReport::is_whole`] tells.
///
/// # Errors
/// [`SaveFailure`].
pub fn save(
    dump: &Dump<'_>,
    destination: &Path,
    options: SaveOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    match std::fs::metadata(destination) {
        Ok(found) if found.file_type().is_block_device() => {
            options.fit_a_device().map_err(SaveFailure::early)?;
            let plan = Plan::new(dump, options.format).map_err(SaveFailure::early)?;
            save_to_device(&plan, dump.files(), destination, options, progress)
        }
        _ => save_to_file(dump, destination, options, progress),
    }
}

fn save_to_file(
    dump: &Dump<'_>,
    destination: &Path,
    options: SaveOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    // First, so that nothing long is done for a name that cannot be used.
    check(destination, dump.files()).map_err(SaveFailure::early)?;
    // Before the draft: it takes the place of one that may be all there is of an earlier dump.
    let plan = Plan::new(dump, options.format).map_err(SaveFailure::early)?;
    check_space(&plan, destination, options).map_err(SaveFailure::early)?;
    let left = if options.resume { left(&plan, destination, dump.files()) } else { Ok(None) };
    let (mut draft, copied) = match left.map_err(SaveFailure::early)? {
        Some((draft, good)) => {
            let copied = plan.resume((draft.file(), good), options, progress);
            (draft, copied)
        }
        None => {
            let draft = Draft::create(destination, dump.files()).map_err(SaveFailure::early)?;
            let copied = plan.copy(&mut Bounded::new(draft.file(), options.min_free), progress);
            (draft, copied)
        }
    };
    let mut report = match copied {
        Ok(report) => report,
        Err(interrupted) => {
            let failure = keep(draft, interrupted, plan.is_cut());
            // What is there is no part of this dump, and nothing of it was saved.
            let differs = matches!(failure.error, Error::Differs { .. });
            return Err(if differs { SaveFailure::early(failure.error) } else { failure });
        }
    };
    report.removed_leftover = draft.removed_leftover();
    let synced = draft.sync();
    let good = if synced.is_ok() { report.file_size } else { 0 };
    match synced.and_then(|()| draft.place_it()) {
        Ok(()) => Ok(report),
        Err(error) => {
            let kept = if draft.is_placed() { Some(destination.to_owned()) } else { draft.leave_if_named() };
            // What somebody has taken away is nowhere.
            let good = if kept.is_some() { good } else { 0 };
            let size = report.file_size;
            if good == 0 {
                report.nothing_is_sure();
            }
            Err(SaveFailure { error, kept, good, size, report: Box::new(report) })
        }
    }
}

/// What an earlier attempt left of the planned file, and up to where it is good.
fn left(plan: &Plan<'_>, destination: &Path, sources: &[FileId]) -> Result<Option<(Draft, u64)>, Error> {
    let fixed = plan.fixed()?;
    let Some(draft) = Draft::leftover(destination, sources)? else { return Ok(None) };
    let good = fixed.good(draft.file())?;
    Ok(good.map(|good| (draft, good)))
}

/// Whether the file may be begun where it is to be.
fn check_space(plan: &Plan<'_>, destination: &Path, options: SaveOptions) -> Result<(), Error> {
    let Some(free) = free_space(destination) else { return Ok(()) };
    space::check(plan.least(), plan.estimate().max_size, free, options.min_free, options.on_full)
}

/// Cuts the file to its good part, or removes it when there is none.
pub(super) fn keep(draft: Draft, interrupted: Interrupted, cut: bool) -> SaveFailure {
    let Interrupted { error, good, size, mut report } = interrupted;
    report.removed_leftover = draft.removed_leftover();
    if good == 0 {
        return SaveFailure { error, kept: None, good, size, report };
    }
    // The error that ended the work is the one to tell; when one of these steps fails nothing is known to be
    // on the disk.
    let length = if cut { end_at(draft.file(), good) } else { Ok(good) };
    let lasts = length.and_then(|good| draft.file().sync_all().map(|()| good));
    let good = lasts.unwrap_or(0);
    if good == 0 {
        report.nothing_is_sure();
    }
    SaveFailure { error, kept: Some(draft.leave()), good, size, report }
}

/// Makes the file end at `good`; where it may not be as long as that, which zeros at its end would make it, what it has
/// is good. Returns where it ends.
fn end_at(file: &File, good: u64) -> std::io::Result<u64> {
    match file.set_len(good) {
        Ok(()) => Ok(good),
        Err(error) => {
            let there = file.metadata()?.len();
            if there <= good { Ok(there) } else { Err(error) }
        }
    }
}

fn save_to_device(
    plan: &Plan<'_>,
    sources: &[FileId],
    destination: &Path,
    options: SaveOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    let device = device::open(destination, sources, plan.size(), options.force);
    let mut device = device.map_err(SaveFailure::early)?;
    let capacity = device::capacity(&mut device).map_err(SaveFailure::early)?;
    space::check(plan.size(), plan.estimate().max_size, capacity, 0, options.on_full)
        .map_err(SaveFailure::early)?;
    let mut report = plan.copy(&mut Device(&device), progress).map_err(|interrupted| {
        let Interrupted { error, good, size, report } = interrupted;
        let kept = (good != 0).then(|| destination.to_owned());
        SaveFailure { error, kept, good, size, report }
    })?;
    match device.sync_all().map_err(failed("sync the device")) {
        Ok(()) => Ok(report),
        Err(error) => {
            let (kept, size) = (Some(destination.to_owned()), report.file_size);
            report.nothing_is_sure();
            let report = Box::new(report);
            Err(SaveFailure { error, kept, good: 0, size, report })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_gets_what_tells_its_end_and_its_gaps() {
        let kdump = KdumpOptions::default();
        assert_eq!(SaveFormat::default().fits_a_device(), Ok(()));
        assert_eq!(SaveFormat::Kdump(kdump).fits_a_device(), Ok(()));
        let flattened = [SaveFormat::Flattened(kdump), SaveFormat::FlattenedElf(ElfOptions::default())];
        for format in [SaveFormat::Raw].into_iter().chain(flattened) {
            assert!(matches!(format.fits_a_device(), Err(Error::Unsupported { .. })), "{format:?}");
        }
        let said = |options: SaveOptions| options.fit_a_device().map_err(|error| std::format!("{error}"));
        assert_eq!(said(SaveOptions::default().force(true)), Ok(()));
        assert!(said(SaveOptions::default().format(SaveFormat::Raw)).unwrap_err().contains("raw image"));
        assert!(said(SaveOptions::default().resume(true)).unwrap_err().contains("save it anew"));
        assert!(said(SaveOptions::default().min_free(1)).unwrap_err().contains("min_free"));
    }
}
