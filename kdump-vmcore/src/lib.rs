//! Reads the memory of a crashed kernel by physical address and writes dumps.
