//! Migrates a VM peer to peer and shows its progress:
//! `cargo run -p ulm-libvirt --example migrate -- qemu+tcp://A/system VM qemu+tcp://B/system [tcp://B]`
//!
//! The third argument is the destination as the *source host* reaches it.

use std::process::ExitCode;
use std::time::Duration;
use ulm_libvirt::job::WhichJob;
use ulm_libvirt::{Connection, MigrateFlags, MigrateParams, Result, Uri};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, vm, destination, data @ ..] = arguments.as_slice() else {
        eprintln!("usage: migrate SOURCE-URI VM DESTINATION-URI [DATA-URI]");
        return ExitCode::from(2);
    };
    match migrate(source, vm, destination, data.first().cloned()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(source: &str, vm: &str, to: &str, migrate_uri: Option<String>) -> Result<()> {
    let uri: Uri = source.parse()?;
    // The migration takes up a connection of its own; another one watches it.
    let (mover, watcher) = (Connection::open(&uri).await?, Connection::open(&uri).await?);
    let vm = watcher.domain_by_name(vm).await?;
    let params = MigrateParams { migrate_uri, ..Default::default() };
    let flags = MigrateFlags::LIVE | MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE;
    let moving = mover.migrate_to(&vm, to, &params, flags, Duration::from_secs(3600));
    tokio::pin!(moving);
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            result = &mut moving => {
                result?;
                println!("{} has moved", vm.name);
                return Ok(());
            }
            _ = tick.tick() => {
                if let Ok(job) = watcher.job_stats(&vm, WhichJob::Current).await && job.is_running() {
                    println!(
                        "{} ms, {} MiB left, {} MiB/s, pass {}",
                        job.elapsed_ms.unwrap_or(0),
                        job.memory_remaining_bytes.unwrap_or(0) >> 20,
                        job.memory_bps.unwrap_or(0) >> 20,
                        job.iteration.unwrap_or(0),
                    );
                }
            }
        }
    }
}
