//! The errno values of the kexec system calls; the numbers are those of every Linux
//! architecture this crate plans for (include/uapi/asm-generic/errno.h).

use core::fmt;

/// An errno value, with the names of those the kexec system calls give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

#[expect(missing_docs, reason = "the names are those of errno(3)")]
impl Errno {
    pub const EPERM: Self = Self(1);
    pub const ENOEXEC: Self = Self(8);
    pub const ENOMEM: Self = Self(12);
    pub const EACCES: Self = Self(13);
    pub const EFAULT: Self = Self(14);
    pub const EBUSY: Self = Self(16);
    pub const EINVAL: Self = Self(22);
    pub const ETXTBSY: Self = Self(26);
    pub const ENOSYS: Self = Self(38);
    pub const ENODATA: Self = Self(61);
    pub const EBADMSG: Self = Self(74);
    pub const EOPNOTSUPP: Self = Self(95);
    pub const EADDRNOTAVAIL: Self = Self(99);
    pub const ENOKEY: Self = Self(126);
    pub const EKEYREJECTED: Self = Self(129);
}

impl Errno {
    /// The name, or `errno` for values these calls do not give.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EPERM => "EPERM",
            Self::ENOEXEC => "ENOEXEC",
            Self::ENOMEM => "ENOMEM",
            Self::EACCES => "EACCES",
            Self::EFAULT => "EFAULT",
            Self::EBUSY => "EBUSY",
            Self::EINVAL => "EINVAL",
            Self::ETXTBSY => "ETXTBSY",
            Self::ENOSYS => "ENOSYS",
            Self::ENODATA => "ENODATA",
            Self::EBADMSG => "EBADMSG",
            Self::EOPNOTSUPP => "EOPNOTSUPP",
            Self::EADDRNOTAVAIL => "EADDRNOTAVAIL",
            Self::ENOKEY => "ENOKEY",
            Self::EKEYREJECTED => "EKEYREJECTED",
            _ => "errno",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}
