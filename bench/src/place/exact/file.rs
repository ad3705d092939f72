//! Questions and answers in files: JSON that `bench/exact.py` reads and writes.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ulm_model::HostIx;
use ulm_place::{Problem, RelationKind};

/// What the exact solver says of one question.
#[derive(Deserialize, Serialize)]
pub struct Answer {
    /// The question's name.
    pub name: String,
    /// For each VM its host.
    pub at: Vec<u32>,
    /// Whether nothing better can be: it is proved.
    pub proved: bool,
    /// Seconds that it took.
    pub seconds: f64,
}

/// The questions as they stand in a file.
pub fn questions<'p>(named: impl Iterator<Item = (String, &'p Problem)>) -> Value {
    named.map(|(name, problem)| question(&name, problem)).collect()
}

fn question(name: &str, problem: &Problem) -> Value {
    let limit = |most: &i64| if *most == i64::MAX { Value::Null } else { json!(most) };
    let host = |it: &ulm_place::PlaceHost| {
        let capacity: Vec<Value> = it.capacity.iter().map(limit).collect();
        json!({ "capacity": capacity, "base": it.base, "takes": it.takes, "busy": it.busy })
    };
    let vm = |it: &ulm_place::PlaceVm| {
        json!({
            "at": it.at, "size": it.size, "allowed": it.allowed, "stays": it.stays,
            "move_cost": it.move_cost, "stay_cost": it.stay_cost,
        })
    };
    let hosts = problem.hosts.len() as u32;
    let set = |it: &ulm_rules::HostSet| (0..hosts).filter(|host| it.contains(HostIx(*host))).collect::<Vec<_>>();
    let relation = |it: &ulm_place::Relation| {
        let (kind, count) = match it.kind {
            RelationKind::AtMost(most) => ("at_most", most),
            RelationKind::AtLeast(least) => ("at_least", least),
            RelationKind::Near => ("near", 1),
        };
        json!({ "vms": it.vms, "domains": it.domains, "kind": kind, "count": count, "points": it.points })
    };
    // A curve as what each load costs on each host, from nothing to all VMs.
    let curve = |it: &ulm_place::Curve| {
        let on_host = |h: usize| {
            let base = problem.hosts[h].base[it.resource];
            let most = base + problem.vms.iter().map(|vm| vm.size[it.resource]).sum::<i64>();
            (0..=most).map(|load| it.points(h, i128::from(load))).collect::<Vec<_>>()
        };
        json!({ "resource": it.resource, "points": (0..hosts as usize).map(on_host).collect::<Vec<_>>() })
    };
    let table = |it: &ulm_place::Table| {
        json!({
            "vm_class": it.vm_class, "host_class": it.host_class, "points": it.points, "host_classes": it.host_classes,
        })
    };
    let room = |it: &ulm_place::WantedRoom| json!({ "shape": it.shape, "allowed": it.allowed, "count": it.count, "points": it.points });
    json!({
        "name": name,
        "hosts": problem.hosts.iter().map(host).collect::<Vec<_>>(),
        "vms": problem.vms.iter().map(vm).collect::<Vec<_>>(),
        "sets": problem.sets.iter().map(set).collect::<Vec<_>>(),
        "relations": problem.relations.iter().map(relation).collect::<Vec<_>>(),
        "curves": problem.curves.iter().map(curve).collect::<Vec<_>>(),
        "awake": problem.awake,
        "tables": problem.tables.iter().map(table).collect::<Vec<_>>(),
        "rooms": problem.rooms.iter().map(room).collect::<Vec<_>>(),
    })
}

/// The answers in a file, one on each line.
pub fn answers(path: &Path) -> anyhow::Result<Vec<Answer>> {
    ensure!(path.is_file(), "{} is not there: bench/exact.py writes it", path.display());
    let text = std::fs::read_to_string(path)?;
    let answer = |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
    text.lines().map(answer).collect()
}
