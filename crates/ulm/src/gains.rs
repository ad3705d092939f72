//! What moves are expected to take and to bring, and what they took, in words.

use ulm_model::ledger::MoveCost;
use ulm_model::{Expected, Gain};

use crate::print::span;

/// What a move is expected to take, after how long it pays back, and how long that lasts.
pub fn taking(expected: &Expected) -> String {
    let Expected { duration, downtime, bytes, .. } = expected;
    let mut told = format!("takes {}, stands still for {}, sends {bytes}", span(*duration), span(*downtime));
    if let Some(payback) = expected.payback {
        told.push_str(&format!("; pays back after {}", span(payback)));
    }
    if let Some(lasts) = expected.lasts {
        told.push_str(&format!("; lasts {}", span(lasts)));
    }
    told
}

/// What is measured, before and after.
pub fn gain(gain: &Gain) -> String {
    format!("{}: {} → {}", gain.what, gain.before, gain.after)
}

/// What a move took, beside what it was expected to take.
pub fn took(cost: &MoveCost, expected: Option<&Expected>) -> String {
    let beside = |told: String, promised: Option<String>| match promised {
        Some(promised) => format!("{told} ({promised} expected)"),
        None => told,
    };
    let ms = std::time::Duration::from_millis;
    let took = beside(format!("took {}", span(ms(cost.took_ms))), expected.map(|it| span(it.duration)));
    let Some(downtime) = cost.downtime_ms else { return took };
    let downtime = format!("stood still for {}", span(ms(downtime)));
    format!("{took}, {}", beside(downtime, expected.map(|it| span(it.downtime))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ulm_model::Bytes;

    use super::*;

    fn expected() -> Expected {
        Expected {
            duration: Duration::from_secs(42),
            downtime: Duration::from_millis(80),
            bytes: Bytes::gib(4),
            gains: Vec::new(),
            payback: Some(Duration::from_secs(300)),
            lasts: None,
        }
    }

    #[test]
    fn what_was_promised_stands_beside_what_was_measured() {
        assert_eq!(taking(&expected()), "takes 42 s, stands still for 80 ms, sends 4.0 GiB; pays back after 5 min");
        let cost = MoveCost { took_ms: 51_000, downtime_ms: Some(95), sent: None };
        assert_eq!(took(&cost, Some(&expected())), "took 51 s (42 s expected), stood still for 95 ms (80 ms expected)");
        assert_eq!(took(&cost, None), "took 51 s, stood still for 95 ms");
        assert_eq!(took(&MoveCost { downtime_ms: None, ..cost }, None), "took 51 s");
    }
}
