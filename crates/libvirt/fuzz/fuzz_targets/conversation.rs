//! Any bytes as a daemon's side of a whole conversation: opening ends in an error or a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use ulm_libvirt::{ConnectOptions, Connection};

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(data.len().max(1) + 4096);
        far.write_all(data).await.unwrap();
        far.shutdown().await.unwrap();
        let options = ConnectOptions { call_deadline: Duration::from_secs(1), keep_alive: None, ..Default::default() };
        if let Ok(host) = Connection::over(near, "qemu:///system", &options).await {
            let _ = host.hostname().await;
        }
    });
});
