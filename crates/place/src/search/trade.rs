//! Room is made by trade: VMs of a kind are interchangeable, so what counts is how many of which kind each host gives and takes.
//!
//! Method: VMs that only differ in where they are, are of one kind; the most frequent kinds trade. For each host everything that it
//! could give and take since the start, a few VMs in all, is listed with what it would cost there: room that is made or lost, curves,
//! excesses, tables and moves. Hosts with equal lists are equal. A VM in parts on all hosts of a domain, such as the NUMA cells of a
//! machine, links these hosts to a block. [`Market`] chooses for all blocks together. Then names are given: of those who leave, VMs that
//! are away already go first, and who is where one of its kind is wanted stays there.
//!
//! What is not seen here, such as relations with others or hosts that fall asleep, is judged at the end: the whole is kept if it is
//! sound and costs less, else taken back.
//!
//! Complexity: different hosts × what each could do, at most [`LIST`] choices; and that of [`super::cycle`].

use std::collections::BTreeMap;

use ulm_model::HostIx;

use super::Search;
use super::cycle::{Choice, KINDS, Market, State, Stock, UNIT, Variant};
use crate::placement::Placement;
use crate::problem::{PlaceVm, Problem, RelationKind, WantedRoom};

/// So much is listed for a host at most.
const LIST: usize = 2_000;
/// VMs that a host gives and takes at most, both together.
const VMS: usize = 5;
/// Of those that a host could give of one kind, so many are seen.
const STOCK: usize = 4;
/// Moves are scarce if there are fewer than so many for each room that is missing.
const MOVES: u64 = 2;
/// VMs of which kinds are counted first.
const SAMPLE: usize = 512;
/// The work of one trade, as a part of the effort that is left.
const SHARE: u64 = 2;
/// The most work of one trade: what more of it finds is not worth the time.
const WORK: u64 = 16_000_000;

/// What trade has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Traded {
    /// It has not been tried.
    NotYet,
    /// There are too few VMs of a kind.
    Never,
    /// When all cost so much, there was nothing more to trade.
    At(i128),
}

/// VMs that only differ in where they are; or, with more than one part, what consists of such parts.
struct Kind<'p> {
    /// What a part takes.
    size: &'p [i64],
    /// For each its parts, one VM or several.
    members: Vec<Vec<u32>>,
}

/// Hosts that trade together, with what they have.
struct Block {
    hosts: Vec<u32>,
    /// Members of each kind at home here, by site for kinds of one part.
    home: Vec<[i32; KINDS]>,
    now: Vec<[i32; KINDS]>,
}

/// Trades at once if moves are scarce, so that none is spent before all is seen.
pub(super) fn first(search: &mut Search<'_>) {
    let missing: u64 = (0..search.problem().rooms.len()).map(|k| search.state.missing(k)).sum();
    if u64::from(search.effort.moves) < missing.saturating_mul(MOVES) {
        pass(search);
    }
}

/// Trades, and keeps what comes of it if that costs less. Whether it did.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let unit = (0..search.problem().rooms.len()).filter(|k| search.state.missing(*k) > 0);
    let unit = unit.map(|k| i128::from(search.problem().rooms[k].points)).max().unwrap_or(0);
    if unit <= 0
        || search.spent()
        || search.traded == Traded::Never
        || search.traded == Traded::At(search.state.total())
    {
        return false;
    }
    let Some(trade) = Trade::new(search, unit) else {
        search.traded = Traded::Never;
        return false;
    };
    let done = trade.run(search);
    search.traded = Traded::At(search.state.total());
    done
}

/// What makes sites do the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    free: Vec<i128>,
    stock: Vec<i8>,
    net: Stock,
    wholes: [Stock; 2],
    takes: Vec<bool>,
    rooms: Vec<bool>,
    /// Where each host has costs of its own.
    host: Option<u32>,
}

struct Trade<'p> {
    problem: &'p Problem,
    kinds: Vec<Kind<'p>>,
    blocks: Vec<Block>,
    /// What [`UNIT`] is in points.
    unit: i128,
}

