//! Judges a plan by the instance alone, moment by moment. It knows nothing of how the plan was found.
//!
//! A VM that moves is on both hosts until the move has ended: with what it takes now where it comes from, with what it will take where
//! it goes. A VM that stays gets what it will take as soon as its host has it for all that stay there.

use std::collections::BTreeMap;

use ulm_model::{Route, RouteAction};

use super::instance::{Asks, Instance, Vm};

/// A move of a VM: where it goes, and from when to when.
#[derive(Clone, Copy)]
struct Move {
    to: u32,
    start_ms: u64,
    end_ms: u64,
}

/// What the judge says.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Sum of the ends of all actions, in milliseconds: moves, starts, hosts switched on and off, and allocations to VMs that stay.
    pub ends_ms: u64,
    /// Migrations; of a VM that is moved twice, both.
    pub moves: usize,
    /// VMs that are started.
    pub boots: usize,
    /// What is wrong, at the end or at some moment: the number of cases.
    pub violations: usize,
}

struct Plan<'i> {
    instance: &'i Instance,
    /// For each VM its moves, one after the other.
    moves: Vec<Vec<Move>>,
    /// For each host when it is on: from, until.
    on: Vec<(u64, u64)>,
    verdict: Verdict,
}

/// Judges the route. Hosts and VMs of its task are those of the instance; one host more is where VMs wait.
pub fn judge(instance: &Instance, route: &Route) -> Verdict {
    let on = instance.hosts.iter().map(|it| if it.on { (0, u64::MAX) } else { (u64::MAX, u64::MAX) }).collect();
    let mut plan = Plan { instance, moves: vec![Vec::new(); instance.vms.len()], on, verdict: Verdict::default() };
    for step in &route.steps {
        plan.verdict.ends_ms += step.end_ms;
        match step.action {
            RouteAction::Move { vm, to, .. } => {
                plan.moves[vm as usize].push(Move { to, start_ms: step.start_ms, end_ms: step.end_ms });
            }
            RouteAction::PowerOn { host } => plan.on[host as usize].0 = step.end_ms,
            RouteAction::PowerOff { host } => plan.on[host as usize].1 = step.start_ms,
        }
    }
    let waits = |(vm, moves): &(&Vm, &Vec<Move>)| vm.at.is_none() && !moves.is_empty();
    plan.verdict.boots = instance.vms.iter().zip(&plan.moves).filter(waits).count();
    plan.verdict.moves = plan.moves.iter().flatten().count() - plan.verdict.boots;
    let granted = plan.granted();
    let mut moments: Vec<u64> = plan.moves.iter().flatten().flat_map(|it| [it.start_ms, it.end_ms]).collect();
    moments.extend(granted.iter().copied());
    moments.push(0);
    moments.sort_unstable();
    moments.dedup();
    let last = moments[moments.len() - 1];
    for moment in moments {
        plan.look(moment, &granted, moment == last);
    }
    plan.verdict
}

