//! One error type for everything that can go wrong, each with what to do next.
//!
//! ```
//! # fn example(error: ulm_libvirt::Error) {
//! if error.is_no_domain() {
//!     // gone: moved by somebody else, or shut down and undefined
//! } else if error.is_connection_lost() {
//!     // nothing is known about the fate of the call
//! }
//! # }
//! ```

use crate::domain::Domain;
use crate::xdr::{Decoder, Xdr, XdrError, xdr_struct};
use std::sync::Arc;
use std::time::Duration;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The URI does not say where to connect.
    #[error(transparent)]
    Uri(#[from] crate::uri::UriError),
    /// No connection could be made.
    #[error(transparent)]
    Transport(Arc<TransportError>),
    /// The daemon wants an authentication that this client cannot give.
    #[error("{0}")]
    Auth(String),
    /// The other side sent something that is not libvirt's protocol.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// No answer in time. What the daemon does with the call is unknown.
    #[error(
        "{call}: no answer within {:.1} s; the daemon may still be working on it, so read the state \
         again before you repeat a call that changes something", .after.as_secs_f64()
    )]
    Deadline {
        /// The procedure's name.
        call: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The connection is gone; a call under way may or may not have been carried out.
    #[error("connection closed: {reason}")]
    Closed {
        /// Why, as a sentence part.
        reason: Arc<str>,
    },
    /// libvirt answered with an error.
    #[error(transparent)]
    Libvirt(Arc<LibvirtError>),
}

impl Error {
    /// A closed connection with its reason.
    pub fn closed(reason: impl Into<Arc<str>>) -> Self {
        Error::Closed { reason: reason.into() }
    }

    pub(crate) fn transport(kind: TransportFault, what: impl Into<String>) -> Self {
        Error::Transport(Arc::new(TransportError { kind, what: what.into() }))
    }

    pub(crate) fn payload(error: XdrError, call: &str) -> Self {
        Error::Protocol(ProtocolError::new(error.to_string(), format!("payload of {call}")))
    }

    /// libvirt's code, if libvirt answered with an error.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Libvirt(e) => Some(e.code),
            _ => None,
        }
    }

    /// The VM does not exist on this host.
    pub fn is_no_domain(&self) -> bool {
        self.code() == Some(ErrorCode::NO_DOMAIN)
    }

    /// The VM or job is not in a state for this call (for example: no job is running, or another one is).
    pub fn is_operation_invalid(&self) -> bool {
        self.code() == Some(ErrorCode::OPERATION_INVALID)
    }

    /// Somebody aborted the job.
    pub fn is_operation_aborted(&self) -> bool {
        self.code() == Some(ErrorCode::OPERATION_ABORTED)
    }

    /// The daemon's driver does not have this procedure.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::NO_SUPPORT | ErrorCode::OPERATION_UNSUPPORTED | ErrorCode::ARGUMENT_UNSUPPORTED)
        ) || matches!(self, Error::Libvirt(e) if e.code == ErrorCode::RPC && e.message.contains("unknown procedure"))
    }

    /// The daemon refused us: authentication or access rights.
    pub fn is_denied(&self) -> bool {
        matches!(self, Error::Auth(_))
            || matches!(
                self.code(),
                Some(
                    ErrorCode::AUTH_FAILED
                        | ErrorCode::AUTH_CANCELLED
                        | ErrorCode::AUTH_UNAVAILABLE
                        | ErrorCode::ACCESS_DENIED
                        | ErrorCode::OPERATION_DENIED
                )
            )
    }

    /// No answer in time.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Error::Deadline { .. })
    }

    /// There is no connection (any more). A call that was under way may have been carried out.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Error::Closed { .. } | Error::Transport(_) | Error::Protocol(_))
    }
}

/// What kind of obstacle stood between us and the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFault {
    /// The name has no address.
    Resolve,
    /// Nobody listens.
    Refused,
    /// No answer at all.
    Hangs,
    /// No way there.
    Unreachable,
    /// The socket or file is not there, or not for us.
    Socket,
    /// ssh did not know or trust the host's key.
    HostKey,
    /// ssh was not let in.
    SshDenied,
    /// ssh itself, or the command behind it, failed.
    Ssh,
    /// A certificate is missing, wrong or not trusted.
    Certificate,
    /// The TLS handshake failed otherwise.
    Tls,
    /// Anything else from the operating system.
    Other,
}

/// Why no connection could be made, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TransportError {
    /// The class.
    pub kind: TransportFault,
    /// What happened and what to do, in a sentence.
    pub what: String,
}

/// What the other side sent that it should not have, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct ProtocolError {
    /// What is wrong.
    pub what: String,
    /// Which part of the conversation.
    pub at: String,
}

impl ProtocolError {
    /// Names the fault and its place.
    pub fn new(what: impl Into<String>, at: impl Into<String>) -> Self {
        Self { what: what.into(), at: at.into() }
    }
}

/// libvirt's error number (`virErrorNumber`). Unknown ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i32);

