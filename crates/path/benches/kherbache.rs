//! The published instances of Kherbache's thesis (BtrPlace with mVM): hundreds of migrations over a network, hosts that are switched
//! on and off.
//!
//! Prints for each instance the migrations, our planning time, our makespan, the least that the links allow, what mVM needed
//! (`shared/data/README.md`), and ratios. Durations are mVM's own, so that makespans compare. The instances are public, not part of
//! this repository; without them the bench says so and ends. `ULM_DATA` names the folder that holds `kherbache/instances.tar.xz`.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{timed, wanted};
use serde_json::Value;
use ulm_check::{Completeness, check_route};
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, path};

/// Class; mVM's makespans and solving times, each from the best to the worst, in seconds.
const CLASSES: [(&str, [f64; 2], [f64; 2]); 5] = [
    ("random_infra-x1", [132.0, 146.0], [0.14, 0.8]),
    ("random_infra-x4", [168.0, 168.0], [2.0, 2.4]),
    ("random_vms-x8", [624.0, 658.0], [1.5, 2.6]),
    ("decommission_infra-x1", [473.0, 507.0], [0.1, 0.2]),
    ("decommission_vms-x8", [2839.0, 2941.0], [4.0, 6.5]),
];
/// Planning time of an instance, in seconds.
const BOUND: f64 = 0.1;

