//! Room in NUMA cells and huge pages: what VMs leave, what they may take, and which moves make room.

mod common;

use std::collections::BTreeSet;

use common::*;
use ulm_check::{Grounds, check};
use ulm_decide::{Backing, Capacity, Wanted, Way, Wish, best_host, capacity, way, why_not};
use ulm_model::*;
use ulm_place::dice::Dice;
use ulm_policy::{Goal, GoalKind, Shape};

const PAGES: Bytes = Bytes::mib(2);

/// The host's cells, with so much free in each: ordinary memory and huge pages alike.
fn cells(cluster: &mut Cluster, host: &str, free: &[u64]) {
    let cell = |(id, gib): (usize, &u64)| Cell {
        id: id as u32,
        cpus: 5,
        memory: Bytes::gib(100),
        free: Bytes::gib(*gib),
        pages: vec![HugePages { size: PAGES, total: Bytes::gib(100), free: Bytes::gib(*gib) }],
    };
    cluster.host_mut(host).cells = free.iter().enumerate().map(cell).collect();
}

fn bound(cluster: &mut Cluster, host: &str, name: &str, gib: u64, cells: &[u32]) -> VmId {
    let id = cluster.vm(host, name, 100, gib);
    cluster.vm_mut(id).needs.as_mut().unwrap().cells = cells.iter().copied().collect();
    id
}

fn wants(cluster: &mut Cluster, shape: Shape) {
    cluster.policy.goals = vec![Goal::new("room", GoalKind::MakeRoom(shape))];
    cluster.policy.hotspot.memory = Share::percent(100);
    cluster.policy.limits.moves = 20;
}

fn in_a_cell(gib: u64, count: u32) -> Shape {
    Shape { cell: true, ..Shape::new(4, Bytes::gib(gib), Some(count)) }
}

/// Only if `a0` goes to the cell of the same number on `b` there is a cell with 28 GiB.
fn two_hosts() -> Cluster {
    let mut cluster = Cluster::of(&["a", "b"]);
    cells(&mut cluster, "a", &[9, 4]);
    cells(&mut cluster, "b", &[25, 5]);
    bound(&mut cluster, "a", "a0", 20, &[0]);
    bound(&mut cluster, "b", "b0", 10, &[0]);
    bound(&mut cluster, "b", "b1", 15, &[1]);
    wants(&mut cluster, in_a_cell(28, 1));
    cluster
}

#[test]
fn the_vm_whose_cell_becomes_large_enough_goes() {
    let mut cluster = two_hosts();
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["a0: a -> b"], "{decision}");
    assert!(decision.sane.is_some());
    let gain = &decision.report.goals[0].gains[0];
    assert_eq!((gain.before.as_str(), gain.after.as_str()), ("0", "1"));
    assert_eq!(gain.what, "places for a VM of 4 vCPUs and 28.0 GiB in one NUMA cell");
    // Without cells there is room enough.
    wants(&mut cluster, Shape::new(4, Bytes::gib(28), Some(1)));
    assert_eq!(cluster.moves().len(), 0);
}

#[test]
fn the_same_in_huge_pages_of_the_size() {
    let mut cluster = two_hosts();
    for vm in &mut cluster.snapshot.vms {
        vm.needs.as_mut().unwrap().pages = Some(PAGES);
    }
    wants(&mut cluster, Shape { pages: Some(PAGES), ..in_a_cell(28, 1) });
    assert_eq!(cluster.moves(), ["a0: a -> b"]);
    // What is in other pages gives nothing.
    wants(&mut cluster, in_a_cell(28, 1));
    assert_eq!(cluster.moves().len(), 0);
    // In all cells of a host together.
    wants(&mut cluster, Shape { pages: Some(PAGES), ..Shape::new(4, Bytes::gib(32), Some(1)) });
    let decision = cluster.decide();
    assert_eq!(moves(&decision).len(), 1, "{decision}");
    assert_eq!(decision.report.goals[0].gains[0].after, "1");
}

#[test]
fn a_vm_that_may_have_lain_elsewhere_makes_no_room_in_a_cell() {
    for cells in [&[0, 1][..], &[]] {
        let mut cluster = two_hosts();
        let a0 = cluster.snapshot.vms.iter().find(|vm| vm.name == "a0").unwrap().id;
        cluster.vm_mut(a0).needs.as_mut().unwrap().cells = cells.iter().copied().collect();
        assert_eq!(cluster.moves().len(), 0, "bound to {cells:?}");
    }
}

