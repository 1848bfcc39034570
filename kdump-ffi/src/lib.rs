//! The C interface of libkdump.
#![allow(non_camel_case_types, reason = "the names are those of the C interface")]
#![allow(unreachable_pub, reason = "the functions are reached by the names of their symbols")]

// Puts the functions of the core into this library.
use kdump_ffi_core as _;
