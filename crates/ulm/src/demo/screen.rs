//! How the story is shown: lines on a pipe, lines above a panel of bars on a terminal, one JSON object per line for programs.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use serde_json::json;
use ulm_control::published::Published;
use ulm_control::view::HostStatus;
use ulm_model::{Share, Time};

use super::story::{BeforeAndAfter, Line, Summary, What};
use crate::cli::{Demo, Speed};
use crate::figures::{bar, percent, warmth};
use crate::follow::copied;
use crate::print::{BAD, BOLD, DIM, GOOD, WARM, columns, styled};

/// The panel is drawn anew so often at most.
const REDRAW: Duration = Duration::from_millis(50);

/// More hosts than these are not shown as bars: the busiest ones are.
const BARS: usize = 16;

/// Narrower terminals get lines only.
const NARROWEST: usize = 60;

/// See the module's text.
pub struct Screen {
    mode: Mode,
}

enum Mode {
    Json,
    Lines,
    Panel { drawn: usize, at: Instant },
}

impl Screen {
    /// What standard output allows for.
    pub fn new(json: bool) -> Self {
        let mode = match (json, stdout().is_terminal() && columns() >= NARROWEST) {
            (true, _) => Mode::Json,
            (false, false) => Mode::Lines,
            (false, true) => Mode::Panel { drawn: 0, at: Instant::now() - REDRAW },
        };
        Screen { mode }
    }

    /// What is about to be seen.
    pub fn opening(&mut self, args: &Demo) {
        if matches!(self.mode, Mode::Json) {
            return;
        }
        let speed = match args.speed {
            Speed::Times(times) => format!("{times} times as fast as real time"),
            Speed::Max => "as fast as this machine can".to_owned(),
        };
        put(&format!(
            "{}\n{} hosts and {} VMs are simulated (seed {}), {speed}; all else is the real daemon.\n\
             Every 15 s it looks at all hosts. One above 75 % CPU in 12 of 16 looks is overworked, and is relieved.\n",
            styled(BOLD, "ULM, a demonstration"),
            args.hosts,
            args.vms,
            args.seed
        ));
    }

    /// Shows what is new.
    pub fn show(&mut self, now: Time, published: &Published, lines: &[Line]) {
        match &mut self.mode {
            Mode::Json => lines.iter().for_each(|line| put(&json!(line).to_string())),
            Mode::Lines => lines.iter().for_each(|line| put(&spoken(line))),
            Mode::Panel { drawn, at } => {
                if lines.is_empty() && at.elapsed() < REDRAW {
                    return;
                }
                let panel = panel(now, published);
                let mut text = erase(*drawn);
                for line in lines.iter().filter(|line| !matches!(line.what, What::Load | What::Move)) {
                    text.push_str(&spoken(line));
                    text.push('\n');
                }
                text.push_str(&panel.join("\n"));
                put(&text);
                (*drawn, *at) = (panel.len(), Instant::now());
            }
        }
    }

    /// What came of it all.
    pub fn summary(&mut self, summary: &Summary) {
        match &mut self.mode {
            Mode::Json => put(&json!({ "what": "summary", "summary": summary }).to_string()),
            Mode::Lines => put(&format!("\n{}", summed_up(summary))),
            // The last panel stays.
            Mode::Panel { drawn, .. } => {
                *drawn = 0;
                put(&format!("\n{}", summed_up(summary)));
            }
        }
    }
}

/// Who reads no more, e.g. `head`, has seen enough: then the demonstration ends as any program does.
fn put(text: &str) {
    if writeln!(anstream::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Moves the cursor up over what was drawn last, and clears it.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

fn spoken(line: &Line) -> String {
    let (style, what) = match line.what {
        What::Busy => (WARM, "busy"),
        What::HotSpot => (BAD, "hot spot"),
        What::Decision => (BOLD, "decision"),
        What::Move => (DIM, "moving"),
        What::Moved => (GOOD, "moved"),
        What::Failed => (BAD, "failed"),
        What::Relieved => (GOOD, "relieved"),
        What::Load => (DIM, "load"),
    };
    format!("{}  {} {}", clock(line.at), styled(style, format!("{what:<9}")), line.text)
}

/// The time of day, in the simulation.
fn clock(at: Time) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// The hosts as bars. No line is wider than the terminal.
fn panel(now: Time, published: &Published) -> Vec<String> {
    let mut hosts = published.hosts();
    let all = hosts.len();
    if all > BARS {
        hosts.sort_by(|a, b| (b.cpu_share, &a.name).cmp(&(a.cpu_share, &b.name)));
        hosts.truncate(BARS);
    }
    let room = columns().saturating_sub(1);
    let head = format!("──── {} {}", clock(now), if all > BARS { "the busiest hosts " } else { "" });
    let mut lines = vec![styled(DIM, format!("{head:─<width$}", width = room.min(100)))];
    lines.extend(hosts.iter().map(|host| host_line(host, published, room)));
    lines
}

fn host_line(host: &HostStatus, published: &Published, room: usize) -> String {
    const BAR: usize = 30;
    let share = host.cpu_share.unwrap_or(Share::ZERO);
    let moves: Vec<String> = published
        .moves
        .iter()
        .filter(|it| it.key.from == host.name || it.key.to == host.name)
        .map(|it| {
            let part = it.progress.as_ref().and_then(copied).unwrap_or(0.0) * 100.0;
            let (arrow, other) = if it.key.from == host.name { ("→", &it.key.to) } else { ("←", &it.key.from) };
            format!("{arrow} {other} {} {part:.0} %", it.key.vm_name)
        })
        .collect();
    let left = format!("{:<10} ", host.name.0.chars().take(10).collect::<String>());
    let right = format!(" {:>5} {:>3} VMs  ", percent(share), host.vms);
    let used = left.chars().count() + BAR + right.chars().count();
    let note: String = moves.join(", ").chars().take(room.saturating_sub(used)).collect();
    format!("{left}{}{right}{}", styled(warmth(share), bar(share, BAR)), styled(BOLD, note))
}

fn summed_up(summary: &Summary) -> String {
    let times = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    let ms = |ms: Option<u64>| ms.map_or("not known".to_owned(), |ms| format!("{ms} ms"));
    let seconds =
        summary.mean_move_ms.map_or(String::new(), |ms| format!(", {:.1} s each on average", ms as f64 / 1000.0));
    let still = if summary.running > 0 { format!(", {} under way at the end", summary.running) } else { String::new() };
    let pair = |pair: BeforeAndAfter| match (pair.before, pair.after) {
        (Some(before), Some(after)) => format!("{before} while overworked, {after} after relief"),
        (Some(before), None) => format!("{before} while overworked"),
        _ => "no host was overworked".to_owned(),
    };
    [
        styled(BOLD, format!("What came of it, on {} hosts with {} VMs", summary.hosts, summary.vms)),
        format!("  a host was overworked   {}; relieved {}", times(summary.hot_spots), times(summary.relieved)),
        format!("  moves                   {} done{seconds}, {} failed{still}", summary.moved, summary.failed),
        format!(
            "  guests stood still      {} on average, {} at most",
            ms(summary.mean_downtime_ms),
            ms(summary.longest_downtime_ms)
        ),
        format!("  CPU of these hosts      {}", pair(summary.cpu)),
        format!("  contention on them      {}", pair(summary.contention)),
        format!(
            "  moved back and forth    {}",
            if summary.back_and_forth == 0 { "no VM".to_owned() } else { format!("{} VM(s)", summary.back_and_forth) }
        ),
    ]
    .join("\n")
}
