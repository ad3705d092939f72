//! What a round works on: the facts, and what they say of hosts and VMs just now.

use std::cell::OnceCell;

use ulm_model::{HostIx, Reason, Rulebook, VmIx};
use ulm_place::{Ceiling, Scene, Use};
use ulm_policy::Policy;
use ulm_rules::{HostSet, Initiative, State};

use crate::concerns::{Concern, concerns};
use crate::figures::{self, HostFigures};
use crate::{Input, cells, gates};

/// What a round works on.
pub(crate) struct Round<'i> {
    pub input: &'i Input,
    pub policy: &'i Policy,
    pub scene: Scene<'i>,
    pub figures: Vec<Option<HostFigures>>,
    pub residents: Vec<Vec<VmIx>>,
    /// Moves that no safe way was found for in this round: they are not wanted again.
    pub no_way: Vec<(VmIx, HostIx)>,
    concerns: OnceCell<Vec<Concern<'i>>>,
}

impl<'i> Round<'i> {
    /// Sets the scene: promises, projected use with all that is in flight, and which hosts are no targets just now.
    pub fn new(input: &'i Input, policy: &'i Policy, rulebook: &'i Rulebook) -> Self {
        let snapshot = &input.snapshot;
        let state = State::at(snapshot, rulebook, input.moment());
        let (mut figures, mut uses, mut barred) = (Vec::new(), Vec::new(), Vec::new());
        for host in &snapshot.hosts {
            let seen = gates::seen(input, policy, host);
            uses.push(seen.as_ref().map_or(Use::default(), HostFigures::mean));
            barred.push(gates::bar(input, policy, host, &seen));
            figures.push(seen.ok());
        }
        let (margin, hotspot) = (policy.hotspot.margin, &policy.hotspot);
        let ceiling =
            Ceiling { cpu: hotspot.cpu.saturating_sub(margin), memory: hotspot.memory.saturating_sub(margin) };
        let mut scene = Scene::new(state, uses, barred, ceiling);
        for flight in &snapshot.in_flight {
            let vm = snapshot.vm(flight.vm);
            let demand = figures::of_vm(vm, policy, input.now).unwrap_or_else(|_| figures::at_most(vm));
            scene.expect(flight.from, flight.to, demand);
        }
        let (residents, no_way, concerns) = (snapshot.by_host(), Vec::new(), OnceCell::new());
        Round { input, policy, scene, figures, residents, no_way, concerns }
    }

    /// The rules about places and companions.
    pub fn concerns(&self) -> &[Concern<'i>] {
        self.concerns.get_or_init(|| concerns(&self.scene.state))
    }

    /// The limit on moves at once in all, if it is reached.
    pub fn all_busy(&self) -> Option<Reason> {
        let (moves, limit) = (self.scene.state.moves(), self.policy.limits.moves);
        (moves >= limit).then_some(Reason::AllBusy { moves, limit })
    }

    /// What the VM uses on average, or why that is not known.
    pub fn demand(&self, vm: VmIx) -> Result<Use, Reason> {
        figures::of_vm(self.input.snapshot.vm(vm), self.policy, self.input.now)
    }

    /// Whether the host takes VMs just now: nothing closes it, and its figures can be believed.
    pub fn is_open(&self, host: HostIx) -> bool {
        self.scene.state.closed(host, Initiative::Automatic).is_none() && self.scene.barred(host).is_none()
    }

    /// Whether the policy may move the VM just now: neither a rule nor its own past nor its host holds it.
    pub fn is_free(&self, vm: VmIx) -> bool {
        let one = self.input.snapshot.vm(vm);
        self.scene.barred(one.host).is_none()
            && gates::vm_rests(self.input, self.policy, one.id).is_empty()
            && self.scene.state.vm_stays(vm, Initiative::Automatic).is_empty()
    }

    /// The hosts that the VM may be moved to, whatever their load.
    pub fn reach(&mut self, vm: VmIx) -> HostSet {
        let mut hosts = self.scene.state.profile(vm, Initiative::Automatic).allowed;
        let left = gates::left_lately(self.input, self.policy, self.input.snapshot.vm(vm).id);
        left.into_iter().for_each(|(host, _)| hosts.remove(host));
        self.no_way.iter().filter(|(of, _)| *of == vm).for_each(|(_, host)| hosts.remove(*host));
        cells::crowded(&self.input.snapshot, vm).into_iter().for_each(|host| hosts.remove(host));
        hosts
    }
}
