//! Commands: reading them out of messages, and the answers that have a fixed form.

use super::link::Error;
use super::message::{Message, kind};
use crate::base::amf0::{self, Value};

/// A command as it came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// The transaction; 0 wants no answer.
    pub(super) transaction: f64,
    /// The command object of `connect`, and what follows.
    pub(super) values: Vec<Value>,
}

impl Command {
    pub(super) fn read(message: &Message) -> Result<Command, Error> {
        let data = body(message);
        let mut values = amf0::decode(data).map_err(|why| Error::Command { length: message.data.len(), why })?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(Error::Nameless) };
        let transaction = values.next().and_then(|v| v.as_f64()).unwrap_or(0.0);
        Ok(Command { name, transaction, values: values.collect() })
    }

    /// The argument at `index`, not counting the command object.
    pub(super) fn argument(&self, index: usize) -> Option<&Value> {
        self.values.get(index + 1)
    }

    pub(super) fn text(&self, index: usize) -> &str {
        self.argument(index).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The AMF0 inside a command or data message: the AMF3 types wrap it behind a zero byte.
pub(super) fn body(message: &Message) -> &[u8] {
    match (message.kind, message.data.first()) {
        (kind::COMMAND3 | kind::DATA3, Some(0)) => &message.data[1..],
        _ => &message.data,
    }
}

/// `_result` with these values.
pub(super) fn result(transaction: f64, values: impl IntoIterator<Item = Value>) -> Vec<Value> {
    [Value::text("_result"), Value::Number(transaction)].into_iter().chain(values).collect()
}

/// `onStatus`.
pub(super) fn status(level: &str, code: &str, description: &str) -> Vec<Value> {
    vec![Value::text("onStatus"), Value::Number(0.0), Value::Null, info(level, code, description)]
}

/// The information object of a status or an error.
pub(super) fn info(level: &str, code: &str, description: &str) -> Value {
    Value::object([("level", level.into()), ("code", code.into()), ("description", description.into())])
}
