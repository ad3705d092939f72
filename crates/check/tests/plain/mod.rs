//! The plain reading of the rulebook: every state that a plan can reach, one by one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ulm_model::*;

use crate::plans::World;

/// Whether a pattern fits, sign by sign.
fn glob(pattern: &[u8], word: &[u8]) -> bool {
    match pattern.split_first() {
        None => word.is_empty(),
        Some((b'*', rest)) => (0..=word.len()).any(|i| glob(rest, &word[i..])),
        Some((sign, rest)) => !word.is_empty() && (*sign == b'?' || *sign == word[0]) && glob(rest, &word[1..]),
    }
}

fn chosen<'w>(
    names: &[String],
    tags: &[String],
    called: &[String],
    words: impl Iterator<Item = &'w String> + Clone,
) -> bool {
    let fits = |pattern: &String, word: &String| glob(pattern.as_bytes(), word.as_bytes());
    let name = names.iter().any(|pattern| called.iter().any(|word| fits(pattern, word)));
    let tag = tags.iter().any(|pattern| words.clone().any(|word| fits(pattern, word)));
    (!names.is_empty() || !tags.is_empty()) && (names.is_empty() || name) && (tags.is_empty() || tag)
}

fn has_vm(rule: &Rule, vm: &Vm) -> bool {
    chosen(&rule.vms.name, &rule.vms.tag, &[vm.name.clone(), vm.id.to_string()], vm.tags.iter())
}

fn has_host(rule: &Rule, host: &Host) -> bool {
    chosen(&rule.hosts.name, &rule.hosts.tag, std::slice::from_ref(&host.name.0), host.tags.iter())
}

/// The step's VM, and from where to where.
#[derive(Clone, Copy)]
struct Hop {
    vm: usize,
    from: usize,
    to: usize,
    by_hand: bool,
}

struct Judge<'w> {
    world: &'w World,
    hops: Vec<Hop>,
    /// What was found to be broken.
    broken: RefCell<BTreeSet<&'static str>>,
}

/// A node of the tree of a sharing group: its number, and the values from the root down.
type Node<'w> = (usize, Vec<&'w str>);

/// Where each VM is.
type On = Vec<BTreeSet<usize>>;

impl<'w> Judge<'w> {
    fn new(world: &'w World) -> Self {
        let place = |name: &HostName| name.0[1..].parse::<usize>().unwrap();
        let hop = |step: &Step| {
            let Action::Move { vm, from, to, .. } = &step.action;
            let vm = world.snapshot.vms.iter().position(|known| known.id == *vm).unwrap();
            let by_hand = matches!(step.because, Reason::Asked { .. });
            Hop { vm, from: place(from), to: place(to), by_hand }
        };
        Judge { world, hops: world.plan.steps.iter().map(hop).collect(), broken: RefCell::default() }
    }

