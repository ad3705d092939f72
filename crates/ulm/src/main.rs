//! ULM, Uncomplicated Live Migration: the command.

fn main() {}
