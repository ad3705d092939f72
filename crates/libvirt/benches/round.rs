//! Figures, printed: `cargo bench -p ulm-libvirt`
//!
//! * one call on an idle connection over loopback;
//! * reading the statistics of one host with 30 VMs;
//! * one round over 100 fake daemons of 30 VMs each (CPU, memory and all VMs), two of which hang.
//!
//! Client and fake daemons share one process, so the fake daemons' work is in the figures.

use std::time::{Duration, Instant};
use ulm_libvirt::testing::{Behaviour, FakeHost, FakeServer};
use ulm_libvirt::{Connection, StatsRequest};

const HOSTS: usize = 100;
const VMS: u32 = 30;

#[tokio::main]
async fn main() {
    let mut servers = Vec::new();
    let mut hosts = Vec::new();
    for n in 0..HOSTS {
        let host = FakeHost::with_vms(&format!("h{n:03}"), VMS);
        let server = FakeServer::tcp(host).await.unwrap();
        hosts.push(Connection::open(&server.uri()).await.unwrap());
        servers.push(server);
    }

    median("one call (hostname)", 2000, async || {
        hosts[0].hostname().await.unwrap();
    })
    .await;
    let request = StatsRequest::default();
    median("statistics of 30 VMs", 500, async || {
        assert_eq!(hosts[0].domain_stats(&request).await.unwrap().len(), 30);
    })
    .await;

    // What one observer does: all hosts at once, each with its own deadline.
    for hanging in [0, 2] {
        for server in &servers[..hanging] {
            server.behave(Behaviour::Hangs);
        }
        let what = format!("round over {HOSTS} hosts of {VMS} VMs, {hanging} hang: all others after");
        median(&what, 20, async || {
            let (done, mut finished) = tokio::sync::mpsc::channel(HOSTS);
            let mut round = tokio::task::JoinSet::new();
            for host in &hosts {
                let (host, done) = (host.within(Duration::from_secs(10)), done.clone());
                round.spawn(async move {
                    let (cpu, memory, vms) = tokio::join!(host.node_cpu_stats(), host.node_memory_stats(), async {
                        host.domain_stats(&StatsRequest::default()).await
                    });
                    if let (Ok(_), Ok(_), Ok(vms)) = (cpu, memory, vms) {
                        let _ = done.send(vms.len()).await;
                    }
                });
            }
            for _ in hanging..HOSTS {
                assert_eq!(finished.recv().await, Some(VMS as usize));
            }
            round.abort_all();
        })
        .await;
        // Every round leaves calls behind on the hanging hosts; enough of them and the
        // connection is given up, so new ones are made for the next figure.
        for (host, server) in hosts.iter_mut().zip(&servers[..hanging]) {
            server.behave(Behaviour::Normal);
            *host = Connection::open(&server.uri()).await.unwrap();
        }
    }
}

async fn median(what: &str, times: usize, mut work: impl AsyncFnMut()) {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begin = Instant::now();
        work().await;
        took.push(begin.elapsed());
    }
    took.sort();
    let (median, worst) = (took[times / 2], took[times - 1]);
    println!("{what}: median {median:.2?}, worst of {times} {worst:.2?}");
}
