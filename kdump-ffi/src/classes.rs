//! What the dead kernel used each page for.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_ffi_core::{Flow, InOut, Out, extensible, libkdump_error};
use kdump_vmcore::{ClassMap, PageClass};

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};

/// Not known, used by the kernel, or no RAM.
pub const LIBKDUMP_USE_OTHER: u32 = 0;
/// Page cache.
pub const LIBKDUMP_USE_CACHE: u32 = 1;
/// Page cache with data of a file system.
pub const LIBKDUMP_USE_CACHE_PRIVATE: u32 = 2;
/// Memory of processes.
pub const LIBKDUMP_USE_USER: u32 = 3;
/// Free.
pub const LIBKDUMP_USE_FREE: u32 = 4;
/// Taken out of use after a memory error.
pub const LIBKDUMP_USE_HWPOISON: u32 = 5;
/// Given back to a hypervisor.
pub const LIBKDUMP_USE_OFFLINE: u32 = 6;

/// What each page of a machine was used for. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_classes {
    map: ClassMap,
}

impl Handle for libkdump_classes {
    const TAG: u32 = 0x7373_616c;
}

/// The sum of a classification.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_classes_info {
    /// `sizeof (struct libkdump_classes_info)`, set by the caller.
    pub size: u32,
    /// 1 when the kernel's records contradict what VMCOREINFO says of them: no page has a use then. Else 0.
    pub doubtful: u32,
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages by their use.
    pub cache: u64,
    /// Page cache with data of a file system.
    pub cache_private: u64,
    /// Memory of processes.
    pub user: u64,
    /// Free.
    pub free: u64,
    /// Taken out of use after a memory error.
    pub hwpoison: u64,
    /// Given back to a hypervisor.
    pub offline: u64,
    /// Pages of which the kernel's record cannot be read.
    pub undecided: u64,
    /// Pages of which the kernel has no record.
    pub without_record: u64,
}

extensible!(libkdump_classes_info {
    doubtful: u32,
    page_size: u64,
    cache: u64,
    cache_private: u64,
    user: u64,
    free: u64,
    hwpoison: u64,
    offline: u64,
    undecided: u64,
    without_record: u64,
});

/// Pages of one use, one behind the other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_classes_range {
    /// `sizeof (struct libkdump_classes_range)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_USE_ number.
    pub used_for: u32,
    /// Page frame number of the first page.
    pub first: u64,
    /// Pages, never 0.
    pub pages: u64,
}

extensible!(libkdump_classes_range { used_for: u32, first: u64, pages: u64 });

/// Looks at the dead kernel's record of every page, also of pages the dump does not have.
///
/// Takes a bit for each page and use, where there are pages of that use nearby.
///
/// Parameters: `dump` the dump; `threads` how many threads may work, 0 and 1 meaning the calling one; `classes`
/// receives the handle, to be freed with libkdump_classes_free(), which needs the dump no more; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_NOT_FOUND where VMCOREINFO lacks a key, LIBKDUMP_ERR_CORRUPT where it has one that no kernel
/// can have told, LIBKDUMP_ERR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_classify(
    dump: Lent<'_, libkdump_dump>,
    threads: u32,
    classes: Out<'_, *mut libkdump_classes>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let threads = u16::try_from(threads).unwrap_or(u16::MAX).max(1);
        let map = ClassMap::new(&handle.dump, threads)?;
        give(classes, "classes", libkdump_classes { map })
    })
}

/// Frees a classification.
///
/// Parameters: `classes` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_classes_free(classes: Given<'_, libkdump_classes>) {
    free(classes);
}

/// The sum of a classification.
///
/// Parameters: `classes` the classification; `out` receives the numbers; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_classes_get_info(
    classes: Lent<'_, libkdump_classes>,
    out: InOut<'_, libkdump_classes_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(classes, "classes")?;
        let map = &handle.map;
        let report = map.report();
        let info = libkdump_classes_info {
            size: 0,
            doubtful: u32::from(map.is_doubtful()),
            page_size: map.page_size(),
            cache: map.pages(PageClass::Cache),
            cache_private: map.pages(PageClass::CachePrivate),
            user: map.pages(PageClass::User),
            free: map.pages(PageClass::Free),
            hwpoison: map.pages(PageClass::HwPoison),
            offline: map.pages(PageClass::Offline),
            undecided: report.unreadable,
            without_record: report.without,
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// What a page was used for.
///
/// Parameters: `classes` the classification; `pfn` the page frame number; `used_for` receives a LIBKDUMP_USE_ number;
/// `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_classes_page(
    classes: Lent<'_, libkdump_classes>,
    pfn: u64,
    used_for: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(classes, "classes")?;
        Ok::<_, Failure>(used_for.set("used_for", number(handle.map.class(pfn)))?)
    })
}

/// The next pages of one use, by address; what is no RAM is left out.
///
/// Parameters: `classes` the classification; `cursor` the page frame number to go on with, 0 or any other at first, which the
/// call moves behind the range; `out` receives the range; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_classes_next(
    classes: Lent<'_, libkdump_classes>,
    cursor: Out<'_, u64>,
    out: InOut<'_, libkdump_classes_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(classes, "classes")?;
        let pfn = cursor.get("cursor")?;
        let Some((pfns, class)) = handle.map.range_from(pfn) else { return Ok::<_, Failure>(Flow::End) };
        let pages = pfns.end.saturating_sub(pfns.start);
        let range = libkdump_classes_range { size: 0, used_for: number(class), first: pfns.start, pages };
        out.set("out", range)?;
        cursor.set("cursor", pfns.end)?;
        Ok(Flow::Done)
    })
}

fn number(class: Option<PageClass>) -> u32 {
    match class {
        Some(PageClass::Cache) => LIBKDUMP_USE_CACHE,
        Some(PageClass::CachePrivate) => LIBKDUMP_USE_CACHE_PRIVATE,
        Some(PageClass::User) => LIBKDUMP_USE_USER,
        Some(PageClass::Free) => LIBKDUMP_USE_FREE,
        Some(PageClass::HwPoison) => LIBKDUMP_USE_HWPOISON,
        Some(PageClass::Offline) => LIBKDUMP_USE_OFFLINE,
        _ => LIBKDUMP_USE_OTHER,
    }
}
