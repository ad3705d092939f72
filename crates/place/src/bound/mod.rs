//! How many hosts must carry VMs at least, and what any placement must cost at least.
//!
//! Properties:
//! (A) no sound placement (see [`crate::placement`]) has fewer hosts awake than [`HostBound::hosts`], pays fewer points
//!     of [`Problem::awake`] than [`HostBound::points`], or costs less in all than [`cost()`];
//! (B) the same question gives the same answer; all sums are integers and exact, but for load that is spread ideally,
//!     which is lowered by more than it can be wrong by.
//!
//! Abstraction: hosts that nothing connects are questions by themselves ([`part`]): no VM of one may go to the other.
//! In each, what cannot leave its host is counted as taken, and the host as awake. What is left is packing: VMs with
//! sizes, hosts with room. A *weight* for each VM, and for each host the most that VMs on it can weigh together, give a
//! bound: the hosts awake must be able to bear the weight of all.
//!
//! Method: the weights are
//! * what VMs take of a resource, or of several together: sums of sizes, each resource scaled by what hosts have of it;
//! * the same seen through dual feasible functions ([`steps`]): VMs that are large against hosts weigh more than they
//!   take, since what is left beside them is lost. On two resources together they see that no three VMs go on a host
//!   though three would by each resource alone;
//! * 1 for each VM of a hard relation of the kind [`RelationKind::AtMost`] ([`apart`]);
//! * prices by the linear program over all ways to fill a host ([`prices`]), where VMs have few shapes and hosts are of
//!   few kinds.
//!
//! How many hosts bear a weight: the strongest first. For how many points: the cheapest for its strength first, the
//! last one in part ([`cover`]).
//!
//! What is ignored: that relations and sizes forbid more together than each by itself, relations of the kind
//! [`RelationKind::Near`], and which VM may be on which host, beyond what separates hosts altogether.
//!
//! Complexity: for each of a dozen measures a sort of the sizes; then functions × pieces × log VMs, so 20,000 VMs of as
//! many sizes cost some ten milliseconds. [`prices`] has its own budget, which lets it take up to one and a half seconds.
//!
//! [`RelationKind::AtMost`]: crate::RelationKind::AtMost
//! [`RelationKind::Near`]: crate::RelationKind::Near

mod apart;
mod cover;
mod least;
mod measure;
mod part;
mod prices;
mod steps;

use std::borrow::Cow;

use crate::problem::{Points, Problem};
use cover::{Carrier, Load};
use part::{Part, parts};

pub use least::cost;

/// How many hosts must carry something at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostBound {
    /// Hosts that carry anything, those included that carry what does not take part.
    pub hosts: u32,
    /// Points of [`Problem::awake`].
    pub points: Points,
    /// Which bound decided on the hosts; where hosts fall into questions by themselves, that of the largest.
    pub because: Why,
}

/// Why fewer hosts do not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// Nothing needs a host.
    #[default]
    Nothing,
    /// Hosts carry what cannot leave them.
    Stays,
    /// What VMs take in all.
    Sum {
        /// Of which resources, together if several.
        of: Vec<usize>,
    },
    /// VMs are so large against hosts that what remains beside them is lost.
    Large {
        /// By which resources, together if several.
        of: Vec<usize>,
    },
    /// However hosts are filled, gaps remain.
    Gaps,
    /// VMs that a hard relation keeps apart.
    Apart {
        /// Which relation.
        relation: usize,
        /// How many VMs it is about.
        vms: u32,
    },
}

impl Why {
    /// As words; `name` gives a resource's name.
    pub fn text(&self, name: impl Fn(usize) -> String) -> String {
        let names = |of: &[usize]| of.iter().map(|r| name(*r)).collect::<Vec<_>>().join(" and ");
        match self {
            Why::Nothing => "nothing needs a host".to_owned(),
            Why::Stays => "hosts that carry what cannot leave them".to_owned(),
            Why::Sum { of } if of.is_empty() => "every VM must be somewhere".to_owned(),
            Why::Sum { of } => format!("{}: what all VMs take together", names(of)),
            Why::Large { of } => format!("{}: large VMs leave gaps that none fills", names(of)),
            Why::Gaps => "gaps remain however hosts are filled".to_owned(),
            Why::Apart { vms, .. } => format!("{vms} VMs that must be apart"),
        }
    }
}

/// How many hosts must carry something at least in any sound placement, and for how many points.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn hosts(problem: &Problem) -> HostBound {
    assert_eq!(problem.flaw(), None, "a sound question");
    let problem = &*by_size(problem);
    let mut sum = HostBound::default();
    let mut largest = 0;
    for part in parts(problem) {
        let bound = of_part(problem, &part);
        if bound.hosts > largest {
            (largest, sum.because) = (bound.hosts, bound.because);
        }
        sum.hosts += bound.hosts;
        sum.points = sum.points.saturating_add(bound.points);
    }
    sum
}

/// The question without what VMs take loosely: no host needs to have it, and the least that it takes is nothing.
fn by_size(problem: &Problem) -> Cow<'_, Problem> {
    let mut problem = Cow::Borrowed(problem);
    if problem.is_loose() {
        for vm in &mut problem.to_mut().vms {
            std::mem::take(&mut vm.loosely).into_iter().for_each(|r| vm.size[r] = 0);
        }
    }
    problem
}

/// The best of all bounds for one part.
fn of_part(problem: &Problem, part: &Part<'_>) -> HostBound {
    let awake: u32 = part.hosts.iter().map(|host| u32::from(host.awake)).sum();
    let because = if awake == 0 { Why::Nothing } else { Why::Stays };
    let mut best = HostBound { hosts: awake, points: part.awake_points(), because };
    if part.vms.is_empty() {
        return best;
    }
    let mut offer = |hosts: u32, points: Points, because: Why| {
        if hosts > best.hosts {
            (best.hosts, best.because) = (hosts, because);
        }
        best.points = best.points.max(points);
    };
    // Whatever VMs take, each must be somewhere.
    let one = part.hosts.iter().map(|host| Carrier { bears: 1, awake: host.awake, points: host.points });
    let one = Load::new(1, one.collect());
    offer(one.hosts(), one.points(), Why::Sum { of: Vec::new() });
    measure::bounds(part, &mut offer);
    apart::bounds(problem, part, &mut offer);
    let known = (best.hosts, best.points.max(cover::cheapest(part, best.hosts)));
    prices::bounds(part, known, &mut |hosts, points, because| {
        if hosts > best.hosts {
            (best.hosts, best.because) = (hosts, because);
        }
        best.points = best.points.max(points);
    });
    let (hosts, points) = (best.hosts, best.points);
    best.points = points.max(cover::cheapest(part, hosts));
    best
}
