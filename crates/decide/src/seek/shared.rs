//! Pages that VMs have in common, in a placement question: what hosts hold and use is less where equal pages are merged.
//!
//! What is seen of a host is seen merged, and what is known of a VM is its full size. So the credit of the VMs that are there now is
//! part of what hosts have available and of what they use beside VMs; a VM that leaves takes its part of it away, and one that arrives
//! is counted in full ([`ulm_place::Sharing`]). Only what may be counted on is credited ([`ulm_model::SharingClass::credit`]). What was
//! promised is the sum of full sizes, less the credit of those that stay; what of it is not merged is added to the hosts' own part.
//!
//! Unless a goal wants it ([`ulm_policy::Merge`]), sharing by itself is no reason to move: copies of pages cost half of what moving as much
//! would, so that of targets that are equal else the one with siblings is taken.

use ulm_model::{Host, HostIx, SharingClass};
use ulm_place::{Pages, Points, Sharing};

use super::question::{HELD, PROMISED, Question, USED, whole_number};
use crate::round::Round;

/// Adds what VMs share, if any host merges and the policy has sharing groups. `for_four_gib` is what moving 4 GiB costs.
pub(super) fn add(question: &mut Question, round: &Round<'_>, for_four_gib: Points) {
    let known = round.scene.state.sharing();
    if known.classes.is_empty() {
        return;
    }
    const GIB: i128 = 1 << 30;
    let sends = question.sends.map(|sends| i128::from(sends.0));
    let points = |class: &SharingClass| {
        let (bytes, sent) = match sends {
            None => (class.credit, GIB / 2),
            Some(sends) => (class.likely, sends),
        };
        let worth = i128::from(for_four_gib) * i128::from(bytes.0) / GIB * sent / (4 * GIB);
        Points::try_from(worth).unwrap_or(MOST).min(MOST)
    };
    credit(question, round, known, points);
}

/// What a copy costs at most, so that sums stay numbers.
const MOST: Points = 1 << 38;

/// Adds what is known to be shared; `points` says what a copy of the pages of a class costs.
pub(crate) fn credit(
    question: &mut Question,
    round: &Round<'_>,
    known: &ulm_model::Sharing,
    points: impl Fn(&SharingClass) -> Points,
) {
    let pages = |class: &SharingClass| Pages { weight: whole_number(class.credit.0), points: points(class) };
    let classes: Vec<Pages> = known.classes.iter().map(pages).collect();
    let of = question.vms.iter().zip(&question.problem.vms).map(|(ix, vm)| {
        let mut left = vm.size[HELD].min(vm.size[USED]).min(vm.size[PROMISED]);
        let fits = |class: &&u32| {
            left -= classes[**class as usize].weight;
            left >= 0
        };
        known.of_vm[ix.at()].iter().take_while(fits).copied().collect()
    });
    let of = of.collect();
    let merges = round.input.snapshot.hosts.iter().map(Host::merges).collect();
    let sharing = Sharing { resources: vec![PROMISED, HELD, USED], merges, classes, of };
    settle(question, round, &sharing);
    question.problem.sharing = Some(sharing);
}

/// Counts what is merged now as part of what was seen.
fn settle(question: &mut Question, round: &Round<'_>, sharing: &Sharing) {
    let home = question.home();
    let problem = &mut question.problem;
    let (mut credit, mut used) = (vec![0i64; problem.hosts.len()], vec![0i64; problem.hosts.len()]);
    for ((host, class), count) in sharing.counts(&home) {
        let more = i64::try_from(sharing.credit(host, class, count)).unwrap_or(i64::MAX);
        credit[host as usize] = credit[host as usize].saturating_add(more);
    }
    for vm in &problem.vms {
        used[vm.at as usize] = used[vm.at as usize].saturating_add(vm.size[USED]);
    }
    for (i, host) in problem.hosts.iter_mut().enumerate() {
        let seen = whole_number(round.scene.uses[i].memory.0);
        let counted = whole_number(round.scene.state.load(HostIx(i as u32)).merged.0);
        host.base[PROMISED] = host.base[PROMISED].saturating_add((credit[i] - counted).max(0));
        host.capacity[HELD] = (host.capacity[HELD] - credit[i]).max(0);
        host.base[USED] = seen.saturating_sub(used[i]).saturating_add(credit[i]).max(0);
    }
}
