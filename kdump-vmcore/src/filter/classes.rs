//! A set of classes of pages.

use crate::dump::PageClass;

/// The classes of pages that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    /// None.
    pub const NONE: Self = Self(0);
    const CACHE: u8 = 2;
    const CACHE_PRIVATE: u8 = 4;
    const USER: u8 = 8;
    const FREE: u8 = 16;

    /// Those of a dump level as makedumpfile counts: 2 cache without private data, 4 all cache, 8 user
    /// memory, 16 free. 1, pages of zeros, is no class: what they are shows when they are read.
    #[must_use]
    pub const fn from_level(level: u8) -> Self {
        Self(level & (Self::CACHE | Self::CACHE_PRIVATE | Self::USER | Self::FREE))
    }

    /// The dump level.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }

    /// These and a further one. Pages that were taken out of use are left out with any class.
    #[must_use]
    pub const fn with(self, class: PageClass) -> Self {
        Self(
            self.0
                | match class {
                    PageClass::Cache => Self::CACHE,
                    PageClass::CachePrivate => Self::CACHE_PRIVATE,
                    PageClass::User => Self::USER,
                    PageClass::Free => Self::FREE,
                    PageClass::HwPoison | PageClass::Offline => 0,
                },
        )
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether pages of a class are left out. Cache with private data comes with cache without it, as
    /// makedumpfile has it.
    #[must_use]
    pub const fn has(self, class: PageClass) -> bool {
        match class {
            PageClass::Cache => self.0 & (Self::CACHE | Self::CACHE_PRIVATE) != 0,
            PageClass::CachePrivate => self.0 & Self::CACHE_PRIVATE != 0,
            PageClass::User => self.0 & Self::USER != 0,
            PageClass::Free => self.0 & Self::FREE != 0,
            PageClass::HwPoison | PageClass::Offline => self.0 != 0,
        }
    }
}
