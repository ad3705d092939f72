//! XDR (RFC 4506) as libvirt uses it: big-endian, everything padded to four bytes.
//!
//! The bytes come from a network, so decoding trusts nothing: a length is compared with its
//! protocol limit and with the bytes that are really there *before* anything is allocated, and
//! every failure says what was being read and at which offset.
//!
//! ```
//! use ulm_libvirt::xdr::{Decoder, Encoder, Xdr};
//! let mut out = Encoder::new();
//! "vm1".to_owned().encode(&mut out);
//! 7u32.encode(&mut out);
//! let bytes = out.into_bytes();
//! let mut input = Decoder::new(&bytes);
//! assert_eq!(String::decode(&mut input).unwrap(), "vm1");
//! assert_eq!(u32::decode(&mut input).unwrap(), 7);
//! input.finish().unwrap();
//! ```

use uuid::Uuid;

/// The longest string the protocol allows, in bytes (4 MiB).
pub const STRING_MAX: usize = 4 * 1024 * 1024;

/// Why some bytes are not the XDR value they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct XdrError {
    /// What is wrong, as part of a sentence.
    pub what: String,
    /// Where in the payload, in bytes from its start.
    pub offset: usize,
}

/// Writes XDR values into a growing buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends bytes that already are XDR.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends bytes of a length known to both sides, padded to four.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let padding = padding(bytes.len());
        self.bytes.extend_from_slice(&[0; 3][..padding]);
    }

    /// Appends a length and then bytes, padded to four.
    pub fn variable(&mut self, bytes: &[u8]) {
        (bytes.len() as u32).encode(self);
        self.fixed(bytes);
    }
}

/// Reads XDR values from a slice and never past its end.
#[derive(Debug)]
pub struct Decoder<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, at: 0 }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.all.len() - self.at
    }

    /// An error at the present offset.
    pub fn error(&self, what: impl Into<String>) -> XdrError {
        XdrError { what: what.into(), offset: self.at }
    }

    /// Fails if bytes are left over: a reply longer than its type is not the reply we asked for.
    pub fn finish(&self) -> Result<(), XdrError> {
        match self.remaining() {
            0 => Ok(()),
            n => Err(self.error(format!("{n} bytes more than the value has"))),
        }
    }

    /// Reads exactly `n` bytes and their padding.
    pub fn fixed(&mut self, n: usize, what: &str) -> Result<&'a [u8], XdrError> {
        let with_padding =
            n.checked_add(padding(n)).ok_or_else(|| self.error(format!("{what} of impossible length {n}")))?;
        if with_padding > self.remaining() {
            return Err(self.error(format!("{what} needs {with_padding} bytes, only {} are left", self.remaining())));
        }
        let value = &self.all[self.at..self.at + n];
        self.at += with_padding;
        Ok(value)
    }

    /// Reads a length of at most `max`, then as many bytes and their padding.
    pub fn variable(&mut self, max: usize, what: &str) -> Result<&'a [u8], XdrError> {
        let n = u32::decode(self)? as usize;
        if n > max {
            return Err(self.error(format!("{what} of {n} bytes, at most {max} are allowed")));
        }
        self.fixed(n, what)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], XdrError> {
        let bytes = self.fixed(N, what)?;
        let mut value = [0; N];
        value.copy_from_slice(bytes);
        Ok(value)
    }
}

const fn padding(n: usize) -> usize {
    (4 - n % 4) % 4
}

/// A value with one XDR form.
pub trait Xdr: Sized {
    /// The fewest bytes a value of this type can take on the wire (never 0). It bounds how many
    /// elements a list can have, given the bytes that are there.
    const MIN_SIZE: usize;

    /// Appends the value.
    fn encode(&self, out: &mut Encoder);

    /// Reads a value.
    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError>;
}

macro_rules! number {
    ($type:ty, $size:literal) => {
        impl Xdr for $type {
            const MIN_SIZE: usize = $size;

            fn encode(&self, out: &mut Encoder) {
                out.raw(&self.to_be_bytes());
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
                Ok(Self::from_be_bytes(input.array::<$size>(stringify!($type))?))
            }
        }
    };
}

number!(i32, 4);
number!(u32, 4);
number!(i64, 8);
number!(u64, 8);
number!(f64, 8);

/// A string. Bytes that are not UTF-8 become U+FFFD: one VM with an odd name must not make all
/// other VMs of its host unreadable. Identity is the UUID, never the name.
impl Xdr for String {
    const MIN_SIZE: usize = 4;

    fn encode(&self, out: &mut Encoder) {
        out.variable(self.as_bytes());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let bytes = input.variable(STRING_MAX, "string")?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Xdr for Uuid {
    const MIN_SIZE: usize = 16;

    fn encode(&self, out: &mut Encoder) {
        out.fixed(self.as_bytes());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Uuid::from_bytes(input.array::<16>("UUID")?))
    }
}

/// XDR's optional data: 0, or 1 and the value.
impl<T: Xdr> Xdr for Option<T> {
    const MIN_SIZE: usize = 4;

    fn encode(&self, out: &mut Encoder) {
        match self {
            None => 0u32.encode(out),
            Some(value) => {
                1u32.encode(out);
                value.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        match u32::decode(input)? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(input)?)),
            n => Err(input.error(format!("optional value marked {n}, only 0 and 1 exist"))),
        }
    }
}

