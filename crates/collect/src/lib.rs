//! Readings of all hosts -> one plausible snapshot and its samples.
