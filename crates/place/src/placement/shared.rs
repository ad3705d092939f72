//! Pages that VMs share: for each class and host how many VMs there have them, and how many of these have not moved.
//!
//! What all of them save lowers the load; what those save that have not moved lowers what is taken. See [`Sharing`].
//!
//! Complexity: a weighed change costs one look-up for each class of the VM. Memory: classes of at least two VMs × hosts.

use crate::cost::Sum;
use crate::problem::{Pages, Problem, Sharing};

/// Classes and counts.
#[derive(Clone, Debug)]
pub(super) struct Shared<'p> {
    sharing: &'p Sharing,
    arrives: Arrives,
    hosts: usize,
    /// For each VM where it is at the start.
    home: Vec<u32>,
    /// Classes that at least two VMs have.
    classes: Vec<Pages>,
    /// For each VM where its classes begin in `of`; one more at the end.
    begin: Vec<u32>,
    /// The classes of all VMs, those of each ascending.
    of: Vec<u32>,
    /// Class × hosts + host.
    counts: Vec<Count>,
}

/// How a VM that was moved is counted where it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrives {
    /// In full, as it must have room at any time.
    Unmerged,
    /// As those that have not moved: what there will be room for later.
    Merged,
}

/// VMs of a class on a host.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u32,
    /// Those that have not moved.
    stay: u32,
}

/// By how much the credit of a host changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credit {
    /// That of all VMs.
    pub all: Sum,
    /// That of VMs that have not moved.
    pub stay: Sum,
}

impl<'p> Shared<'p> {
    /// Without any VM. `None`: nothing is shared.
    pub fn new(problem: &'p Problem, arrives: Arrives) -> Option<Self> {
        let sharing = problem.sharing.as_ref()?;
        let mut vms = vec![0u32; sharing.classes.len()];
        sharing.of.iter().flatten().for_each(|class| vms[*class as usize] += 1);
        let several: Vec<u32> = (0..vms.len() as u32).filter(|class| vms[*class as usize] > 1).collect();
        let number = |class: &u32| several.binary_search(class).ok().map(|number| number as u32);
        let (mut begin, mut of) = (vec![0], Vec::new());
        for classes in &sharing.of {
            of.extend(classes.iter().filter_map(number));
            begin.push(of.len() as u32);
        }
        let hosts = problem.hosts.len();
        Some(Shared {
            sharing,
            arrives,
            hosts,
            home: problem.vms.iter().map(|vm| vm.at).collect(),
            classes: several.iter().map(|class| sharing.classes[*class as usize]).collect(),
            begin,
            of,
            counts: vec![Count::default(); several.len() * hosts],
        })
    }

    /// Whether it is about the resource.
    pub fn is_about(&self, resource: usize) -> bool {
        self.sharing.resources.contains(&resource)
    }

    /// Counts a VM that has come to the host. What the credit is more.
    pub fn arrive(&mut self, vm: u32, host: u32) -> Credit {
        let credit = self.credit(host, Some(vm), None);
        let stays = u32::from(self.counts_as_merged(vm, host));
        for k in self.range(vm) {
            let place = self.place(self.of[k], host);
            self.counts[place].all += 1;
            self.counts[place].stay += stays;
        }
        credit
    }

    /// Counts a VM that has left the host. What the credit is more: nothing or less.
    pub fn leave(&mut self, vm: u32, host: u32) -> Credit {
        let credit = self.credit(host, None, Some(vm));
        let stays = u32::from(self.counts_as_merged(vm, host));
        for k in self.range(vm) {
            let place = self.place(self.of[k], host);
            self.counts[place].all -= 1;
            self.counts[place].stay -= stays;
        }
        credit
    }

