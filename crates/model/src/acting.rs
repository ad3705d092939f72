//! The one switch between watching and acting.

use serde::{Deserialize, Serialize};

/// Whether the policy's plans are carried out. Off until somebody switches it on: watching and recommending come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acting {
    /// The policy's plans are carried out.
    On,
    /// ULM watches and recommends.
    #[default]
    Off,
}
