//! What the lab tests share.
