//! The header promises that threads may share every handle; the compiler is asked.

use crate::{
    libkdump_dmesg, libkdump_dump, libkdump_machine, libkdump_plan, libkdump_preflight, libkdump_purgatory,
    libkdump_verification,
};

const fn shared<T: Send + Sync>() {}

const _: () = {
    shared::<libkdump_dump>();
    shared::<libkdump_dmesg>();
    shared::<libkdump_verification>();
    shared::<libkdump_machine>();
    shared::<libkdump_plan>();
    shared::<libkdump_preflight>();
    shared::<libkdump_purgatory>();
};
