//! How moves share the links: max-min fair, by filling up evenly.

/// One flow from a host to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flow {
    pub from: usize,
    pub to: usize,
    /// At most so many bytes per second.
    pub cap: f64,
}

/// The rate of each flow, when host `h`'s link carries `links[h]` bytes per second out, and as much in.
///
/// All flows grow together; a flow stops at its cap or when one of its links is full. So nobody can have
/// more without taking from somebody who has no more than he.
pub(super) fn max_min_fair(links: &[f64], flows: &[Flow]) -> Vec<f64> {
    let mut rates = vec![0.0; flows.len()];
    let mut open: Vec<usize> = (0..flows.len()).collect();
    let mut left_out = links.to_vec();
    let mut left_in = links.to_vec();
    while !open.is_empty() {
        let count = |pick: fn(&Flow) -> usize, host: usize| {
            open.iter().filter(|&&flow| pick(&flows[flow]) == host).count().max(1) as f64
        };
        let room = |flow: usize| {
            let Flow { from, to, cap } = flows[flow];
            (left_out[from] / count(|f| f.from, from)).min(left_in[to] / count(|f| f.to, to)).min(cap).max(0.0)
        };
        let rooms: Vec<f64> = open.iter().map(|&flow| room(flow)).collect();
        let level = rooms.iter().copied().fold(f64::INFINITY, f64::min);
        // Everybody who is at the level is done; the comparison is exact because the level is one of them.
        let mut still_open = Vec::new();
        for (&flow, room) in open.iter().zip(&rooms) {
            if *room <= level {
                rates[flow] = level;
                left_out[flows[flow].from] -= level;
                left_in[flows[flow].to] -= level;
            } else {
                still_open.push(flow);
            }
        }
        open = still_open;
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NO_CAP: f64 = f64::INFINITY;

    #[test]
    fn one_alone_gets_the_slower_link() {
        assert_eq!(max_min_fair(&[100.0, 40.0], &[Flow { from: 0, to: 1, cap: NO_CAP }]), [40.0]);
    }

    #[test]
    fn two_out_of_one_host_get_half_each_unless_one_wants_less() {
        let flow = |to, cap| Flow { from: 0, to, cap };
        assert_eq!(max_min_fair(&[100.0; 3], &[flow(1, NO_CAP), flow(2, NO_CAP)]), [50.0, 50.0]);
        assert_eq!(max_min_fair(&[100.0; 3], &[flow(1, 20.0), flow(2, NO_CAP)]), [20.0, 80.0]);
    }

    #[test]
    fn both_directions_of_a_link_are_separate() {
        let there = Flow { from: 0, to: 1, cap: NO_CAP };
        let back = Flow { from: 1, to: 0, cap: NO_CAP };
        assert_eq!(max_min_fair(&[100.0; 2], &[there, back]), [100.0, 100.0]);
    }

    #[test]
    fn who_is_held_up_elsewhere_leaves_the_rest_to_the_others() {
        let flows = [Flow { from: 0, to: 1, cap: NO_CAP }, Flow { from: 0, to: 2, cap: NO_CAP }];
        assert_eq!(max_min_fair(&[100.0, 10.0, 100.0], &flows), [10.0, 90.0]);
    }

    proptest! {
        #[test]
        fn no_link_is_overfull_and_every_flow_has_a_full_link_or_its_cap(
            links in prop::collection::vec(1.0..1000.0f64, 4),
            ends in prop::collection::vec((0usize..4, 0usize..4, 1.0..2000.0f64), 1..12),
        ) {
            let flows: Vec<Flow> = ends.into_iter().filter(|(from, to, _)| from != to)
                .map(|(from, to, cap)| Flow { from, to, cap }).collect();
            let rates = max_min_fair(&links, &flows);
            let out = |h: usize| -> f64 { flows.iter().zip(&rates).filter(|(f, _)| f.from == h).map(|(_, r)| r).sum() };
            let into = |h: usize| -> f64 { flows.iter().zip(&rates).filter(|(f, _)| f.to == h).map(|(_, r)| r).sum() };
            for (h, link) in links.iter().enumerate() {
                prop_assert!(out(h) <= link + 1e-6 && into(h) <= link + 1e-6);
            }
            for (flow, rate) in flows.iter().zip(&rates) {
                let full = out(flow.from) >= links[flow.from] - 1e-6 || into(flow.to) >= links[flow.to] - 1e-6;
                prop_assert!(*rate > 0.0 && (full || *rate >= flow.cap - 1e-6), "{flow:?} has {rate}");
            }
        }
    }
}
