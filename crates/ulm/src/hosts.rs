//! `ulm host add|list|test|tag|remove|maintenance`.

use std::collections::BTreeSet;
use std::sync::Arc;

use ulm_control::Connector;
use ulm_control::connect::{LibvirtConnector, with_peer};
use ulm_control::view::{HostCondition, HostStatus, HostTrial};
use ulm_drivers::SystemClock;
use ulm_model::{HostName, Time};
use ulm_policy::Everywhere;
use ulm_web::client::Client;

use crate::cli::{Common, Host, Switch};
use crate::exit::Outcome;
use crate::figures::{percent, warmth, with_age};
use crate::print::{self, BAD, GOOD, Side, WARM, styled};
use ulm_control::simulated;

/// Does it.
pub async fn run(common: &Common, client: &Client, args: Host) -> Outcome {
    match args {
        Host::Add { uri, name, peer } => {
            let uri = peer.map_or_else(|| uri.clone(), |peer| with_peer(&uri, &peer));
            let added = client.add_host(&uri, name.as_deref()).await?;
            if common.json {
                return print::json(&added);
            }
            anstream::println!("{} is under care. Its first figures come with the next round.", added.name);
        }
        Host::List => {
            let status = client.status().await?;
            if common.json {
                return print::json(&status.hosts);
            }
            anstream::println!("{}", listed(&status.hosts));
        }
        Host::Test { uri } => {
            let trial = try_out(client, &uri).await?;
            if common.json {
                return print::json(&trial);
            }
            tell(&uri, &trial);
        }
        Host::Remove { name } => {
            let name = HostName(name);
            client.remove_host(&name).await?;
            if common.json {
                return print::json(&serde_json::json!({ "removed": name }));
            }
            anstream::println!("{name} is not under care any more. Its VMs stay where they are.");
        }
        Host::Tag { name, tags } => {
            let (name, tags) = (HostName(name), BTreeSet::from_iter(tags));
            client.set_tags(&name, tags.clone()).await?;
            if common.json {
                return print::json(&serde_json::json!({ "host": name, "tags": tags }));
            }
            let list: Vec<&str> = tags.iter().map(String::as_str).collect();
            match list.as_slice() {
                [] => anstream::println!("{name} has no tags."),
                tags => anstream::println!("{name} has the tags {}.", tags.join(", ")),
            }
        }
        Host::Maintenance { name, switch } => {
            let name = HostName(name);
            let on = switch == Switch::On;
            client.set_maintenance(&name, on).await?;
            if common.json {
                return print::json(&serde_json::json!({ "host": name, "maintenance": on }));
            }
            anstream::println!(
                "{name} {}",
                if on { "is in maintenance: it takes no VMs; those on it stay." } else { "takes VMs again." }
            );
        }
    }
    Ok(())
}

/// Without the daemon, but for simulated hosts, which only a daemon has.
async fn try_out(client: &Client, uri: &str) -> Outcome<HostTrial> {
    if simulated::is_simulated(uri) {
        return Ok(client.try_host(uri).await?);
    }
    let connector = LibvirtConnector::new(Arc::new(SystemClock), Everywhere::default());
    // Fails at once, and as what it is, when the URI is malformed.
    connector.connect(&HostName::from("trial"), uri)?;
    Ok(connector.trial(uri).await?)
}

fn tell(uri: &str, trial: &HostTrial) {
    let facts = &trial.facts;
    anstream::println!("{} {uri} answers", styled(GOOD, "good:"));
    let rows = [
        ("host name", facts.hostname.clone()),
        ("machine", facts.machine.to_string()),
        ("hypervisor", facts.platform.hypervisor.clone()),
        ("processors", format!("{} ({}, {})", trial.cpus, facts.platform.arch, facts.platform.cpu_model)),
        ("memory", trial.memory.to_string()),
        ("VMs", trial.vms.to_string()),
        ("networks", join(&facts.networks)),
        ("storage", join(&facts.storage)),
        ("reached by other hosts as", trial.peer_uri.clone()),
        ("took", print::span(trial.took)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    anstream::println!("{}", print::table(&[("", Side::Left), ("", Side::Left)], rows).trim_start_matches('\n'));
}

fn join(words: &std::collections::BTreeSet<String>) -> String {
    if words.is_empty() {
        return "none".into();
    }
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn listed(hosts: &[HostStatus]) -> String {
    if hosts.is_empty() {
        return "No hosts yet. `ulm host add URI` takes one under care, e.g. qemu+ssh://root@host1/system.".into();
    }
    let rows = hosts.iter().map(|host| {
        vec![host.name.to_string(), condition(host), host.uri.clone(), host.hypervisor.clone(), host.vms.to_string()]
    });
    let headings = [
        ("HOST", Side::Left),
        ("STATE", Side::Left),
        ("URI", Side::Left),
        ("HYPERVISOR", Side::Left),
        ("VMS", Side::Right),
    ];
    print::table(&headings, rows.collect())
}

/// The hosts with their loads.
pub fn loads(hosts: &[HostStatus], now: Time) -> String {
    let rows = hosts.iter().map(|host| {
        let cpu = host.cpu_share.map_or("-".into(), |share| styled(warmth(share), percent(share)));
        let memory = host.memory_share.map_or("-".into(), percent);
        vec![
            host.name.to_string(),
            condition(host),
            cpu,
            with_age(host.cpu_use, now, |used| format!("{used} of {}", host.cpu.0 / 1000)),
            memory,
            format!("{} of {}", host.memory_promised, host.memory),
            host.vms.to_string(),
            host.vcpus.to_string(),
        ]
    });
    let headings = [
        ("HOST", Side::Left),
        ("STATE", Side::Left),
        ("CPU", Side::Right),
        ("IN USE", Side::Left),
        ("MEMORY", Side::Right),
        ("PROMISED", Side::Left),
        ("VMS", Side::Right),
        ("VCPUS", Side::Right),
    ];
    print::table(&headings, rows.collect())
}

fn condition(host: &HostStatus) -> String {
    match host.state {
        HostCondition::Up => styled(GOOD, "up"),
        HostCondition::Doubted => styled(WARM, "watched only"),
        HostCondition::Maintenance => styled(WARM, "maintenance"),
        HostCondition::Unreachable => styled(BAD, "unreachable"),
    }
}
