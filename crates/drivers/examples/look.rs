//! Prints what the libvirt driver sees of a host, and how long each question took.
//!
//!     cargo run -p ulm-drivers --example look -- qemu+ssh://root@HOST/system [ROUNDS]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ulm_drivers::libvirt::{LibvirtDriver, LibvirtOptions, connect_once};
use ulm_drivers::{Driver, DriverError, Link, SystemClock};
use ulm_model::HostName;

async fn timed<T>(what: &str, answer: impl Future<Output = Result<T, DriverError>>) -> Result<T, DriverError> {
    let begun = Instant::now();
    let answer = answer.await;
    println!("{what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    answer
}

#[tokio::main]
async fn main() -> Result<(), DriverError> {
    let mut arguments = std::env::args().skip(1);
    let uri = arguments.next().unwrap_or_else(|| "qemu:///system".to_owned());
    let rounds: u32 = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let probe = timed("connect and ask once", connect_once(&uri, Duration::from_secs(10))).await?;
    println!("{:#?}\npeers reach it as {}", probe.facts, probe.peer_uri);
    let host = HostName(probe.facts.hostname);
    let driver = LibvirtDriver::new(host, probe.uri, Arc::new(SystemClock), LibvirtOptions::default());
    let mut events = driver.events();
    while driver.link() != Link::Up {
        let _ = futures_util::StreamExt::next(&mut events).await;
    }
    timed("facts", driver.facts()).await?;
    let mut vms = Vec::new();
    for _ in 0..rounds {
        vms = timed("reading", driver.reading()).await?.vms;
    }
    for vm in vms {
        println!("{vm:?}");
        let facts = timed("  its definition", driver.vm_facts(vm.id)).await?;
        println!("  {facts:?}");
        let verdict = timed("  its CPU here", driver.judge_cpu(&facts.needs.cpu)).await?;
        println!("  {verdict:?}");
    }
    Ok(())
}
