//! libvirt's errors, sorted into those that a controller can act on.

use ulm_libvirt::{Error, ErrorCode};

use super::xml::XmlError;
use crate::driver::{DriverError, ErrorKind};

/// Sorts an error of the client. The sentence stays the client's own.
pub(super) fn sorted(error: Error) -> DriverError {
    DriverError::new(kind_of(&error), error.to_string())
}

fn kind_of(error: &Error) -> ErrorKind {
    match error {
        Error::Deadline { .. } => ErrorKind::TimedOut,
        Error::Closed { .. } | Error::Transport(_) | Error::Protocol(_) | Error::Auth(_) | Error::Uri(_) => {
            ErrorKind::Unreachable
        }
        Error::Libvirt(said) => match said.code {
            ErrorCode::NO_DOMAIN => ErrorKind::NoSuchVm,
            ErrorCode::OPERATION_ABORTED => ErrorKind::Aborted,
            // "cannot acquire state change lock": the VM is held by another job.
            ErrorCode::RESOURCE_BUSY | ErrorCode::OPERATION_TIMEOUT => ErrorKind::Busy,
            // One code for many things; libvirt's words are all there is to tell them apart.
            ErrorCode::OPERATION_INVALID if has_a_job(&said.message) => ErrorKind::Busy,
            _ => ErrorKind::Refused,
        },
    }
}

fn has_a_job(message: &str) -> bool {
    message.contains("job is already running")
        || message.contains("is already in progress")
        || message.contains("already being migrated")
        || message.contains("another job")
}

/// A document from a host that cannot be read.
impl From<XmlError> for DriverError {
    fn from(error: XmlError) -> Self {
        DriverError::new(ErrorKind::Refused, format!("{error}; is the host's libvirt sound?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulm_libvirt::ErrorWire;

    fn said(code: ErrorCode, message: &str) -> Error {
        let wire = ErrorWire::new(code, 10, message);
        ErrorWire::read(&ulm_libvirt::xdr::to_bytes(&wire), "a_call")
    }

    #[test]
    fn every_sort_of_error_is_told_apart() {
        for (error, kind) in [
            (said(ErrorCode::NO_DOMAIN, "Domain not found"), ErrorKind::NoSuchVm),
            (said(ErrorCode::OPERATION_ABORTED, "job 'migration out' canceled by client"), ErrorKind::Aborted),
            (said(ErrorCode::OPERATION_TIMEOUT, "cannot acquire state change lock"), ErrorKind::Busy),
            (
                said(ErrorCode::OPERATION_INVALID, "another migration job is already running for domain 'v'"),
                ErrorKind::Busy,
            ),
            (said(ErrorCode::OPERATION_INVALID, "domain is not running"), ErrorKind::Refused),
            (said(ErrorCode::MIGRATE_UNSAFE, "Unsafe migration"), ErrorKind::Refused),
            (Error::closed("gone"), ErrorKind::Unreachable),
            (Error::Deadline { call: "x", after: std::time::Duration::from_secs(1) }, ErrorKind::TimedOut),
        ] {
            assert_eq!(kind_of(&error), kind, "{error}");
        }
    }
}