impl<'p> Trade<'p> {
    fn new(search: &mut Search<'p>, unit: i128) -> Option<Self> {
        let problem = search.problem();
        if !are_few(problem) {
            return None;
        }
        search.evaluations += problem.vms.len() as u64;
        let domains = domains(problem);
        let kinds = kinds(problem, domains.as_deref())?;
        let blocks = blocks(&search.state, &kinds, domains.as_deref());
        Some(Trade { problem, kinds, blocks, unit })
    }

    fn run(&self, search: &mut Search<'_>) -> bool {
        let mut market = self.market(search);
        if search.spent() {
            return false;
        }
        let (_, moves) = market.sums();
        market.most = (i64::from(search.effort.moves.min(1 << 30)) - i64::from(search.state.away()) + moves).max(moves);
        market.worth = std::array::from_fn(|k| self.worth(k));
        market.most_work = ((search.effort.evaluations - search.evaluations) / SHARE).min(WORK);
        let before = market.sums().0;
        market.run();
        search.evaluations += market.work;
        market.sums().0 < before && self.carry_out(search, &market)
    }

    /// How many VMs at most a host gives and takes together, so that lists do not become too long.
    fn most_vms(&self) -> usize {
        let kinds = self.kinds.iter().filter(|kind| kind.members[0].len() == 1).count();
        (1..=VMS).rev().find(|most| vectors(kinds, *most) <= LIST).unwrap_or(1)
    }

    fn market(&self, search: &mut Search<'_>) -> Market {
        let mut market = Market::default();
        let mut lists: BTreeMap<Vec<Choice>, usize> = BTreeMap::new();
        let mut classes: BTreeMap<Vec<Variant>, usize> = BTreeMap::new();
        let most = self.most_vms();
        let mut known: BTreeMap<Alike, (usize, Option<usize>)> = BTreeMap::new();
        let empty = 0;
        lists.insert(Vec::new(), empty);
        for block in &self.blocks {
            let mut variants = Vec::new();
            let mut state = State { variant: 0, picks: Vec::new() };
            for whole in self.wholes(block) {
                let mut variant = Variant { own: self.own(block, &whole), lists: Vec::new() };
                let mut picks = Vec::new();
                for site in 0..block.hosts.len() {
                    let alike = self.alike(&search.state, block, site, &whole);
                    let (list, pick) = *known.entry(alike).or_insert_with(|| {
                        let list = self.list(search, block, site, &whole, most);
                        let pick = list.iter().position(|it| it.take == self.net(block, site));
                        let next = lists.len();
                        (*lists.entry(list).or_insert(next), pick)
                    });
                    picks.push(pick);
                    variant.lists.push(list);
                }
                // There is no room for it.
                if variant.lists.contains(&empty) {
                    continue;
                }
                if whole == self.net_of_wholes(block) {
                    state =
                        State { variant: variants.len(), picks: picks.into_iter().map(|it| it.unwrap_or(0)).collect() };
                }
                variants.push(variant);
            }
            let next = classes.len();
            market.class.push(*classes.entry(variants).or_insert(next));
            market.states.push(state);
        }
        market.lists = by_number(lists);
        market.classes = by_number(classes);
        market
    }

    fn is_whole(&self, kind: usize) -> bool {
        self.kinds[kind].members[0].len() > 1
    }

    /// What the site has taken since the start, of kinds of one part.
    fn net(&self, block: &Block, site: usize) -> Stock {
        std::array::from_fn(|k| {
            let seen = k < self.kinds.len() && !self.is_whole(k);
            if seen { small(block.now[site][k] - block.home[site][k]) } else { 0 }
        })
    }

    /// The same of kinds of several parts, each of which takes part of each site.
    fn net_of_wholes(&self, block: &Block) -> Stock {
        std::array::from_fn(|k| {
            let seen = k < self.kinds.len() && self.is_whole(k);
            if seen { small(block.now[0][k] - block.home[0][k]) } else { 0 }
        })
    }

