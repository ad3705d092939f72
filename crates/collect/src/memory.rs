//! What is remembered from round to round: the last counters, the last few rates, the definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ulm_drivers::{DriverError, HostFacts, Reading, VmFacts, VmReading};
use ulm_model::{
    Bytes, BytesPerSecond, CpuNeed, CpuVerdict, Figure, HostName, MilliCpu, Reason, Recent, Share, Time, VmId,
};

use crate::Settings;
use crate::plausible;
use crate::poll::{Answer, Question};
use crate::scans::Scans;

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) hosts: BTreeMap<HostName, HostMemory>,
    pub(crate) vms: BTreeMap<VmId, VmMemory>,
    /// Every CPU need that any VM has had: hosts are asked once for each.
    needs: BTreeSet<CpuNeed>,
    watches: u64,
    /// The number of the present look.
    look: u64,
}

/// What is remembered of one host.
#[derive(Debug, Default)]
pub(crate) struct HostMemory {
    watch: u64,
    pub facts: Option<(Time, HostFacts)>,
    /// The last reading that made sense alone.
    pub reading: Option<Reading>,
    /// The reading that the last sample ended with: the base of the next rates.
    base: Option<Reading>,
    /// The look in which [`HostMemory::reading`] came in.
    answered_in: u64,
    /// Why the last poll failed; `None` when it succeeded.
    pub error: Option<DriverError>,
    /// Why the last reading may not be relied on.
    pub doubt: Option<Reason>,
    pub cpu_use: Recent<MilliCpu>,
    pub memory_use: Recent<Bytes>,
    pub verdicts: BTreeMap<CpuNeed, CpuVerdict>,
    pub scans: Scans,
}

/// What is remembered of one VM, wherever it runs.
#[derive(Debug, Default)]
pub(crate) struct VmMemory {
    /// Where, when and what its definition was read as.
    definition: Option<Definition>,
    pub cpu_use: Recent<MilliCpu>,
    pub memory_use: Recent<Bytes>,
    pub contention: Recent<Share>,
    pub network: Option<BytesPerSecond>,
    pub disk: Option<BytesPerSecond>,
    /// Why its last figures may not be relied on.
    pub doubt: Option<Reason>,
    /// Seen in this round by some host; those not seen for a while are forgotten.
    last_seen: Time,
}

#[derive(Debug)]
struct Definition {
    host: HostName,
    at: Time,
    facts: Result<VmFacts, DriverError>,
}

impl Memory {
    /// Begins a host anew; tells the number of this watch.
    pub(crate) fn begin(&mut self, host: &HostName) -> u64 {
        self.watches += 1;
        self.hosts.insert(host.clone(), HostMemory { watch: self.watches, ..HostMemory::default() });
        self.watches
    }

    pub(crate) fn end(&mut self, host: &HostName) {
        self.hosts.remove(host);
    }

    /// A new look begins: what was read before is not fresh any more.
    pub(crate) fn look_anew(&mut self) {
        self.look += 1;
    }

    /// Whether the host's reading came in with the present look.
    pub(crate) fn is_fresh(&self, of: &HostMemory) -> bool {
        of.answered_in == self.look && of.error.is_none() && of.doubt.is_none()
    }

    /// What to ask a host for, besides its figures.
    pub(crate) fn question(&self, host: &HostName, now: Time, settings: &Settings) -> Question {
        let Some(of) = self.hosts.get(host) else { return Question::default() };
        let fresh = |at: Time| now.since(at) < settings.refresh;
        let known_vms = of.reading.iter().flat_map(|reading| &reading.vms).map(|vm| vm.id).filter(|id| {
            self.vms
                .get(id)
                .and_then(|vm| vm.definition.as_ref())
                .is_some_and(|definition| definition.facts.is_ok() && definition.host == *host && fresh(definition.at))
        });
        Question {
            watch: of.watch,
            facts: of.facts.as_ref().is_none_or(|(at, _)| !fresh(*at)),
            known_vms: Arc::new(known_vms.collect()),
            needs: self.needs.iter().filter(|need| !of.verdicts.contains_key(need)).cloned().collect(),
        }
    }

    /// Takes a host's answer in.
    pub(crate) fn take(&mut self, answer: Answer, settings: &Settings) {
        let Answer { host, facts, reading, vms, verdicts, .. } = answer;
        let Some(of) = self.hosts.get_mut(&host) else { return };
        let reading = match reading {
            Ok(reading) => reading,
            Err(error) => {
                of.error = Some(error);
                return;
            }
        };
        of.error = None;
        match facts {
            Some(Ok(new)) => {
                if of.facts.as_ref().is_some_and(|(_, old)| old.platform != new.platform) {
                    of.verdicts.clear();
                }
                of.facts = Some((reading.at, new));
            }
            Some(Err(error)) if of.facts.is_none() => of.error = Some(error),
            _ => {}
        }
        of.verdicts.extend(verdicts);
        for (vm, facts) in vms {
            if let Ok(facts) = &facts {
                self.needs.insert(facts.needs.cpu.clone());
            }
            let definition = Definition { host: host.clone(), at: reading.at, facts };
            self.vms.entry(vm).or_default().definition = Some(definition);
        }
        self.take_reading(&host, reading, settings);
    }

