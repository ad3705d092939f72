//! What every driver must do: one suite for all of them.
