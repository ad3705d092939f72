//! What goals want, as terms of a placement question.

use std::collections::BTreeMap;

use ulm_model::{Bytes, Host, HostIx, Reason, Share, Snapshot, label};
use ulm_place::{Curve, Points, Relation, RelationKind, Table, WantedRoom};
use ulm_policy::{Custom, Goal, GoalKind, PlacementExpression, PlacementTable, Shape, Spread};
use ulm_rules::HostSet;
use ulm_rules::select::selects_host;

use super::cells;
use super::question::{self, CPU, DISK, NETWORK, PROMISED, Question, RECKONED, USED, VCPUS, WEIGHT, WISHED};
use crate::concerns::domains;
use crate::round::Round;

/// Racks are taken for warm above this temperature, in degrees Celsius.
const WARM: u64 = 25;

/// As many VMs of a shape as possible: so many at most.
const MANY: u32 = 10_000;

/// Adds what the goal wants. Gives what of it had to be set aside.
pub(super) fn add(question: &mut Question, round: &Round<'_>, goal: &Goal) -> Vec<Reason> {
    let (snapshot, weight) = (&round.input.snapshot, u64::from(goal.weight) * WEIGHT);
    match &goal.kind {
        GoalKind::Relieve | GoalKind::Rules => {}
        GoalKind::Even(spread) => spread_load(question, snapshot, goal, spread, 2, weight),
        GoalKind::Headroom(spread) => spread_load(question, snapshot, goal, spread, 4, weight),
        GoalKind::Defragment(defragment) => {
            let awake = &mut question.problem.awake;
            awake.resize(snapshot.hosts.len(), 0);
            for (ix, host) in concerned(snapshot, goal) {
                let watts = u64::from(watts(host, defragment.watts));
                awake[ix.at()] += points(weight.saturating_mul(watts) / 100);
                let limit = &mut question.problem.hosts[ix.at()].capacity;
                limit[RECKONED] = limit[RECKONED].min(question::part(host.cpu.0, defragment.cpu));
                limit[USED] = limit[USED].min(question::part(host.memory.0, defragment.memory));
            }
        }
        GoalKind::Evacuate => {
            for (ix, _) in concerned(snapshot, goal) {
                question.problem.hosts[ix.at()].takes = false;
            }
            for vm in &mut question.problem.vms {
                if selects_host(&goal.hosts, snapshot.host(HostIx(vm.at))) {
                    vm.stay_cost = vm.stay_cost.saturating_add(points(weight.saturating_mul(10)));
                }
            }
            // Spread over the others: a little of `even`, from nothing on.
            let little = Spread { floor: Share::ZERO, ..Spread::default() };
            spread_load(question, snapshot, &Goal::new("", goal.kind.clone()), &little, 2, weight / 10);
        }
        GoalKind::MakeRoom(shape) => make_room(question, round, goal, shape, weight),
        GoalKind::Colocate { label: key, level } => {
            let domains = domains(snapshot, level, &|_| true);
            let mut groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
            for (number, vm) in question.vms.iter().enumerate() {
                if let Some(value) = label(&snapshot.vm(*vm).tags, key) {
                    groups.entry(value).or_default().push(number as u32);
                }
            }
            for vms in groups.into_values().filter(|vms| vms.len() > 1) {
                let (domains, kind) = (domains.clone(), RelationKind::Near);
                question.problem.relations.push(Relation { vms, domains, kind, points: Some(points(weight / 4)) });
            }
        }
        GoalKind::Merge(merge) => {
            let aside =
                |what: &str| vec![Reason::Impossible { of: format!("goal `{}`", goal.name), what: what.to_owned() }];
            if round.policy.sharing.is_empty() {
                return aside("no sharing group says what VMs have in common");
            }
            if !snapshot.hosts.iter().any(Host::merges) {
                return aside("no host was seen to merge equal pages");
            }
            let more = Bytes(merge.sends.0.saturating_mul(u64::from(goal.weight)) / 100);
            question.sends = Some(question.sends.unwrap_or_default() + more);
        }
        GoalKind::Custom(custom) => return custom_cost(question, snapshot, goal, custom),
    }
    Vec::new()
}

/// The hosts that the goal is about.
fn concerned<'s>(snapshot: &'s Snapshot, goal: &'s Goal) -> impl Iterator<Item = (HostIx, &'s Host)> {
    snapshot.hosts_ix().filter(|(_, host)| concerns(goal, host))
}

/// Whether the goal is about the host.
pub(crate) fn concerns(goal: &Goal, host: &Host) -> bool {
    goal.hosts.is_empty() || selects_host(&goal.hosts, host)
}

/// What the host saves when it carries nothing: by its label `watts`, or as the goal says.
pub(crate) fn watts(host: &Host, usual: u32) -> u32 {
    number(host, "watts").and_then(|watts| u32::try_from(watts).ok()).unwrap_or(usual)
}

fn number(host: &Host, key: &str) -> Option<u64> {
    label(&host.tags, key)?.parse().ok()
}

/// What is spread, each with its weight.
pub(crate) fn spread_of(spread: &Spread) -> [(usize, u32); 5] {
    [
        (CPU, spread.cpu),
        (USED, spread.memory),
        (DISK, spread.disk),
        (NETWORK, spread.network),
        (WISHED, spread.contention),
    ]
}

fn spread_load(q: &mut Question, snapshot: &Snapshot, goal: &Goal, spread: &Spread, power: u32, weight: u64) {
    let floor = spread.floor.0;
    for (resource, part) in spread_of(spread).into_iter().filter(|(_, part)| *part > 0) {
        let weight = points(weight.saturating_mul(u64::from(part)) / 100);
        let whole = wholes(q, snapshot, goal, resource);
        q.problem.curves.push(Curve { resource, whole, floor, power, weight });
    }
    if spread.heat > 0 {
        let weight = points(weight.saturating_mul(u64::from(spread.heat)) / 100);
        q.problem.curves.push(Curve { resource: CPU, whole: cooler(snapshot, goal), floor: 0, power: 1, weight });
    }
}

