//! Saving a dump as an ELF core.

mod copy;
#[cfg(feature = "std")]
mod device;
#[cfg(feature = "std")]
mod draft;
#[cfg(feature = "std")]
mod file;
mod layout;
mod losses;
mod note;
mod plan;
mod report;
mod sink;

pub use copy::Interrupted;
#[cfg(feature = "std")]
pub use draft::Draft;
#[cfg(feature = "std")]
pub use file::{SaveFailure, SaveOptions, save};
pub use plan::SavePlan;
pub use report::SaveReport;
pub use sink::WriteAt;
