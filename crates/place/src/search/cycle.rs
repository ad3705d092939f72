//! Many blocks trade with each other at the least cost: what one gives, others take.
//!
//! Properties:
//! (A) trade is balanced: of each kind as much is taken as given, and there are no more moves than may be;
//! (B) each cycle lowers the cost, or keeps it and saves moves;
//! (C) where the bound is met, nothing costs less, and the search ends;
//! (D) the same question gives the same answer.
//!
//! Abstraction: an n-fold integer programme. A *block* is in one of its *variants*, and each of its *sites* picks one *choice* of the
//! variant's list. Variants and choices say how much of each kind is taken (below 0: given), how many moves that is, and what it costs.
//! The rows that all blocks have in common: the balance of each kind, and the limit on moves. Blocks of one class and sites with one list
//! are equal, so few of them are looked at however many there are.
//!
//! Method: first prices of kinds and moves, by subgradients of the Lagrangian, which also give the bound. A choice whose reduced cost is
//! further above the cheapest one's than the next possible cost is above the bound is in no answer that good (reduced-cost fixing), so few
//! choices remain. Then augmentation: a *cycle* is a few changes of different sites and blocks that are balanced together. Cycles
//! are looked for layer by layer over what is *in the air*, given and not taken yet or the other way round, up to the last change,
//! which is looked up. The changes of a cycle can be made in an order in which the sum of the reduced costs never is above what
//! it is at the end or 0 (the cheapest first), so only such beginnings are followed, the cheapest few of each layer. A cycle is made as
//! often as there are others who can make it.
//!
//! Complexity: prices: rounds × choices of different lists. A cycle: layers × width × different changes that are cheap enough.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// So many kinds are traded at most.
pub(super) const KINDS: usize = 12;
/// What is wanted most costs so much if it is missing: the unit of costs here.
pub(super) const UNIT: i64 = 1 << 20;
/// Rounds of the subgradient method.
const ROUNDS: usize = 400;
/// So many of them look at all choices; then at those that cost at most so much more than the cheapest.
const SETTLED: usize = 60;
const SEEN: i64 = 2 * UNIT;
/// So many choices are priced, or changes looked through, in the time in which a placement is weighed.
const GLANCES: u64 = 16;
/// Changes in a cycle.
const LAYERS: usize = 7;
/// Beginnings that are followed in a layer.
const WIDTH: usize = 500;
/// VMs that one change gives and takes.
const TAKEN: i32 = 4;
/// VMs in the air.
const AIR: i32 = 6;
/// Equal changes that are told apart.
const EQUAL: usize = 3;
/// How much above nothing a cycle's reduced cost may be: tried one after the other.
const LADDER: [i64; 4] = [0, UNIT / 8, UNIT / 2, UNIT];
/// Choices that cost so much more than the cheapest one are looked at in any case; and at last those that cost so much more.
const NEAR: i64 = UNIT / 8;
const FAR: i64 = UNIT;

/// What is taken of each kind; below 0: given.
pub(super) type Stock = [i8; KINDS];

/// What a site may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Choice {
    pub take: Stock,
    pub moves: i32,
    pub cost: i64,
}

/// What a block may do: by itself, and a list of choices for each of its sites.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Variant {
    pub own: Choice,
    pub lists: Vec<usize>,
}

/// What a block does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub variant: usize,
    pub picks: Vec<usize>,
}

/// Blocks that trade.
#[derive(Default)]
pub(super) struct Market {
    /// Lists of choices, each different.
    pub lists: Vec<Vec<Choice>>,
    /// What blocks of a class may do.
    pub classes: Vec<Vec<Variant>>,
    /// For each block its class.
    pub class: Vec<usize>,
    /// What each block does.
    pub states: Vec<State>,
    /// What one of each kind may be worth: where prices begin, and their scale.
    pub worth: [i64; KINDS],
    /// So many moves there may be.
    pub most: i64,
    /// Work that was done, and the most that may be.
    pub work: u64,
    pub most_work: u64,
}

/// Prices: of each kind, and of a move.
struct Prices {
    kinds: [i64; KINDS],
    moves: i64,
}

impl Prices {
    fn reduced(&self, choice: &Choice) -> i64 {
        let kinds: i64 = self.kinds.iter().zip(&choice.take).map(|(price, take)| price * i64::from(*take)).sum();
        choice.cost + self.moves * i64::from(choice.moves) + kinds
    }
}

/// A change of one block or one of its sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    reduced: i64,
    take: Stock,
    moves: i32,
    cost: i64,
    /// Who may make it, a place in a list of groups.
    group: u32,
    /// What a site then picks, or a place in the group's list of states.
    then: u32,
}

