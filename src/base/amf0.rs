//! AMF0 values: RTMP commands and FLV script data are made of them (Action Message Format 0, Adobe 2007).
//!
//! Depth, number of values and length of what is read are limited, so that a hostile message costs no more than its own bytes.

use super::bytes::Reader;
use bytes::{BufMut, BytesMut};

/// How deep objects and arrays may nest.
pub const DEPTH_MAX: usize = 16;
/// How many values one message may hold, counting those inside objects and arrays.
pub const VALUES_MAX: usize = 4096;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; AMF0 has no integers.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A text of either length; XML documents too.
    String(String),
    /// Named values in their order; typed objects too, without their class name.
    Object(Vec<(String, Value)>),
    /// An "ECMA array": named values in their order, as `onMetaData` carries them.
    Map(Vec<(String, Value)>),
    /// Values without names.
    List(Vec<Value>),
    /// Milliseconds since 1970, UTC.
    Date(f64),
    /// No value.
    Null,
    /// No value, as Flash means it; references and the `unsupported` marker too.
    Undefined,
}

/// Why bytes are not AMF0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value is cut off.
    #[error("AMF0 value is cut off")]
    Short,
    /// A type marker that does not exist or cannot stand in a message.
    #[error("AMF0 type marker {0:#04x} is not known")]
    Marker(u8),
    /// More than [`DEPTH_MAX`] levels.
    #[error("AMF0 values nest deeper than {DEPTH_MAX}")]
    Deep,
    /// More than [`VALUES_MAX`] values.
    #[error("more than {VALUES_MAX} AMF0 values in one message")]
    Many,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    /// An object of these members.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Number(n) => Some(*n),
            Value::Boolean(b) => Some(f64::from(u8::from(*b))),
            _ => None,
        }
    }

    /// The truth value, if it is one; a number is true unless zero.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(b) => Some(*b),
            Value::Number(n) => Some(*n != 0.0),
            _ => None,
        }
    }

    /// The members of an object or a map; none for everything else.
    pub fn members(&self) -> &[(String, Value)] {
        match self {
            Value::Object(members) | Value::Map(members) => members,
            _ => &[],
        }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members().iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Value {
        Value::Number(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Boolean(b)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

/// Reads all values of a message.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let mut decoder = Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.value()? {
        values.push(value);
    }
    Ok(values)
}

/// Reads one value after the other.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: Reader<'a>,
    left: usize,
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes: Reader::new(bytes), left: VALUES_MAX }
    }

    /// The next value; `None` at the end.
    pub fn value(&mut self) -> Result<Option<Value>, Error> {
        if self.bytes.is_empty() { Ok(None) } else { self.nested(0).map(Some) }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.rest()
    }

    fn nested(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Deep);
        }
        self.left = self.left.checked_sub(1).ok_or(Error::Many)?;
        Ok(match self.bytes.u8().ok_or(Error::Short)? {
            0x00 => Value::Number(self.number()?),
            0x01 => Value::Boolean(self.bytes.u8().ok_or(Error::Short)? != 0),
            0x02 => Value::String(self.short_text()?),
            0x03 => Value::Object(self.named(depth)?),
            0x05 => Value::Null,
            0x06 | 0x0d => Value::Undefined,
            0x07 => self.bytes.u16().map(|_| Value::Undefined).ok_or(Error::Short)?,
            0x08 => {
                // The count is a hint: encoders write 0 or a wrong one, the end marker decides.
                self.bytes.u32().ok_or(Error::Short)?;
                Value::Map(self.named(depth)?)
            }
            0x0a => {
                let count = self.bytes.u32().ok_or(Error::Short)? as usize;
                // Each value takes a byte at least.
                let mut list = Vec::with_capacity(count.min(self.bytes.len()).min(64));
                for _ in 0..count {
                    list.push(self.nested(depth + 1)?);
                }
                Value::List(list)
            }
            0x0b => {
                let date = self.number()?;
                self.bytes.u16().ok_or(Error::Short)?;
                Value::Date(date)
            }
            0x0c | 0x0f => {
                let length = self.bytes.u32().ok_or(Error::Short)?;
                Value::String(self.text(length as usize)?)
            }
            0x10 => {
                self.short_text()?;
                Value::Object(self.named(depth)?)
            }
            // 0x11 "AVM+": from here on AMF3.
            0x11 => super::amf3::decode(&mut self.bytes, depth, &mut self.left)?,
            marker => return Err(Error::Marker(marker)),
        })
    }

    fn number(&mut self) -> Result<f64, Error> {
        self.bytes.u64().map(f64::from_bits).ok_or(Error::Short)
    }

    fn text(&mut self, length: usize) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(self.bytes.take(length).ok_or(Error::Short)?).into_owned())
    }

    fn short_text(&mut self) -> Result<String, Error> {
        let length = self.bytes.u16().ok_or(Error::Short)?;
        self.text(length.into())
    }

    fn named(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Error> {
        let mut members = Vec::new();
        // Some encoders leave out the last end marker of a message.
        while !self.bytes.is_empty() {
            let name = self.short_text()?;
            if name.is_empty() && self.bytes.rest().first().is_none_or(|marker| *marker == 0x09) {
                self.bytes.u8();
                break;
            }
            members.push((name, self.nested(depth + 1)?));
        }
        Ok(members)
    }
}

