//! Exit codes, and the one kind of error that the command ends with.

use std::fmt;
use std::process::ExitCode;

use ulm_control::{OrderError, Refusal};
use ulm_web::client::ClientError;
use ulm_web::error::Sort;

/// What `ulm help exit-codes` says.
pub const ABOUT: &str = "\
0  done; also when there was nothing to do
1  an error that no other code stands for: a host does not answer, a disk is full, a second
   daemon is started, `ulm path` found neither a route nor a proof within its budget
2  the command line, or a file or name given on it, is wrong: an unknown option, a malformed
   URI, an unknown VM or host, a plan, a placement or a policy that cannot be read
3  refused: a rule or the present state does not allow it; the reasons are told, and nothing
   was begun. `ulm path`: there is no route, with the proof. `ulm check`: the route or the
   proof is wrong, with the first thing that is. `ulm policy test`: something was not decided
   as it was to be, with what was decided instead. `ulm best-host`: no host has room, with what
   is against each
4  the daemon is not running, or you may not use its socket
5  a move did not end with its VM on the target, or was not begun after all; the VM runs on its
   old host unless the message says otherwise

While the end of moves is waited for, Ctrl-C ends the command only: the daemon goes on, and
`ulm status` shows how far it is. While `ulm path` or `ulm plan --budget` searches, Ctrl-C ends the
search, and the best that was found so far is shown.

With --json, an error is one JSON object on standard error:
{\"error\": {\"exit_code\": 3, \"message\": \"a sentence\", \"reasons\": [{\"code\": \"host.maintenance\", ...}]}}";

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// See [`ABOUT`] for this and the others.
    Error = 1,
    /// Wrong input.
    Usage = 2,
    /// A rule or the state does not allow it.
    Refused = 3,
    /// No daemon.
    NoDaemon = 4,
    /// A move came out otherwise.
    MoveFailed = 5,
}

/// Why the command did not do what was asked: a sentence that says what is wrong and what to do next.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
    /// Reasons with their codes, for programs.
    pub reasons: Vec<ulm_model::Reason>,
}

impl Failure {
    /// A failure with a sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), reasons: Vec::new() }
    }

    /// Tells it on standard error, and gives the exit code.
    pub fn tell(&self, json: bool) -> ExitCode {
        if json {
            let error = serde_json::json!({
                "exit_code": self.exit as u8, "message": self.message, "reasons": self.reasons,
            });
            eprintln!("{}", serde_json::json!({ "error": error }));
        } else {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            anstream::eprintln!("{red}error:{red:#} {}", self.message);
        }
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::NotRunning(_) | ClientError::NoPermission(_) => Exit::NoDaemon,
            ClientError::Broken { .. } => Exit::Error,
            ClientError::Refused(told) => match told.refusal {
                Sort::NotFound | Sort::Malformed => Exit::Usage,
                Sort::Conflict | Sort::NotAllowed => Exit::Refused,
                Sort::Unavailable => Exit::Error,
                Sort::Forbidden => Exit::NoDaemon,
            },
        };
        let message = error.to_string();
        let reasons = match error {
            ClientError::Refused(told) => told.reasons,
            _ => Vec::new(),
        };
        Failure { exit, message, reasons }
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let exit = match error.refusal {
            Refusal::NotFound | Refusal::Malformed => Exit::Usage,
            Refusal::Conflict | Refusal::NotAllowed => Exit::Refused,
            Refusal::Unavailable => Exit::Error,
        };
        Failure { exit, message: error.message, reasons: error.reasons }
    }
}

/// What a command's code returns.
pub type Outcome<T = ()> = Result<T, Failure>;
