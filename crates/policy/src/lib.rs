//! The policy file: goals, thresholds, budgets, pins and exclusions.