/// What is the whole of the resource on each host that the goal is about: what the host has, or what the busiest one carries.
pub(crate) fn wholes(q: &Question, snapshot: &Snapshot, goal: &Goal, resource: usize) -> Vec<i64> {
    let mut wholes = vec![0; snapshot.hosts.len()];
    let carried = |resource: usize| {
        let mut sums = vec![0i64; snapshot.hosts.len()];
        q.problem.vms.iter().for_each(|vm| sums[vm.at as usize] += vm.size[resource]);
        sums.into_iter().max().unwrap_or(0)
    };
    let busiest = if matches!(resource, DISK | NETWORK) { carried(resource) } else { 0 };
    for (ix, host) in concerned(snapshot, goal) {
        wholes[ix.at()] = match resource {
            CPU | WISHED => question::whole_number(host.cpu.0),
            USED => question::whole_number(host.memory.0),
            _ => busiest,
        };
    }
    wholes
}

/// CPUs of warm racks count as fewer: at 10 degrees above what is taken for warm the whole load of a host costs as much as the curve's
/// weight. The temperature of a rack is the mean of what its hosts tell.
fn cooler(snapshot: &Snapshot, goal: &Goal) -> Vec<i64> {
    const DEGREES: u64 = 10;
    let mut racks: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (_, host) in concerned(snapshot, goal) {
        if let (Some(rack), Some(celsius)) = (label(&host.tags, "rack"), number(host, "celsius")) {
            let (sum, hosts) = racks.entry(rack).or_default();
            (*sum, *hosts) = (sum.saturating_add(celsius), *hosts + 1);
        }
    }
    let mut wholes = vec![0; snapshot.hosts.len()];
    for (ix, host) in concerned(snapshot, goal) {
        let rack = label(&host.tags, "rack").and_then(|rack| racks.get(rack));
        let above = rack.map_or(0, |(sum, hosts)| (sum / hosts).saturating_sub(WARM));
        if let Some(whole) = host.cpu.0.saturating_mul(DEGREES).checked_div(above) {
            wholes[ix.at()] = question::whole_number(whole).max(1);
        }
    }
    wholes
}

/// Adds that there is to be room for VMs of the shape on the goal's hosts; each that is missing costs so much.
pub(crate) fn make_room(question: &mut Question, round: &Round<'_>, goal: &Goal, shape: &Shape, weight: u64) {
    let snapshot = &round.input.snapshot;
    let parts = cells::wanted(question, round, goal, shape);
    let mut wanted = vec![0; question.problem.resources];
    wanted[PROMISED] = question::whole_number(shape.memory.0);
    wanted[question::HELD] = held(shape);
    wanted[VCPUS] = i64::from(shape.vcpus);
    let has_part = parts.as_ref().is_none_or(|parts| !parts.is_empty());
    let open = HostSet::of(snapshot.hosts.len(), |ix| {
        let host = snapshot.host(ix);
        has_part && round.is_open(ix) && concerns(goal, host)
    });
    question.problem.sets.push(open);
    let allowed = question.problem.sets.len() as u32 - 1;
    let count = shape.count.unwrap_or(MANY);
    let parts = parts.unwrap_or_default();
    question.problem.rooms.push(WantedRoom { shape: wanted, parts, allowed, count, points: points(weight) });
}

/// What a VM of the shape takes of the memory that a host has available: nothing in huge pages, which were set aside before.
pub(super) fn held(shape: &Shape) -> i64 {
    if shape.pages.is_some() { 0 } else { question::whole_number(shape.memory.0) }
}

/// A unit of the expressions costs as much as moving 4 GiB, at the usual wish for gain. Gives what was set aside.
fn custom_cost(q: &mut Question, snapshot: &Snapshot, goal: &Goal, custom: &Custom) -> Vec<Reason> {
    let unit = Points::from(goal.weight);
    let mut aside = Vec::new();
    for (text, awake) in [(&custom.each, false), (&custom.awake, true)] {
        let Some(text) = text else { continue };
        let table = match evaluated(text, awake, snapshot) {
            Ok(table) => table,
            Err(what) => {
                aside.push(Reason::Impossible { of: format!("goal `{}`", goal.name), what });
                continue;
            }
        };
        aside.extend(table.aside.iter().cloned());
        let points: Vec<Points> = table.points.iter().map(|cost| cost.saturating_mul(unit).min(1 << 38)).collect();
        if awake {
            q.problem.awake.resize(snapshot.hosts.len(), 0);
            for (host, awake) in q.problem.awake.iter_mut().enumerate() {
                *awake = awake.saturating_add(points[table.host_class[host] as usize]);
            }
        } else {
            let vm_class = q.vms.iter().map(|vm| table.vm_class[vm.at()]).collect();
            let (host_class, host_classes) = (table.host_class, table.host_classes);
            q.problem.tables.push(Table { vm_class, host_class, points, host_classes });
        }
    }
    aside
}

fn evaluated(text: &str, awake: bool, snapshot: &Snapshot) -> Result<PlacementTable, String> {
    let expression = if awake { PlacementExpression::awake(text) } else { PlacementExpression::each(text) };
    expression.and_then(|expression| expression.over(snapshot)).map_err(|error| error.to_string())
}

/// As points that sums can be built of.
pub(super) fn points(amount: u64) -> Points {
    const LARGEST: u64 = 1 << 38;
    amount.min(LARGEST) as Points
}