impl Plan<'_> {
    /// On which hosts the VM is: where it stays or comes from, and where it goes.
    fn places(&self, vm: usize, moment: u64) -> [Option<u32>; 2] {
        let begun = self.moves[vm].iter().filter(|it| it.start_ms <= moment).count();
        let home = self.instance.vms[vm].at;
        let before = begun.checked_sub(2).map_or(home, |i| Some(self.moves[vm][i].to));
        match begun.checked_sub(1).map(|i| self.moves[vm][i]) {
            Some(it) if it.end_ms <= moment => [None, Some(it.to)],
            Some(it) => [before, Some(it.to)],
            None => [home, None],
        }
    }

    /// When each host gives the VMs that stay on it what they will take. Counts that as the end of an action for each that gets more.
    fn granted(&mut self) -> Vec<u64> {
        let instance = self.instance;
        let mut granted = vec![0; instance.hosts.len()];
        let mut leaving: Vec<Vec<(u64, usize)>> = vec![Vec::new(); instance.hosts.len()];
        for (vm, moves) in self.moves.iter().enumerate() {
            if let (Some(it), Some(home)) = (moves.first(), instance.vms[vm].at) {
                leaving[home as usize].push((it.end_ms, vm));
            }
        }
        leaving.iter_mut().for_each(|it| it.sort_unstable());
        for resource in &instance.resources {
            let mut load = vec![0; instance.hosts.len()];
            for (vm, at) in instance.vms.iter().enumerate() {
                let end = self.moves[vm].last().map_or(at.at, |it| Some(it.to));
                end.iter().for_each(|host| load[*host as usize] += resource.then[vm]);
            }
            for (host, leaving) in leaving.iter().enumerate() {
                let mut load = load[host] + leaving.iter().map(|it| resource.now[it.1]).sum::<i64>();
                for (end, vm) in leaving {
                    if load > resource.capacity[host] {
                        granted[host] = granted[host].max(*end);
                        load -= resource.now[*vm];
                    }
                }
            }
        }
        for (vm, it) in instance.vms.iter().enumerate() {
            let more = instance.resources.iter().any(|resource| resource.then[vm] > resource.now[vm]);
            if let (true, Some(host), true) = (more, it.at, self.moves[vm].is_empty()) {
                self.verdict.ends_ms += granted[host as usize];
            }
        }
        granted
    }

    /// Counts what is wrong at a moment, or at the end, where also that must hold which need not hold on the way.
    fn look(&mut self, moment: u64, granted: &[u64], last: bool) {
        let instance = self.instance;
        let places: Vec<[Option<u32>; 2]> = (0..instance.vms.len()).map(|vm| self.places(vm, moment)).collect();
        let mut wrong = 0;
        for resource in &instance.resources {
            let mut load = vec![0; instance.hosts.len()];
            for (vm, [from, to]) in places.iter().enumerate() {
                if let Some(host) = from {
                    let stays = self.moves[vm].is_empty() && granted[*host as usize] <= moment;
                    load[*host as usize] += if stays { resource.then[vm] } else { resource.now[vm] };
                }
                to.iter().for_each(|host| load[*host as usize] += resource.then[vm]);
            }
            wrong += load.iter().zip(&resource.capacity).filter(|(load, most)| load > most).count();
        }
        for host in places.iter().flatten().flatten() {
            let (from, until) = self.on[*host as usize];
            wrong += usize::from(moment < from || moment >= until);
        }
        for group in instance.groups.iter().filter(|it| last || it.continuous) {
            let at = group.vms.iter().flat_map(|vm| places[*vm as usize]).flatten();
            wrong += match &group.asks {
                Asks::Spread => {
                    let mut there: BTreeMap<u32, usize> = BTreeMap::new();
                    at.for_each(|host| *there.entry(host).or_default() += 1);
                    there.values().filter(|count| **count > 1).count()
                }
                Asks::Fence(hosts) => at.filter(|host| hosts.binary_search(host).is_err()).count(),
                Asks::Among(parts) => {
                    let at: Vec<u32> = at.collect();
                    let within = |part: &Vec<u32>| at.iter().all(|host| part.binary_search(host).is_ok());
                    usize::from(!parts.iter().any(within))
                }
            };
        }
        if last {
            wrong += places.iter().filter(|it| it.iter().flatten().count() != 1).count();
            let on = |(host, it): (usize, &super::instance::Host)| {
                (self.on[host].0 < u64::MAX && self.on[host].1 == u64::MAX) == it.on_then
            };
            wrong += instance.hosts.iter().enumerate().filter(|it| !on(*it)).count();
        }
        self.verdict.violations += wrong;
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::RouteStep;

    use super::super::instance::{Group, Host, Resource};
    use super::*;

    /// Two VMs of 6 on the first of two hosts; the second VM is to get 9.
    fn instance() -> Instance {
        let host = |id| Host { id, on: true, on_then: true };
        let vm = |id| Vm { id, at: Some(0), boot_ms: 5_000 };
        let cpu = Resource { name: "cpu".into(), capacity: vec![12, 10], now: vec![6, 6], then: vec![6, 9] };
        Instance { hosts: vec![host(0), host(1)], vms: vec![vm(0), vm(1)], resources: vec![cpu], groups: vec![] }
    }

    fn route(moves: &[(u32, u32, u64, u64)]) -> Route {
        let step = |(vm, to, start_ms, end_ms): &(u32, u32, u64, u64)| RouteStep {
            action: RouteAction::Move { vm: *vm, from: 0, to: *to, rate: 0 },
            after: vec![],
            start_ms: *start_ms,
            end_ms: *end_ms,
        };
        Route { steps: moves.iter().map(step).collect(), ..Route::default() }
    }

    #[test]
    fn who_stays_gets_more_when_who_goes_has_gone() {
        assert_eq!(judge(&instance(), &route(&[])).violations, 1, "12 have 6 and 9");
        let verdict = judge(&instance(), &route(&[(0, 1, 0, 1_000)]));
        assert_eq!((verdict.violations, verdict.moves, verdict.ends_ms), (0, 1, 2_000));
        let verdict = judge(&instance(), &route(&[(1, 1, 0, 1_000)]));
        assert_eq!((verdict.violations, verdict.ends_ms), (0, 1_000), "who goes gets more there");
    }

    #[test]
    fn who_moves_is_on_both_hosts() {
        let mut instance = instance();
        instance.resources[0].capacity = vec![12, 15];
        instance.vms[1].at = Some(1);
        instance.groups.push(Group { vms: vec![0, 1], asks: Asks::Spread, continuous: true });
        // They change places at once: both hosts have both meanwhile, and too much is asked of the first.
        let both = route(&[(0, 1, 0, 1_000), (1, 0, 0, 1_000)]);
        assert_eq!(judge(&instance, &both).violations, 3);
        instance.groups[0].continuous = false;
        assert_eq!(judge(&instance, &both).violations, 1);
    }

    #[test]
    fn hosts_that_are_off_take_nothing_and_waiting_vms_must_be_started() {
        let mut instance = instance();
        instance.hosts[1] = Host { id: 1, on: false, on_then: false };
        instance.vms[1].at = None;
        assert_eq!(judge(&instance, &route(&[])).violations, 1);
        let verdict = judge(&instance, &route(&[(1, 1, 0, 5_000)]));
        assert_eq!((verdict.boots, verdict.violations), (1, 2), "at the beginning and at the end");
        instance.resources[0].capacity[0] = 15;
        let verdict = judge(&instance, &route(&[(1, 0, 0, 5_000)]));
        assert_eq!((verdict.violations, verdict.ends_ms), (0, 5_000));
    }
}