/// What may make a change: sites with a pick of a list, or blocks of a class in a state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Sites(usize, usize),
    Blocks(usize, State),
}

/// Changes of all groups that were seen.
#[derive(Default)]
struct Book {
    numbers: BTreeMap<Group, u32>,
    /// For each group the states that its changes lead to, if it consists of blocks.
    states: Vec<Vec<State>>,
    /// By what they do, then the cheapest first.
    changes: Vec<Change>,
    /// For each group who is in it now.
    members: Vec<Vec<Who>>,
}

/// Who may: a block and a site, or a block as a whole.
type Who = (usize, Option<usize>);

/// The beginning of a cycle.
#[derive(Clone, Copy)]
struct Label {
    air: Stock,
    moves: i32,
    reduced: i64,
    cost: i64,
    before: u32,
    change: u32,
    who: Who,
}

impl Market {
    /// Trades while it brings something, and may bring more.
    pub fn run(&mut self) {
        let prices = self.prices();
        let orders: Vec<Vec<(i64, usize)>> = self.lists.iter().map(|list| sorted(list, &prices)).collect();
        let bound = self.bound(&prices, &orders);
        // What is better than this costs at least this much less than what the prices promise, so that no choice of it costs more.
        let gap = (i128::from(self.sums().0) - bound).rem_euclid(i128::from(self.grain())) as i64;
        let ladder = [gap.max(NEAR), gap.max(FAR)].into_iter().flat_map(|reach| LADDER.map(|above| (above, reach)));
        for (above, reach) in ladder {
            let mut book = Book::default();
            while i128::from(self.sums().0) - i128::from(gap) > bound && self.work < self.most_work {
                if !self.cycle(&prices, &orders, &mut book, (above, reach)) {
                    break;
                }
            }
        }
    }

    /// What all costs are multiples of.
    fn grain(&self) -> i64 {
        let costs =
            self.lists.iter().flatten().chain(self.classes.iter().flatten().map(|it| &it.own)).map(|it| it.cost);
        let now = self.sums().0;
        costs.chain([now]).fold(0, gcd).max(1)
    }

    /// No balanced choice of all costs less.
    fn bound(&self, prices: &Prices, orders: &[Vec<(i64, usize)>]) -> i128 {
        let of = |class: &usize| self.classes[*class].iter().map(|it| least(it, prices, orders)).min().unwrap_or(0);
        let sum: i128 = self.class.iter().map(|class| i128::from(of(class))).sum();
        sum - i128::from(prices.moves) * i128::from(self.most)
    }

    /// What all blocks cost, and how many moves they make.
    pub fn sums(&self) -> (i64, i64) {
        let mut sums = (0, 0);
        for (class, state) in self.class.iter().zip(&self.states) {
            let variant = &self.classes[*class][state.variant];
            let picks = variant.lists.iter().zip(&state.picks).map(|(list, pick)| &self.lists[*list][*pick]);
            for choice in picks.chain([&variant.own]) {
                sums.0 += choice.cost;
                sums.1 += i64::from(choice.moves);
            }
        }
        sums
    }

