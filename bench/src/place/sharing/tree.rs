//! Trees of pages, as in the hierarchical model of Sindelar, Sitaraman and Shenoy, "Sharing-aware algorithms for virtual machine
//! colocation" (SPAA 2011): a node's pages are common to all VMs below it. Operating system, version, libraries, application.

use std::collections::BTreeSet;

use ulm_place::dice::Dice;

/// Memory of a host and of a VM on average, in MiB.
pub const HOST: i64 = 65_536;
const VM: i64 = 2_048;
/// How many children a node has, by level; the first are roots.
const CHILDREN: [usize; 4] = [3, 3, 4, 4];
/// Which part of what is shared belongs to which level, in percent.
const PARTS: [i64; 4] = [40, 25, 20, 15];

/// A tree and VMs, which are below its leaves.
pub struct Tree {
    /// The node above; `None`: a root. Nodes stand in depth-first order.
    pub above: Vec<Option<usize>>,
    /// What the pages of each node take, in MiB.
    pub weight: Vec<i64>,
    /// The leaf of each VM.
    pub leaf: Vec<usize>,
    /// What each VM shares with nobody, in MiB.
    pub private: Vec<i64>,
}

impl Tree {
    /// So many VMs, of which this part of an average VM's memory is shared, in percent.
    pub fn draw(vms: usize, shared: i64, dice: &mut Dice) -> Tree {
        let mut tree = Tree { above: Vec::new(), weight: Vec::new(), leaf: Vec::new(), private: Vec::new() };
        let mut leaves = Vec::new();
        tree.grow(None, 0, VM * shared / 100, dice, &mut leaves);
        for _ in 0..vms {
            // The smaller of two draws: some applications are frequent, others rare.
            let leaf = dice.place(leaves.len()).min(dice.place(leaves.len()));
            tree.leaf.push(leaves[leaf]);
            let mean = VM * (100 - shared) / 100;
            tree.private.push(dice.between(mean / 2, mean * 3 / 2));
        }
        tree
    }

    fn grow(&mut self, above: Option<usize>, level: usize, shared: i64, dice: &mut Dice, leaves: &mut Vec<usize>) {
        let Some(children) = CHILDREN.get(level) else { return leaves.extend(above) };
        for _ in 0..*children {
            let mean = shared * PARTS[level] / 100;
            self.above.push(above);
            self.weight.push(dice.between(mean / 2, mean * 3 / 2));
            self.grow(Some(self.above.len() - 1), level + 1, shared, dice, leaves);
        }
    }

    /// The nodes above a VM, from the root down.
    pub fn path(&self, vm: usize) -> Vec<usize> {
        let mut path: Vec<usize> = std::iter::successors(Some(self.leaf[vm]), |node| self.above[*node]).collect();
        path.reverse();
        path
    }

    /// What a VM takes by itself.
    pub fn size(&self, vm: usize) -> i64 {
        self.private[vm] + self.path(vm).iter().map(|node| self.weight[*node]).sum::<i64>()
    }

    /// What these VMs take together on one host that merges their pages.
    pub fn footprint(&self, vms: impl IntoIterator<Item = usize>) -> i64 {
        let (mut nodes, mut sum) = (BTreeSet::new(), 0);
        for vm in vms {
            nodes.extend(self.path(vm));
            sum += self.private[vm];
        }
        sum + nodes.iter().map(|node| self.weight[*node]).sum::<i64>()
    }

    /// How many hosts first fit in depth-first order needs, by merged sizes: the paper's packing.
    pub fn depth_first(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.leaf.len()).collect();
        order.sort_by_key(|vm| (self.leaf[*vm], *vm));
        let mut hosts: Vec<Vec<usize>> = Vec::new();
        for vm in order {
            let fits = |on: &&mut Vec<usize>| self.footprint(on.iter().copied().chain([vm])) <= HOST;
            match hosts.iter_mut().find(fits) {
                Some(on) => on.push(vm),
                None => hosts.push(vec![vm]),
            }
        }
        hosts
    }

    /// No placement needs fewer hosts. A host with any VM below a node has the pages of the path to it; so what is below the node
    /// must go into what is left there of so many hosts, each of which has a copy of the node's pages.
    pub fn least_hosts(&self) -> i64 {
        let nodes = self.above.len();
        // What is below each node at least, its own copies not counted; and what is taken by the path to it, itself included.
        let mut below = vec![0; nodes];
        let mut taken = self.weight.clone();
        for node in 0..nodes {
            taken[node] += self.above[node].map_or(0, |above| taken[above]);
        }
        for (leaf, private) in self.leaf.iter().zip(&self.private) {
            below[*leaf] += private;
        }
        let mut all = 0;
        for node in (0..nodes).rev() {
            let copies = (below[node] + HOST - taken[node] - 1) / (HOST - taken[node]);
            let whole = below[node] + copies * self.weight[node];
            match self.above[node] {
                Some(above) => below[above] += whole,
                None => all += whole,
            }
        }
        (all + HOST - 1) / HOST
    }
}
