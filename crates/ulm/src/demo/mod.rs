//! `ulm demo`: the real daemon over a simulated cluster, faster than real time.
//!
//! Everything but the hypervisors is what runs in earnest: the loop, the decision, the checker, the
//! executor, the ledger (in memory). Time is tokio's paused clock, which jumps to the next thing that is
//! due; a pacer holds it back so that people can watch. [`story`] turns what the daemon publishes into
//! lines, [`screen`] shows them. The same seed tells the same story, at any speed.

mod screen;
mod story;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use ulm_control::view::LedgerQuery;
use ulm_control::{Config, Daemon, Handle, Keep};
use ulm_drivers::sim::{Scenario, SimCluster};
use ulm_model::Acting;
use ulm_model::ledger::Entry;
use ulm_policy::Policy;

use crate::cli::{Common, Demo, Speed};
use crate::exit::{Exit, Failure, Outcome};
use screen::Screen;
use story::Story;
use ulm_control::simulated::{SimConnector, uri_of};

/// The pacer holds virtual time back once in each such span of it.
const PACE: Duration = Duration::from_millis(250);

/// Between two looks at the ledger at most so many entries come.
const ENTRIES: u32 = 200;

/// Tells the whole story.
pub fn run(common: &Common, args: Demo) -> Outcome {
    if !(args.hours > 0.0 && args.hours <= 24.0 * 366.0) {
        return Err(Failure::new(Exit::Usage, "--hours must be more than 0, and a year at most"));
    }
    if args.hosts < 2 || args.hosts > 1000 || args.vms == 0 || args.vms > 30_000 {
        return Err(Failure::new(Exit::Usage, "the demonstration takes 2 to 1000 hosts and 1 to 30000 VMs"));
    }
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Error, format!("the demonstration failed: {error}"));
    // One thread and paused time: nothing is left to chance but what the seed says.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| failed(&error))?;
    runtime.block_on(tell(common, &args))
}

async fn tell(common: &Common, args: &Demo) -> Outcome {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Error, format!("the demonstration failed: {error}"));
    let scenario = Scenario::demo_of(args.hosts, args.vms, args.seed);
    let cluster = SimCluster::in_virtual_time(&scenario).map_err(|error| failed(&error))?;
    let policy = Policy::default();
    let threshold = policy.hotspot.cpu;
    let config = Config {
        keep: Keep::Memory,
        policy: policy.into(),
        connector: Arc::new(SimConnector(cluster.clone())),
        clock: cluster.clock(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (mut handle, daemon) = Daemon::start(config).map_err(|error| failed(&error))?;
    let stop = CancellationToken::new();
    let daemon = tokio::spawn(daemon.run(stop.clone()));
    let hosts = cluster.world().host_names();
    for host in &hosts {
        handle.add_host(&uri_of(host), Some(&host.0), "demo").await?;
    }
    handle.set_acting(Acting::On, "demo").await?;
    if let Speed::Times(times) = args.speed {
        tokio::spawn(pace(times));
    }

    let mut screen = Screen::new(common.json);
    let mut story = Story::new(threshold);
    screen.opening(args);
    let end = tokio::time::sleep(Duration::from_secs_f64(args.hours * 3600.0));
    tokio::pin!(end);
    let mut seen = 0;
    loop {
        let published = tokio::select! {
            biased;
            () = &mut end => break,
            published = handle.changed() => match published {
                Some(published) => published,
                None => return Err(failed(&"the daemon ended before its time")),
            },
        };
        let now = cluster.clock().now();
        let entries = new_entries(&handle, &mut seen)?;
        let lines = story.go_on(now, &published, &entries);
        screen.show(now, &published, &lines);
    }
    let violations = cluster.world().violations().to_vec();
    stop.cancel();
    daemon.await.map_err(|error| failed(&error))?;
    screen.summary(&story.summary(&handle.published()));
    match violations.first() {
        None => Ok(()),
        Some(violation) => Err(failed(&format!("the simulator contradicted itself: {violation}"))),
    }
}

/// Holds virtual time back to so many seconds of it per second.
async fn pace(times: f64) {
    let (virtual_start, real_start) = (tokio::time::Instant::now(), std::time::Instant::now());
    loop {
        tokio::time::sleep(PACE).await;
        let due = virtual_start.elapsed().div_f64(times);
        // The one thread of the runtime: while it sleeps no time passes in the simulation.
        std::thread::sleep(due.saturating_sub(real_start.elapsed()));
    }
}

fn new_entries(handle: &Handle, seen: &mut u64) -> Outcome<Vec<Entry>> {
    let query = LedgerQuery { limit: Some(ENTRIES), ..LedgerQuery::default() };
    let mut entries = handle.ledger(&query)?;
    entries.retain(|entry| entry.seq > *seen);
    entries.reverse();
    if let Some(last) = entries.last() {
        *seen = last.seq;
    }
    Ok(entries)
}