/// A list of at most `MAX` values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T: Xdr, const MAX: usize> Xdr for List<T, MAX> {
    const MIN_SIZE: usize = 4;

    fn encode(&self, out: &mut Encoder) {
        (self.0.len() as u32).encode(out);
        for value in &self.0 {
            value.encode(out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let n = u32::decode(input)? as usize;
        if n > MAX {
            return Err(input.error(format!("list of {n} values, at most {MAX} are allowed")));
        }
        if n > input.remaining() / T::MIN_SIZE {
            return Err(input.error(format!("list of {n} values cannot fit in the {} bytes left", input.remaining())));
        }
        let mut values = Vec::with_capacity(n);
        for _ in 0..n {
            values.push(T::decode(input)?);
        }
        Ok(Self(values))
    }
}

/// Bytes without meaning to us, at most `MAX` of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opaque<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> Xdr for Opaque<MAX> {
    const MIN_SIZE: usize = 4;

    fn encode(&self, out: &mut Encoder) {
        out.variable(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self(input.variable(MAX, "opaque data")?.to_vec()))
    }
}

/// Nothing: the arguments or result of a procedure that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Void;

impl Xdr for Void {
    // Never an element of a list; 1 keeps the bound in `List` meaningful all the same.
    const MIN_SIZE: usize = 1;

    fn encode(&self, _: &mut Encoder) {}

    fn decode(_: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Void)
    }
}

/// Declares a structure whose XDR form is its fields in order.
macro_rules! xdr_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type,)+ }

        impl $crate::xdr::Xdr for $name {
            const MIN_SIZE: usize = 0 $(+ <$type as $crate::xdr::Xdr>::MIN_SIZE)+;

            fn encode(&self, out: &mut $crate::xdr::Encoder) {
                $($crate::xdr::Xdr::encode(&self.$field, out);)+
            }

            fn decode(input: &mut $crate::xdr::Decoder<'_>) -> Result<Self, $crate::xdr::XdrError> {
                Ok(Self { $($field: $crate::xdr::Xdr::decode(input)?,)+ })
            }
        }
    };
}
pub(crate) use xdr_struct;

macro_rules! tuple {
    ($($name:ident)+) => {
        /// The values one after the other.
        impl<$($name: Xdr),+> Xdr for ($($name,)+) {
            const MIN_SIZE: usize = 0 $(+ $name::MIN_SIZE)+;

            #[allow(non_snake_case)]
            fn encode(&self, out: &mut Encoder) {
                let ($($name,)+) = self;
                $($name.encode(out);)+
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
                Ok(($($name::decode(input)?,)+))
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);

/// The XDR form of `value`.
pub fn to_bytes<T: Xdr>(value: &T) -> Vec<u8> {
    let mut out = Encoder::new();
    value.encode(&mut out);
    out.into_bytes()
}

/// Reads one value that must take all of `bytes`.
pub fn from_bytes<T: Xdr>(bytes: &[u8]) -> Result<T, XdrError> {
    let mut input = Decoder::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_string_is_padded_to_four_bytes() {
        assert_eq!(to_bytes(&"vm1".to_owned()), b"\0\0\0\x03vm1\0");
        assert_eq!(to_bytes(&"vm12".to_owned()), b"\0\0\0\x04vm12");
    }

    #[test]
    fn an_over_long_string_is_refused_before_it_is_read() {
        let error = from_bytes::<String>(&[0xff; 8]).unwrap_err();
        assert!(error.what.contains("at most 4194304"), "{error}");
    }

    #[test]
    fn a_list_that_cannot_fit_is_refused_before_it_is_allocated() {
        let mut bytes = to_bytes(&16_000u32);
        bytes.extend([0; 12]);
        let error = from_bytes::<List<u64, 16_384>>(&bytes).unwrap_err();
        assert!(error.what.contains("cannot fit"), "{error}");
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let error = from_bytes::<u32>(&[0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "4 bytes more than the value has at byte 4");
    }

    #[test]
    fn an_option_marked_two_is_nonsense() {
        assert!(from_bytes::<Option<u32>>(&to_bytes(&2u32)).is_err());
    }

    type Everything = (i32, u64, f64, String, Option<String>, List<i64, 64>, Opaque<64>, Uuid);

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            a: i32, b: u64, c in -1e300f64..1e300, d: String, e: Option<String>,
            f in proptest::collection::vec(any::<i64>(), 0..64),
            g in proptest::collection::vec(any::<u8>(), 0..64),
            h: u128,
        ) {
            let value: Everything = (a, b, c, d, e, List(f), Opaque(g), Uuid::from_u128(h));
            let bytes = to_bytes(&value);
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert_eq!(from_bytes::<Everything>(&bytes).unwrap(), value);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = from_bytes::<Everything>(&bytes);
            let _ = from_bytes::<List<(String, Option<String>), 16_384>>(&bytes);
        }

        #[test]
        fn a_value_cut_off_anywhere_is_an_error(d: String, cut in any::<proptest::sample::Index>()) {
            let bytes = to_bytes(&(7u32, d, 9u32));
            let cut = cut.index(bytes.len());
            prop_assert!(from_bytes::<(u32, String, u32)>(&bytes[..cut]).is_err());
        }
    }
}
