//! Which figures can be believed, and what they amount to.

use std::time::Duration;

use ulm_forecast::{Gauge, Quantity, Sustained, mean, sustained};
use ulm_model::{Bytes, Host, MilliCpu, Reason, Recent, Resource, Share, Time, Vm};
use ulm_place::Use;
use ulm_policy::Policy;

/// A host whose figures can be believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostFigures {
    pub cpu: Sustained<MilliCpu>,
    pub memory: Sustained<Bytes>,
}

/// Looks at a host's figures from `since` on; or says why they cannot be believed.
pub(crate) fn of_host(host: &Host, policy: &Policy, now: Time, since: Time) -> Result<HostFigures, Reason> {
    let name = &host.name.0;
    if host.cpu.0 == 0 {
        return Err(Reason::Impossible { of: name.clone(), what: "0 CPUs".into() });
    }
    if host.memory.0 == 0 {
        return Err(Reason::Impossible { of: name.clone(), what: "no memory".into() });
    }
    fresh(name, &host.cpu_use, host.cpu, policy, now)?;
    fresh(name, &host.memory_use, host.memory, policy, now)?;
    Ok(HostFigures {
        cpu: sustained(&host.cpu_use, host.cpu, &gauge(policy, policy.hotspot.cpu, now, since)),
        memory: sustained(&host.memory_use, host.memory, &gauge(policy, policy.hotspot.memory, now, since)),
    })
}

impl HostFigures {
    /// The resource's mean over the window as a part of the host, and how often it was above the threshold.
    pub fn of(&self, resource: Resource, host: &Host) -> (Share, u32, u32) {
        match resource {
            Resource::Cpu => (self.cpu.mean.unwrap_or_default().share_of(host.cpu), self.cpu.above, self.cpu.of),
            Resource::Memory => {
                (self.memory.mean.unwrap_or_default().share_of(host.memory), self.memory.above, self.memory.of)
            }
        }
    }
    /// What the host uses of the resource while it is high, as a part of the host.
    pub fn high_share(&self, resource: Resource, host: &Host) -> Share {
        let high = self.while_high(resource, self.mean());
        match resource {
            Resource::Cpu => high.cpu.share_of(host.cpu),
            Resource::Memory => high.memory.share_of(host.memory),
        }
    }
    /// Whether the resource has been above its threshold for long enough.
    pub fn holds(&self, resource: Resource) -> bool {
        match resource {
            Resource::Cpu => self.cpu.holds(),
            Resource::Memory => self.memory.holds(),
        }
    }
    /// What the host uses of a resource while it is high. More than the mean: four quiet samples of sixteen do not make a
    /// host less overworked in the other twelve.
    pub fn while_high(&self, resource: Resource, of: Use) -> Use {
        match resource {
            Resource::Cpu => Use { cpu: of.cpu.max(self.cpu.high_mean.unwrap_or_default()), ..of },
            Resource::Memory => Use { memory: of.memory.max(self.memory.high_mean.unwrap_or_default()), ..of },
        }
    }
    /// What the host uses on average. Nothing, when there are no samples since its last move: such a host is no target.
    pub fn mean(&self) -> Use {
        Use { cpu: self.cpu.mean.unwrap_or_default(), memory: self.memory.mean.unwrap_or_default() }
    }
    /// Whether there are enough samples to count on the host as a target.
    pub fn enough(&self, host: &Host, policy: &Policy) -> Result<(), Reason> {
        let (have, needed) = (self.cpu.of.min(self.memory.of), enough(policy));
        if have >= needed { Ok(()) } else { Err(Reason::TooFew { of: host.name.0.clone(), have, needed }) }
    }
}

/// What a VM uses on average; or why its figures cannot be believed.
pub(crate) fn of_vm(vm: &Vm, policy: &Policy, now: Time) -> Result<Use, Reason> {
    let gauge = gauge(policy, Share::WHOLE, now, Time(i64::MIN));
    let whole = MilliCpu::cpus(vm.vcpus);
    fresh(&vm.name, &vm.cpu_use, whole + slack(whole), policy, now)?;
    let (cpu, needed) = (gauge.window(&vm.cpu_use), enough(policy));
    if (cpu.len() as u32) < needed {
        return Err(Reason::TooFew { of: vm.name.clone(), have: cpu.len() as u32, needed });
    }
    // Where the hypervisor does not tell the resident set, the whole size is taken.
    let memory = mean(gauge.window(&vm.memory_use)).unwrap_or(vm.memory);
    Ok(Use { cpu: mean(cpu).unwrap_or_default(), memory })
}

/// What is taken for a VM that is on its way and whose own figures cannot be believed: all that it could use.
pub(crate) fn at_most(vm: &Vm) -> Use {
    Use { cpu: MilliCpu::cpus(vm.vcpus), memory: vm.memory }
}

/// A VM's threads beside its vCPUs (disk, network, the emulator) may use some more than its vCPUs alone: a half, and two CPUs.
fn slack(whole: MilliCpu) -> MilliCpu {
    MilliCpu(whole.0 / 2 + 2000)
}

/// So many samples make a mean: half of those that make a load sustained.
fn enough(policy: &Policy) -> u32 {
    policy.hotspot.above.div_ceil(2)
}

fn gauge(policy: &Policy, threshold: Share, now: Time, since: Time) -> Gauge {
    let reach = Gauge::reach(now, policy.observe.interval, policy.hotspot.of);
    Gauge { threshold, above: policy.hotspot.above, of: policy.hotspot.of, since: reach.max(since) }
}

/// The newest figure is there, recent, and not more than the whole; no figure is from the future.
fn fresh<T: Quantity>(of: &str, recent: &Recent<T>, whole: T, policy: &Policy, now: Time) -> Result<(), Reason> {
    let Some(latest) = recent.latest() else {
        return Err(Reason::TooFew { of: of.into(), have: 0, needed: policy.hotspot.above });
    };
    if latest.at > now + CLOCK_SLACK {
        return Err(Reason::Impossible {
            of: of.into(),
            what: format!("a figure from {}, which is still to come", latest.at),
        });
    }
    let (age, limit) = (latest.age(now), policy.observe.stale_after);
    if age > limit {
        return Err(Reason::Stale { of: of.into(), age, limit });
    }
    match recent.0.iter().find(|figure| figure.value.raw() > whole.raw()) {
        Some(_) => Err(Reason::Impossible { of: of.into(), what: "more in use than there is".into() }),
        None => Ok(()),
    }
}

/// Figures are stamped by the controller's own clock; so little may lie between two readings of it.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
