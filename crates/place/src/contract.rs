//! What a [`Problem`] must keep so that it can be searched: lists are as long as they should be, numbers point at something, and what
//! has a size or a cost has none below 0 (but tables, which may say that a place is better than nothing).

use crate::problem::{Dependency, Excess, Problem, Relation};

impl Problem {
    /// What is wrong with the question, if anything is.
    pub fn flaw(&self) -> Option<String> {
        let found = [
            self.flaw_of_hosts(),
            self.flaw_of_vms(),
            self.flaw_of_wholes(),
            self.flaw_of_relations(),
            self.flaw_of_dependencies(),
            self.flaw_of_excesses(),
            self.flaw_of_terms(),
            self.flaw_of_sharing(),
            self.flaw_of_loose(),
        ];
        found.into_iter().flatten().next()
    }

    fn flaw_of_hosts(&self) -> Option<String> {
        let bad = |sizes: &[i64]| sizes.len() != self.resources || sizes.iter().any(|it| *it < 0);
        let host = self.hosts.iter().position(|host| bad(&host.capacity) || bad(&host.base));
        host.map(|i| format!("host {i}: one size from 0 on for each resource"))
    }

    fn flaw_of_vms(&self) -> Option<String> {
        let vm = self.vms.iter().position(|vm| {
            vm.at as usize >= self.hosts.len()
                || vm.allowed as usize >= self.sets.len()
                || vm.size.len() != self.resources
                || vm.size.iter().chain([&vm.move_cost, &vm.stay_cost]).any(|it| *it < 0)
        });
        vm.map(|i| format!("VM {i}: a host, a set, and one size from 0 on for each resource; no cost below 0"))
    }

    fn flaw_of_wholes(&self) -> Option<String> {
        let mut seen = vec![false; self.vms.len()];
        let mut fine = |parts: &[u32]| {
            let new = |vm: &u32| seen.get_mut(*vm as usize).is_some_and(|seen| !std::mem::replace(seen, true));
            parts.windows(2).all(|pair| pair[0] < pair[1]) && parts.iter().all(new)
        };
        let whole = self.wholes.iter().position(|parts| !fine(parts));
        whole.map(|i| format!("whole {i}: its parts are VMs, ascending, and parts of nothing else"))
    }

    fn flaw_of_relations(&self) -> Option<String> {
        let relation = self.relations.iter().position(|it| {
            let ascending = it.vms.windows(2).all(|pair| pair[0] < pair[1]);
            let known = it.vms.last().is_none_or(|last| (*last as usize) < self.vms.len());
            let numbered = it.domains.iter().all(|d| *d == Relation::OUTSIDE || (*d as usize) < self.hosts.len());
            let priced = it.points.is_none_or(|points| points >= 0);
            !(ascending && known && numbered && priced && it.domains.len() == self.hosts.len())
        });
        relation.map(|i| format!("relation {i}: VMs ascending, one domain for each host, no cost below 0"))
    }

    fn flaw_of_dependencies(&self) -> Option<String> {
        let (vms, hosts) = (self.vms.len() as u32, self.hosts.len());
        let listed =
            |list: &[u32]| list.windows(2).all(|pair| pair[0] < pair[1]) && list.last().is_none_or(|it| *it < vms);
        let fine = |it: &Dependency| {
            let apart = it.of.iter().all(|vm| it.vms.binary_search(vm).is_err());
            let domains = it.domains.len() == hosts && it.domains.iter().all(|domain| (*domain as usize) < hosts);
            listed(&it.vms) && listed(&it.of) && apart && domains
        };
        let dependency = self.dependencies.iter().position(|it| !fine(it));
        dependency.map(|i| format!("dependency {i}: VMs ascending, in one list only, and one domain for each host"))
    }

    fn flaw_of_excesses(&self) -> Option<String> {
        if !(self.transient.is_empty() || self.transient.len() == self.resources) {
            return Some("transient: one for each resource, or none at all".to_owned());
        }
        let disrupted = |it: &crate::problem::Disruption| it.group.len() == self.vms.len() && it.each >= 0;
        if self.disruption.as_ref().is_some_and(|it| !disrupted(it)) {
            return Some("disruption: a group for each VM, and no cost below 0".to_owned());
        }
        let fine = |it: &Excess| {
            let known = it.parts.iter().all(|(resource, _)| *resource < self.resources);
            known && it.above.len() == self.hosts.len() && it.each >= 0
        };
        let excess = self.excesses.iter().position(|it| !fine(it));
        excess.map(|i| format!("excess {i}: known resources, one level for each host, no cost below 0"))
    }

