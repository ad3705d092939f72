//! What keeps a VM from a host, small enough to be counted in millions.

/// The first thing that keeps a VM from a host: small, for counting. [`State::reason`](crate::State::reason) makes the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocker {
    /// It is there already.
    AlreadyThere,
    /// The host's data is not believed.
    HostDoubted,
    /// The host does not answer.
    HostUnreachable,
    /// The host is in maintenance.
    HostInMaintenance,
    /// The host is excluded from automatic moves.
    HostExcluded,
    /// The host takes part in no automatic move at this time.
    HostOutsideWindow,
    /// Another architecture.
    Arch,
    /// The host has not said whether it offers the CPU.
    CpuUnknown,
    /// The host does not offer the CPU.
    CpuMissing,
    /// A network is missing.
    Network,
    /// A storage is missing.
    Storage,
    /// A NUMA cell is missing, or short of memory.
    Cells,
    /// Too few huge pages.
    Pages,
    /// A rule binds the VM to other hosts.
    Pinned,
    /// The host's CPU is older than that of the VM's host.
    WrongWay,
    /// The VM's companions are elsewhere.
    NotTogether,
    /// Too many of a rule's VMs are there.
    TooClose,
    /// The host has as many VMs as it may.
    HostFull,
    /// No room for its memory.
    Memory,
    /// Really no memory available.
    MemoryUsed,
    /// Too many virtual CPUs.
    Vcpus,
    /// What is left of the memory is for emergencies.
    HeadroomMemory,
    /// What is left of the virtual CPUs is for emergencies.
    HeadroomCpu,
}

impl Blocker {
    /// How many there are: `blocker as usize` is below it.
    pub const COUNT: usize = Blocker::HeadroomCpu as usize + 1;
}
