//! Typed parameters: libvirt's lists of names with values of different types.

use crate::xdr::{Decoder, Encoder, Xdr, XdrError, xdr_struct};

/// A value of one of libvirt's seven types.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 32 bits, signed.
    Int(i32),
    /// 32 bits, unsigned.
    Uint(u32),
    /// 64 bits, signed.
    Long(i64),
    /// 64 bits, unsigned.
    Ulong(u64),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    String(String),
}

impl Value {
    /// The value as an unsigned number; `None` for text, negative numbers and fractions.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Int(n) => n.try_into().ok(),
            Value::Uint(n) => Some(n.into()),
            Value::Long(n) => n.try_into().ok(),
            Value::Ulong(n) => Some(n),
            Value::Bool(b) => Some(b.into()),
            Value::Double(_) | Value::String(_) => None,
        }
    }

    /// The value as a signed number; `None` if it is none or too large.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::Int(n) => Some(n.into()),
            Value::Uint(n) => Some(n.into()),
            Value::Long(n) => Some(n),
            Value::Ulong(n) => n.try_into().ok(),
            Value::Bool(b) => Some(b.into()),
            Value::Double(_) | Value::String(_) => None,
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as true or false; numbers are true unless 0.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_i64().map(|n| n != 0)
    }
}

impl Xdr for Value {
    const MIN_SIZE: usize = 8;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Value::Int(v) => (1u32, *v).encode(out),
            Value::Uint(v) => (2u32, *v).encode(out),
            Value::Long(v) => (3u32, *v).encode(out),
            Value::Ulong(v) => (4u32, *v).encode(out),
            Value::Double(v) => (5u32, *v).encode(out),
            Value::Bool(v) => (6u32, i32::from(*v)).encode(out),
            Value::String(v) => {
                7u32.encode(out);
                v.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(match u32::decode(input)? {
            1 => Value::Int(Xdr::decode(input)?),
            2 => Value::Uint(Xdr::decode(input)?),
            3 => Value::Long(Xdr::decode(input)?),
            4 => Value::Ulong(Xdr::decode(input)?),
            5 => Value::Double(Xdr::decode(input)?),
            6 => Value::Bool(i32::decode(input)? != 0),
            7 => Value::String(Xdr::decode(input)?),
            n => return Err(input.error(format!("unknown type {n} of a typed parameter"))),
        })
    }
}

xdr_struct! {
    /// A name and its value.
    pub struct TypedParam {
        /// The name, like `cpu.time`.
        pub field: String,
        /// The value.
        pub value: Value,
    }
}

impl TypedParam {
    /// Pairs a name with a value.
    pub fn new(field: impl Into<String>, value: Value) -> Self {
        Self { field: field.into(), value }
    }
}

/// A list of typed parameters as libvirt sent it, in its order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TypedParams(pub Vec<TypedParam>);

impl TypedParams {
    /// The value of a name. If a name is there twice, the first one counts.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.iter().find(|p| p.field == field).map(|p| &p.value)
    }

    /// An unsigned number by name.
    pub fn u64(&self, field: &str) -> Option<u64> {
        self.get(field)?.as_u64()
    }

    /// A signed number by name.
    pub fn i64(&self, field: &str) -> Option<i64> {
        self.get(field)?.as_i64()
    }

    /// A text by name.
    pub fn str(&self, field: &str) -> Option<&str> {
        self.get(field)?.as_str()
    }

    /// Names and values in libvirt's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|p| (p.field.as_str(), &p.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::{List, from_bytes, to_bytes};
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i32>().prop_map(Value::Int),
            any::<u32>().prop_map(Value::Uint),
            any::<i64>().prop_map(Value::Long),
            any::<u64>().prop_map(Value::Ulong),
            (-1e300f64..1e300).prop_map(Value::Double),
            any::<bool>().prop_map(Value::Bool),
            any::<String>().prop_map(Value::String),
        ]
    }

    #[test]
    fn a_negative_number_is_not_read_as_a_huge_one() {
        assert_eq!(Value::Int(-1).as_u64(), None);
        assert_eq!(Value::Long(-1).as_u64(), None);
        assert_eq!(Value::Int(-1).as_i64(), Some(-1));
    }

    proptest! {
        #[test]
        fn parameters_are_read_back_as_written(
            params in proptest::collection::vec(("[a-z.]{0,12}", any_value()), 0..20)
        ) {
            let list: List<TypedParam, 64> =
                List(params.into_iter().map(|(f, v)| TypedParam::new(f, v)).collect());
            prop_assert_eq!(from_bytes::<List<TypedParam, 64>>(&to_bytes(&list)).unwrap(), list);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = from_bytes::<List<TypedParam, 262_144>>(&bytes);
        }
    }
}