fn main() {
    let Some(folder) = unpacked() else { return };
    println!(
        "{:<34} {:>5} {:>17} {:>9} {:>9} {:>7} {:>16} {:>11}",
        "instance", "moves", "planning", "makespan", "least", "ratio", "mVM's makespan", "ours by it"
    );
    for (class, makespans, times) in CLASSES {
        for instance in 1..=5 {
            let name = format!("{class} {instance}");
            if wanted(&name) {
                let file = folder.join(class).join(format!("instance_{instance}.json"));
                let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                measure(&name, &read(&serde_json::from_str(&text).expect("JSON")), makespans);
            }
        }
        println!("{:<34} {:>5} {:>13} s", format!("  mVM, {class}"), "", format!("{}–{}", times[0], times[1]));
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// The instances in a folder of their own, if they are there.
fn unpacked() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("ULM_DATA").map_or(beside, PathBuf::from);
    let archive = data.join("kherbache/instances.tar.xz");
    if !archive.exists() {
        println!(
            "the instances of Kherbache's thesis are skipped: there is no {}. Set ULM_DATA to the folder that holds \
             kherbache/instances.tar.xz",
            archive.display()
        );
        return None;
    }
    let folder = std::env::temp_dir().join(format!("ulm-kherbache-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let status = Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(&folder).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: tar cannot unpack {}", archive.display());
        return None;
    }
    Some(folder)
}

fn measure(name: &str, task: &Task, peer: [f64; 2]) {
    assert_eq!(task.flaw(), None, "{name}");
    // The kernel counts processor time in ticks of some milliseconds: twenty runs are timed together.
    let (answers, time) = timed(|| [(); 20].map(|()| path(task, &ByBytes, &Budget::default(), &Alone)));
    let (answer, seconds) = (&answers[0], time.as_secs_f64() / answers.len() as f64);
    let Answer::Route(route) = answer else {
        let text: String = format!("{answer:?}").chars().take(100).collect();
        println!("{name:<34} NOT SOLVED in {seconds:.3} s: {text}");
        return;
    };
    check_route(task, route, Completeness::ToB).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    let (makespan, least) = (route.makespan_ms as f64 / 1e3, least(task) as f64 / 1e3);
    println!(
        "{name:<34} {:>5} {:>17} {makespan:>7.1} s {least:>7.1} s {:>7.2} {:>14} s {:>11}",
        route.moves(),
        format!("{seconds:.4} s ({} {BOUND})", if seconds <= BOUND { "≤" } else { ">" }),
        makespan / least,
        format!("{}–{}", peer[0], peer[1]),
        format!("{:.2}–{:.2}", makespan / peer[1], makespan / peer[0]),
    );
}

/// The least that the links allow, in milliseconds, with all moves direct: what each direction of each link has to carry, one after
/// the other at the rate of the moves; and before it the boot of the targets, and after it the shutdown of the sources.
fn least(task: &Task) -> u64 {
    let mut most = 0;
    for link in &task.links {
        let inside: BTreeSet<u32> = link.inside.iter().copied().collect();
        let (mut inward, mut outward) = ([u64::MAX, 0, u64::MAX], [u64::MAX, 0, u64::MAX]);
        for vm in task.vms.iter().filter(|vm| inside.contains(&vm.from) != inside.contains(&vm.to)) {
            let way = if inside.contains(&vm.to) { &mut inward } else { &mut outward };
            let boot = match task.hosts[vm.to as usize].power {
                Power::SwitchOn { takes_ms } => takes_ms,
                _ => 0,
            };
            let shutdown = match task.hosts[vm.from as usize].power {
                Power::SwitchOff { takes_ms } => takes_ms,
                _ => 0,
            };
            let share = rate(task, vm.from, vm.to);
            let lasts = vm.copy.takes_ms.expect("known") * share / link.rate;
            *way = [way[0].min(boot), way[1] + lasts, way[2].min(shutdown)];
        }
        for way in [inward, outward].into_iter().filter(|way| way[1] > 0) {
            most = most.max(way.iter().sum());
        }
    }
    most
}

/// The rate of the slowest link between two hosts, in bytes per second.
fn rate(task: &Task, from: u32, to: u32) -> u64 {
    let crossed = task.links.iter().filter(|link| link.inside.contains(&from) != link.inside.contains(&to));
    crossed.map(|link| link.rate).min().expect("every host has a link")
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Reading.

fn read(json: &Value) -> Task {
    let model = &json["model"];
    let mapping = &model["mapping"];
    let ids = |map: &Value| -> BTreeSet<u32> {
        map.as_object().expect("a map").keys().map(|id| id.parse().expect("a number")).collect()
    };
    let (online, offline) = (ids(&mapping["onlineNodes"]), offline(&mapping["offlineNodes"]));
    let nodes: Vec<u32> = online.union(&offline).copied().collect();
    let place: BTreeMap<u32, u32> = nodes.iter().copied().zip(0..).collect();

    let (mut target, mut emptied) = (BTreeMap::new(), BTreeSet::new());
    for constraint in json["constraints"].as_array().expect("constraints") {
        match constraint["id"].as_str() {
            Some("fence") => target.insert(number(&constraint["vm"]), number(&constraint["nodes"][0])),
            Some("offline") => {
                emptied.insert(number(&constraint["node"]));
                None
            }
            other => panic!("a constraint that is not known: {other:?}"),
        };
    }
    let views = model["views"].as_array().expect("views");
    let shared: Vec<&Value> = views.iter().filter(|view| view["id"] == "shareableResource").collect();
    let amounts = |of: &str, id: u32| -> Vec<u64> {
        shared.iter().map(|view| u64::from(number(&view[of][id.to_string()]))).collect()
    };
    let booted: BTreeSet<u32> = target.values().copied().filter(|node| offline.contains(node)).collect();
    let seconds =
        |node: u32, what: &str| 1000 * u64::from(number(&model["attributes"]["nodes"][node.to_string()][what]));
    let power = |node: u32| match (offline.contains(&node), booted.contains(&node), emptied.contains(&node)) {
        (true, true, _) => Power::SwitchOn { takes_ms: seconds(node, "boot") },
        (true, false, _) => Power::Off,
        (false, _, true) => Power::SwitchOff { takes_ms: seconds(node, "shutdown") },
        (false, _, false) => Power::On,
    };
    let hosts = nodes.iter().map(|node| TaskHost {
        name: format!("node-{node}"),
        capacity: amounts("nodes", *node),
        takes: true,
        power: power(*node),
        // Links are the only limit.
        moves_in: 1000,
        moves_out: 1000,
    });
    let mut vms = vec![];
    for (node, running) in mapping["onlineNodes"].as_object().expect("a map") {
        for vm in running["runningVMs"].as_array().expect("a list") {
            let (id, from) = (number(vm), node.parse::<u32>().expect("a number"));
            let to = target.get(&id).copied().unwrap_or(from);
            let copy = Copying {
                bytes: u64::from(number(&model["attributes"]["vms"][id.to_string()]["memUsed"])) * 1_000_000,
                ..Copying::default()
            };
            let (from, to) = (place[&from], place[&to]);
            vms.push(TaskVm { name: format!("vm-{id}"), from, to, size: amounts("vms", id), stays: false, copy });
        }
    }
    vms.sort_by_key(|vm| vm.name[3..].parse::<u32>().expect("a number"));
    let net = views.iter().find(|view| view["id"] == "net").expect("a network");
    let mut task = Task {
        resources: shared
            .iter()
            .map(|view| TaskResource { name: view["rcId"].as_str().expect("a name").into(), holds: Holds::Always })
            .collect(),
        hosts: hosts.collect(),
        vms,
        rules: vec![],
        links: links(&net["links"], &place),
    };
    for vm in 0..task.vms.len() {
        let TaskVm { from, to, .. } = task.vms[vm];
        if from != to {
            let id = &task.vms[vm].name[3..];
            let lasts = duration_ms(&model["attributes"]["vms"][id], rate(&task, from, to) * 8 / 1_000_000);
            task.vms[vm].copy.takes_ms = Some(lasts);
        }
    }
    task
}

/// Nodes that are off: a list of numbers.
fn offline(list: &Value) -> BTreeSet<u32> {
    list.as_array().expect("a list").iter().map(number).collect()
}

/// A link of a node separates it from all others, one of an edge switch the nodes of that switch.
fn links(list: &Value, place: &BTreeMap<u32, u32>) -> Vec<TaskLink> {
    let list = list.as_array().expect("links");
    let of = |link: &Value| {
        let element = &link["physicalElement"];
        (element["type"] == "node", number(&element["id"]), number(&link["switch"]))
    };
    let mut links = vec![];
    for link in list {
        let (is_node, id, _) = of(link);
        let inside = match is_node {
            true => vec![place[&id]],
            false => {
                let below = list.iter().map(of).filter(|(is_node, _, switch)| *is_node && *switch == id);
                below.map(|(_, node, _)| place[&node]).collect()
            }
        };
        let name = format!("{}-{id}", if is_node { "node" } else { "switch" });
        links.push(TaskLink { name, rate: u64::from(number(&link["capacity"])) * 1_000_000 / 8, inside });
    }
    links
}

/// How long mVM expects a migration to take: its own formula, with 9 Mb/s for each MB/s that arrives.
fn duration_ms(vm: &Value, megabits: u64) -> u64 {
    let field = |name: &str| vm[name].as_f64().expect("a number");
    let rate = megabits as f64 / 9.0;
    let (memory, hot, hot_time, cold_rate) =
        (field("memUsed"), field("hotDirtySize"), field("hotDirtyDuration"), field("coldDirtyRate"));
    let (once, hot_rate) = (memory / rate, hot / hot_time);
    let seconds = if once > hot_time {
        let left = (hot + (once - hot_time) * cold_rate) / (rate - cold_rate);
        once + left + (hot / rate) * (hot_rate / (rate - hot_rate))
    } else {
        once + hot_rate * once / (rate - hot_rate)
    };
    (seconds * 1000.0).round() as u64
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}")) as u32
}
