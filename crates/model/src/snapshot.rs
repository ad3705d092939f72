//! What was observed in one round: immutable facts, each with its unit and its age.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Host, HostIx, HostName, Reason, Recent, Time, Vm, VmId, VmIx};

/// All hosts and VMs as one round of observation found them, moves in flight and doubts included.
///
/// Hosts are sorted by name and VMs by id, so that equal facts are equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the round ended.
    pub taken_at: Time,
    /// Every host that ULM knows, reachable or not; sorted by name.
    pub hosts: Vec<Host>,
    /// Every VM that holds resources, once each; sorted by id.
    pub vms: Vec<Vm>,
    /// Moves that run now, whoever began them.
    pub in_flight: Vec<InFlight>,
    /// What could not be believed, and what may therefore only be watched.
    pub doubts: Vec<Doubt>,
}

/// A live migration that runs now. Its VM counts on both hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Which VM.
    pub vm: VmIx,
    /// The host it comes from. Always [`Vm::host`].
    pub from: HostIx,
    /// The host it goes to. `None` when somebody else began the move and the target is not known: then only `from` counts it.
    pub to: Option<HostIx>,
    /// When it was first seen or begun.
    pub since: Time,
}

/// Data that was refused: what it concerns may be watched, never moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// What may only be watched.
    pub scope: Scope,
    /// What is wrong with its data.
    pub reason: Reason,
}

/// How far a [`Doubt`] reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This host neither gives nor takes VMs.
    Host(HostName),
    /// This VM is not moved.
    Vm(VmId),
    /// Nothing is moved.
    Everything,
}

impl Snapshot {
    /// The host at `ix`. Panics when `ix` belongs to another snapshot.
    pub fn host(&self, ix: HostIx) -> &Host {
        &self.hosts[ix.at()]
    }
    /// The VM at `ix`. Panics when `ix` belongs to another snapshot.
    pub fn vm(&self, ix: VmIx) -> &Vm {
        &self.vms[ix.at()]
    }
    /// Finds a host by name, by binary search.
    pub fn find_host(&self, name: &HostName) -> Option<HostIx> {
        self.hosts.binary_search_by(|host| host.name.cmp(name)).ok().map(|i| HostIx(i as u32))
    }
    /// Finds a VM by id, by binary search.
    pub fn find_vm(&self, id: VmId) -> Option<VmIx> {
        self.vms.binary_search_by(|vm| vm.id.cmp(&id)).ok().map(|i| VmIx(i as u32))
    }
    /// All hosts with their indices, by name.
    pub fn hosts_ix(&self) -> impl Iterator<Item = (HostIx, &Host)> {
        self.hosts.iter().enumerate().map(|(i, host)| (HostIx(i as u32), host))
    }
    /// All VMs with their indices, by id.
    pub fn vms_ix(&self) -> impl Iterator<Item = (VmIx, &Vm)> {
        self.vms.iter().enumerate().map(|(i, vm)| (VmIx(i as u32), vm))
    }
    /// For each host the VMs whose home it is (moving ones count at their source), by id.
    pub fn by_host(&self) -> Vec<Vec<VmIx>> {
        let mut residents = vec![Vec::new(); self.hosts.len()];
        for (ix, vm) in self.vms_ix() {
            residents[vm.host.at()].push(ix);
        }
        residents
    }
    /// A digest of everything in the snapshot, in hexadecimal: equal snapshots have equal digests.
    ///
    /// SHA-256 of the JSON of every part but the figures, of which there are by far the most: each window of figures is folded
    /// into 128 bits first. What VMs need, of which there are few kinds, is written once and then goes by its number.
    pub fn digest(&self) -> String {
        hashed(|out| {
            write(out, &self.taken_at);
            for host in &self.hosts {
                write(out, &(&host.name, &host.state, host.cpu, host.memory, &host.platform));
                write(
                    out,
                    &(Vec::from_iter(&host.cpu_verdicts), &host.networks, &host.storage, &host.tags, &host.cells),
                );
                if let Some(merging) = &host.merging {
                    write(out, merging);
                }
                write(out, &[folded(&host.cpu_use, |v| v.0), folded(&host.memory_use, |v| v.0)]);
            }
            let mut known = BTreeMap::new();
            for vm in &self.vms {
                write(out, &(vm.id, &vm.name, vm.host, vm.state, vm.vcpus, vm.memory, vm.network, vm.disk));
                let next = known.len();
                let number = *known.entry(&vm.needs).or_insert(next);
                write(out, &(number, (number == next).then_some(&vm.needs), &vm.fixtures, &vm.tags));
                if vm.unmergeable {
                    write(out, &"unmergeable");
                }
                let contention = folded(&vm.contention, |v| u64::from(v.0));
                write(out, &[folded(&vm.cpu_use, |v| v.0), folded(&vm.memory_use, |v| v.0), contention]);
            }
            write(out, &(&self.in_flight, &self.doubts));
        })
    }
    /// What is wrong with the shape, if anything: order, uniqueness, indices. A snapshot from a file may have any shape.
    pub fn flaw(&self) -> Option<String> {
        let hosts = self.hosts.len();
        if let Some(pair) = self.hosts.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Some(format!("host {} is out of order or there twice", pair[1].name));
        }
        if let Some(pair) = self.vms.windows(2).find(|pair| pair[0].id >= pair[1].id) {
            return Some(format!("VM {} is out of order or there twice", pair[1].id));
        }
        if let Some(vm) = self.vms.iter().find(|vm| vm.host.at() >= hosts) {
            return Some(format!("VM {} is on a host that is not listed", vm.id));
        }
        let mut moving = std::collections::BTreeSet::new();
        self.in_flight.iter().find_map(|flight| {
            let Some(vm) = self.vms.get(flight.vm.at()) else {
                return Some("a move of a VM that is not listed".into());
            };
            if flight.from != vm.host {
                return Some(format!("VM {} moves away from a host that it is not on", vm.id));
            }
            if flight.to.is_some_and(|to| to.at() >= hosts || to == flight.from) {
                return Some(format!("VM {} moves to a host that is not listed, or to its own", vm.id));
            }
            (!moving.insert(flight.vm)).then(|| format!("VM {} moves twice at once", vm.id))
        })
    }
    /// Puts hosts and VMs into their order and mends the indices. For those who build snapshots.
    pub fn sort(&mut self) {
        let new_host = order(&mut self.hosts, |a, b| a.name.cmp(&b.name));
        for vm in &mut self.vms {
            vm.host = HostIx(new_host[vm.host.at()]);
        }
        let new_vm = order(&mut self.vms, |a, b| a.id.cmp(&b.id));
        for flight in &mut self.in_flight {
            flight.vm = VmIx(new_vm[flight.vm.at()]);
            flight.from = HostIx(new_host[flight.from.at()]);
            flight.to = flight.to.map(|to| HostIx(new_host[to.at()]));
        }
        self.in_flight.sort_by_key(|flight| flight.vm);
        self.doubts.sort_by(|a, b| a.scope.cmp(&b.scope));
    }
}