    /// What a block may have taken of kinds of several parts: a few of one kind, or one for another.
    fn wholes(&self, block: &Block) -> Vec<Stock> {
        let mut all = vec![[0; KINDS], self.net_of_wholes(block)];
        let parts = block.hosts.len();
        let kinds: Vec<usize> =
            (0..self.kinds.len()).filter(|k| parts > 1 && self.kinds[*k].members[0].len() == parts).collect();
        for gives in kinds.iter().copied().map(Some).chain([None]) {
            for takes in kinds.iter().copied().map(Some).chain([None]) {
                let mut whole = [0; KINDS];
                gives.into_iter().for_each(|k| whole[k] -= 1);
                takes.into_iter().for_each(|k| whole[k] += 1);
                if gives != takes && gives.is_none_or(|k| block.home[0][k] > 0) {
                    all.push(whole);
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What makes sites do the same.
    fn alike(&self, state: &Placement<'_>, block: &Block, site: usize, whole: &Stock) -> Alike {
        let (problem, host) = (self.problem, block.hosts[site]);
        let capacity = &problem.hosts[host as usize].capacity;
        let free = |(most, load): (&i64, &i128)| if *most == i64::MAX { i128::MAX } else { i128::from(*most) - *load };
        let own = !(problem.curves.is_empty() && problem.tables.is_empty() && problem.excesses.is_empty());
        let in_set = |room: &WantedRoom| problem.sets[room.allowed as usize].contains(HostIx(host));
        let stock = |k: usize| if self.is_whole(k) { 0 } else { block.home[site][k].min(STOCK as i32) as i8 };
        Alike {
            free: capacity.iter().zip(state.load(host)).map(free).collect(),
            stock: (0..self.kinds.len()).map(stock).collect(),
            net: self.net(block, site),
            wholes: [self.net_of_wholes(block), *whole],
            takes: (0..self.kinds.len()).map(|k| self.may_take(k, host)).collect(),
            rooms: problem.rooms.iter().map(in_set).collect(),
            host: own.then_some(host),
        }
    }

    fn own(&self, block: &Block, whole: &Stock) -> Choice {
        let cost = (0..self.kinds.len()).map(|k| self.price_of_move(k) * gives(whole[k])).sum::<i128>()
            + (0..self.kinds.len())
                .flat_map(|k| block.hosts.iter().map(move |host| (k, *host)))
                .map(|(k, host)| self.price_on(k, host) * i128::from(whole[k]))
                .sum::<i128>();
        Choice { take: *whole, moves: whole.iter().map(|it| gives(*it) as i32).sum(), cost: self.scaled(cost) }
    }

    /// Everything that the site may do if the block has taken this of kinds of several parts; ascending.
    fn list(&self, search: &mut Search<'_>, block: &Block, site: usize, whole: &Stock, most: usize) -> Vec<Choice> {
        let host = block.hosts[site];
        let now = search.state.load(host);
        let mut load = now.to_vec();
        let net = self.net(block, site);
        let then: Vec<i32> =
            self.net_of_wholes(block).iter().zip(whole).map(|it| i32::from(*it.1) - i32::from(*it.0)).collect();
        for k in 0..self.kinds.len() {
            self.add(&mut load, k, i128::from(then[k] - i32::from(net[k])));
        }
        let mut list = Vec::new();
        let mut walk =
            Walk { trade: self, block, site, host, start: now.to_vec(), list: &mut list, taken: [0; KINDS], whole };
        walk.give(0, most, &mut load.clone());
        let known = list.iter().any(|it| it.take == net);
        if !known && *whole == self.net_of_wholes(block) {
            let mut walk =
                Walk { trade: self, block, site, host, start: now.to_vec(), list: &mut list, taken: net, whole };
            (0..self.kinds.len()).for_each(|k| self.add(&mut load, k, i128::from(net[k])));
            walk.push(&load);
        }
        list.sort_unstable();
        search.evaluations += list.len() as u64;
        list
    }

    fn size(&self, kind: usize) -> &'p [i64] {
        self.kinds[kind].size
    }

    /// What as much room as a VM of the kind takes may be worth.
    fn worth(&self, kind: usize) -> i64 {
        let Some(parts) = self.kinds.get(kind).map(|kind| kind.members[0].len()) else { return 0 };
        let of_room = |room: &WantedRoom| {
            let part = |(size, shape): (i64, i64)| {
                i128::from(size) * i128::from(room.points) * parts as i128 / i128::from(shape)
            };
            let shape = self.size(kind).iter().copied().zip(room.shape.iter().copied()).filter(|it| it.1 > 0);
            let in_parts = room.parts.iter().map(|(r, each)| (self.size(kind)[*r], *each));
            shape.chain(in_parts).map(part).max().unwrap_or(0)
        };
        let points = self.problem.rooms.iter().map(of_room).max().unwrap_or(0);
        self.scaled(points).max(UNIT / 64)
    }

    fn add(&self, load: &mut [i128], kind: usize, count: i128) {
        for (load, size) in load.iter_mut().zip(self.size(kind)) {
            *load += i128::from(*size) * count;
        }
    }

    fn price_of_move(&self, kind: usize) -> i128 {
        let parts = self.kinds[kind].members[0].iter().map(|vm| &self.problem.vms[*vm as usize]);
        parts.map(|vm| i128::from(vm.move_cost) - i128::from(vm.stay_cost)).sum()
    }

    /// What the tables say to a VM of this kind on this host.
    fn price_on(&self, kind: usize, host: u32) -> i128 {
        let vm = self.kinds[kind].members[0][0] as usize;
        self.problem.tables.iter().map(|table| i128::from(table.points[table.place(vm, host as usize)])).sum()
    }

    /// What a load costs on a host: curves, less what it leaves room for.
    fn price(&self, host: u32, load: &[i128]) -> i128 {
        let problem = self.problem;
        let curves = problem.curves.iter().map(|curve| i128::from(curve.points(host as usize, load[curve.resource])));
        let in_set = |set: u32| problem.sets[set as usize].contains(HostIx(host));
        let rooms = problem.rooms.iter().filter(|room| in_set(room.allowed));
        let capacity = &problem.hosts[host as usize].capacity;
        let rooms = rooms.map(|room| i128::from(room.points) * i128::from(room.fits(capacity, |r| load[r])));
        let excesses = problem.excesses.iter().map(|it| i128::from(it.points(host as usize, it.load(load))));
        curves.sum::<i128>() + excesses.sum::<i128>() - rooms.sum::<i128>()
    }

    fn scaled(&self, points: i128) -> i64 {
        (points.saturating_mul(i128::from(UNIT)) / self.unit).clamp(-(1 << 40), 1 << 40) as i64
    }

    fn may_take(&self, kind: usize, host: u32) -> bool {
        let vm = &self.problem.vms[self.kinds[kind].members[0][0] as usize];
        self.problem.hosts[host as usize].takes && self.problem.sets[vm.allowed as usize].contains(HostIx(host))
    }

    /// Moves VMs until each block has what the market says.
    fn carry_out(&self, search: &mut Search<'_>, market: &Market) -> bool {
        let (mark, before) = (search.state.mark(), search.state.total());
        for (k, kind) in self.kinds.iter().enumerate() {
            let whole = kind.members[0].len() > 1;
            // For each block and site how many more members there should be than at the start.
            let mut wanted: BTreeMap<(usize, usize), i32> = BTreeMap::new();
            let mut seats: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
            for (b, block) in self.blocks.iter().enumerate() {
                let variant = &market.classes[market.class[b]][market.states[b].variant];
                for (site, host) in block.hosts.iter().enumerate() {
                    let place = (b, if whole { 0 } else { site });
                    seats.insert(*host, place);
                    let take = match whole {
                        true => variant.own.take[k],
                        false => market.lists[variant.lists[site]][market.states[b].picks[site]].take[k],
                    };
                    wanted.insert(place, i32::from(take));
                }
            }
            self.assign(search, kind, &wanted, &seats);
        }
        let moved: Vec<u32> = search.state.done_since(mark).collect();
        let within = search.state.away() <= search.effort.moves;
        let sound = within && moved.iter().all(|vm| search.state.is_sound_at(*vm));
        if !sound || search.state.total() >= before {
            search.undo(mark);
            return false;
        }
        for kind in self.kinds.iter().filter(|kind| kind.members[0].len() > 1) {
            let moved = kind.members.iter().filter(|parts| parts.iter().any(|vm| !search.state.is_home(*vm)));
            search.together.extend(moved.cloned());
        }
        true
    }

    /// Puts the members of a kind where they are wanted.
    fn assign(
        &self,
        search: &mut Search<'_>,
        kind: &Kind<'_>,
        wanted: &BTreeMap<(usize, usize), i32>,
        seats: &BTreeMap<u32, (usize, usize)>,
    ) {
        let home = |parts: &[u32]| seats[&self.problem.vms[parts[0] as usize].at];
        let mut leaving: BTreeMap<(usize, usize), Vec<(bool, usize)>> = BTreeMap::new();
        for (i, parts) in kind.members.iter().enumerate() {
            // Those that are away already leave first.
            leaving.entry(home(parts)).or_default().push((search.state.is_home(parts[0]), i));
        }
        let mut gone: Vec<usize> = Vec::new();
        let mut stay: Vec<usize> = Vec::new();
        for (place, mut members) in leaving {
            members.sort_unstable();
            let goes = (-wanted[&place]).max(0) as usize;
            gone.extend(members.iter().take(goes).map(|it| it.1));
            stay.extend(members.iter().skip(goes).map(|it| it.1));
        }
        let mut open: BTreeMap<(usize, usize), i32> =
            wanted.iter().filter(|it| *it.1 > 0).map(|(place, count)| (*place, *count)).collect();
        let mut unplaced = Vec::new();
        for member in gone {
            let here = seats[&search.state.at(kind.members[member][0])];
            match open.get_mut(&here).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => unplaced.push(member),
            }
        }
        for member in stay {
            for vm in &kind.members[member] {
                search.shift(*vm, self.problem.vms[*vm as usize].at);
            }
        }
        let places = open.into_iter().flat_map(|(place, count)| std::iter::repeat_n(place, count.max(0) as usize));
        for (member, (b, site)) in unplaced.into_iter().zip(places) {
            let parts = &kind.members[member];
            for (i, vm) in parts.iter().enumerate() {
                search.shift(*vm, self.blocks[b].hosts[if parts.len() > 1 { i } else { site }]);
            }
        }
    }
}

/// Goes through everything that a site may do.
struct Walk<'a, 'p> {
    trade: &'a Trade<'p>,
    block: &'a Block,
    site: usize,
    host: u32,
    /// What is on the host now.
    start: Vec<i128>,
    list: &'a mut Vec<Choice>,
    taken: Stock,
    whole: &'a Stock,
}

impl Walk<'_, '_> {
    /// Everything that is given, then everything that is taken.
    fn give(&mut self, kind: usize, left: usize, load: &mut [i128]) {
        if kind == self.trade.kinds.len() {
            return self.take(0, left, load);
        }
        let single = !self.trade.is_whole(kind);
        let most = if single { self.block.home[self.site][kind].min(STOCK as i32).min(left as i32) } else { 0 };
        for count in 0..=most {
            self.taken[kind] = -(count as i8);
            self.trade.add(load, kind, -i128::from(count));
            self.give(kind + 1, left - count as usize, load);
            self.trade.add(load, kind, i128::from(count));
        }
        self.taken[kind] = 0;
    }

    fn take(&mut self, kind: usize, left: usize, load: &mut [i128]) {
        if kind == self.trade.kinds.len() {
            if self.is_sound(load) {
                self.push(load);
            }
            return;
        }
        let open = self.taken[kind] == 0 && !self.trade.is_whole(kind) && self.trade.may_take(kind, self.host);
        self.take(kind + 1, left, load);
        let mut count = 0;
        while open && count < left {
            count += 1;
            self.taken[kind] = count as i8;
            self.trade.add(load, kind, 1);
            if !self.has_room(kind, load) {
                break;
            }
            self.take(kind + 1, left - count, load);
        }
        if count > 0 {
            self.taken[kind] = 0;
            self.trade.add(load, kind, -(count as i128));
        }
    }

    /// Whether there is room for what comes of this kind.
    fn has_room(&self, kind: usize, load: &[i128]) -> bool {
        let capacity = &self.trade.problem.hosts[self.host as usize].capacity;
        let sizes = self.trade.size(kind).iter().zip(capacity).zip(load);
        sizes.into_iter().all(|((size, most), load)| *size == 0 || *most == i64::MAX || *load <= i128::from(*most))
    }

    /// Whether there is room, or nothing comes.
    fn is_sound(&self, load: &[i128]) -> bool {
        let capacity = &self.trade.problem.hosts[self.host as usize].capacity;
        (0..load.len()).all(|r| {
            let comes = |k: usize| self.taken[k].max(self.whole[k]) > 0 && self.trade.size(k)[r] > 0;
            capacity[r] == i64::MAX
                || load[r] <= i128::from(capacity[r])
                || (load[r] <= self.start[r] && !(0..self.trade.kinds.len()).any(comes))
        })
    }

    fn push(&mut self, load: &[i128]) {
        let trade = self.trade;
        let kinds = (0..trade.kinds.len()).filter(|k| self.taken[*k] != 0);
        let moves = kinds.map(|k| {
            trade.price_of_move(k) * gives(self.taken[k]) + trade.price_on(k, self.host) * i128::from(self.taken[k])
        });
        let cost = moves.sum::<i128>() + trade.price(self.host, load);
        let moves = self.taken.iter().map(|it| gives(*it) as i32).sum();
        self.list.push(Choice { take: self.taken, moves, cost: trade.scaled(cost) });
    }
}

fn gives(take: i8) -> i128 {
    i128::from(-take).max(0)
}

fn small(count: i32) -> i8 {
    count.clamp(-100, 100) as i8
}

fn by_number<T>(map: BTreeMap<T, usize>) -> Vec<T> {
    let mut all: Vec<(usize, T)> = map.into_iter().map(|(it, number)| (number, it)).collect();
    all.sort_unstable_by_key(|it| it.0);
    all.into_iter().map(|it| it.1).collect()
}

/// How many whole vectors of this length there are with absolute values that add up to at most `most`.
fn vectors(length: usize, most: usize) -> usize {
    let mut counts = vec![1; most + 1];
    for _ in 0..length {
        let before = counts.clone();
        for sum in 1..=most {
            counts[sum] = before[sum] + (1..=sum).map(|it| 2 * before[sum - it]).sum::<usize>();
        }
    }
    counts[most]
}

/// What makes VMs interchangeable, together with the sizes and so on of their other parts.
type Sort<'p> = (&'p [i64], u32, i64, i64, Vec<u32>);

fn sort_of<'p>(problem: &'p Problem, vm: u32) -> Sort<'p> {
    let it: &PlaceVm = &problem.vms[vm as usize];
    let tables = problem.tables.iter().map(|table| table.vm_class[vm as usize]).collect();
    (&it.size, it.allowed, it.move_cost, it.stay_cost, tables)
}

