//! Any bytes as a stream of frames: an error or frames that are written back as they were read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::atomic::AtomicU64;
use ulm_libvirt::frame::read_frame;

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut from, received) = (data, AtomicU64::new(0));
        let mut written = Vec::new();
        while let Ok(Some(frame)) = read_frame(&mut from, &received).await {
            written.extend(frame.to_wire().unwrap());
            assert_eq!(written, data[..written.len()]);
        }
    });
});
