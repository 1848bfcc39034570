//! The layout of the C structures as data, for the checks that C and Rust agree.

/// A structure that C sees.
pub trait CLayout {
    /// Its name in C, without `struct`.
    const NAME: &'static str;
    /// Its fields in order.
    const FIELDS: &'static [Field];
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Offset in bytes.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
    /// Whether it is as wide as a pointer, which is all that differs between machines.
    pub word: bool,
}

/// Whether a field of this type is as wide as a pointer.
#[must_use]
pub const fn is_word(ty: &str) -> bool {
    matches!(ty.as_bytes(), [b'*', ..] | [b'u', b's', b'i', b'z', b'e'] | [.., b'_', b'f', b'n'])
}

/// A structure's layout without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructLayout {
    /// Name in C, without `struct`.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// The fields in order.
    pub fields: &'static [Field],
}

impl StructLayout {
    /// The layout of `T`.
    #[must_use]
    pub const fn of<T: CLayout>() -> Self {
        Self { name: T::NAME, size: size_of::<T>(), fields: T::FIELDS }
    }
}

/// States the fields of a structure and proves that all are named and no padding lies
/// between or behind them.
#[macro_export]
macro_rules! c_layout {
    ($name:ident { $($field:ident: $ty:ty),* $(,)? }) => {
        const _: () = {
            let mut end = 0;
            $(
                assert!(core::mem::offset_of!($name, $field) == end, "padding in a C structure");
                end = usize::saturating_add(end, size_of::<$ty>());
            )*
            assert!(size_of::<$name>() == end, "a field is missing or the structure is padded");
        };
        impl $crate::CLayout for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::Field] = &[
                $($crate::Field {
                    name: stringify!($field),
                    offset: core::mem::offset_of!($name, $field),
                    size: size_of::<$ty>(),
                    word: $crate::is_word(stringify!($ty)),
                }),*
            ];
        }
    };
}

/// [`c_layout!`] for a structure that begins with its size: the fields of the first version, and
/// behind a `+` those each later one added.
#[macro_export]
macro_rules! extensible {
    ($name:ident { $($field:ident: $ty:ty),* $(,)? } $(+ { $($later:ident: $later_ty:ty),* $(,)? })*) => {
        $crate::c_layout!($name { size: u32, $($field: $ty,)* $($($later: $later_ty,)*)* });
        // SAFETY: `c_layout` proves that there is no padding and that `size` comes first;
        // the fields are integers, arrays of them, pointers and optional functions.
        unsafe impl $crate::Extensible for $name {
            const FIRST: usize = {
                let bytes = size_of::<u32>();
                $(let bytes = usize::saturating_add(bytes, size_of::<$ty>());)*
                bytes
            };
        }
    };
}

/// The structures of this crate.
pub fn core_layouts() -> impl Iterator<Item = StructLayout> {
    [
        StructLayout::of::<crate::libkdump_error>(),
        StructLayout::of::<crate::libkdump_arch_info>(),
        StructLayout::of::<crate::libkdump_phdr>(),
        StructLayout::of::<crate::libkdump_elf_params>(),
        StructLayout::of::<crate::libkdump_elf_header>(),
        StructLayout::of::<crate::libkdump_note>(),
        StructLayout::of::<crate::libkdump_register>(),
        StructLayout::of::<crate::libkdump_vmcoreinfo_entry>(),
        StructLayout::of::<crate::libkdump_vmcore_layout>(),
        StructLayout::of::<crate::libkdump_vmcore_phdr>(),
        StructLayout::of::<crate::libkdump_view>(),
    ]
    .into_iter()
}
