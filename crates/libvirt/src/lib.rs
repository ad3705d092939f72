//! An asynchronous client of libvirt's remote protocol in pure Rust.
