//! The rules about places and companions, each with whom it concerns and what its domains are, looked up once.

use std::collections::BTreeMap;

use ulm_model::{HostIx, Level, Rule, RuleKind, Snapshot, VmIx};
use ulm_place::RelationKind;
use ulm_rules::State;
use ulm_rules::domains::Domains;
use ulm_rules::select::selects_host;

/// A rule, and whom it concerns.
pub(crate) struct Concern<'r> {
    pub rule: &'r Rule,
    /// The VMs, ascending.
    pub vms: Vec<VmIx>,
    pub about: About,
}

/// What a rule looks at.
pub(crate) enum About {
    /// So many of its VMs in one domain, or all of them.
    Companions {
        asks: RelationKind,
        /// For each host its domain, or [`ulm_rules::domains::OUTSIDE`].
        domains: Vec<u32>,
        /// How many of its VMs each domain has.
        there: BTreeMap<u32, u32>,
    },
    /// For each host whether its VMs may be there.
    Places { welcome: Vec<bool> },
}

/// All such rules, in the order of the rulebook; soft ones too.
pub(crate) fn concerns<'s>(state: &State<'s>) -> Vec<Concern<'s>> {
    let (snapshot, rules) = (state.snapshot(), &state.rulebook().rules);
    let mut concerns: Vec<Option<Concern<'s>>> = rules.iter().map(|rule| concern(snapshot, rule)).collect();
    if concerns.iter().all(Option::is_none) {
        return Vec::new();
    }
    for (ix, _) in snapshot.vms_ix() {
        for rule in state.index().of_vm(ix) {
            concerns[*rule as usize].iter_mut().for_each(|concern| concern.vms.push(ix));
        }
    }
    let mut concerns: Vec<Concern<'s>> = concerns.into_iter().flatten().collect();
    for concern in &mut concerns {
        if matches!(concern.rule.kind, RuleKind::MaxVms { .. }) && concern.rule.vms.is_empty() {
            concern.vms = snapshot.vms_ix().map(|(ix, _)| ix).collect();
        }
        if let About::Companions { domains, there, .. } = &mut concern.about {
            for vm in &concern.vms {
                *there.entry(domains[snapshot.vm(*vm).host.at()]).or_default() += 1;
            }
            there.remove(&ulm_rules::domains::OUTSIDE);
        }
    }
    concerns
}

fn concern<'r>(snapshot: &Snapshot, rule: &'r Rule) -> Option<Concern<'r>> {
    let companions = |asks: RelationKind, level: &Level, concerned: &dyn Fn(HostIx) -> bool| About::Companions {
        asks,
        domains: domains(snapshot, level, concerned),
        there: BTreeMap::new(),
    };
    let about = match &rule.kind {
        RuleKind::Apart { level, at_most } => companions(RelationKind::AtMost(*at_most), level, &|_| true),
        RuleKind::Together { level } => companions(RelationKind::Near, level, &|_| true),
        RuleKind::MaxVms { at_most } => {
            let concerned = |ix: HostIx| selects_host(&rule.hosts, snapshot.host(ix));
            companions(RelationKind::AtMost(*at_most), &Level::Host, &concerned)
        }
        RuleKind::Pin | RuleKind::KeepOff => {
            let among = |host: &ulm_model::Host| selects_host(&rule.hosts, host) == (rule.kind == RuleKind::Pin);
            About::Places { welcome: snapshot.hosts.iter().map(among).collect() }
        }
        _ => return None,
    };
    Some(Concern { rule, vms: Vec::new(), about })
}

/// For each host its domain, as a number below the number of hosts.
pub(crate) fn domains(snapshot: &Snapshot, level: &Level, concerned: &dyn Fn(HostIx) -> bool) -> Vec<u32> {
    let domains = Domains::new(&snapshot.hosts, level, concerned);
    snapshot.hosts_ix().map(|(ix, _)| domains.of(ix)).collect()
}

impl Concern<'_> {
    /// Whether the rule is not kept by all its VMs as they are.
    pub fn is_broken(&self, snapshot: &Snapshot) -> bool {
        match &self.about {
            About::Companions { asks: RelationKind::AtMost(limit), there, .. } => there.values().any(|vms| vms > limit),
            About::Companions { asks: RelationKind::Near, there, .. } => there.len() > 1,
            About::Companions { asks: RelationKind::AtLeast(least), there, .. } => there.len() < *least as usize,
            About::Places { welcome } => self.vms.iter().any(|vm| !welcome[snapshot.vm(*vm).host.at()]),
        }
    }

    /// What is wrong where the VM is, in words; nothing if it is none of the rule's.
    pub fn broken_at(&self, snapshot: &Snapshot, vm: VmIx) -> Option<String> {
        self.vms.binary_search(&vm).ok()?;
        let home = snapshot.vm(vm).host;
        let name = &snapshot.host(home).name;
        match &self.about {
            About::Places { welcome } => (!welcome[home.at()]).then(|| format!("it is on {name}")),
            About::Companions { asks, domains, there } => {
                let count = *there.get(&domains[home.at()])?;
                match (asks, &self.rule.kind) {
                    (RelationKind::AtMost(limit), RuleKind::MaxVms { .. }) => {
                        (count > *limit).then(|| format!("{name} has {count} VMs"))
                    }
                    (RelationKind::AtMost(limit), _) => {
                        (count > *limit).then(|| format!("{count} of its VMs are where {name} is"))
                    }
                    (RelationKind::AtLeast(least), _) => {
                        let places = there.len();
                        (places < *least as usize).then(|| format!("its VMs are in {places} places, not in {least}"))
                    }
                    (RelationKind::Near, _) => {
                        ((count as usize) < self.vms.len()).then(|| format!("not all of its VMs are where {name} is"))
                    }
                }
            }
        }
    }
}

/// The first rule that is not kept where the VM is, and what is wrong.
pub(crate) fn broken(snapshot: &Snapshot, concerns: &[Concern<'_>], vm: VmIx) -> Option<ulm_model::Reason> {
    concerns.iter().find_map(|concern| {
        let what = concern.broken_at(snapshot, vm)?;
        Some(ulm_model::Reason::RuleBroken { rule: concern.rule.name.clone(), what })
    })
}