#[allow(missing_docs)] // the names are libvirt's own
impl ErrorCode {
    pub const INTERNAL_ERROR: Self = Self(1);
    pub const NO_SUPPORT: Self = Self(3);
    pub const NO_CONNECT: Self = Self(5);
    pub const INVALID_ARG: Self = Self(8);
    pub const OPERATION_FAILED: Self = Self(9);
    pub const XML_ERROR: Self = Self(27);
    pub const DOM_EXIST: Self = Self(28);
    pub const OPERATION_DENIED: Self = Self(29);
    pub const SYSTEM_ERROR: Self = Self(38);
    pub const RPC: Self = Self(39);
    pub const NO_DOMAIN: Self = Self(42);
    pub const NO_NETWORK: Self = Self(43);
    pub const AUTH_FAILED: Self = Self(45);
    pub const NO_STORAGE_POOL: Self = Self(49);
    pub const NO_NODE_DEVICE: Self = Self(53);
    pub const OPERATION_INVALID: Self = Self(55);
    pub const CONFIG_UNSUPPORTED: Self = Self(67);
    pub const OPERATION_TIMEOUT: Self = Self(68);
    pub const MIGRATE_PERSIST_FAILED: Self = Self(69);
    pub const ARGUMENT_UNSUPPORTED: Self = Self(74);
    pub const OPERATION_ABORTED: Self = Self(78);
    pub const AUTH_CANCELLED: Self = Self(79);
    pub const MIGRATE_UNSAFE: Self = Self(81);
    pub const OPERATION_UNSUPPORTED: Self = Self(84);
    pub const RESOURCE_BUSY: Self = Self(87);
    pub const ACCESS_DENIED: Self = Self(88);
    pub const CPU_INCOMPATIBLE: Self = Self(91);
    pub const MIGRATE_FINISH_OK: Self = Self(93);
    pub const AUTH_UNAVAILABLE: Self = Self(94);
}

/// How grave libvirt thinks it is (`virErrorLevel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorLevel {
    /// Not an error.
    None,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

/// An error that libvirt reported.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("libvirt: {message} (code {}, domain {domain}, call {call}){}", .code.0, advice(*.code))]
pub struct LibvirtError {
    /// The number.
    pub code: ErrorCode,
    /// The part of libvirt it comes from (`virErrorDomain`; 10 is QEMU, 7 the RPC layer …).
    pub domain: i32,
    /// How grave.
    pub level: ErrorLevel,
    /// libvirt's own words, in the daemon's language.
    pub message: String,
    /// The VM concerned, if libvirt names one.
    pub vm: Option<Domain>,
    /// Further strings (usually the pattern and arguments of the message).
    pub strings: [Option<String>; 3],
    /// Further numbers (usually an errno).
    pub numbers: [i32; 2],
    /// The procedure that failed.
    pub call: &'static str,
}

fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AUTH_FAILED | ErrorCode::AUTH_CANCELLED | ErrorCode::AUTH_UNAVAILABLE | ErrorCode::ACCESS_DENIED => {
            "; let this user in (group libvirt, a polkit rule, or auth_unix_rw in libvirtd.conf)"
        }
        ErrorCode::MIGRATE_UNSAFE => {
            "; put the disk on shared storage or list its folder in shared_filesystems of qemu.conf \
             on the source"
        }
        ErrorCode::NO_SUPPORT => "; the driver behind this URI does not have this call",
        _ => "",
    }
}

xdr_struct! {
    /// `remote_nonnull_network` as it appears inside an error.
    pub struct NetworkWire {
        /// Name.
        pub name: String,
        /// UUID.
        pub uuid: uuid::Uuid,
    }
}

xdr_struct! {
    /// `remote_error`: the payload of every reply with status error.
    pub struct ErrorWire {
        /// virErrorNumber.
        pub code: i32,
        /// virErrorDomain.
        pub domain: i32,
        /// The sentence.
        pub message: Option<String>,
        /// virErrorLevel.
        pub level: i32,
        /// The VM concerned.
        pub dom: Option<Domain>,
        /// Extra string 1.
        pub str1: Option<String>,
        /// Extra string 2.
        pub str2: Option<String>,
        /// Extra string 3.
        pub str3: Option<String>,
        /// Extra number 1.
        pub int1: i32,
        /// Extra number 2.
        pub int2: i32,
        /// The network concerned.
        pub net: Option<NetworkWire>,
    }
}

impl ErrorWire {
    /// An error with a code, domain and message and nothing else.
    pub fn new(code: ErrorCode, domain: i32, message: impl Into<String>) -> Self {
        Self {
            code: code.0,
            domain,
            message: Some(message.into()),
            level: 2,
            dom: None,
            str1: None,
            str2: None,
            str3: None,
            int1: -1,
            int2: -1,
            net: None,
        }
    }

    /// Reads the payload of an error reply.
    pub fn read(payload: &[u8], call: &'static str) -> Error {
        let mut input = Decoder::new(payload);
        match ErrorWire::decode(&mut input).and_then(|e| input.finish().map(|()| e)) {
            Err(e) => Error::payload(e, call),
            Ok(e) => Error::Libvirt(Arc::new(LibvirtError {
                code: ErrorCode(e.code),
                domain: e.domain,
                level: match e.level {
                    0 => ErrorLevel::None,
                    1 => ErrorLevel::Warning,
                    _ => ErrorLevel::Error,
                },
                message: e.message.unwrap_or_else(|| "no message".to_owned()),
                vm: e.dom,
                strings: [e.str1, e.str2, e.str3],
                numbers: [e.int1, e.int2],
                call,
            })),
        }
    }
}
