//! All placements that can be reached from A, and all from which B can be reached, until they meet or one side is complete.
//!
//! Breadth first from both ends, always on the side with fewer states in its newest layer. Where they meet there is a way. A side that
//! cannot grow any more is complete: every placement that can be reached from its end is there, and the other end is not. So it
//! always ends, given enough memory, and nothing is hashed away: a state counts as known only when all its bytes agree.

use ulm_model::{Certificate, End};

use crate::budget::Purse;
use crate::core::{Core, Sums, Way};
use crate::states::{NO_STATE, States};

/// A complete side with at most so many states is listed in the certificate; a larger one is counted.
const LISTED: usize = 20_000;

/// An exploration that can be gone on with.
pub(crate) struct Exploration<'c, 'p> {
    core: &'c Core<'p>,
    sides: [Side; 2],
}

struct Side {
    states: States,
    /// States of the newest layer that are not expanded yet: from here to `end`, then come their successors.
    next: usize,
    end: usize,
}

/// What came of some expansions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Explored {
    /// A way: steps by class and hosts of the core.
    Way(Vec<(u16, u8, u8)>),
    /// One side is complete.
    None(End),
    /// The expansions are used up.
    NotYet,
}

impl<'c, 'p> Exploration<'c, 'p> {
    /// Begins at both ends of a core in which no item may be anywhere.
    pub fn new(core: &'c Core<'p>, start: &[u8]) -> Self {
        let side = |key: &[u8]| {
            let mut states = States::new(key.len());
            states.add(key, NO_STATE, (0, 0, 0));
            Side { states, next: 0, end: 1 }
        };
        Exploration { core, sides: [side(start), side(&core.end())] }
    }

    /// Memory taken, in bytes.
    pub fn bytes(&self) -> u64 {
        self.sides.iter().map(|side| side.states.bytes()).sum()
    }

    /// Expands at most so many states, as far as the purse allows.
    pub fn go_on(&mut self, expansions: u64, purse: &mut Purse<'_>) -> Explored {
        let (mut sums, mut next, mut steps) = (Sums::default(), Vec::new(), Vec::new());
        let start = self.sides[0].states.key(0).to_vec();
        if let Some(met) = self.sides[1].states.find(&start) {
            return Explored::Way(self.joined(0, met));
        }
        for _ in 0..expansions {
            for side in &mut self.sides {
                if side.next == side.end {
                    side.end = side.states.len();
                }
            }
            let layer = |side: &Side| side.end - side.next;
            if let Some(complete) = self.sides.iter().position(|side| layer(side) == 0) {
                return Explored::None(if complete == 0 { End::A } else { End::B });
            }
            if !purse.pay(self.core.weight(), self.bytes()) {
                return Explored::NotYet;
            }
            let which = usize::from(layer(&self.sides[1]) < layer(&self.sides[0]));
            let way = if which == 0 { Way::Onward } else { Way::Back };
            let state = self.sides[which].next as u32;
            self.sides[which].next += 1;
            let key = self.sides[which].states.key(state).to_vec();
            self.core.sum(&key, &mut sums);
            steps.clear();
            self.core.each_step(&key, &sums, way, |step| steps.push(step));
            for step in &steps {
                self.core.after(&key, *step, way, &mut next);
                let told = (self.core.class[usize::from(step.place)], step.from, step.to);
                let (entered, new) = self.sides[which].states.add(&next, state, told);
                if !new {
                    continue;
                }
                if let Some(met) = self.sides[1 - which].states.find(&next) {
                    let (onward, back) = if which == 0 { (entered, met) } else { (met, entered) };
                    return Explored::Way(self.joined(onward, back));
                }
            }
        }
        Explored::NotYet
    }

    fn joined(&self, onward: u32, back: u32) -> Vec<(u16, u8, u8)> {
        let mut steps = self.sides[0].states.steps_to(onward);
        let mut rest = self.sides[1].states.steps_to(back);
        rest.reverse();
        steps.extend(rest);
        steps
    }

    /// The proof, when one side is complete.
    pub fn certificate(&self, from: End) -> Certificate {
        let states = &self.sides[usize::from(from == End::B)].states;
        let (core, mut classes) = (self.core, Vec::new());
        // For each VM in the certificate's order the item whose host is its host.
        let mut places = Vec::new();
        let mut first = 0;
        while first < core.items.len() {
            let last = first + core.class[first..].iter().take_while(|class| **class == core.class[first]).count();
            let vms = |place: usize| &core.problem.items[core.items[place] as usize].vms;
            if vms(first).len() == 1 {
                let mut class: Vec<u32> = (first..last).map(|place| vms(place)[0]).collect();
                class.sort_unstable();
                classes.push(class);
                places.extend(first..last);
            } else {
                // Groups are classes of their own (see `kind_of`), one for each VM.
                for vm in vms(first) {
                    classes.push(vec![*vm]);
                    places.push(first);
                }
            }
            first = last;
        }
        if states.len() > LISTED {
            return Certificate::Explored { from, classes, states: states.len() as u64 };
        }
        let named = |state: u32| {
            let key = states.key(state);
            let mut hosts: Vec<u32> = places.iter().map(|place| core.hosts[usize::from(key[*place])]).collect();
            let mut at = 0;
            for class in &classes {
                hosts[at..at + class.len()].sort_unstable();
                at += class.len();
            }
            hosts
        };
        let mut listed: Vec<Vec<u32>> = (0..states.len() as u32).map(named).collect();
        listed.sort_unstable();
        Certificate::Closed { from, classes, states: listed }
    }
}
