//! Saving a dump: as an ELF core, or as a kdump-compressed file.

mod copy;
mod cuts;
#[cfg(feature = "std")]
mod device;
#[cfg(feature = "std")]
mod draft;
#[cfg(feature = "std")]
mod file;
mod flatten;
mod kdump;
mod layout;
mod leave_out;
mod losses;
mod note;
mod pages;
mod plan;
mod raw;
mod report;
#[cfg(feature = "std")]
mod resume;
mod sink;
#[cfg(feature = "std")]
mod space;
#[cfg(feature = "std")]
mod split;
mod times;

pub use copy::Interrupted;
#[cfg(feature = "std")]
pub use draft::Draft;
#[cfg(feature = "std")]
pub use file::{Estimate, SaveFailure, SaveFormat, SaveOptions, estimate, save, save_stream};
pub use flatten::Flatten;
pub use kdump::{KdumpOptions, KdumpPlan, SaveOrder};
pub use plan::{ElfOptions, SavePlan};
pub use raw::RawPlan;
pub use report::{Doubt, LeftOut, SaveReport, StoredPages, WrittenOrder};
pub use sink::WriteAt;
#[cfg(feature = "std")]
pub use space::{OnFull, free_space};
#[cfg(feature = "std")]
pub use split::{SplitFailure, save_split};
pub use times::StageTimes;
