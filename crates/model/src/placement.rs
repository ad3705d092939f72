//! The text format of placements, `ulm.placement/1`: two texts, A and B, are a [`Task`].
//!
//! It is JSON by names, made for people; `docs/placement.md` describes every key. A says all: hosts, VMs with where they are,
//! rules, links. B says where each VM is to be and which hosts are to be on; whatever else it says must be as in A.
//!
//! ```
//! use ulm_model::placement::{self, Source};
//! let a = r#"{
//!   "schema": "ulm.placement/1",
//!   "hosts": [{"name": "h1", "capacity": {"memory": "8GiB"}}, {"name": "h2", "capacity": {"memory": "8GiB"}}],
//!   "vms": [{"name": "web", "host": "h1", "size": {"memory": "2GiB"}}]
//! }"#;
//! let b = r#"{"schema": "ulm.placement/1", "vms": [{"name": "web", "host": "h3"}]}"#;
//! let (a, b) = (Source { file: "A.json", text: a }, Source { file: "B.json", text: b });
//! let wrong = placement::task(a, b).unwrap_err();
//! assert_eq!(
//!     wrong.to_string(),
//!     "B.json:1:63: there is no host `h3`: did you mean `h1`? Otherwise list it under `hosts` in A",
//! );
//! let b = Source { text: r#"{"schema": "ulm.placement/1", "vms": [{"name": "web", "host": "h2"}]}"#, ..b };
//! assert_eq!(placement::task(a, b).unwrap().vms[0].to, 1);
//! ```

mod amount;
mod from_a;
mod from_b;
pub(crate) mod json;
mod listing;
pub(crate) mod names;
pub(crate) mod problem;
pub(crate) mod write;

pub(crate) use amount::{count, seconds, small_count};
pub use listing::SCHEMA;
pub(crate) use listing::schema;
pub use problem::{PlacementError, Problem, Source};
pub use write::write;

use crate::Task;
use json::Node;
use listing::{Which, listing};
use names::Names;
use problem::Report;

/// The task of going from A to B. It is without [`Task::flaw`].
///
/// # Errors
/// Everything that is wrong with both texts, each with its file, line and column.
pub fn task(a: Source<'_>, b: Source<'_>) -> Result<Task, PlacementError> {
    let mut report = Report::new(vec![a, b]);
    let in_a = Node::whole(a.text, &mut report);
    let in_b = Node::whole(b.text, &mut report);
    let files = if a.file == b.file { ["A", "B"] } else { [a.file, b.file] };
    let task = task_of(in_a, in_b, files, &mut report);
    report.end()?;
    Ok(task.expect("what has no problem was read"))
}

/// The task of two values, as far as they can be read; it counts only if nothing was reported.
pub(crate) fn task_of<'t>(
    a: Option<Node<'t>>,
    b: Option<Node<'t>>,
    files: [&str; 2],
    report: &mut Report<'t>,
) -> Option<Task> {
    let in_a = a.and_then(|node| listing(node, Which::A, report));
    let in_b = b.and_then(|node| listing(node, Which::B, report));
    let in_a = in_a?;
    let names = Names::of(&in_a, report);
    let mut task = from_a::task(&in_a, &names, report);
    from_b::complete(&mut task, &in_a, &in_b?, &names, files, report);
    // All flaws have been told with their places above; none may slip through even if one was forgotten.
    if report.is_empty()
        && let (Some(flaw), Some(node)) = (task.flaw(), a)
    {
        report.at(node.at, flaw);
    }
    Some(task)
}

#[cfg(test)]
mod tests;
