//! All placements that can be reached, explored once more and counted.

use ulm_model::End;

use super::fault::CertificateFault;
use super::name;
use super::system::System;

/// So many states are explored at most.
pub const MOST_STATES: u64 = 20_000_000;

/// So many bytes they may take.
const MOST_BYTES: u64 = 1 << 30;

pub(super) fn check(system: &System<'_>, said: u64) -> Result<(), CertificateFault> {
    let hosts = system.hosts();
    let mut number = vec![0u32; system.items.terms.task.hosts.len()];
    hosts.iter().enumerate().for_each(|(n, host)| number[*host as usize] = n as u32);
    // A host's number in one, two or four bytes.
    let width = [1, 2].into_iter().find(|width| hosts.len() <= 1 << (8 * width)).unwrap_or(4);
    let most = MOST_STATES.min(MOST_BYTES / (width * system.start.len()).max(1) as u64);
    if said > most {
        return Err(CertificateFault::TooMany { states: said, most });
    }
    let pack = |state: &[u32], bytes: &mut Vec<u8>| {
        bytes.clear();
        state.iter().for_each(|host| bytes.extend_from_slice(&number[*host as usize].to_le_bytes()[..width]));
    };
    let unpack = |bytes: &[u8], state: &mut Vec<u32>| {
        state.clear();
        for part in bytes.chunks_exact(width) {
            let n = part.iter().rev().fold(0u32, |n, byte| n << 8 | u32::from(*byte));
            state.push(hosts[n as usize]);
        }
    };
    let (mut bytes, mut state, mut sums) = (Vec::new(), Vec::new(), system.sums());
    pack(&system.start, &mut bytes);
    let mut states = States::new(bytes.len());
    states.add(&bytes);
    let mut next = 0;
    while next < states.len() {
        unpack(states.get(next), &mut state);
        next += 1;
        system.each_step(&state, &mut sums, |step| {
            if step.state == system.other {
                return Err(reached(system));
            }
            pack(step.state, &mut bytes);
            states.add(&bytes);
            match states.len() as u64 {
                found if found > said => Err(CertificateFault::Count { said, found }),
                _ => Ok(()),
            }
        })?;
    }
    if system.start == system.other {
        return Err(reached(system));
    }
    let found = states.len() as u64;
    if found == said { Ok(()) } else { Err(CertificateFault::Count { said, found }) }
}

fn reached(system: &System<'_>) -> CertificateFault {
    CertificateFault::OtherEnd { other: name(if system.from == End::A { End::B } else { End::A }) }
}

/// Strings of bytes of one length, each once, by number in the order in which they came.
struct States {
    length: usize,
    count: usize,
    bytes: Vec<u8>,
    /// Open addressing: numbers plus one, 0 for an empty slot. A power of two, never more than half full.
    table: Vec<u32>,
}

impl States {
    fn new(length: usize) -> Self {
        States { length, count: 0, bytes: Vec::new(), table: vec![0; 16] }
    }

    fn len(&self) -> usize {
        self.count
    }

    fn get(&self, number: usize) -> &[u8] {
        &self.bytes[number * self.length..(number + 1) * self.length]
    }

    fn add(&mut self, state: &[u8]) {
        let slot = self.slot(state);
        if self.table[slot] != 0 {
            return;
        }
        self.bytes.extend_from_slice(state);
        self.count += 1;
        self.table[slot] = self.count as u32;
        if self.count * 2 > self.table.len() {
            self.table = vec![0; self.table.len() * 2];
            for number in 0..self.count {
                let slot = self.slot(self.get(number));
                self.table[slot] = number as u32 + 1;
            }
        }
    }

    /// Where the state is in the table, or where it belongs.
    fn slot(&self, state: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = hash(state) as usize & mask;
        while self.table[slot] != 0 && self.get(self.table[slot] as usize - 1) != state {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// FNV-1a, stirred at the end, for states differ in few bits.
fn hash(bytes: &[u8]) -> u64 {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let sum = (sum ^ sum >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ sum >> 32
}