#[test]
fn hosts_that_do_not_tell_their_cells_have_no_room_in_them() {
    let mut cluster = two_hosts();
    for host in &mut cluster.snapshot.hosts {
        host.cells.clear();
    }
    let decision = cluster.decide();
    assert_eq!(moves(&decision).len(), 0, "{decision}");
    assert!(decision.report.goals[0].ends.is_some());
}

fn go(cluster: &Cluster, targets: &[(&str, &str)]) -> Way {
    let one = |(vm, to): &(&str, &str)| {
        let ix = cluster.snapshot.vms_ix().find(|(_, one)| one.name == *vm).unwrap().0;
        Wanted::new(ix, cluster.snapshot.find_host(&(*to).into()).unwrap(), Reason::Calm {})
    };
    way(&cluster.input(), &cluster.policy, &targets.iter().map(one).collect::<Vec<_>>())
}

/// `x` is wanted where there is no room in its cell before `y` has left.
fn one_after_the_other(y: &[u32]) -> Cluster {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    cells(&mut cluster, "a", &[2, 2]);
    cells(&mut cluster, "b", &[2, 2]);
    cells(&mut cluster, "c", &[20, 2]);
    bound(&mut cluster, "a", "x", 12, &[0]);
    bound(&mut cluster, "b", "y", 12, y);
    cluster
}

#[test]
fn what_a_vm_leaves_in_its_cell_is_room_for_the_next_one_afterwards() {
    let cluster = one_after_the_other(&[0]);
    let way = go(&cluster, &[("x", "b"), ("y", "c")]);
    assert_eq!(way.left_out, []);
    let told = |step: &Step| {
        let Action::Move { vm_name, to, .. } = &step.action;
        (format!("{vm_name} -> {to}"), step.after.len())
    };
    let steps: Vec<(String, usize)> = way.plan.steps.iter().map(told).collect();
    assert_eq!(steps, [("y -> c".to_owned(), 0), ("x -> b".to_owned(), 1)]);
    assert!(way.sane.is_some());
}

#[test]
fn what_may_have_lain_elsewhere_is_no_room_before_the_host_says_so() {
    let cluster = one_after_the_other(&[0, 1]);
    let way = go(&cluster, &[("x", "b"), ("y", "c")]);
    assert_eq!(way.left_out.len(), 1, "{:?}", way.left_out);
    assert!(way.left_out[0].1.to_string().contains("x"), "{:?}", way.left_out);
    assert_eq!((way.plan.steps.len(), way.sane.is_some()), (1, true));
}

#[test]
fn two_vms_for_one_cell_do_not_both_come() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cells(&mut cluster, "a", &[2, 2]);
    cells(&mut cluster, "b", &[20, 2]);
    bound(&mut cluster, "a", "x", 12, &[0]);
    bound(&mut cluster, "a", "y", 12, &[0]);
    let way = go(&cluster, &[("x", "b"), ("y", "b")]);
    assert_eq!((way.plan.steps.len(), way.left_out.len(), way.sane.is_some()), (1, 1, true), "{:?}", way.left_out);
    assert!(way.left_out[0].1.to_string().contains("memory of NUMA cell(s) 0"), "{}", way.left_out[0].1);
}

/// A small cluster, and what is wanted in it.
#[derive(Clone)]
struct Small {
    cluster: Cluster,
    shape: Shape,
    hosts: Vec<[u64; 2]>,
    /// For each VM its size, its host, its cells, and whether it is in huge pages.
    vms: Vec<(u64, usize, BTreeSet<u32>, bool)>,
}

