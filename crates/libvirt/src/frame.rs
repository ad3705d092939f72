//! Frames: how calls, replies and events follow each other on a connection.
//!
//! A frame is a length (four bytes, counting themselves), a header of six numbers, and a payload
//! in XDR. The length is hostile until proven otherwise: it is checked against
//! [`FRAME_MAX`], and the buffer grows only as bytes really arrive.

use crate::error::{Error, ProtocolError};
use crate::xdr::{Decoder, Encoder, Xdr, XdrError, xdr_struct};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The program number of hypervisor calls.
pub const PROGRAM_REMOTE: u32 = 0x2000_8086;
/// The program number of keep-alive messages.
pub const PROGRAM_KEEPALIVE: u32 = 0x6b65_6570;
/// The only version either program ever had.
pub const PROGRAM_VERSION: u32 = 1;

/// The longest message libvirt sends or takes (32 MiB), without its length field.
pub const FRAME_MAX: usize = 32 * 1024 * 1024;
/// The length field.
pub const LENGTH_SIZE: usize = 4;
/// The header.
pub const HEADER_SIZE: usize = 24;

// A frame is read in steps of this size, so that a length without bytes behind it costs nothing.
const READ_STEP: usize = 64 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call to the daemon.
    Call,
    /// Its answer.
    Reply,
    /// An event or keep-alive: nothing answers it.
    Message,
    /// Stream data; this client opens no streams.
    Stream,
    /// A call with file descriptors (Unix sockets only).
    CallWithFds,
    /// An answer with file descriptors.
    ReplyWithFds,
    /// A hole in a stream.
    StreamHole,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Call, Kind::Reply, Kind::Message, Kind::Stream, Kind::CallWithFds, Kind::ReplyWithFds, Kind::StreamHole];
}

/// Whether a reply carries a result or an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The payload is the result.
    Ok,
    /// The payload is a libvirt error.
    Error,
    /// More stream data follows.
    Continue,
}

impl Status {
    const ALL: [Status; 3] = [Status::Ok, Status::Error, Status::Continue];
}

macro_rules! numbered {
    ($type:ty, $what:literal) => {
        impl Xdr for $type {
            const MIN_SIZE: usize = 4;

            fn encode(&self, out: &mut Encoder) {
                (*self as u32).encode(out);
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
                let number = u32::decode(input)?;
                Self::ALL
                    .get(number as usize)
                    .copied()
                    .ok_or_else(|| input.error(format!("unknown {} {number}", $what)))
            }
        }
    };
}

numbered!(Kind, "message type");
numbered!(Status, "message status");

xdr_struct! {
    /// The header of a frame.
    pub struct Header {
        /// Which set of procedures: [`PROGRAM_REMOTE`] or [`PROGRAM_KEEPALIVE`].
        pub program: u32,
        /// Its version.
        pub version: u32,
        /// The procedure's number.
        pub procedure: i32,
        /// Call, reply, message …
        pub kind: Kind,
        /// Binds a reply to its call; 0 for messages.
        pub serial: u32,
        /// Result or error.
        pub status: Status,
    }
}

impl Header {
    /// The header of a call of the hypervisor program.
    pub fn call(procedure: i32, serial: u32) -> Self {
        Self {
            program: PROGRAM_REMOTE,
            version: PROGRAM_VERSION,
            procedure,
            kind: Kind::Call,
            serial,
            status: Status::Ok,
        }
    }
}

/// A header and its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// The payload, XDR.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The frame as bytes on the wire, length included. Fails if it is longer than the protocol
    /// allows.
    pub fn to_wire(&self) -> Result<Vec<u8>, Error> {
        let body = HEADER_SIZE + self.payload.len();
        if body > FRAME_MAX {
            return Err(Error::Protocol(ProtocolError::new(
                format!("a message of {body} bytes, libvirt takes at most {FRAME_MAX}"),
                "sending",
            )));
        }
        let mut out = Encoder::new();
        ((LENGTH_SIZE + body) as u32).encode(&mut out);
        self.header.encode(&mut out);
        out.raw(&self.payload);
        Ok(out.into_bytes())
    }

    /// Reads header and payload from a frame's bytes after the length field.
    pub fn from_body(body: &[u8]) -> Result<Self, XdrError> {
        let mut input = Decoder::new(body);
        let header = Header::decode(&mut input)?;
        Ok(Self { header, payload: body[HEADER_SIZE..].to_vec() })
    }
}

