//! Setters of what strangers fill in and may grow: one for each field, named as it is.

macro_rules! setters {
    ($name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty,)* }) => {
        impl $(<$life>)? $name $(<$life>)? {$(
            #[doc = concat!("Sets `", stringify!($field), "`.")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*}
    };
}
