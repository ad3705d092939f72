//! By how much a change would change the total, without making it.

use super::Placement;
use crate::cost::Sum;

impl Placement<'_> {
    /// By how much the total changes if the VM goes to the host; `None`: it may not.
    pub fn shift_delta(&self, vm: u32, to: u32) -> Option<i128> {
        if to == self.at(vm) || !self.may_be_on(vm, to) || !self.has_room(vm, to, None) {
            return None;
        }
        let relations = self.ties.shift(vm as usize, self.at(vm), to).ok()?;
        let dependencies = self.dependencies.shift(vm as usize, self.at(vm), to).ok()?;
        Some(self.shift_but_relations(vm, to) + relations + dependencies)
    }

    /// By how much the total changes if the two VMs change places; `None`: they may not.
    pub fn swap_delta(&self, one: u32, other: u32) -> Option<i128> {
        let (from, to) = (self.at(one), self.at(other));
        if from == to || !self.may_be_on(one, to) || !self.may_be_on(other, from) {
            return None;
        }
        if !self.has_room(one, to, Some(other)) || !self.has_room(other, from, Some(one)) {
            return None;
        }
        let relations = self.ties.swap(one as usize, from, other as usize, to).ok()?;
        let dependencies = self.dependencies.swap(one as usize, from, other as usize, to).ok()?;
        let excesses = self.excess_of_exchange(one, other);
        let disruption = self.disruption_delta(&[(one, to), (other, from)]);
        let own = self.own_delta(one, to) + self.own_delta(other, from);
        let curves = self.curves_delta(from, Some(other), Some(one)) + self.curves_delta(to, Some(one), Some(other));
        let rooms = self.rooms_delta(&[(from, Some(other), Some(one)), (to, Some(one), Some(other))]);
        let pages = self.pages_delta(from, Some(other), Some(one)) + self.pages_delta(to, Some(one), Some(other));
        Some(relations + dependencies + own + curves + excesses + disruption + rooms + pages)
    }

    /// The most that it can bring that the VM leaves its host for another one than its home, as one of two that change places or by
    /// itself; that the host may become empty is not counted.
    pub fn leave_bound(&self, vm: u32) -> i128 {
        let (from, it) = (self.at(vm), &self.problem.vms[vm as usize]);
        let (moved, stays) = (Sum::from(it.move_cost), Sum::from(it.stay_cost));
        let home = if self.is_home(vm) { stays - moved } else { 0 };
        let tables = self.tables(vm, from) - self.least_table[vm as usize];
        let curves = -self.curves_delta(from, None, Some(vm));
        let rooms = -self.rooms_delta(&[(from, None, Some(vm))]);
        let excesses = self.relief.get(vm as usize).unwrap_or(&0) - self.excess_of_leaving(vm);
        let bound = self.ties.leave_bound(vm as usize, from) + self.dependencies.leave_bound(vm as usize);
        home + tables + curves + excesses + rooms + bound - self.pages_delta(from, None, Some(vm))
    }

    /// What [`Placement::leave_bound`] leaves out if the VM may go home.
    pub fn home_bound(&self, vm: u32) -> i128 {
        let it = &self.problem.vms[vm as usize];
        if self.is_home(vm) {
            return 0;
        }
        let disruption = self.problem.disruption.as_ref().map_or(0, |it| Sum::from(it.each));
        (Sum::from(it.move_cost) - Sum::from(it.stay_cost) + disruption).max(0)
    }

    /// What is saved if the VM is the last on its host and goes.
    pub fn sleep_gain(&self, vm: u32) -> i128 {
        let from = self.at(vm);
        if self.on(from).len() == 1 { self.awake_points(from) } else { 0 }
    }

    /// What it costs that the host carries VMs that take part; 0 if it carries others anyway.
    pub fn awake_points(&self, host: u32) -> i128 {
        let busy = self.problem.hosts[host as usize].busy;
        if busy { 0 } else { self.problem.awake.get(host as usize).map_or(0, |it| Sum::from(*it)) }
    }

    /// Whether the host would have room for the VM, after `goes` has left it.
    pub fn has_room(&self, vm: u32, host: u32, goes: Option<u32>) -> bool {
        let resources = self.problem.resources;
        let size = |vm: u32| &self.flat.size[vm as usize * resources..][..resources];
        let (mine, free) = (size(vm), &self.flat.free[host as usize * resources..][..resources]);
        if !self.kept.is_empty() && self.flat.home[vm as usize] == host {
            return self.has_room_at_last(vm, host, goes);
        }
        let plain = self.shared.is_none() && !self.loose;
        let short = match goes {
            None => mine.iter().zip(free).position(|(size, free)| size > free),
            Some(goes) => {
                let stays = !self.kept.is_empty() && self.flat.home[goes as usize] == host;
                if stays && !plain {
                    return self.has_room_at_last(vm, host, Some(goes));
                }
                let (theirs, transient) = (size(goes), &self.problem.transient);
                let gone = |r: usize| if stays && transient[r] { 0 } else { theirs[r] };
                mine.iter().zip(free).enumerate().position(|(r, (mine, free))| mine - gone(r) > *free)
            }
        };
        match short {
            None => true,
            // What comes and takes of it makes it short, whatever was there.
            Some(r) if plain && mine[r] > 0 && self.flat.home[vm as usize] != host => false,
            Some(_) => self.has_room_at_last(vm, host, goes),
        }
    }

    /// The same, where it is not seen at a glance.
    fn has_room_at_last(&self, vm: u32, host: u32, goes: Option<u32>) -> bool {
        let (problem, flat) = (self.problem, &self.flat);
        let place = host as usize * problem.resources;
        let size = |vm: u32, r: usize| flat.size[vm as usize * problem.resources + r];
        let is_home = |vm: u32| flat.home[vm as usize] == host;
        let merged = self.shared.as_ref().map_or(0, |it| it.credit_of_those_at_home(host, Some(vm), goes));
        (0..problem.resources).all(|r| {
            let transient = !problem.transient.is_empty() && problem.transient[r];
            let loosely = |vm: u32| self.loose && problem.vms[vm as usize].loosely.contains(&r);
            let keeps = |vm: u32| is_home(vm) && (transient || loosely(vm));
            let gone = goes.map_or(0, |goes| if keeps(goes) { 0 } else { size(goes, r) });
            let taken = if keeps(vm) { 0 } else { size(vm, r) };
            let enough = match &self.shared {
                None => taken - gone <= flat.free[place + r],
                Some(shared) => {
                    let merged = if shared.is_about(r) { merged } else { 0 };
                    Sum::from(taken - gone) - merged <= Sum::from(flat.free[place + r])
                }
            };
            if enough {
                return true;
            }
            let left = goes.is_some_and(|goes| !is_home(goes) && gone > 0 && !loosely(goes));
            let comes = !is_home(vm) && size(vm, r) > 0 && !loosely(vm);
            self.come[place + r] - u32::from(left) + u32::from(comes) == 0
        })
    }

    /// By how much the total changes, whether the change is allowed or not.
    pub fn price_of_shift(&self, vm: u32, to: u32) -> Sum {
        let (it, from) = (vm as usize, self.at(vm));
        let hold = self.ties.price_of_shift(it, from, to) + self.dependencies.price_of_shift(it, from, to);
        self.shift_but_relations(vm, to) + hold
    }

    fn shift_but_relations(&self, vm: u32, to: u32) -> Sum {
        let from = self.at(vm);
        let opened = if self.on(to).is_empty() { self.awake_points(to) } else { 0 };
        let curves = self.curves_delta(from, None, Some(vm)) + self.curves_delta(to, Some(vm), None);
        let excesses = self.excess_of_leaving(vm) + self.excess_of_coming(vm, to);
        let rooms = self.rooms_delta(&[(from, None, Some(vm)), (to, Some(vm), None)]);
        let own = self.own_delta(vm, to) + self.disruption_delta(&[(vm, to)]);
        let sum = opened - self.sleep_gain(vm) + own + curves + excesses + rooms;
        if self.shared.is_none() {
            return sum;
        }
        sum + self.pages_delta(from, None, Some(vm)) + self.pages_delta(to, Some(vm), None)
    }

    /// What copies of shared pages cost more on a host.
    fn pages_delta(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        self.shared.as_ref().map_or(0, |shared| shared.points(host, comes, goes))
    }

    /// By how much the credit of a resource changes on a host.
    #[inline(never)]
    fn credit(&self, host: u32, r: usize, comes: Option<u32>, goes: Option<u32>) -> Sum {
        match &self.shared {
            Some(shared) if shared.is_about(r) => shared.credit_of_all(host, comes, goes),
            _ => 0,
        }
    }

    /// Moves, stays and tables.
    fn own_delta(&self, vm: u32, to: u32) -> Sum {
        let it = &self.problem.vms[vm as usize];
        let away = Sum::from(it.move_cost) - Sum::from(it.stay_cost);
        let home = match (self.is_home(vm), to == it.at) {
            (true, false) => away,
            (false, true) => -away,
            _ => 0,
        };
        home + self.tables(vm, to) - self.tables(vm, self.at(vm))
    }

    fn tables(&self, vm: u32, host: u32) -> Sum {
        let points = |table: &crate::problem::Table| Sum::from(table.points[table.place(vm as usize, host as usize)]);
        self.problem.tables.iter().map(points).sum()
    }

    /// By how much a resource's load changes on a host.
    #[inline(always)]
    fn more(&self, host: u32, r: usize, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let size = |vm: Option<u32>| vm.map_or(0, |vm| Sum::from(self.problem.vms[vm as usize].size[r]));
        let more = size(comes) - size(goes);
        if self.shared.is_some() { more - self.credit(host, r, comes, goes) } else { more }
    }

    /// The same of a resource that VMs may take loosely.
    fn more_there(&self, host: u32, r: usize, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let more = self.more(host, r, comes, goes);
        if !self.loose {
            return more;
        }
        let counts_not = |vm: Option<u32>| {
            let vm = vm.map(|vm| &self.problem.vms[vm as usize]);
            vm.map_or(0, |vm| Sum::from(vm.size[r] - vm.takes(r, host)))
        };
        more - counts_not(comes) + counts_not(goes)
    }

    fn curves_delta(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let (problem, h) = (self.problem, host as usize);
        if problem.curves.is_empty() {
            return 0;
        }
        let now = &self.curved[h * problem.curves.len()..];
        let of = |(curve, now): (&crate::problem::Curve, &i64)| match self.more(host, curve.resource, comes, goes) {
            0 => 0,
            more if more < 0 && *now == 0 => 0,
            more => Sum::from(curve.points(h, self.load[h * problem.resources + curve.resource] + more) - now),
        };
        problem.curves.iter().zip(now).map(of).sum()
    }

    fn excess_of_leaving(&self, vm: u32) -> Sum {
        let from = self.at(vm);
        match &self.flat.excesses {
            Some(excesses) => Sum::from(excesses.goes(vm, from)),
            None => self.excess_delta(from, None, Some(vm)),
        }
    }

    fn excess_of_coming(&self, vm: u32, to: u32) -> Sum {
        match &self.flat.excesses {
            Some(excesses) => Sum::from(excesses.comes(vm, to)),
            None => self.excess_delta(to, Some(vm), None),
        }
    }

    fn excess_of_exchange(&self, one: u32, other: u32) -> Sum {
        let (from, to) = (self.at(one), self.at(other));
        match &self.flat.excesses {
            Some(excesses) => Sum::from(excesses.changes(other, one, from) + excesses.changes(one, other, to)),
            None => self.excess_delta(from, Some(other), Some(one)) + self.excess_delta(to, Some(one), Some(other)),
        }
    }

    fn excess_delta(&self, host: u32, comes: Option<u32>, goes: Option<u32>) -> Sum {
        let (problem, h) = (self.problem, host as usize);
        let now = &self.exceeded[h * problem.excesses.len()..];
        let of = |(excess, now): (&crate::problem::Excess, &i64)| {
            let more = |(r, factor): &(usize, i64)| self.more(host, *r, comes, goes) * Sum::from(*factor);
            match excess.parts.iter().map(more).sum::<Sum>() {
                0 => 0,
                more if more < 0 && *now == 0 => 0,
                more => Sum::from(excess.points(h, excess.load(self.load(host)) + more) - now),
            }
        };
        problem.excesses.iter().zip(now).map(of).sum()
    }

    /// Of one or two VMs that go to other hosts.
    fn disruption_delta(&self, changes: &[(u32, u32)]) -> Sum {
        let Some(disruption) = &self.problem.disruption else { return 0 };
        let of = |(vm, to): &(u32, u32)| {
            let home = self.problem.vms[*vm as usize].at;
            (disruption.group[*vm as usize], i32::from(self.at(*vm) == home) - i32::from(*to == home))
        };
        let change = match changes {
            [one, rest @ ..] => self.moved.change(of(one), rest.first().map(of)),
            [] => 0,
        };
        Sum::from(change) * Sum::from(disruption.each)
    }

    fn rooms_delta(&self, changes: &[(u32, Option<u32>, Option<u32>)]) -> Sum {
        let problem = self.problem;
        let mut sum = 0;
        for (k, room) in problem.rooms.iter().enumerate() {
            let mut have = self.have[k] as i64;
            for (host, comes, goes) in changes {
                if problem.sets[room.allowed as usize].contains(ulm_model::HostIx(*host)) {
                    let capacity = &problem.hosts[*host as usize].capacity;
                    let load = |r: usize| self.load(*host)[r] + self.more_there(*host, r, *comes, *goes);
                    have += i64::from(room.fits(capacity, load)) - i64::from(self.fits(*host, k));
                }
            }
            let (then, now) = (room.missing(have.max(0) as u64), self.missing(k));
            sum += (Sum::from(then) - Sum::from(now)) * Sum::from(room.points);
        }
        sum
    }
}
