//! AMF3 values inside AMF0 messages, as Flash clients with `objectEncoding` 3 send them; read only (AMF 3, Adobe 2013).

use super::amf0::{DEPTH_MAX, Error, Value};
use super::bytes::Reader;

/// Reads one AMF3 value into the form of AMF0; `left` counts down the values that the message may still hold.
///
/// Reference tables start anew with each value that follows a switch marker, as the format has it.
pub(super) fn decode(bytes: &mut Reader<'_>, depth: usize, left: &mut usize) -> Result<Value, Error> {
    Decoder { bytes, left, texts: Vec::new(), traits: Vec::new() }.value(depth)
}

struct Decoder<'r, 'a> {
    bytes: &'r mut Reader<'a>,
    left: &'r mut usize,
    texts: Vec<String>,
    traits: Vec<Traits>,
}

#[derive(Clone)]
struct Traits {
    dynamic: bool,
    names: Vec<String>,
}

impl Decoder<'_, '_> {
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Deep);
        }
        *self.left = self.left.checked_sub(1).ok_or(Error::Many)?;
        Ok(match self.byte()? {
            0x00 => Value::Undefined,
            0x01 => Value::Null,
            0x02 => Value::Boolean(false),
            0x03 => Value::Boolean(true),
            0x04 => {
                // 29 bits with sign.
                let n = self.u29()? as i32;
                Value::Number(f64::from((n << 3) >> 3))
            }
            0x05 => Value::Number(self.number()?),
            0x06 => Value::String(self.text()?),
            0x07 | 0x0b => Value::String(self.blob()?.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()),
            0x08 => match self.u29()? & 1 {
                0 => Value::Undefined,
                _ => Value::Date(self.number()?),
            },
            0x09 => self.array(depth)?,
            0x0a => self.object(depth)?,
            // A byte array: nothing that a stream's life depends on.
            0x0c => self.blob().map(|_| Value::Undefined)?,
            marker => return Err(Error::Marker(marker)),
        })
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.bytes.u8().ok_or(Error::Short)
    }

    fn number(&mut self) -> Result<f64, Error> {
        self.bytes.u64().map(f64::from_bits).ok_or(Error::Short)
    }

    fn u29(&mut self) -> Result<u32, Error> {
        let mut n = 0;
        for _ in 0..3 {
            let byte = self.byte()?;
            n = n << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Ok(n << 8 | u32::from(self.byte()?))
    }

    /// A length and that many bytes; `None` for a reference to an earlier object, whose value is not kept.
    fn blob(&mut self) -> Result<Option<&[u8]>, Error> {
        match self.u29()? {
            n if n & 1 == 0 => Ok(None),
            n => self.bytes.take((n >> 1) as usize).map(Some).ok_or(Error::Short),
        }
    }

    fn text(&mut self) -> Result<String, Error> {
        let n = self.u29()?;
        if n & 1 == 0 {
            return Ok(self.texts.get((n >> 1) as usize).cloned().unwrap_or_default());
        }
        let text = String::from_utf8_lossy(self.bytes.take((n >> 1) as usize).ok_or(Error::Short)?).into_owned();
        // A cloned reference costs memory that the peer did not send: only short texts can be referred to.
        if !text.is_empty() {
            self.texts.push(if text.len() <= 256 { text.clone() } else { String::new() });
        }
        Ok(text)
    }

    fn array(&mut self, depth: usize) -> Result<Value, Error> {
        let n = self.u29()?;
        if n & 1 == 0 {
            return Ok(Value::Undefined);
        }
        let named = self.named(depth)?;
        let mut list = Vec::new();
        for _ in 0..n >> 1 {
            list.push(self.value(depth + 1)?);
        }
        Ok(if named.is_empty() { Value::List(list) } else { Value::Map(named) })
    }

    fn object(&mut self, depth: usize) -> Result<Value, Error> {
        let n = self.u29()?;
        let traits = match n {
            n if n & 1 == 0 => return Ok(Value::Undefined),
            n if n & 2 == 0 => self.traits.get((n >> 2) as usize).cloned().ok_or(Error::Short)?,
            // Externalizable: only its class knows its form.
            n if n & 4 != 0 => return Err(Error::Marker(0x0a)),
            n => {
                self.text()?;
                let count = (n >> 4) as usize;
                if count > *self.left {
                    return Err(Error::Many);
                }
                let names = (0..count).map(|_| self.text()).collect::<Result<_, _>>()?;
                let traits = Traits { dynamic: n & 8 != 0, names };
                *self.left = self.left.checked_sub(count).ok_or(Error::Many)?;
                self.traits.push(traits.clone());
                traits
            }
        };
        let mut members = Vec::new();
        for name in traits.names {
            members.push((name, self.value(depth + 1)?));
        }
        if traits.dynamic {
            members.extend(self.named(depth)?);
        }
        Ok(Value::Object(members))
    }

    fn named(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Error> {
        let mut members = Vec::new();
        loop {
            let name = self.text()?;
            if name.is_empty() {
                return Ok(members);
            }
            members.push((name, self.value(depth + 1)?));
        }
    }
}
