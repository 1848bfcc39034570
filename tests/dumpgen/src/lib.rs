//! Makes test dumps with byte layouts of its own; shares no code with the readers.