/// Clusters that are looked at.
const CASES: u32 = 2000;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn small(dice: &mut Dice) -> Small {
    let hosts = 2 + dice.below(2) as usize;
    let mut cluster = Cluster::of(&NAMES[..hosts]);
    for host in &mut cluster.snapshot.hosts {
        host.memory = Bytes::gib(1000);
    }
    let free: Vec<[u64; 2]> = (0..hosts).map(|_| [0; 2].map(|_: u64| dice.below(16) as u64)).collect();
    for (name, free) in NAMES.iter().zip(&free) {
        cells(&mut cluster, name, free);
    }
    let huge = dice.below(2) == 0;
    let mut vms = Vec::new();
    for i in 0..2 + dice.below(4) {
        let (gib, host) = (2 + dice.below(9) as u64, dice.below(hosts as i64) as usize);
        let of: &[u32] = [&[0][..], &[0], &[1], &[1], &[0, 1], &[]][dice.below(6) as usize];
        let in_pages = if dice.below(6) == 0 { !huge } else { huge };
        let id = bound(&mut cluster, NAMES[host], &format!("vm{i}"), gib, of);
        cluster.vm_mut(id).needs.as_mut().unwrap().pages = in_pages.then_some(PAGES);
        vms.push((gib, host, of.iter().copied().collect(), in_pages));
    }
    // As many vCPUs as a host may promise are 40, and each VM has 4.
    let shape = Shape {
        vcpus: 1 + 12 * dice.below(2) as u32,
        pages: huge.then_some(PAGES),
        ..in_a_cell(6 + dice.below(9) as u64, 1 + dice.below(4) as u32)
    };
    wants(&mut cluster, shape);
    Small { cluster, shape, hosts: free, vms }
}

impl Small {
    /// VMs by what they do: those that came to the host, and those that left it.
    fn came(&self, at: &[usize], host: usize) -> impl Iterator<Item = &(u64, usize, BTreeSet<u32>, bool)> {
        self.vms.iter().zip(at).filter(move |(vm, at)| **at == host && vm.1 != host).map(|it| it.0)
    }
    fn left(&self, at: &[usize], host: usize) -> impl Iterator<Item = &(u64, usize, BTreeSet<u32>, bool)> {
        self.vms.iter().zip(at).filter(move |(vm, at)| **at != host && vm.1 == host).map(|it| it.0)
    }

    /// How many VMs of the shape certainly have room in a cell.
    fn places(&self, at: &[usize]) -> u32 {
        let huge = self.shape.pages.is_some();
        let on_host = |host: usize| {
            let in_cell = |cell: u32| {
                let came = self.came(at, host).filter(|vm| vm.3 == huge && (vm.2.is_empty() || vm.2.contains(&cell)));
                let left = self.left(at, host).filter(|vm| vm.3 == huge && vm.2 == BTreeSet::from([cell]));
                let free = self.hosts[host][cell as usize] as i64 + left.map(|vm| vm.0 as i64).sum::<i64>()
                    - came.map(|vm| vm.0 as i64).sum::<i64>();
                free.max(0) / (self.shape.memory.0 >> 30) as i64
            };
            let vcpus = 40 - 4 * at.iter().filter(|it| **it == host).count() as i64;
            (in_cell(0) + in_cell(1)).min(vcpus / i64::from(self.shape.vcpus))
        };
        let all = (0..self.hosts.len()).map(on_host).sum::<i64>();
        all.min(i64::from(self.shape.count.unwrap())) as u32
    }

    /// Whether all that came find enough in their cells.
    fn fits(&self, at: &[usize]) -> bool {
        (0..self.hosts.len()).all(|host| {
            self.came(at, host).filter(|vm| vm.3 || !vm.2.is_empty()).all(|one| {
                let of: BTreeSet<u32> = if one.2.is_empty() { [0, 1].into() } else { one.2.clone() };
                let alike = |vm: &&(u64, usize, BTreeSet<u32>, bool)| vm.3 == one.3 && (vm.3 || !vm.2.is_empty());
                let meets = |vm: &&(u64, usize, BTreeSet<u32>, bool)| vm.2.is_empty() || !vm.2.is_disjoint(&of);
                let inside = |vm: &&(u64, usize, BTreeSet<u32>, bool)| {
                    if vm.2.is_empty() { of.len() == 2 } else { vm.2.is_subset(&of) }
                };
                let free: u64 = of.iter().map(|cell| self.hosts[host][*cell as usize]).sum();
                let back: u64 = self.left(at, host).filter(alike).filter(inside).map(|vm| vm.0).sum();
                self.came(at, host).filter(alike).filter(meets).map(|vm| vm.0).sum::<u64>() <= free + back
            })
        })
    }

    /// The most places of all ways to put the VMs.
    fn best(&self) -> u32 {
        let mut at = vec![0; self.vms.len()];
        let mut best = 0;
        loop {
            if self.fits(&at) {
                best = best.max(self.places(&at));
            }
            let Some(next) = at.iter().position(|host| host + 1 < self.hosts.len()) else { return best };
            at[next] += 1;
            at[..next].fill(0);
        }
    }
}

