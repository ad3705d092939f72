//! stub
pub mod act;
pub mod journal;
pub mod phase;
pub mod settle;
