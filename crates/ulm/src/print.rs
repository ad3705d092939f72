//! Tables, colours and times for people; JSON for programs.

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use ulm_model::Time;

use crate::exit::{Exit, Failure, Outcome};

/// What is fine.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What wants attention.
pub const WARM: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What matters most.
pub const BOLD: Style = Style::new().bold();

/// Prints one JSON value with a line of its own.
pub fn json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).expect("views always have a JSON form");
    // A reader that went away has read enough.
    let _ = writeln!(stdout().lock(), "{text}");
    Ok(())
}

/// Prints text as it is.
pub fn text(text: &str) {
    let _ = stdout().lock().write_all(text.as_bytes());
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// A table of words: headings with how each column stands, then rows. As wide as the terminal at most; on a pipe as wide as it needs.
pub fn table(headings: &[(&str, Side)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(match stdout().is_terminal() {
        true => ContentArrangement::Dynamic,
        false => ContentArrangement::Disabled,
    });
    table.set_header(headings.iter().map(|(heading, _)| Cell::new(heading)));
    for row in rows {
        table.add_row(row);
    }
    for (at, (_, side)) in headings.iter().enumerate() {
        let Some(column) = table.column_mut(at) else { continue };
        column.set_padding(if at == 0 { (0, 1) } else { (1, 1) });
        if *side == Side::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Words in a style; without it where colours are not wanted.
pub fn styled(style: Style, words: impl std::fmt::Display) -> String {
    format!("{style}{words}{style:#}")
}

/// The columns of the terminal that standard output is, or 100.
pub fn columns() -> usize {
    Table::new().width().map_or(100, usize::from)
}

/// A time of day with its date, where the user is.
pub fn local(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A span as people say it.
pub fn span(span: Duration) -> String {
    ulm_model::time::spoken(span)
}

/// A point in time that is given as a span back from now (`90min`, `24h`, `5d`) or as RFC 3339.
pub fn since(text: &str) -> Outcome<Time> {
    let now = jiff::Timestamp::now();
    let wrong = || {
        let message = format!("`{text}` is neither a span (90min, 24h, 5d) nor a time (2026-11-21T08:00:00Z)");
        Failure::new(Exit::Usage, message)
    };
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(Time(stamp.as_millisecond()));
    }
    let back: jiff::Span = text.parse().map_err(|_| wrong())?;
    // Days and weeks need a time zone to have a length; in UTC they are 24 hours long.
    let then = now.to_zoned(jiff::tz::TimeZone::UTC).checked_sub(back.abs()).map_err(|_| wrong())?;
    Ok(Time(then.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_understood_and_nonsense_is_told() {
        let hour = since("1h").unwrap();
        assert!(since("90min").unwrap() < hour && since("5d").unwrap() < since("24h").unwrap());
        assert_eq!(since("2026-11-21T08:00:00Z").unwrap(), Time(1_795_248_000_000));
        assert_eq!(since("yesterday").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn columns_stand_as_asked() {
        let text = table(&[("VM", Side::Left), ("CPU", Side::Right)], vec![vec!["a".into(), "12".into()]]);
        assert_eq!(text, "VM  CPU\na    12");
    }
}
