//! Keeps a link to a host and prints its state and events:
//! `cargo run -p ulm-libvirt --example watch -- qemu+ssh://root@h1/system`

use std::process::ExitCode;
use ulm_libvirt::{Event, Incoming, Link, LinkOptions, LinkState, Uri};

#[tokio::main]
async fn main() -> ExitCode {
    let uri = std::env::args().nth(1).unwrap_or("qemu:///system".into());
    let uri: Uri = match uri.parse() {
        Ok(uri) => uri,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let link = Link::start(uri, LinkOptions::default());
    let (mut state, mut events) = (link.state(), link.events());
    loop {
        tokio::select! {
            changed = state.changed() => {
                if changed.is_err() {
                    return ExitCode::SUCCESS;
                }
                match &*state.borrow_and_update() {
                    LinkState::Connecting => println!("connecting"),
                    LinkState::Up { .. } => println!("up"),
                    LinkState::Down { reason, retry_in, .. } => {
                        println!("down: {reason}; again in {} s", retry_in.as_secs());
                    }
                }
            }
            Some(incoming) = events.next() => match incoming {
                Incoming::Event(Event::Lifecycle { domain, change }) => {
                    println!("{}: {change}", domain.name);
                }
                Incoming::Event(Event::MigrationIteration { domain, iteration }) => {
                    println!("{}: pass {iteration} over the memory", domain.name);
                }
                Incoming::Event(Event::JobCompleted { domain, stats }) => {
                    println!("{}: {} ended, downtime {:?} ms", domain.name, stats.operation, stats.downtime_ms);
                }
                Incoming::Lagged(n) => println!("{n} events lost"),
                Incoming::Interrupted(why) => println!("events may be missing: {why}"),
            },
        }
    }
}