/// Writes values one behind the other.
pub fn encode(values: &[Value]) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    for value in values {
        write(&mut out, value);
    }
    out
}

/// Appends one value.
pub fn write(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(n) => {
            out.put_u8(0x00);
            out.put_f64(*n);
        }
        Value::Boolean(b) => out.put_slice(&[0x01, u8::from(*b)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.put_u8(0x02);
                out.put_u16(length);
                out.put_slice(text.as_bytes());
            }
            Err(_) => {
                out.put_u8(0x0c);
                out.put_u32(text.len() as u32);
                out.put_slice(text.as_bytes());
            }
        },
        Value::Object(members) => {
            out.put_u8(0x03);
            write_members(out, members);
        }
        Value::Map(members) => {
            out.put_u8(0x08);
            out.put_u32(members.len() as u32);
            write_members(out, members);
        }
        Value::List(values) => {
            out.put_u8(0x0a);
            out.put_u32(values.len() as u32);
            values.iter().for_each(|value| write(out, value));
        }
        Value::Date(ms) => {
            out.put_u8(0x0b);
            out.put_f64(*ms);
            out.put_u16(0);
        }
        Value::Null => out.put_u8(0x05),
        Value::Undefined => out.put_u8(0x06),
    }
}

fn write_members(out: &mut BytesMut, members: &[(String, Value)]) {
    for (name, value) in members {
        // A name has 16 bits of length; nobody's is longer, and a cut one is better than a broken message.
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        out.put_u16(name.len() as u16);
        out.put_slice(name);
        write(out, value);
    }
    out.put_slice(&[0, 0, 0x09]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(|n| Value::Number(n.into())),
            any::<bool>().prop_map(Value::Boolean),
            "[a-z\u{4e00}-\u{4e10}]{0,12}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            any::<u32>().prop_map(|n| Value::Date(n.into())),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            let members = prop::collection::vec(("[a-zA-Z]{1,8}", inner.clone()), 0..6);
            prop_oneof![
                members.clone().prop_map(Value::Object),
                members.prop_map(Value::Map),
                prop::collection::vec(inner, 0..6).prop_map(Value::List)
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(values in prop::collection::vec(any_value(), 0..4)) {
            prop_assert_eq!(decode(&encode(&values)).unwrap(), values);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_long_text_takes_the_long_form() {
        let value = Value::text("x".repeat(70_000));
        assert_eq!(decode(&encode(std::slice::from_ref(&value))).unwrap(), [value]);
    }

    #[test]
    fn depth_is_limited() {
        // 20,000 levels of {"a": {"a": …: the message that overflows the stack of decoders that recurse without a limit.
        let bytes = b"\x03\0\x01a".repeat(20_000);
        assert_eq!(decode(&bytes), Err(Error::Deep));
        let lists = [0x0a, 0, 0, 0, 1].repeat(20_000);
        assert_eq!(decode(&lists), Err(Error::Deep));
        let amf3 = [0x11].iter().chain([0x09, 0x03, 0x01].repeat(20_000).iter()).copied().collect::<Vec<_>>();
        assert_eq!(decode(&amf3), Err(Error::Deep));
    }

    #[test]
    fn the_number_of_values_is_limited() {
        assert_eq!(decode(&[0x05; VALUES_MAX + 1]), Err(Error::Many));
        let mut list = vec![0x0a, 0xff, 0xff, 0xff, 0xff];
        list.extend([0x05; VALUES_MAX]);
        assert_eq!(decode(&list), Err(Error::Many));
    }

    #[test]
    fn a_missing_end_marker_and_a_wrong_count_are_forgiven() {
        let cases: [(&str, &[u8]); 3] = [
            ("no end marker", b"\x03\0\x01a\x01\x01"),
            ("only the empty name", b"\x03\0\x01a\x01\x01\0\0"),
            ("count 0 in a map", b"\x08\0\0\0\0\0\x01a\x01\x01\0\0\x09"),
        ];
        for (name, bytes) in cases {
            let values = decode(bytes).unwrap();
            assert_eq!(values[0].get("a"), Some(&Value::Boolean(true)), "{name}");
        }
    }

    #[test]
    fn cut_values_are_errors() {
        let whole = encode(&[Value::text("onMetaData"), Value::Number(1.0)]);
        for cut in [1, 2, 5, 12, 14, 20] {
            assert_eq!(decode(&whole[..cut]), Err(Error::Short), "cut at {cut}");
        }
        assert_eq!(decode(&[0x04]), Err(Error::Marker(4)));
    }

    #[test]
    fn amf3_behind_the_switch_marker_reads() {
        // connect() arguments of a Flash player with objectEncoding 3 that used AMF3 for one value: {app: "live", n: 5}
        let mut bytes = vec![0x11, 0x0a, 0x0b, 0x01];
        bytes.extend(b"\x07app\x06\x09live");
        bytes.extend(b"\x03n\x04\x05");
        bytes.push(0x01);
        bytes.extend([0x11, 0x03]);
        let values = decode(&bytes).unwrap();
        assert_eq!(values[0].get("app"), Some(&Value::text("live")));
        assert_eq!(values[0].get("n"), Some(&Value::Number(5.0)));
        assert_eq!(values[1], Value::Boolean(true));
    }
}