    fn flaw_of_terms(&self) -> Option<String> {
        let hosts = self.hosts.len();
        let curve = self.curves.iter().position(|curve| {
            let shaped = matches!(curve.power, 1 | 2 | 4) && curve.weight >= 0 && curve.resource < self.resources;
            !shaped || curve.whole.len() != hosts || curve.whole.iter().any(|whole| *whole < 0)
        });
        if let Some(i) = curve {
            return Some(format!("curve {i}: a resource, a power of 1, 2 or 4, one whole from 0 on for each host"));
        }
        if !(self.awake.is_empty() || self.awake.len() == hosts) || self.awake.iter().any(|points| *points < 0) {
            return Some("awake: one cost from 0 on for each host, or none at all".to_owned());
        }
        let table = self.tables.iter().position(|table| {
            let classes = table.host_classes as usize;
            let rows = table.points.len().checked_div(classes).unwrap_or(0);
            table.vm_class.len() != self.vms.len()
                || table.host_class.len() != hosts
                || table.host_class.iter().any(|class| *class as usize >= classes)
                || table.vm_class.iter().any(|class| *class as usize >= rows)
        });
        if let Some(i) = table {
            return Some(format!("table {i}: a class for each VM and host, points for each pair of classes"));
        }
        self.flaw_of_rooms()
    }

    fn flaw_of_rooms(&self) -> Option<String> {
        let room = self.rooms.iter().position(|room| {
            room.shape.len() != self.resources
                || room.shape.iter().any(|it| *it < 0)
                || room.shape.iter().all(|it| *it == 0)
                || room.allowed as usize >= self.sets.len()
                || room.points < 0
        });
        if let Some(i) = room {
            return Some(format!("room {i}: a shape that takes something, a set, no cost below 0"));
        }
        let room = self.rooms.iter().position(|room| {
            let others = |i: usize| room.parts[..i].iter().map(|other| other.0);
            room.parts.iter().enumerate().any(|(i, (r, each))| {
                *r >= self.resources || room.shape[*r] > 0 || *each <= 0 || others(i).any(|other| other == *r)
            })
        });
        room.map(|i| {
            format!("room {i}: each part takes something of a resource that neither the shape nor another takes")
        })
    }

    fn flaw_of_loose(&self) -> Option<String> {
        let spread = self.curves.iter().map(|curve| curve.resource);
        let above = self.excesses.iter().flat_map(|excess| &excess.parts).map(|part| part.0);
        let shared = self.sharing.iter().flat_map(|sharing| &sharing.resources).copied();
        let transient = (0..self.resources).filter(|r| self.transient.get(*r).copied().unwrap_or(false));
        let others: Vec<usize> = spread.chain(above).chain(shared).chain(transient).collect();
        let vm = self.vms.iter().position(|vm| {
            let ascending = vm.loosely.windows(2).all(|pair| pair[0] < pair[1]);
            !ascending || vm.loosely.iter().any(|r| *r >= self.resources || others.contains(r))
        });
        vm.map(|i| {
            format!("VM {i}: what it takes loosely is ascending, and not transient, shared or a cost by its load")
        })
    }

    fn flaw_of_sharing(&self) -> Option<String> {
        let sharing = self.sharing.as_ref()?;
        let (resources, classes) = (&sharing.resources, &sharing.classes);
        let known = |r: &usize| *r < self.resources && !self.transient.get(*r).copied().unwrap_or(false);
        if !resources.iter().all(known) || (1..resources.len()).any(|i| resources[..i].contains(&resources[i])) {
            return Some("sharing: resources that are known and not transient, each once".to_owned());
        }
        if sharing.merges.len() != self.hosts.len() {
            return Some("sharing: for each host whether it merges".to_owned());
        }
        if sharing.of.len() != self.vms.len() || classes.iter().any(|it| it.weight < 0 || it.points < 0) {
            return Some("sharing: classes for each VM, no weight and no cost below 0".to_owned());
        }
        let fine = |(vm, of): (&crate::problem::PlaceVm, &Vec<u32>)| {
            let known = of.last().is_none_or(|last| (*last as usize) < classes.len());
            let ascending = of.windows(2).all(|pair| pair[0] < pair[1]);
            let weight = || of.iter().map(|class| i128::from(classes[*class as usize].weight)).sum::<i128>();
            ascending && known && resources.iter().all(|r| weight() <= i128::from(vm.size[*r]))
        };
        let vm = self.vms.iter().zip(&sharing.of).position(|it| !fine(it));
        vm.map(|i| format!("sharing of VM {i}: classes ascending, which weigh no more together than it takes"))
    }
}
