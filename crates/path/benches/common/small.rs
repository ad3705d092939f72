//! Small clusters, A and B packed at random and independently: every VM may have to move, and the hosts are in each other's way.

use ulm_model::*;

use super::Dice;

/// Irregular sizes with capacities as the fill wants them, or 4/8/16/32 on hosts of 64, as many VMs as fill them.
pub fn small(hosts: usize, vms: usize, flavours: bool, fill: u64, seed: u64) -> Option<Task> {
    let mut dice = Dice(seed * 1000 + fill);
    let mut sizes: Vec<u64> = vec![];
    let mut capacity = 64;
    if flavours {
        let wanted = 64 * hosts as u64 * fill / 100 / 4 * 4;
        while sizes.iter().sum::<u64>() < wanted {
            let size = [4, 8, 16, 32][dice.below(4)];
            sizes.push(size.min(wanted - sizes.iter().sum::<u64>()));
        }
        // What is left over at the end need not be a flavour: it is split into fours.
        let odd = sizes.pop().expect("at least one VM");
        sizes.extend((0..odd / 4).map(|_| 4));
    } else {
        sizes.extend((0..vms).map(|_| dice.between(5, 35)));
        capacity = (sizes.iter().sum::<u64>() * 100).div_ceil(fill * hosts as u64);
    }
    let mut pack = || {
        for _ in 0..20_000 {
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            dice.shuffle(&mut order);
            order.sort_by_key(|vm| u64::MAX - sizes[*vm] / 12);
            let (mut free, mut at) = (vec![capacity; hosts], vec![0; sizes.len()]);
            let placed = order.into_iter().all(|vm| {
                let fitting: Vec<usize> = (0..hosts).filter(|host| free[*host] >= sizes[vm]).collect();
                if fitting.is_empty() {
                    return false;
                }
                at[vm] = fitting[dice.below(fitting.len())];
                free[at[vm]] -= sizes[vm];
                true
            });
            if placed {
                return Some(at);
            }
        }
        None
    };
    let (from, to) = (pack()?, pack()?);
    let host = |i: usize| TaskHost {
        name: format!("h{i}"),
        capacity: vec![capacity],
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let vm = |i: usize| TaskVm {
        name: format!("v{i}"),
        from: from[i] as u32,
        to: to[i] as u32,
        size: vec![sizes[i]],
        stays: false,
        copy: Copying { bytes: sizes[i], ..Copying::default() },
    };
    let task = Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
        hosts: (0..hosts).map(host).collect(),
        vms: (0..sizes.len()).map(vm).collect(),
        ..Task::default()
    };
    assert_eq!(task.flaw(), None);
    Some(task)
}
