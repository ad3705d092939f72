//! Who is wanted where, and why: what is decided before the way there is looked for.

use ulm_model::{Expected, HostIx, Reason, VmIx};

/// A VM that is wanted on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which VM.
    pub vm: VmIx,
    /// Where it is to be.
    pub to: HostIx,
    /// Why.
    pub because: Reason,
    /// What the move is expected to take and to bring, if that was forecast.
    pub expected: Option<Expected>,
    /// VMs of one package are wanted together or not at all; `None`: it is wanted by itself.
    pub package: Option<u32>,
}

impl Wanted {
    /// One that is wanted by itself, without a forecast.
    pub fn new(vm: VmIx, to: HostIx, because: Reason) -> Self {
        Wanted { vm, to, because, expected: None, package: None }
    }
}
