//! The independent verifier of any plan from anyone.