/// The domains on all of whose hosts VMs of several parts are.
fn domains(problem: &Problem) -> Option<Vec<u32>> {
    let of_parts = |vms: &[u32]| problem.wholes.iter().any(|parts| parts == vms);
    let mut near = problem.relations.iter().filter(|it| it.kind == RelationKind::Near && it.points.is_none());
    near.find(|it| of_parts(&it.vms)).map(|it| it.domains.clone())
}

/// Whether so few kinds of VMs are met among a few that it is worth counting all.
fn are_few(problem: &Problem) -> bool {
    let step = problem.vms.len() / SAMPLE + 1;
    let mut sizes: Vec<&[i64]> = problem.vms.iter().step_by(step).map(|vm| &vm.size[..]).collect();
    sizes.sort_unstable();
    let met = sizes.len();
    let mut counts: Vec<usize> = sizes.chunk_by(|one, other| one == other).map(<[_]>::len).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    counts.iter().take(KINDS).sum::<usize>() * 4 >= met
}

/// The most frequent kinds; `None`: it is not worth looking at kinds.
fn kinds<'p>(problem: &'p Problem, domains: Option<&[u32]>) -> Option<Vec<Kind<'p>>> {
    let mut related = vec![0; problem.vms.len()];
    for vm in problem.relations.iter().flat_map(|it| &it.vms) {
        related[*vm as usize] += 1;
    }
    let mut kinds: BTreeMap<(usize, Sort<'_>), Vec<Vec<u32>>> = BTreeMap::new();
    // What takes anything loosely is not the same wherever it is.
    let moves = |vm: u32| !problem.vms[vm as usize].stays && problem.vms[vm as usize].loosely.is_empty();
    for vm in (0..problem.vms.len() as u32).filter(|vm| moves(*vm) && related[*vm as usize] == 0) {
        kinds.entry((1, sort_of(problem, vm))).or_default().push(vec![vm]);
    }
    let singles: usize = kinds.values().map(Vec::len).sum();
    if let Some(domains) = domains {
        for parts in &problem.wholes {
            let known = parts.iter().all(|vm| related[*vm as usize] == 2 && moves(*vm));
            if known && is_spread(problem, parts, domains) {
                kinds.entry((parts.len(), sort_of(problem, parts[0]))).or_default().push(parts.clone());
            }
        }
    }
    let mut kinds: Vec<Vec<Vec<u32>>> = kinds.into_values().collect();
    kinds.sort_by_key(|members| (std::cmp::Reverse(members.len()), members[0][0]));
    kinds.truncate(KINDS);
    let seen: usize = kinds.iter().filter(|members| members[0].len() == 1).map(Vec::len).sum();
    let worth = seen * 2 >= singles && seen > 0;
    let size = |members: &Vec<Vec<u32>>| &problem.vms[members[0][0] as usize].size[..];
    worth.then(|| kinds.into_iter().map(|members| Kind { size: size(&members), members }).collect())
}

