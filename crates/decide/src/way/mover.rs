//! Who moves.

use ulm_model::{HostIx, VmIx};
use ulm_rules::HostSet;

/// A VM that may move, where it is wanted, and the hosts that it may be brought to.
pub(super) struct Mover {
    pub vm: VmIx,
    pub to: HostIx,
    pub allowed: HostSet,
}
