/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libkdump: plan, check and load a capture kernel; read and save the memory of a crashed one.
 *
 * Conventions, threads, ownership and errors: docs/C-API.md and libkdump(3).
 * Made from the Rust sources by `cargo xtask header`; changes go there.
 */

#ifndef LIBKDUMP_H
#define LIBKDUMP_H

#include "kdump-core.h"

#endif  /* LIBKDUMP_H */