/// Sorts in place and tells for each old index the new one.
fn order<T>(items: &mut Vec<T>, by: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<u32> {
    let mut tagged: Vec<(usize, T)> = items.drain(..).enumerate().collect();
    tagged.sort_by(|a, b| by(&a.1, &b.1));
    let mut new_index = vec![0; tagged.len()];
    for (new, (old, _)) in tagged.iter().enumerate() {
        new_index[*old] = new as u32;
    }
    items.extend(tagged.into_iter().map(|(_, item)| item));
    new_index
}

/// SHA-256 of the JSON form, in hexadecimal. Every field is a list, a sorted map or a scalar, so the form is canonical.
///
/// The form is hashed as it is written: that of a large snapshot is some hundred megabytes and is never held as a whole.
pub fn digest(value: &impl Serialize) -> String {
    hashed(|out| write(out, value))
}

type Out = BufWriter<Hashing>;

/// SHA-256 of what is written, in hexadecimal.
fn hashed(writing: impl FnOnce(&mut Out)) -> String {
    let mut out = BufWriter::with_capacity(1 << 16, Hashing(Sha256::new()));
    writing(&mut out);
    let Ok(Hashing(hash)) = out.into_inner() else { unreachable!("hashing never fails") };
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(out: &mut Out, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("the model's types always have a JSON form");
}

/// A window of figures in 128 bits, by multiplying and turning: order, values and times all count.
fn folded<T: Copy>(window: &Recent<T>, number: impl Fn(T) -> u64) -> [u64; 2] {
    let (mut a, mut b) = (0x9e37_79b9_7f4a_7c15_u64, window.0.len() as u64);
    for figure in &window.0 {
        a = (a ^ number(figure.value)).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29);
        b = (b ^ figure.at.0 as u64).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(31) ^ a;
    }
    [a, b]
}

struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_changes_with_every_figure() {
        let window = |figures: &[(u64, i64)]| {
            Recent(
                figures.iter().map(|&(value, at)| crate::Figure { value: crate::Bytes(value), at: Time(at) }).collect(),
            )
        };
        let of = |figures: &[(u64, i64)]| folded(&window(figures), |v: crate::Bytes| v.0);
        let base = of(&[(1, 10), (2, 20)]);
        assert_eq!(base, of(&[(1, 10), (2, 20)]));
        for other in
            [&[(1, 10), (3, 20)][..], &[(1, 10), (2, 21)], &[(2, 10), (1, 20)], &[(1, 10)], &[(1, 10), (2, 20), (0, 0)]]
        {
            assert_ne!(base, of(other), "{other:?}");
        }
        let snapshot = Snapshot { taken_at: Time(5), ..Snapshot::default() };
        assert_ne!(snapshot.digest(), Snapshot::default().digest());
        assert_eq!(snapshot.digest(), snapshot.clone().digest());
    }

    #[test]
    fn a_snapshot_of_any_shape_is_told_apart_from_a_sound_one() {
        let mut snapshot = Snapshot::default();
        assert_eq!(snapshot.flaw(), None);
        snapshot.in_flight.push(InFlight { vm: VmIx(0), from: HostIx(0), to: None, since: Time(0) });
        assert_eq!(snapshot.flaw().as_deref(), Some("a move of a VM that is not listed"));
    }
}
