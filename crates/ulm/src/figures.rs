//! Figures as people read them: bars, sparklines, units.

use anstyle::Style;
use ulm_model::{Bytes, BytesPerSecond, Figure, MilliCpu, Share, Time};

use crate::print::{BAD, DIM, GOOD, WARM, span, styled};

/// A bar of `width` cells, filled in eighths.
pub fn bar(share: Share, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let filled = (u64::from(share.0.min(Share::WHOLE.0)) * width as u64 * 8 / u64::from(Share::WHOLE.0)) as usize;
    let mut bar = "█".repeat(filled / 8);
    if filled / 8 < width {
        bar.push(EIGHTHS[filled % 8]);
    }
    let cells = bar.chars().count();
    bar + &" ".repeat(width - cells)
}

/// Values as a line of little bars between zero and the largest.
pub fn sparkline(values: &[f64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let level = |value: f64| match value.is_finite() && top > 0.0 {
        true => LEVELS[((value.max(0.0) / top * 7.0).round() as usize).min(7)],
        false => LEVELS[0],
    };
    values.iter().map(|&value| level(value)).collect()
}

/// A whole number of per cent, for tables.
pub fn percent(share: Share) -> String {
    format!("{:.0} %", share.as_fraction() * 100.0)
}

/// How a load looks: calm, warm, hot. For the eye only; what counts is the policy.
pub fn warmth(share: Share) -> Style {
    match share {
        share if share > Share::percent(75) => BAD,
        share if share > Share::percent(65) => WARM,
        _ => GOOD,
    }
}

/// A figure's value, with its age when it is older than a minute; `-` when there is none.
pub fn with_age<T: Copy>(figure: Option<Figure<T>>, now: Time, show: impl Fn(T) -> String) -> String {
    let Some(figure) = figure else { return "-".into() };
    let age = figure.age(now);
    match age.as_secs() > 60 {
        true => format!("{} {}", show(figure.value), styled(DIM, format!("({} ago)", span(age)))),
        false => show(figure.value),
    }
}

/// A value in the unit that the history names.
pub fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "mCPU" => MilliCpu(value.max(0.0) as u64).to_string(),
        "bytes" => Bytes(value.max(0.0) as u64).to_string(),
        "bytes/s" => BytesPerSecond(value.max(0.0) as u64).to_string(),
        "1/10000" => format!("{:.1} %", value / 100.0),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_from_the_left_and_never_overflow() {
        assert_eq!(bar(Share::percent(0), 4), "    ");
        assert_eq!(bar(Share::percent(50), 4), "██  ");
        assert_eq!(bar(Share::percent(56), 4), "██▏ ");
        assert_eq!(bar(Share::percent(250), 4), "████");
    }

    #[test]
    fn a_sparkline_has_a_mark_for_each_value() {
        assert_eq!(sparkline(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[f64::NAN, 1.0]), "▁█");
    }
}