/// Whether equal parts are and must be on all hosts of a domain, one on each.
fn is_spread(problem: &Problem, parts: &[u32], domains: &[u32]) -> bool {
    let hard = problem.relations.iter().filter(|it| it.points.is_none() && it.vms == parts);
    let (mut near, mut apart) = (false, false);
    for relation in hard {
        match relation.kind {
            RelationKind::Near => near |= relation.domains == domains,
            RelationKind::AtMost(1) => apart |= relation.domains.iter().enumerate().all(|(i, it)| i == *it as usize),
            _ => {}
        }
    }
    let home = domains[problem.vms[parts[0] as usize].at as usize];
    near && apart
        && home != crate::problem::Relation::OUTSIDE
        && parts.iter().all(|vm| sort_of(problem, *vm) == sort_of(problem, parts[0]))
        && domains.iter().filter(|it| **it == home).count() == parts.len()
}

fn blocks(state: &Placement<'_>, kinds: &[Kind<'_>], domains: Option<&[u32]>) -> Vec<Block> {
    let problem = state.problem();
    let linked = kinds.iter().any(|kind| kind.members[0].len() > 1);
    let mut by_domain: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for host in 0..problem.hosts.len() as u32 {
        let domain = domains.filter(|_| linked).map(|it| it[host as usize]);
        let key = domain.filter(|it| *it != u32::MAX).map_or((host, 1), |domain| (domain, 0));
        by_domain.entry(key).or_default().push(host);
    }
    let mut site = vec![(0, 0); problem.hosts.len()];
    let mut blocks: Vec<Block> = Vec::new();
    for hosts in by_domain.into_values() {
        for (i, host) in hosts.iter().enumerate() {
            site[*host as usize] = (blocks.len(), i);
        }
        let none = vec![[0; KINDS]; hosts.len()];
        blocks.push(Block { hosts, home: none.clone(), now: none });
    }
    for (k, parts) in kinds.iter().enumerate().flat_map(|(k, kind)| kind.members.iter().map(move |it| (k, it))) {
        for vm in parts {
            let (b, s) = site[problem.vms[*vm as usize].at as usize];
            blocks[b].home[s][k] += 1;
            let (b, s) = site[state.at(*vm) as usize];
            blocks[b].now[s][k] += 1;
        }
    }
    blocks
}