    /// By how much the credit of the host would change.
    fn credit(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Credit {
        Credit { all: self.credit_of_all(host, comes, goes), stay: self.credit_of_those_at_home(host, comes, goes) }
    }

    /// The same of all VMs there.
    pub fn credit_of_all(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        self.credit_of(host, comes, goes, |count| count.all)
    }

    /// The same of those that have not moved.
    pub fn credit_of_those_at_home(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let merged = |vm: &u32| self.counts_as_merged(*vm, host);
        self.credit_of(host, comes.filter(merged), goes.filter(merged), |count| count.stay)
    }

    fn counts_as_merged(&self, vm: u32, host: u32) -> bool {
        self.arrives == Arrives::Merged || self.home[vm as usize] == host
    }

    fn credit_of(&self, host: u32, comes: Option<u32>, goes: Option<u32>, counted: impl Fn(Count) -> u32) -> Sum {
        if !self.sharing.merges[host as usize] {
            return 0;
        }
        let (gone, mut credit) = (self.classes(goes), 0);
        let of = |class: &u32| (counted(self.count(*class, host)), self.weight(*class));
        for (count, weight) in gone.iter().map(of) {
            credit -= if count > 1 { weight } else { 0 };
        }
        for class in self.classes(comes) {
            let ((count, weight), left) = (of(class), u32::from(gone.binary_search(class).is_ok()));
            credit += if count > left { weight } else { 0 };
        }
        credit
    }

    /// By how much what the copies on the host cost would change.
    #[inline(never)]
    pub fn points(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let (gone, merges) = (self.classes(goes), self.sharing.merges[host as usize]);
        let points = |class: &u32| self.price(*class);
        let less = |class: &&u32| !merges || self.count(**class, host).all == 1;
        let more = |class: &&u32| {
            let left = u32::from(gone.binary_search(class).is_ok());
            !merges || self.count(**class, host).all == left
        };
        let comes: Sum = self.classes(comes).iter().filter(more).map(points).sum();
        comes - gone.iter().filter(less).map(points).sum::<Sum>()
    }

    /// The classes of a VM that others have too, ascending.
    pub fn classes(&self, vm: Option<u32>) -> &[u32] {
        vm.map_or(&[], |vm| &self.of[self.range(vm)])
    }

    /// How many VMs of the class are on the host.
    pub fn on(&self, class: u32, host: u32) -> u32 {
        self.count(class, host).all
    }

    /// What a copy of the pages of a class costs.
    pub fn price(&self, class: u32) -> Sum {
        Sum::from(self.classes[class as usize].points)
    }

    /// The classes of some VMs, ascending, each with how many of them have it.
    pub fn group(&self, vms: &[u32]) -> Vec<(u32, u32)> {
        let mut classes: Vec<u32> = vms.iter().flat_map(|vm| self.classes(Some(*vm))).copied().collect();
        classes.sort_unstable();
        classes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
    }

    /// By how much less the copies on the host cost without a group of its VMs.
    pub fn points_without(&self, group: &[(u32, u32)], host: u32) -> Sum {
        let copies = |count: u32| Sum::from(self.sharing.copies(host, count));
        let of = |(class, vms): &(u32, u32)| {
            let there = self.on(*class, host);
            (copies(there) - copies(there - vms)) * self.price(*class)
        };
        group.iter().map(of).sum()
    }

    /// By how much more the copies on the host cost with a group of VMs that are elsewhere.
    pub fn points_with(&self, group: &[(u32, u32)], host: u32) -> Sum {
        let copies = |count: u32| Sum::from(self.sharing.copies(host, count));
        let of = |(class, vms): &(u32, u32)| {
            let there = self.on(*class, host);
            (copies(there + vms) - copies(there)) * self.price(*class)
        };
        group.iter().map(of).sum()
    }

    fn range(&self, vm: u32) -> std::ops::Range<usize> {
        self.begin[vm as usize] as usize..self.begin[vm as usize + 1] as usize
    }

    fn count(&self, class: u32, host: u32) -> Count {
        self.counts[self.place(class, host)]
    }

    fn weight(&self, class: u32) -> Sum {
        Sum::from(self.classes[class as usize].weight)
    }

    fn place(&self, class: u32, host: u32) -> usize {
        class as usize * self.hosts + host as usize
    }
}
