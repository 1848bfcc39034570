//! Makes test dumps with byte layouts of its own; shares no code with the readers.
//!
//! Every structure is written field by field at the offsets the specifications give, so that
//! a mistake in the readers' tables cannot hide in the writer's. Values are not checked:
//! impossible dumps are what tests need.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a wrong test dump is a broken test and may stop it"
)]

mod btf;
mod c_struct;
mod core_file;
mod elfcorehdr;
mod flattened;
mod kallsyms;
mod kdump_file;
mod log_buf;
mod note;
mod page_array;
mod page_codec;
mod page_tables;
mod printk;
mod wire;

pub use btf::Btf;
pub use core_file::{CoreFile, Segment};
pub use elfcorehdr::ElfCoreHdr;
pub use flattened::{FlatRecord, Flattened};
pub use kallsyms::Kallsyms;
pub use kdump_file::{KdumpFile, KdumpLayout, STATUS_INCOMPLETE, Stored};
pub use log_buf::LogBuf;
pub use note::{crash_notes_buffer, note, prstatus_x86_64};
pub use page_array::{PageArray, PageRecord};
pub use page_codec::PageCodec;
pub use page_tables::{PageTableImage, TableImage};
pub use printk::{PrintkRing, Record};
pub use wire::Wire;
