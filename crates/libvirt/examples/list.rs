//! Lists a host and its VMs: `cargo run -p ulm-libvirt --example list -- qemu+tcp://h1/system`

use std::process::ExitCode;
use ulm_libvirt::{Connection, Result, StatsRequest, Uri};

#[tokio::main]
async fn main() -> ExitCode {
    let uri = std::env::args().nth(1).unwrap_or("qemu:///system".into());
    match list(&uri).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn list(uri: &str) -> Result<()> {
    let host = Connection::open(&uri.parse::<Uri>()?).await?;
    let info = host.node_info().await?;
    println!(
        "{}: libvirt {}, {} CPUs ({}), {} MiB",
        host.hostname().await?,
        host.lib_version().await?,
        info.cpus,
        info.model,
        info.memory_bytes >> 20,
    );
    for vm in host.domain_stats(&StatsRequest::default()).await? {
        let state = vm.state.map(|s| s.to_string()).unwrap_or_default();
        println!(
            "{:36} {:20} {:24} cpu {:>8} s  memory {:>6} MiB  waited {:>6} s",
            vm.domain.uuid,
            vm.domain.name,
            state,
            vm.cpu.total_ns.unwrap_or(0) / 1_000_000_000,
            vm.balloon.current_bytes.unwrap_or(0) >> 20,
            vm.vcpu.delay_ns().unwrap_or(0) / 1_000_000_000,
        );
    }
    host.close().await;
    Ok(())
}
