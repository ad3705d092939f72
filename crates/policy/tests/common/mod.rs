//! What several tests need.

pub mod schema;