#[test]
fn as_much_room_is_made_in_cells_as_can_be_had_and_no_more_is_said() {
    let (mut dice, mut could, mut did, mut moved) = (Dice(5), 0, 0, 0);
    for case in 0..CASES {
        let small = small(&mut dice);
        let decision = small.cluster.decide();
        let home: Vec<usize> = small.vms.iter().map(|vm| vm.1).collect();
        let mut at = home.clone();
        for step in &decision.plan.steps {
            let Action::Move { vm_name, to, .. } = &step.action;
            let vm: usize = vm_name[2..].parse().unwrap();
            at[vm] = NAMES.iter().position(|name| *name == to.0).unwrap();
        }
        let (before, after, best) = (small.places(&home), small.places(&at), small.best());
        assert!(before <= after && after <= best, "case {case}: {before} {after} {best}\n{decision}");
        assert!(small.fits(&at), "case {case}: {decision}");
        if let Some(gain) = decision.report.goals[0].gains.first().filter(|_| !decision.plan.steps.is_empty()) {
            let told = (before.to_string(), after.to_string());
            assert_eq!((gain.before.clone(), gain.after.clone()), told, "case {case}: {decision}");
        }
        if !decision.plan.steps.is_empty() {
            moved += 1;
            assert!(after > before, "case {case}: {decision}");
            let (rulebook, digest) = (small.cluster.policy.rulebook(), small.cluster.snapshot.digest());
            let snapshot = &small.cluster.snapshot;
            let grounds = Grounds { snapshot, digest: &digest, rulebook: &rulebook, now: NOW, past: &[] };
            assert_eq!(check(&decision.plan, &grounds).map(drop), Ok(()), "case {case}");
        }
        let refused = codes(&decision).contains(&"check.refused");
        assert!(!refused, "case {case}: the way is one that the checker accepts: {decision}");
        could += best - before;
        did += after - before;
    }
    println!("{moved} clusters of {CASES} were changed: {did} of {could} places that could be made");
    assert!(moved > 300 && did * 100 >= could * 95, "{did} of {could} places were made, in {moved} clusters");
}

/// What there is room for in one cell of a host.
fn in_cells(cluster: &Cluster, pages: Option<Bytes>) -> Capacity {
    let backing = Backing { cell: true, pages };
    capacity(&cluster.input(), &cluster.policy, backing).expect("the figures can be believed")
}

#[test]
fn capacity_in_cells_is_what_trying_all_placements_gives() {
    let (mut dice, mut could, mut did, mut rooms) = (Dice(9), 0, 0, 0);
    for case in 0..CASES / 4 {
        let small = small(&mut dice);
        let found = in_cells(&small.cluster, small.shape.pages);
        let home: Vec<usize> = small.vms.iter().map(|vm| vm.1).collect();
        let free = |host: usize| small.hosts[host].iter().copied().max();
        let open = (0..small.hosts.len()).filter(|host| home.iter().filter(|at| *at == host).count() < 10);
        let largest = open.filter_map(free).max().filter(|gib| *gib > 0).map(Bytes::gib);
        assert_eq!(found.largest.map(|vm| vm.memory), largest, "case {case}");
        assert!(!found.shapes.is_empty(), "case {case}: every VM is of whole pages");
        for told in found.shapes {
            let shape = Shape { vcpus: told.vcpus, ..in_a_cell(told.memory.0 >> 30, u32::MAX) };
            let small = Small { shape: Shape { pages: small.shape.pages, ..shape }, ..small.clone() };
            let (before, best) = (u64::from(small.places(&home)), u64::from(small.best()));
            assert_eq!(told.now, before, "case {case}: {told:?}");
            assert!(told.now <= told.after && told.after <= best, "case {case}: {told:?}, {best} at best");
            assert!(told.moves > 0 || told.now == told.after, "case {case}: {told:?}");
            could += best - before;
            did += told.after - before;
            rooms += before;
        }
    }
    println!("{rooms} places; {did} of {could} that moves can make");
    assert!(rooms > 500 && could > 400 && did * 100 >= could * 95, "{did} of {could} places were found");
}

