//! Time on the processor, of ourselves and of peers.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Time that this thread has spent on a processor: what else the machine does must not count. Elsewhere than on Linux,
/// the time since the first call.
pub fn on_the_processor() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let begun = *START.get_or_init(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = stat.and_then(|stat| stat.split_whitespace().next()?.parse().ok());
    spent.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

/// What a peer prints, and the time that it spent on processors. It is stopped after `limit`, then there is no answer.
pub fn peer(program: &str, arguments: &[&str], limit: Duration) -> anyhow::Result<Option<(String, Duration)>> {
    let timed = r#"TIMEFORMAT='spent %U'; time timeout "$0" "$@""#;
    let output = Command::new("bash")
        .args(["-c", timed, &limit.as_secs().to_string(), program])
        .args(arguments)
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let spent = told.lines().rev().find_map(|line| line.strip_prefix("spent ")?.parse::<f64>().ok());
    match (output.status.code(), spent) {
        (Some(0), Some(spent)) => {
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(Some((printed, Duration::from_secs_f64(spent))))
        }
        (Some(124), _) => Ok(None),
        _ => bail!("{program} failed: {told}"),
    }
}