/// Checks a length field; gives the number of bytes that follow it.
pub fn body_length(field: u32) -> Result<usize, ProtocolError> {
    let at = "frame length";
    let length = field as usize;
    if length < LENGTH_SIZE + HEADER_SIZE {
        return Err(ProtocolError::new(
            format!(
                "a message of {length} bytes, shorter than its own header; the other side does \
                 not speak libvirt's protocol"
            ),
            at,
        ));
    }
    if length > LENGTH_SIZE + FRAME_MAX {
        return Err(ProtocolError::new(
            format!(
                "a message of {length} bytes, at most {FRAME_MAX} are allowed; the other side \
                 probably does not speak libvirt's protocol (TLS port, or another service?)"
            ),
            at,
        ));
    }
    Ok(length - LENGTH_SIZE)
}

/// Reads the next frame; `Ok(None)` when the other side closed between two frames.
///
/// `received` counts the bytes as they come, so that a long frame on a slow link counts as life.
/// Not cancel-safe: a dropped future loses the bytes read so far.
pub async fn read_frame<R: AsyncRead + Unpin>(from: &mut R, received: &AtomicU64) -> Result<Option<Frame>, Error> {
    let mut field = [0; LENGTH_SIZE];
    let mut have = 0;
    while have < LENGTH_SIZE {
        let n = from.read(&mut field[have..]).await.map_err(lost)?;
        if n == 0 {
            return match have {
                0 => Ok(None),
                _ => Err(cut_off(have, LENGTH_SIZE)),
            };
        }
        received.fetch_add(n as u64, Ordering::Relaxed);
        have += n;
    }
    let length = body_length(u32::from_be_bytes(field)).map_err(Error::Protocol)?;
    let mut body: Vec<u8> = Vec::new();
    while body.len() < length {
        let have = body.len();
        let step = (length - have).min(READ_STEP);
        body.resize(have + step, 0);
        let n = from.read(&mut body[have..]).await.map_err(lost)?;
        body.truncate(have + n);
        if n == 0 {
            return Err(cut_off(have, length));
        }
        received.fetch_add(n as u64, Ordering::Relaxed);
    }
    Frame::from_body(&body).map(Some).map_err(|e| Error::Protocol(ProtocolError::new(e.to_string(), "frame header")))
}

fn cut_off(have: usize, want: usize) -> Error {
    Error::Protocol(ProtocolError::new(
        format!("the connection ended in the middle of a message, {have} of {want} bytes were there"),
        "reading a frame",
    ))
}

fn lost(error: std::io::Error) -> Error {
    Error::closed(format!("reading from the connection failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn read(bytes: &[u8]) -> Result<Option<Frame>, Error> {
        let mut from = bytes;
        read_frame(&mut from, &AtomicU64::new(0)).await
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_frame_is_read_back_as_written() {
        let frame = Frame { header: Header::call(59, 3), payload: vec![1, 2, 3, 4] };
        let wire = frame.to_wire().unwrap();
        assert_eq!(wire.len(), 32);
        assert_eq!(wire[..8], [0, 0, 0, 32, 0x20, 0, 0x80, 0x86]);
        assert_eq!(block_on(read(&wire)).unwrap(), Some(frame));
    }

    #[test]
    fn an_end_between_frames_is_no_error_and_inside_one_it_is() {
        assert_eq!(block_on(read(&[])).unwrap(), None);
        let wire = Frame { header: Header::call(1, 1), payload: vec![] }.to_wire().unwrap();
        for cut in 1..wire.len() {
            let error = block_on(read(&wire[..cut])).unwrap_err();
            assert!(error.to_string().contains("in the middle"), "{cut}: {error}");
        }
    }

    #[test]
    fn lengths_below_a_header_or_above_the_limit_are_refused() {
        for field in [0, 3, 27, 32 * 1024 * 1024 + 5, u32::MAX] {
            assert!(body_length(field).is_err(), "{field}");
        }
        assert_eq!(body_length(28), Ok(24));
        assert_eq!(body_length(32 * 1024 * 1024 + 4), Ok(32 * 1024 * 1024));
    }

    #[test]
    fn a_greeting_of_another_service_is_recognised_as_such() {
        let error = block_on(read(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")).unwrap_err();
        assert!(error.to_string().contains("does not speak"), "{error}");
    }

    #[test]
    fn an_unknown_message_type_is_an_error() {
        let mut wire = Frame { header: Header::call(1, 1), payload: vec![] }.to_wire().unwrap();
        wire[19] = 9;
        let error = block_on(read(&wire)).unwrap_err();
        assert!(error.to_string().contains("unknown message type 9"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = block_on(read(&bytes));
        }

        #[test]
        fn arbitrary_bytes_behind_a_right_length_never_panic(
            body in proptest::collection::vec(any::<u8>(), 24..256),
        ) {
            let mut wire = ((body.len() + 4) as u32).to_be_bytes().to_vec();
            wire.extend(&body);
            if let Ok(Some(frame)) = block_on(read(&wire)) {
                prop_assert_eq!(frame.to_wire().unwrap(), wire);
            }
        }
    }
}