    fn found(&self, code: &'static str) {
        self.broken.borrow_mut().insert(code);
    }
    fn host(&self, h: usize) -> &'w Host {
        &self.world.snapshot.hosts[h]
    }
    fn vm(&self, v: usize) -> &'w Vm {
        &self.world.snapshot.vms[v]
    }
    fn rules(&self) -> impl Iterator<Item = &'w Rule> + use<'w> {
        self.world.rulebook.rules.iter().filter(|rule| !rule.soft)
    }

    /// Where the VMs are: on two hosts while they move. 0: the step has not begun, 1: it runs, hangs or has failed, 2: it ended well.
    fn on(&self, state: &[u8]) -> On {
        let mut on: On = self.world.snapshot.vms.iter().map(|vm| [vm.host.at()].into()).collect();
        for flight in &self.world.snapshot.in_flight {
            on[flight.vm.at()].extend(flight.to.map(HostIx::at));
        }
        for (hop, state) in self.hops.iter().zip(state) {
            if *state > 0 {
                on[hop.vm].insert(hop.to);
            }
            if *state > 1 {
                on[hop.vm].remove(&hop.from);
            }
        }
        on
    }

    fn promise(&self, h: usize) -> [u64; 2] {
        let first = |value: fn(&RuleKind) -> Option<u64>| {
            self.rules().filter(|rule| has_host(rule, self.host(h))).find_map(|rule| value(&rule.kind))
        };
        let memory = first(|kind| match kind {
            RuleKind::Capacity { memory_overcommit, .. } => memory_overcommit.map(|share| share.0.into()),
            _ => None,
        });
        let reserve = first(|kind| match kind {
            RuleKind::Capacity { memory_reserve, .. } => memory_reserve.map(|bytes| bytes.0),
            _ => None,
        });
        let cpu = first(|kind| match kind {
            RuleKind::Capacity { cpu_overcommit, .. } => cpu_overcommit.map(|share| share.0.into()),
            _ => None,
        });
        let usual = &self.world.rulebook.capacity;
        let reserve = reserve.unwrap_or(usual.memory_reserve.0);
        let memory = memory.unwrap_or(usual.memory_overcommit.0.into());
        let cpu = cpu.unwrap_or(usual.cpu_overcommit.0.into());
        [self.host(h).memory.0.saturating_sub(reserve) * memory / 10_000, self.host(h).cpu.0 * cpu / 10_000_000]
    }

    fn headroom(&self, h: usize) -> [u64; 2] {
        let mut most = [0, 0];
        for rule in self.rules().filter(|rule| has_host(rule, self.host(h))) {
            if let RuleKind::Headroom { memory, cpu } = rule.kind {
                most = [most[0].max(memory.0.into()), most[1].max(cpu.0.into())];
            }
        }
        let promise = self.promise(h);
        [promise[0] * most[0] / 10_000, promise[1] * most[1] / 10_000]
    }

    fn load(&self, on: &On, h: usize) -> [u64; 2] {
        let there = || (0..on.len()).filter(|v| on[*v].contains(&h));
        let sizes: u64 = there().map(|v| self.vm(v).memory.0).sum();
        [sizes - self.credit(h, true), there().map(|v| u64::from(self.vm(v).vcpus)).sum()]
    }

    /// What those VMs of the host that stay have in common, by stated weights and by what is sure of them.
    fn in_common(&self, h: usize, moves_count: bool) -> [u64; 2] {
        let flies = |v: usize| self.world.snapshot.in_flight.iter().any(|flight| flight.vm.at() == v);
        let moves = |v: usize| moves_count && self.hops.iter().any(|hop| hop.vm == v);
        let mut nodes: BTreeMap<Node<'_>, (u64, [u64; 2])> = BTreeMap::new();
        for v in (0..self.world.snapshot.vms.len()).filter(|v| self.vm(*v).host.at() == h && !flies(*v) && !moves(*v)) {
            let vm = self.vm(v);
            let means = |group: &SharingGroup| {
                chosen(&group.vms.name, &group.vms.tag, &[vm.name.clone(), vm.id.to_string()], vm.tags.iter())
            };
            let Some(g) = self.world.rulebook.sharing.iter().position(means) else { continue };
            if vm.unmergeable || vm.needs.as_ref().unwrap().pages.is_some() {
                continue;
            }
            let (group, mut path, mut all) = (&self.world.rulebook.sharing[g], Vec::new(), 0);
            for level in &group.levels {
                let Some(value) = vm.tags.iter().find_map(|tag| tag.strip_prefix(&level.prefix)) else { break };
                path.push(value);
                let stated =
                    group.nodes.iter().find(|node| node.path == path).map_or(level.weight.0, |own| own.weight.0);
                all += stated;
                if all > vm.memory.0 {
                    break;
                }
                let sure =
                    stated * u64::from(group.trust.sure.0) / 10_000 * u64::from(10_000 - group.reserve.0) / 10_000;
                nodes.entry((g, path.clone())).or_insert((0, [stated, sure])).0 += 1;
            }
        }
        [0, 1].map(|i| nodes.values().map(|(n, weights)| (n - 1) * weights[i]).sum())
    }

    fn saved(&self, h: usize) -> Option<u64> {
        self.host(h).merging.filter(|counted| counted.full_scans >= 2).map(|counted| counted.saved.0)
    }

    /// What counts once of what is promised; before the plan, or while it is carried out.
    fn credit(&self, h: usize, while_moving: bool) -> u64 {
        let Some(saved) = self.saved(h) else { return 0 };
        let short = self.in_common(h, false)[1].saturating_sub(saved);
        self.in_common(h, while_moving)[1].saturating_sub(short)
    }

    /// What VMs that go do not give back.
    fn loss(&self, h: usize) -> i64 {
        let Some(saved) = self.saved(h) else { return 0 };
        (self.in_common(h, false)[0] - self.in_common(h, true)[0]).min(saved) as i64
    }

    fn held(&self, v: usize) -> i64 {
        let vm = self.vm(v);
        let pages = vm.needs.as_ref().unwrap().pages.is_some();
        if pages { 0 } else { vm.memory_use.0.last().map_or(vm.memory.0, |figure| figure.value.0) as i64 }
    }

    /// All states, and all beginnings.
    fn every_state(&self) {
        let steps = &self.world.plan.steps;
        let (mut open, mut seen) = (vec![vec![0u8; steps.len()]], BTreeSet::new());
        while let Some(state) = open.pop() {
            if !seen.insert(state.clone()) {
                continue;
            }
            self.state(&state);
            for s in 0..steps.len() {
                let ready = steps[s].after.iter().all(|before| state[before.0 as usize] == 2);
                if state[s] == 1 || (state[s] == 0 && ready) {
                    let mut next = state.clone();
                    next[s] += 1;
                    if next[s] == 1 {
                        self.beginning(s, &next);
                    }
                    open.push(next);
                }
            }
        }
    }

    /// What a step finds when it has begun.
    fn beginning(&self, s: usize, state: &[u8]) {
        let hop = self.hops[s];
        let (on, h) = (self.on(state), hop.to);
        let (load, promise, headroom) = (self.load(&on, h), self.promise(h), self.headroom(h));
        for (r, codes) in [["capacity.memory", "rule.headroom"], ["capacity.cpu", "rule.headroom"]].iter().enumerate() {
            if load[r] > promise[r] {
                self.found(codes[0]);
            }
            if headroom[r] > 0 && !hop.by_hand && load[r] > promise[r].saturating_sub(headroom[r]) {
                self.found(codes[1]);
            }
        }
        let flights = self.world.snapshot.in_flight.iter().filter(|flight| flight.to.is_some_and(|to| to.at() == h));
        let mut coming: i64 = flights.map(|flight| self.held(flight.vm.at())).sum();
        for (other, state) in self.hops.iter().zip(state) {
            coming += if other.to == h && *state > 0 { self.held(other.vm) } else { 0 };
            coming -= if other.from == h && *state > 1 { self.held(other.vm) } else { 0 };
        }
        let available = self.host(h).memory.0.saturating_sub(self.host(h).memory_use.0[0].value.0) as i64;
        if self.held(hop.vm) > 0 && coming + self.loss(h) > available {
            self.found("capacity.memory_used");
        }
        self.in_cells(hop, state);
    }

    fn domain(&self, level: &Level, h: usize) -> String {
        match level {
            Level::Host => format!("h{h}"),
            Level::Label(key) => {
                label(&self.host(h).tags, key).map_or(format!("h{h}"), |value| format!("{key}={value}"))
            }
        }
    }

    /// What continuous rules say of a state.
    fn state(&self, state: &[u8]) {
        let (on, at_first) = (self.on(state), self.on(&vec![0; state.len()]));
        for rule in self.rules() {
            let of = |v: &usize| has_vm(rule, self.vm(*v));
            let members: Vec<usize> = (0..on.len()).filter(of).collect();
            match &rule.kind {
                RuleKind::Apart { level, at_most } => {
                    let count = |on: &On| {
                        let mut count: BTreeMap<String, u32> = BTreeMap::new();
                        for v in &members {
                            let domains: BTreeSet<String> = on[*v].iter().map(|h| self.domain(level, *h)).collect();
                            domains.into_iter().for_each(|domain| *count.entry(domain).or_default() += 1);
                        }
                        count
                    };
                    let first = count(&at_first);
                    if count(&on).iter().any(|(d, n)| *n > first.get(d).copied().unwrap_or(0).max(*at_most)) {
                        self.found("rule.apart");
                    }
                }
                RuleKind::MaxVms { at_most } => {
                    let all = rule.vms.name.is_empty() && rule.vms.tag.is_empty();
                    for h in (0..4).filter(|h| has_host(rule, self.host(*h))) {
                        let count = |on: &On| {
                            (0..on.len()).filter(|v| (all || members.contains(v)) && on[*v].contains(&h)).count()
                        };
                        if count(&on) > count(&at_first).max(*at_most as usize) {
                            self.found("rule.max_vms");
                        }
                    }
                }
                RuleKind::Spare => {
                    for h in (0..4).filter(|h| self.counts_for(rule, *h)) {
                        if self.may_fail(rule, &at_first, h, false) && !self.may_fail(rule, &on, h, true) {
                            self.found("rule.spare");
                        }
                    }
                }
                RuleKind::Budget { per, at_once: Some(limit), .. } => {
                    let mut flying: BTreeMap<String, u32> = BTreeMap::new();
                    let running = self.hops.iter().zip(state).filter(|(_, state)| **state == 1);
                    let mut begun = BTreeSet::new();
                    for v in running.map(|(hop, _)| hop.vm).filter(|v| of(v)) {
                        begun.insert(self.group(per, v));
                        *flying.entry(self.group(per, v)).or_default() += 1;
                    }
                    for v in self.world.snapshot.in_flight.iter().map(|flight| flight.vm.at()).filter(|v| of(v)) {
                        *flying.entry(self.group(per, v)).or_default() += 1;
                    }
                    if begun.iter().any(|group| flying[group] > *limit) {
                        self.found("rule.at_once");
                    }
                }
                _ => {}
            }
        }
    }

    fn counts_for(&self, rule: &Rule, h: usize) -> bool {
        has_host(rule, self.host(h)) && self.host(h).state == HostState::Up
    }

    /// Whether the host's VMs have room on the others: all ways.
    fn may_fail(&self, rule: &Rule, on: &On, lost: usize, while_moving: bool) -> bool {
        let others = (0..4).filter(|h| *h != lost && self.counts_for(rule, *h));
        let mut free: Vec<[u64; 2]> = others
            .map(|h| {
                let (promise, mut load) = (self.promise(h), self.load(on, h));
                load[0] -= self.credit(h, while_moving) - self.credit(h, true);
                [promise[0].saturating_sub(load[0]), promise[1].saturating_sub(load[1])]
            })
            .collect();
        let vms: Vec<usize> = (0..on.len()).filter(|v| on[*v].contains(&lost)).collect();
        self.all_fit(&vms, &mut free)
    }

    fn all_fit(&self, vms: &[usize], free: &mut Vec<[u64; 2]>) -> bool {
        let Some((v, rest)) = vms.split_first() else { return true };
        let (memory, vcpus) = (self.vm(*v).memory.0, u64::from(self.vm(*v).vcpus));
        (0..free.len()).any(|h| {
            let [had_memory, had_vcpus] = free[h];
            if memory > had_memory || vcpus > had_vcpus {
                return false;
            }
            free[h] = [had_memory - memory, had_vcpus - vcpus];
            let fits = self.all_fit(rest, free);
            free[h] = [had_memory, had_vcpus];
            fits
        })
    }

    fn group(&self, per: &Per, v: usize) -> String {
        match per {
            Per::Vm => format!("vm {v}"),
            Per::Rule => "all".into(),
            Per::Label(key) => label(&self.vm(v).tags, key).map_or(format!("vm {v}"), |value| format!("label {value}")),
        }
    }

    /// What is said of each move, and of all moves together.
    fn moves(&self) {
        let now = self.world.now;
        for hop in self.hops.clone() {
            let (vm, from, to) = (self.vm(hop.vm), self.host(hop.from), self.host(hop.to));
            if to.state == HostState::Maintenance {
                self.found("host.maintenance");
            }
            for rule in self.rules() {
                let value = |host: &Host| label(&host.tags, "gen").and_then(|value| value.parse::<u32>().ok());
                let (of_vm, of_from, of_to) = (has_vm(rule, vm), has_host(rule, from), has_host(rule, to));
                let code = match &rule.kind {
                    RuleKind::Exclude if !hop.by_hand && of_vm => "rule.excluded",
                    RuleKind::Exclude if !hop.by_hand && (of_from || of_to) => "rule.host_excluded",
                    RuleKind::Pin if of_vm && !of_to => "rule.pinned",
                    RuleKind::KeepOff if of_vm && of_to => "rule.pinned",
                    RuleKind::Maintenance if of_to => "host.maintenance",
                    RuleKind::OneWay { .. } if of_vm => match (value(from), value(to)) {
                        (Some(from), Some(to)) if to < from => "rule.one_way",
                        _ => continue,
                    },
                    RuleKind::Window { calendar, open } if !hop.by_hand && (of_vm || of_from || of_to) => {
                        // Always or never.
                        if calendar.spans.is_empty() == *open { "rule.window" } else { continue }
                    }
                    RuleKind::Budget { per, moves, downtime, within, .. } if of_vm && !hop.by_hand => {
                        let same = |v: usize| has_vm(rule, self.vm(v)) && self.group(per, v) == self.group(per, hop.vm);
                        let begin = now.0 - within.as_millis() as i64;
                        let place = |id: VmId| self.world.snapshot.vms.iter().position(|vm| vm.id == id).unwrap();
                        let past = || {
                            let counts = move |past: &&PastMove| past.ended.0 >= begin && same(place(past.vm));
                            self.world.past.iter().filter(counts)
                        };
                        let flights =
                            self.world.snapshot.in_flight.iter().filter(|flight| same(flight.vm.at())).count();
                        let steps: Vec<usize> = (0..self.hops.len()).filter(|s| same(self.hops[*s].vm)).collect();
                        let expected = |s: &usize| {
                            let expected = self.world.plan.steps[*s].expected.as_ref();
                            expected.map_or(Duration::ZERO, |expected| expected.downtime)
                        };
                        let stood = past().map(|past| past.downtime).sum::<Duration>()
                            + steps.iter().map(expected).sum::<Duration>();
                        if downtime.is_some_and(|limit| stood > limit) {
                            self.found("rule.budget_downtime");
                        }
                        let all = past().count() + flights + steps.len();
                        if moves.is_some_and(|limit| all > limit as usize) { "rule.budget_moves" } else { continue }
                    }
                    _ => continue,
                };
                self.found(code);
            }
            self.cells(hop);
        }
    }

    /// Whether the host has the cells that the VM is bound to.
    fn cells(&self, hop: Hop) {
        let missing = |id: &u32| self.host(hop.to).cells.iter().all(|cell| cell.id != *id);
        if self.vm(hop.vm).needs.as_ref().unwrap().cells.iter().any(missing) {
            self.found("platform.cells");
        }
    }

    /// Huge pages and cells that a step finds when it has begun: for each VM that ever comes to the host, what those take that may lie in
    /// its cells, less what those took that have left them and cannot have lain elsewhere.
    fn in_cells(&self, hop: Hop, state: &[u8]) {
        let needs = |v: usize| self.vm(v).needs.as_ref().unwrap();
        let (host, pages) = (self.host(hop.to), needs(hop.vm).pages);
        let counts = |v: &usize| needs(*v).pages == pages && (pages.is_some() || !needs(*v).cells.is_empty());
        let takes = |v: usize| if pages.is_some() { self.vm(v).memory.0 } else { self.held(v) as u64 } as i64;
        let known = |v: usize| pages.is_some() || !self.vm(v).memory_use.0.is_empty();
        if !counts(&hop.vm) || takes(hop.vm) == 0 {
            return;
        }
        let to = |other: &&Hop| other.to == hop.to && counts(&other.vm);
        let flights = self.world.snapshot.in_flight.iter();
        let flights: Vec<usize> = flights
            .filter(|flight| flight.to.is_some_and(|to| to.at() == hop.to))
            .map(|flight| flight.vm.at())
            .filter(counts)
            .collect();
        let begun = self.hops.iter().zip(state).filter(|(other, state)| to(other) && **state > 0);
        let there: Vec<usize> = flights.iter().copied().chain(begun.map(|(other, _)| other.vm)).collect();
        let ended = self.hops.iter().zip(state).filter(|(other, state)| other.from == hop.to && **state > 1);
        let gone: Vec<usize> = ended.map(|(other, _)| other.vm).filter(|v| counts(v) && known(*v)).collect();
        for one in flights.iter().copied().chain(self.hops.iter().filter(to).map(|other| other.vm)) {
            let mine = &needs(one).cells;
            let meets = |v: &usize| mine.is_empty() || needs(*v).cells.is_empty() || !needs(*v).cells.is_disjoint(mine);
            let inside =
                |v: &usize| mine.is_empty() || (!needs(*v).cells.is_empty() && needs(*v).cells.is_subset(mine));
            let free = host.cells.iter().filter(|cell| mine.is_empty() || mine.contains(&cell.id));
            let free = free.map(|cell| match pages {
                None => cell.free.0,
                Some(size) => cell.pages.iter().filter(|p| p.size == size).map(|p| p.free.0).sum(),
            });
            let taken = there.iter().copied().filter(meets).map(takes).sum::<i64>()
                - gone.iter().copied().filter(inside).map(takes).sum::<i64>();
            if meets(&hop.vm) && taken > free.sum::<u64>() as i64 {
                self.found(if pages.is_some() { "platform.pages" } else { "platform.cells" });
            }
        }
    }

    /// What is said of the end.
    fn end(&self) {
        let mut before: Vec<usize> = self.world.snapshot.vms.iter().map(|vm| vm.host.at()).collect();
        for flight in &self.world.snapshot.in_flight {
            before[flight.vm.at()] = flight.to.unwrap_or(flight.from).at();
        }
        let mut after = before.clone();
        self.hops.iter().for_each(|hop| after[hop.vm] = hop.to);
        for rule in self.rules() {
            let RuleKind::Together { level } = &rule.kind else { continue };
            let spread = |at: &[usize]| {
                let members = (0..at.len()).filter(|v| has_vm(rule, self.vm(*v)));
                members.map(|v| self.domain(level, at[v])).collect::<BTreeSet<String>>().len()
            };
            if spread(&after) > spread(&before) {
                self.found("rule.together");
            }
        }
    }
}

/// Everything that any state, any move or the end breaks.
pub fn broken(world: &World) -> BTreeSet<&'static str> {
    let judge = Judge::new(world);
    judge.moves();
    judge.every_state();
    judge.end();
    judge.broken.into_inner()
}
