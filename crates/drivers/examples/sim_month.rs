//! How fast the simulator is: 30 simulated days of a noisy cluster, read every 15 s, and nothing else.
//!
//! `cargo run -p ulm-drivers --example sim_month [HOSTS VMS]`

use std::time::{Duration, Instant};

use ulm_drivers::sim::{Scenario, SimCluster};

fn main() {
    let mut sizes = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number of hosts or VMs"));
    let (hosts, vms) = (sizes.next().unwrap_or(20), sizes.next().unwrap_or(300));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        let cluster = SimCluster::in_virtual_time(&Scenario::noisy(hosts, vms, 1)).expect("the scenario is sound");
        let drivers = cluster.drivers();
        let mut readings = 0_u64;
        let rounds = 30 * 86_400 / 15;
        for _ in 0..rounds {
            tokio::time::sleep(Duration::from_secs(15)).await;
            for driver in &drivers {
                readings += driver.reading().await.map_or(0, |reading| reading.vms.len() as u64);
            }
        }
        let took = begun.elapsed().as_secs_f64();
        println!("{hosts} hosts, {vms} VMs, 30 days every 15 s: {took:.1} s");
        println!("{rounds} rounds, {readings} readings of VMs, {:.0} ns each", took * 1e9 / readings as f64);
        assert!(cluster.world().violations().is_empty());
    });
}
