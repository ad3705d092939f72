//! Snapshot + policy + clock -> plan + reasons; pure and deterministic.
