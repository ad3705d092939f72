//! Many placements of one core, side by side in memory, each once.

use hashbrown::HashTable;

use crate::mixed::mixed;

/// No state.
pub(crate) const NO_STATE: u32 = u32::MAX;

/// Placements by number, with how each was reached.
pub(crate) struct States {
    width: usize,
    keys: Vec<u8>,
    known: HashTable<u32>,
    /// Where each was reached from.
    pub parent: Vec<u32>,
    /// By which step: class, host left, host entered.
    pub step: Vec<(u16, u8, u8)>,
}

impl States {
    /// None yet, of keys of that width.
    pub fn new(width: usize) -> Self {
        States { width, keys: Vec::new(), known: HashTable::new(), parent: Vec::new(), step: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// The placement.
    pub fn key(&self, state: u32) -> &[u8] {
        let first = state as usize * self.width;
        &self.keys[first..first + self.width]
    }

    /// The number of a placement, if it is known.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.known.find(hash(key), |state| self.key(*state) == key).copied()
    }

    /// Adds a placement; its number, and whether it is new. A known one keeps what led to it.
    pub fn add(&mut self, key: &[u8], parent: u32, step: (u16, u8, u8)) -> (u32, bool) {
        let hash_of = hash(key);
        if let Some(known) = self.known.find(hash_of, |state| self.key(*state) == key) {
            return (*known, false);
        }
        let state = self.parent.len() as u32;
        self.keys.extend_from_slice(key);
        self.parent.push(parent);
        self.step.push(step);
        let (keys, width) = (&self.keys, self.width);
        self.known.insert_unique(hash_of, state, |state| {
            let first = *state as usize * width;
            hash(&keys[first..first + width])
        });
        (state, true)
    }

    /// Memory taken, in bytes, roughly.
    pub fn bytes(&self) -> u64 {
        self.keys.capacity() as u64 + self.parent.capacity() as u64 * 8 + self.known.capacity() as u64 * 5
    }

    /// The steps that led from the first state of the chain to this one, in order.
    pub fn steps_to(&self, mut state: u32) -> Vec<(u16, u8, u8)> {
        let mut steps = Vec::new();
        while self.parent[state as usize] != NO_STATE {
            steps.push(self.step[state as usize]);
            state = self.parent[state as usize];
        }
        steps.reverse();
        steps
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut sum = key.len() as u64;
    for part in key.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        sum = mixed(sum.rotate_left(5) ^ u64::from_le_bytes(bytes));
    }
    sum
}
