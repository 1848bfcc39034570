//! Saving a dump as an ELF core.

mod copy;
#[cfg(feature = "std")]
mod file;
mod plan;
mod report;
mod sink;

pub use copy::Interrupted;
#[cfg(feature = "std")]
pub use file::{SaveFailure, save};
pub use plan::SavePlan;
pub use report::SaveReport;
pub use sink::WriteAt;
