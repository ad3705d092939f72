//! The loop and the executor: observe, decide, check, act.