    /// Prices near those at which the Lagrangian is highest.
    fn prices(&mut self) -> Prices {
        let mut counts = vec![0i64; self.classes.len()];
        for class in &self.class {
            counts[*class] += 1;
        }
        let mut prices = Prices { kinds: self.worth.map(|it| -it), moves: UNIT / 2 };
        let mut best = (i128::MIN, [0; KINDS], 0);
        let mut length = UNIT;
        let mut seen: Vec<Vec<usize>> = self.lists.iter().map(|list| (0..list.len()).collect()).collect();
        for round in 0..ROUNDS {
            if round == SETTLED {
                // From here on prices change little.
                prices = Prices { kinds: best.1, moves: best.2 };
                for (seen, list) in seen.iter_mut().zip(&self.lists) {
                    let most = cheapest(list, seen, &prices).0 + SEEN;
                    seen.retain(|i| prices.reduced(&list[*i]) <= most);
                }
                best.0 = i128::MIN;
            }
            let least: Vec<(i64, usize)> =
                self.lists.iter().zip(&seen).map(|(list, seen)| cheapest(list, seen, &prices)).collect();
            let mut sum = -i128::from(prices.moves) * i128::from(self.most);
            let mut slope = ([0i64; KINDS], -self.most);
            for (class, count) in self.classes.iter().zip(&counts).filter(|it| *it.1 > 0) {
                let of = |variant: &Variant| {
                    prices.reduced(&variant.own) + variant.lists.iter().map(|list| least[*list].0).sum::<i64>()
                };
                let Some((cost, i)) = class.iter().enumerate().map(|(i, variant)| (of(variant), i)).min() else {
                    continue;
                };
                sum += i128::from(cost) * i128::from(*count);
                let picks = class[i].lists.iter().map(|list| &self.lists[*list][least[*list].1]);
                for choice in picks.chain([&class[i].own]) {
                    slope.1 += i64::from(choice.moves) * count;
                    for (slope, take) in slope.0.iter_mut().zip(&choice.take) {
                        *slope += i64::from(*take) * count;
                    }
                }
            }
            self.work += seen.iter().map(|list| list.len() as u64).sum::<u64>() / GLANCES;
            if self.work > self.most_work {
                break;
            }
            if sum > best.0 {
                best = (sum, prices.kinds, prices.moves);
            }
            // Each price in its own scale.
            let scaled: [i128; KINDS] = std::array::from_fn(|k| i128::from(slope.0[k]) * i128::from(self.worth[k]));
            let of_moves = i128::from(slope.1) * i128::from(UNIT);
            let steepest = scaled.iter().chain([&of_moves]).map(|it| it.abs()).max().unwrap_or(0);
            if steepest == 0 {
                break;
            }
            for (price, (slope, worth)) in prices.kinds.iter_mut().zip(scaled.iter().zip(&self.worth)) {
                let step = i128::from(length) * slope / steepest * i128::from(*worth) / i128::from(UNIT);
                *price += step as i64;
            }
            prices.moves = (prices.moves + (i128::from(length) * of_moves / steepest) as i64).max(0);
            length -= length / 64;
        }
        Prices { kinds: best.1, moves: best.2 }
    }

    /// Finds a cycle that brings something, and makes it as often as it can be made. Whether there was one.
    fn cycle(
        &mut self,
        prices: &Prices,
        orders: &[Vec<(i64, usize)>],
        book: &mut Book,
        (above, reach): (i64, i64),
    ) -> bool {
        let mut slack = self.most - self.sums().1;
        self.enter(prices, orders, book, reach);
        let changes = book.few_of_each(above);
        let (found, work) = look(&changes, &book.members, above, slack);
        self.work += work + book.changes.len() as u64 / GLANCES;
        let moves: i64 = found.iter().map(|it| i64::from(changes[it.0 as usize].moves)).sum();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut makers: Vec<Who> = found.iter().map(|it| it.1).collect();
        while !makers.is_empty() && makers.len() == found.len() && moves <= slack {
            slack -= moves;
            for ((change, _), who) in found.iter().zip(&makers) {
                let change = &changes[*change as usize];
                let state = &mut self.states[who.0];
                match who.1 {
                    Some(site) => state.picks[site] = change.then as usize,
                    None => *state = book.states[change.group as usize][change.then as usize].clone(),
                }
                used.insert(who.0);
            }
            // The same once more, by others.
            makers.clear();
            let mut then = used.clone();
            for (change, _) in &found {
                let members = &book.members[changes[*change as usize].group as usize];
                let next = members.iter().find(|who| !then.contains(&who.0));
                makers.extend(next);
                then.extend(next.map(|who| who.0));
            }
        }
        !found.is_empty()
    }

    /// Brings the book up to date.
    fn enter(&self, prices: &Prices, orders: &[Vec<(i64, usize)>], book: &mut Book, reach: i64) {
        book.members.iter_mut().for_each(Vec::clear);
        let mut new: Vec<Change> = Vec::new();
        for (b, state) in self.states.iter().enumerate() {
            let class = &self.classes[self.class[b]];
            for (site, (list, pick)) in class[state.variant].lists.iter().zip(&state.picks).enumerate() {
                let number = book.number(Group::Sites(*list, *pick), |number, _| {
                    self.changes_of_site(prices, (&orders[*list], reach), (*list, *pick, number), &mut new);
                });
                book.members[number as usize].push((b, Some(site)));
            }
            if class.len() > 1 {
                let number = book.number(Group::Blocks(self.class[b], state.clone()), |number, states| {
                    let group = (self.class[b], state, number);
                    self.changes_of_block(prices, (orders, reach), group, states, &mut new);
                });
                book.members[number as usize].push((b, None));
            }
        }
        if !new.is_empty() {
            book.changes.extend(new);
            // Most of it is in order.
            book.changes.sort_by_key(|it| (it.take, it.moves, it.reduced, it.group, it.then));
        }
    }