    fn take_reading(&mut self, host: &HostName, reading: Reading, settings: &Settings) {
        let (look, keep) = (self.look, settings.keep);
        let Some(of) = self.hosts.get_mut(host) else { return };
        of.doubt = plausible::alone(host, &reading).err();
        if of.doubt.is_some() {
            // Nothing of it is believed, and the next rates need a fresh base.
            of.base = None;
            return;
        }
        of.answered_in = look;
        let at = reading.at;
        of.scans.note(reading.merging, at);
        for vm in &reading.vms {
            self.vms.entry(vm.id).or_default().last_seen = at;
        }
        // Time that goes back is not "too close": it is refused below.
        let too_close = |base: &Reading| base.at <= at && at.since(base.at) < settings.spacing;
        if of.base.as_ref().is_some_and(too_close) {
            of.reading = Some(reading);
            return;
        }
        of.memory_use.push(Figure { value: reading.memory.total.saturating_sub(reading.memory.available), at }, keep);
        let before = of.base.take();
        if let Some(before) = &before {
            match plausible::host_cpu(host, before, &reading) {
                Ok(Some(value)) => of.cpu_use.push(Figure { value, at }, keep),
                Ok(None) => {}
                Err(reason) => of.doubt = Some(reason),
            }
        }
        let earlier: BTreeMap<VmId, &VmReading> =
            before.iter().flat_map(|before| &before.vms).map(|vm| (vm.id, vm)).collect();
        let elapsed = before.as_ref().map_or(Duration::ZERO, |before| at.since(before.at));
        for vm in &reading.vms {
            let memory = self.vms.entry(vm.id).or_default();
            memory.take(earlier.get(&vm.id).copied(), vm, elapsed, at, keep);
        }
        of.base = Some(reading.clone());
        of.reading = Some(reading);
    }

    /// A VM's definition as its present host tells it.
    pub(crate) fn definition(&self, vm: VmId) -> Result<&VmFacts, String> {
        match self.vms.get(&vm).and_then(|memory| memory.definition.as_ref()) {
            Some(Definition { facts: Ok(facts), .. }) => Ok(facts),
            Some(Definition { facts: Err(error), .. }) => Err(error.message.clone()),
            None => Err("it is still to be read".to_owned()),
        }
    }

    /// Forgets VMs that no host has shown for `after`.
    pub(crate) fn forget_unseen(&mut self, now: Time, after: Duration) {
        self.vms.retain(|_, vm| now.since(vm.last_seen) < after);
    }
}

impl VmMemory {
    fn take(&mut self, before: Option<&VmReading>, vm: &VmReading, elapsed: Duration, at: Time, keep: usize) {
        use ulm_drivers::RunState::{Incoming, Running};
        if vm.state == Incoming {
            // The receiving half does not execute: its figures say nothing about the VM.
            return;
        }
        self.doubt = None;
        if let Some(resident) = vm.resident {
            self.memory_use.push(Figure { value: resident, at }, keep);
        }
        let Some(before) = before.filter(|before| before.state != Incoming) else { return };
        match plausible::vm_cpu(before, vm, elapsed) {
            Ok(Some(value)) => self.cpu_use.push(Figure { value, at }, keep),
            Ok(None) => {}
            Err(reason) => self.doubt = Some(reason),
        }
        if let (Some(was), Some(is)) = (before.cpu_delay, vm.cpu_delay)
            && let Some(waited) = is.checked_sub(was)
            && vm.state == Running
            && !elapsed.is_zero()
        {
            let wall = elapsed * vm.vcpus.max(1);
            self.contention
                .push(Figure { value: Share::ratio(waited.as_millis() as u64, wall.as_millis() as u64), at }, keep);
        }
        self.network = rate(before.network, vm.network, elapsed);
        self.disk = rate(before.disk, vm.disk, elapsed);
    }
}

/// The rate of a counter that may begin anew.
fn rate(before: Option<Bytes>, now: Option<Bytes>, elapsed: Duration) -> Option<BytesPerSecond> {
    let moved = now?.0.checked_sub(before?.0)?;
    BytesPerSecond::from_amount(Bytes(moved), elapsed)
}
