//! How many hosts bear a weight, and for how many points.

use super::part::Part;
use crate::cost::{Sum, points};
use crate::problem::Points;

/// Weights are reckoned with so many bits where they are compared by their price.
const BITS: u32 = 60;

/// A host, or several of which one is needed, and what it can bear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    /// The most that VMs on it can weigh together.
    pub bears: Sum,
    /// Whether it is awake in any case.
    pub awake: bool,
    /// What it costs that it is awake.
    pub points: Points,
}

/// What is to be borne, and who can.
pub(super) struct Load {
    /// What those awake in any case do not bear.
    need: Sum,
    awake: u32,
    awake_points: Points,
    /// The others that bear anything.
    others: Vec<Carrier>,
}

impl Load {
    /// So much weight for these.
    pub fn new(weight: Sum, carriers: Vec<Carrier>) -> Self {
        let awake = || carriers.iter().filter(|it| it.awake);
        let need = weight - awake().map(|it| it.bears).sum::<Sum>();
        let others = carriers.iter().filter(|it| !it.awake && it.bears > 0).copied().collect();
        let awake_points = awake().fold(0 as Points, |sum, it| sum.saturating_add(it.points));
        Load { need, awake: awake().count() as u32, awake_points, others }
    }

    /// How many are awake at least: the strongest first.
    pub fn hosts(&self) -> u32 {
        let mut bears: Vec<Sum> = self.others.iter().map(|it| it.bears).collect();
        bears.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = self.need;
        let needed = bears.iter().take_while(|bears| {
            let more = left > 0;
            left -= **bears;
            more
        });
        self.awake + needed.count() as u32
    }

    /// What they cost at least: the cheapest for its strength first, the last one in part.
    pub fn points(&self) -> Points {
        let shift = (Sum::BITS - self.need.max(1).leading_zeros()).saturating_sub(BITS);
        let mut left = self.need.max(0) >> shift;
        // No host bears more than is needed. Rounded so that the bound remains one.
        let up = |weight: Sum| ((weight + ((1 << shift) - 1)) >> shift).min(left.max(1));
        let mut others: Vec<(Sum, Sum)> =
            self.others.iter().map(|it| (up(it.bears.min(self.need.max(1))), Sum::from(it.points))).collect();
        others.sort_unstable_by(|a, b| (a.1 * b.0).cmp(&(b.1 * a.0)));
        let mut sum = Sum::from(self.awake_points);
        for (bears, price) in others {
            if left <= 0 {
                break;
            }
            sum += if bears <= left { price } else { (price * left + bears - 1) / bears };
            left -= bears;
        }
        points(sum)
    }
}

/// What so many hosts cost at least.
pub(super) fn cheapest(part: &Part<'_>, hosts: u32) -> Points {
    let (awake, asleep): (Vec<_>, Vec<_>) = part.hosts.iter().partition(|host| host.awake);
    let mut prices: Vec<Points> = asleep.iter().map(|host| host.points).collect();
    prices.sort_unstable();
    let more = (hosts as usize).saturating_sub(awake.len());
    prices.iter().take(more).fold(part.awake_points(), |sum, price| sum.saturating_add(*price))
}