    fn changes_of_site(
        &self,
        prices: &Prices,
        (order, reach): (&[(i64, usize)], i64),
        (list, pick, group): (usize, usize, u32),
        changes: &mut Vec<Change>,
    ) {
        let now = &self.lists[list][pick];
        let before = prices.reduced(now);
        let most = order.first().map_or(0, |it| it.0) + reach;
        for (reduced, i) in order.iter().take_while(|it| it.0 <= most).filter(|it| it.1 != pick) {
            changes.extend(change(now, &self.lists[list][*i], reduced - before, (group, *i as u32)));
        }
    }

    /// Changes of a block to another variant.
    fn changes_of_block(
        &self,
        prices: &Prices,
        (orders, reach): (&[Vec<(i64, usize)>], i64),
        (class, state, group): (usize, &State, u32),
        states: &mut Vec<State>,
        changes: &mut Vec<Change>,
    ) {
        let variants = &self.classes[class];
        let now = self.choice(&variants[state.variant], &state.picks);
        let before = prices.reduced(&now);
        let most = variants.iter().map(|it| least(it, prices, orders)).min().unwrap_or(0) - before + reach;
        for (v, variant) in variants.iter().enumerate().filter(|(v, _)| *v != state.variant) {
            let left: Vec<i64> = variant.lists.iter().map(|list| orders[*list].first().map_or(0, |it| it.0)).collect();
            let mut picked: Vec<(i64, Vec<usize>)> = vec![(prices.reduced(&variant.own) - before, Vec::new())];
            for (site, list) in variant.lists.iter().enumerate() {
                let least: i64 = left[site + 1..].iter().sum();
                let mut longer = Vec::new();
                for (sum, picks) in picked {
                    let cheap = orders[*list].iter().take_while(|it| sum + it.0 + least <= most);
                    longer.extend(cheap.map(|it| (sum + it.0, [&picks[..], &[it.1]].concat())));
                }
                picked = longer;
            }
            for (reduced, picks) in picked {
                let then = self.choice(variant, &picks);
                if let Some(change) = change(&now, &then, reduced, (group, states.len() as u32)) {
                    states.push(State { variant: v, picks });
                    changes.push(change);
                }
            }
        }
    }

    /// What a block does in all.
    fn choice(&self, variant: &Variant, picks: &[usize]) -> Choice {
        let mut all = variant.own.clone();
        for (list, pick) in variant.lists.iter().zip(picks) {
            let choice = &self.lists[*list][*pick];
            all.take.iter_mut().zip(&choice.take).for_each(|(sum, take)| *sum += take);
            all.moves += choice.moves;
            all.cost += choice.cost;
        }
        all
    }
}

/// The changes and who makes them of the cheapest cycle; empty: none. And the work.
fn look(changes: &[Change], members: &[Vec<Who>], above: i64, slack: i64) -> (Vec<(u32, Who)>, u64) {
    let start = Label { air: [0; KINDS], moves: 0, reduced: 0, cost: 0, before: u32::MAX, change: 0, who: (0, None) };
    let mut closing: HashMap<Stock, Vec<u32>> = HashMap::new();
    for (i, change) in changes.iter().enumerate() {
        closing.entry(change.take).or_default().push(i as u32);
    }
    let mut labels = vec![start];
    let mut layer = vec![0u32];
    let mut work = changes.len() as u64 / GLANCES;
    for depth in 0..LAYERS {
        let mut best: Option<Label> = None;
        for from in &layer {
            let label = labels[*from as usize];
            for i in closing.get(&minus(&[0; KINDS], &label.air)).into_iter().flatten() {
                work += 1;
                let change = &changes[*i as usize];
                let (reduced, cost) = (label.reduced + change.reduced, label.cost + change.cost);
                let moves = label.moves + change.moves;
                if reduced > above || best.is_some_and(|best| best.reduced <= reduced) {
                    break;
                }
                if i64::from(moves) > slack || (cost, moves) >= (0, 0) {
                    continue;
                }
                if let Some(who) = free(&labels, *from, &members[change.group as usize]) {
                    best = Some(Label { air: [0; KINDS], moves, reduced, cost, before: *from, change: *i, who });
                }
            }
        }
        if let Some(best) = best {
            let mut found = vec![(best.change, best.who)];
            let mut i = best.before;
            while i != 0 {
                let label = &labels[i as usize];
                found.push((label.change, label.who));
                i = label.before;
            }
            return (found, work);
        }
        if depth + 1 == LAYERS {
            break;
        }
        let mut next: HashMap<(Stock, i32), Label> = HashMap::new();
        for from in &layer {
            let label = labels[*from as usize];
            for (i, change) in changes.iter().enumerate() {
                let reduced = label.reduced + change.reduced;
                if reduced > above {
                    break;
                }
                work += 1;
                let air = plus(&label.air, &change.take);
                let moves = label.moves + change.moves;
                if air.iter().map(|it| i32::from(it.abs())).sum::<i32>() > AIR
                    || next.get(&(air, moves)).is_some_and(|other| other.reduced <= reduced)
                {
                    continue;
                }
                let Some(who) = free(&labels, *from, &members[change.group as usize]) else { continue };
                let cost = label.cost + change.cost;
                next.insert((air, moves), Label { air, moves, reduced, cost, before: *from, change: i as u32, who });
            }
        }
        let mut next: Vec<Label> = next.into_values().collect();
        next.sort_unstable_by_key(|label| (label.reduced, label.air, label.moves));
        if depth > 0 {
            next.truncate(WIDTH);
        }
        layer = (labels.len() as u32..).take(next.len()).collect();
        labels.extend(next);
    }
    (Vec::new(), work)
}