#[test]
fn what_comes_and_may_lie_anywhere_leaves_less_in_each_cell() {
    let mut cluster = two_hosts();
    let coming = cluster.vm("a", "coming", 100, 7);
    let largest = |cluster: &Cluster| in_cells(cluster, None).largest.map(|vm| (vm.host.0, vm.memory));
    assert_eq!(largest(&cluster), Some(("b".into(), Bytes::gib(25))));
    cluster.fly(coming, Some("b"));
    assert_eq!(largest(&cluster), Some(("b".into(), Bytes::gib(18))));
    assert_eq!(
        in_cells(&cluster, Some(PAGES)).largest.map(|vm| vm.memory),
        Some(Bytes::gib(25)),
        "pages are another matter"
    );
}

#[test]
fn shapes_that_are_no_whole_pages_are_left_out_and_the_largest_vm_is_of_whole_ones() {
    let mut cluster = two_hosts();
    let odd = cluster.vm("a", "odd", 100, 3);
    cluster.vm_mut(odd).memory = Bytes::mib(3 * 1024 + 1);
    let told = |pages| {
        let found = in_cells(&cluster, pages);
        found.shapes.into_iter().map(|shape| shape.memory.0 >> 20).collect::<Vec<_>>()
    };
    assert!(told(None).contains(&3073));
    assert_eq!(told(Some(PAGES)), [10 << 10, 15 << 10, 20 << 10]);
    let (mut cluster, size) = (two_hosts(), Bytes::gib(4));
    for host in &mut cluster.snapshot.hosts {
        host.cells.iter_mut().for_each(|cell| cell.pages[0].size = size);
    }
    assert_eq!(in_cells(&cluster, Some(size)).largest.map(|vm| vm.memory), Some(Bytes::gib(24)), "of 25 GiB");
}

#[test]
fn the_best_host_for_a_new_vm_has_a_cell_for_it_or_says_how_much_its_freest_one_has() {
    let cluster = two_hosts();
    let best = |gib: u64, backing: Backing| {
        let wish = Wish { vcpus: 1, memory: Bytes::gib(gib), labels: Vec::new(), backing };
        let hosts = best_host(&cluster.input(), &cluster.policy, &wish);
        hosts.map(|hosts| hosts.into_iter().map(|host| host.host.0).collect::<Vec<_>>())
    };
    let (in_cell, in_pages) = (Backing { cell: true, pages: None }, Backing { cell: false, pages: Some(PAGES) });
    assert_eq!(best(9, in_cell), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(best(10, in_cell), Ok(vec!["b".into()]));
    assert_eq!(best(13, in_pages), Ok(vec!["a".into(), "b".into()]), "of both cells");
    let told = |answer: Result<Vec<String>, Vec<Reason>>| -> Vec<String> {
        answer.expect_err("it fits nowhere").iter().map(Reason::to_string).collect()
    };
    let wanted = [
        "a cannot take it into NUMA cell(s) 0: 9.0 GiB in pages of 2.0 MiB are free there, no cell has more, it needs \
                   26.0 GiB",
        "b cannot take it into NUMA cell(s) 0: 25.0 GiB in pages of 2.0 MiB are free there, no cell has \
                   more, it needs 26.0 GiB",
    ];
    assert_eq!(told(best(26, Backing { cell: true, pages: Some(PAGES) })), wanted);
    assert_eq!(told(best(31, in_pages))[1], "b has 30.0 GiB free in pages of 2.0 MiB, it needs 31.0 GiB");
}

#[test]
fn why_not_names_what_the_cells_of_the_target_lack() {
    let mut cluster = two_hosts();
    cluster.policy.goals.clear();
    let b1 = cluster.snapshot.vms.iter().find(|vm| vm.name == "b1").unwrap().id;
    let told = |cluster: &Cluster| -> Vec<String> {
        why_not(&cluster.input(), &cluster.policy, b1, &"a".into()).iter().map(Reason::to_string).collect()
    };
    assert_eq!(told(&cluster), ["a cannot take it into NUMA cell(s) 1: 4.0 GiB are free there, it holds 15.0 GiB"]);
    cluster.vm_mut(b1).needs.as_mut().unwrap().pages = Some(PAGES);
    let wanted = "a has 4.0 GiB free in pages of 2.0 MiB of NUMA cell(s) 1, it needs 15.0 GiB";
    assert_eq!(told(&cluster), [wanted]);
    cluster.host_mut("a").cells.pop();
    assert_eq!(told(&cluster), ["a cannot take it into NUMA cell(s) 1: it has no cell 1"]);
}
