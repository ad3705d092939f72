//! Placements from what others keep: Ganeti's text files and tables in CSV become `ulm.placement/1`, which `ulm path` takes as A.
//!
//! [`ganeti()`] and [`csv()`] take texts and give a text; nothing is asked and nothing is touched. Both fill a draft whose values
//! know the lines that they come from; the draft is written as a placement and read back by the [`placement`](crate::placement)
//! reader, so that whatever is imported is a placement that `ulm path` takes, and what is wrong is told with the line of the
//! file that it came from. `docs/import.md` describes what becomes of what.
//!
//! ```
//! use ulm_model::import;
//! use ulm_model::placement::Source;
//! let hosts = Source { file: "hosts.csv", text: "name,memory\nh1,8GiB\nh2,8GiB\n" };
//! let vms = Source { file: "vms.csv", text: "name,host,memory\nweb,h3,2GiB\n" };
//! assert_eq!(
//!     import::csv(hosts, vms).unwrap_err().to_string(),
//!     "vms.csv:2, column `host`: there is no host `h3`: did you mean `h1`? Otherwise list it in hosts.csv",
//! );
//! ```

mod cluster;
mod draft;
mod ganeti;
mod problem;
mod table;
#[cfg(test)]
mod tests;

pub use problem::{ImportError, ImportProblem};

use crate::placement::Source;

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The placement's text.
    pub text: String,
    /// What the placement does not say, or says otherwise than the file: a sentence each, for people.
    pub notes: Vec<String>,
    /// How many hosts it has.
    pub hosts: usize,
    /// How many VMs it has.
    pub vms: usize,
}

/// A cluster in the text format of Ganeti's htools, as `hscan` writes it and `hbal -t FILE` reads it.
///
/// # Errors
/// Everything that is wrong with the file, each with its line and field.
pub fn ganeti(source: Source<'_>) -> Result<Imported, ImportError> {
    ganeti::import(source)
}

/// Two tables with header rows: one of hosts, one of VMs.
///
/// # Errors
/// Everything that is wrong with the tables, each with its line and column.
pub fn csv(hosts: Source<'_>, vms: Source<'_>) -> Result<Imported, ImportError> {
    table::import(hosts, vms)
}