/// Who may make a change after those that lead to the label.
fn free(labels: &[Label], label: u32, whos: &[Who]) -> Option<Who> {
    let clash = |who: &Who| {
        let mut i = label;
        while i != 0 {
            let used = &labels[i as usize].who;
            if used.0 == who.0 && (used.1.is_none() || who.1.is_none() || used.1 == who.1) {
                return true;
            }
            i = labels[i as usize].before;
        }
        false
    };
    whos.iter().take(LAYERS * 2).find(|who| !clash(who)).copied()
}

impl Book {
    /// The number of a group. One that was not known is given to `new`, with its number and its states.
    fn number(&mut self, group: Group, new: impl FnOnce(u32, &mut Vec<State>)) -> u32 {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(group).or_insert(next);
        if number == next {
            self.members.push(Vec::new());
            self.states.push(Vec::new());
            new(number, &mut self.states[number as usize]);
        }
        number
    }

    /// Of changes that differ only in who makes them, the cheapest few that somebody can make; all by their reduced cost.
    fn few_of_each(&self, above: i64) -> Vec<Change> {
        let open = || self.changes.iter().filter(|it| !self.members[it.group as usize].is_empty());
        let least = open().map(|it| it.reduced).min().unwrap_or(0).min(0);
        let most = above - least * (LAYERS as i64 - 1);
        let mut few: Vec<Change> = Vec::new();
        for change in open().filter(|it| it.reduced <= most) {
            let same = few.len().checked_sub(EQUAL).and_then(|i| few.get(i));
            if !same.is_some_and(|same| same.take == change.take && same.moves == change.moves) {
                few.push(*change);
            }
        }
        few.sort_by_key(|it| it.reduced);
        few
    }
}

/// From one choice to another; `None`: too many VMs at a time.
fn change(now: &Choice, then: &Choice, reduced: i64, (group, place): (u32, u32)) -> Option<Change> {
    let take = minus(&then.take, &now.take);
    let vms: i32 = take.iter().map(|it| i32::from(it.abs())).sum();
    let (moves, cost) = (then.moves - now.moves, then.cost - now.cost);
    (vms <= TAKEN).then_some(Change { reduced, take, moves, cost, group, then: place })
}

fn sorted(list: &[Choice], prices: &Prices) -> Vec<(i64, usize)> {
    let mut order: Vec<(i64, usize)> = list.iter().enumerate().map(|(i, it)| (prices.reduced(it), i)).collect();
    order.sort_unstable();
    order
}

fn cheapest(list: &[Choice], seen: &[usize], prices: &Prices) -> (i64, usize) {
    seen.iter().map(|i| (prices.reduced(&list[*i]), *i)).min().unwrap_or((0, 0))
}

/// The least that a block costs in this variant.
fn least(variant: &Variant, prices: &Prices, orders: &[Vec<(i64, usize)>]) -> i64 {
    let lists = variant.lists.iter().map(|list| orders[*list].first().map_or(0, |it| it.0));
    prices.reduced(&variant.own) + lists.sum::<i64>()
}

fn gcd(one: i64, other: i64) -> i64 {
    let (mut one, mut other) = (one.abs(), other.abs());
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

fn plus(one: &Stock, other: &Stock) -> Stock {
    std::array::from_fn(|k| one[k].saturating_add(other[k]))
}

fn minus(one: &Stock, other: &Stock) -> Stock {
    std::array::from_fn(|k| one[k].saturating_sub(other[k]))
}
