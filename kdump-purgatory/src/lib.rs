//! Links, patches and describes the purgatory that verifies a capture kernel before it boots.
