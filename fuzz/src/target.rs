//! A target as a module of one program.

/// What `libfuzzer_sys::fuzz_target!` takes, made a function `run` of the module.
#[cfg(feature = "one-program")]
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: &[u8]| $body:expr) => {
        fn with($input: &[u8]) {
            $body
        }

        pub(crate) fn run(bytes: &[u8]) -> libfuzzer_sys::Corpus {
            libfuzzer_sys::Corpus::from(with(bytes))
        }
    };
    (|$input:ident: $kind:ty| $body:expr) => {
        $crate::fuzz_target!(|$input: $kind| -> () { $body });
    };
    (|$input:ident: $kind:ty| -> $result:ty $body:block) => {
        fn with($input: $kind) -> $result $body

        pub(crate) fn run(bytes: &[u8]) -> libfuzzer_sys::Corpus {
            use libfuzzer_sys::Corpus;
            use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};

            // Too few bytes for the input are not worth keeping.
            if bytes.len() < <$kind as Arbitrary>::size_hint(0).0 {
                return Corpus::Reject;
            }
            match <$kind as Arbitrary>::arbitrary_take_rest(Unstructured::new(bytes)) {
                Ok(input) => Corpus::from(with(input)),
                Err(_) => Corpus::Reject,
            }
        }
    };
}
