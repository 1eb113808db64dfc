//! SQL texts with their arguments, and rows: one form for SQLite and PostgreSQL.
//!
//! Only two types cross the border - 64-bit integers and text - so that one text means the same on both.
//! Texts are put together from literals of this module's siblings and `$n` alone; what comes from outside is always an argument.

use super::error::{Error, Result};
use crate::model::id::*;
use crate::model::tenant::Scope;
use crate::model::time::Time;
use sqlx::Row as _;
use std::borrow::Cow;
use std::str::FromStr;

/// An argument, typed even when it is null: PostgreSQL wants to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

macro_rules! value_from {
    ($($type:ty => |$v:ident| $value:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($v: $type) -> Value {
                $value
            }
        }
    )*};
}

value_from! {
    i64 => |v| Value::Int(Some(v));
    u32 => |v| Value::Int(Some(v.into()));
    u16 => |v| Value::Int(Some(v.into()));
    u8 => |v| Value::Int(Some(v.into()));
    u64 => |v| Value::Int(Some(i64::try_from(v).unwrap_or(i64::MAX)));
    bool => |v| Value::Int(Some(v.into()));
    Option<i64> => |v| Value::Int(v);
    Option<u16> => |v| Value::Int(v.map(Into::into));
    &str => |v| Value::Text(Some(v.to_owned()));
    String => |v| Value::Text(Some(v));
    &String => |v| Value::Text(Some(v.clone()));
    Option<String> => |v| Value::Text(v);
    Option<&str> => |v| Value::Text(v.map(str::to_owned));
    &GbId => |v| Value::Text(Some(v.as_str().to_owned()));
    Option<&GbId> => |v| Value::Text(v.map(|id| id.as_str().to_owned()));
    &UserId => |v| Value::Text(Some(v.as_str().to_owned()));
}

/// A text with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub(super) text: Cow<'static, str>,
    pub(super) args: Vec<Value>,
    /// Whether the connection keeps the prepared statement: not for texts that hardly come again.
    pub(super) keep: bool,
    /// Whether the text has `?` for each argument in its order in place of `$n`. SQLite looks a numbered argument up in a list of
    /// all: with thousands of them that took most of the time of a statement.
    pub(super) in_order: bool,
}

/// A literal text.
pub(super) fn sql(text: &'static str) -> Sql {
    Sql { text: Cow::Borrowed(text), args: Vec::new(), keep: true, in_order: false }
}

impl Sql {
    /// A text put together from literals.
    pub(super) fn built(text: String, args: Vec<Value>) -> Sql {
        Sql { text: Cow::Owned(text), args, keep: true, in_order: false }
    }

    /// The next argument.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Sql {
        self.args.push(value.into());
        self
    }

    /// More text with one more argument, which `?` stands for.
    pub(super) fn then(mut self, text: &str, value: impl Into<Value>) -> Sql {
        self.args.push(value.into());
        let number = format!("${}", self.args.len());
        self.text.to_mut().push_str(&text.replace('?', &number));
        self
    }

    /// More text.
    pub(super) fn tail(mut self, text: &str) -> Sql {
        self.text.to_mut().push_str(text);
        self
    }

    /// The text with `$n` alone, as PostgreSQL takes it.
    pub(super) fn numbered(text: &str) -> String {
        let mut numbered = String::with_capacity(text.len() * 3);
        for (n, part) in text.split('?').enumerate() {
            if n > 0 {
                numbered.push('$');
                numbered.push_str(&n.to_string());
            }
            numbered.push_str(part);
        }
        numbered
    }

    /// A text that hardly comes again.
    pub(super) fn once(mut self) -> Sql {
        self.keep = false;
        self
    }
}

/// Conditions joined by AND, with their arguments.
#[derive(Debug, Clone, Default)]
pub(super) struct Where {
    text: String,
    args: Vec<Value>,
}

impl Where {
    /// Only what `scope` sees.
    pub(super) fn scope(scope: Scope) -> Where {
        let all = Where::default();
        match scope {
            Scope::Operator => all,
            Scope::Tenant(id) => all.is("owner", id),
        }
    }

    /// A condition without an argument.
    pub(super) fn and(mut self, condition: &'static str) -> Where {
        self.text.push_str(if self.text.is_empty() { "" } else { " AND " });
        self.text.push_str(condition);
        self
    }

    /// A condition with one argument: `?` in it stands for the argument.
    pub(super) fn with(self, condition: &'static str, value: impl Into<Value>) -> Where {
        let mut this = self.and("");
        this.args.push(value.into());
        let number = format!("${}", this.args.len());
        this.text.push_str(&condition.replace('?', &number));
        this
    }

    /// A column equals a value.
    pub(super) fn is(self, column: &'static str, value: impl Into<Value>) -> Where {
        let mut this = self.with(column, value);
        let number = this.args.len();
        this.text.push_str(&format!(" = ${number}"));
        this
    }

    /// A column equals a value, if there is one.
    pub(super) fn equals_if(self, column: &'static str, value: Option<impl Into<Value>>) -> Where {
        match value {
            Some(value) => self.is(column, value),
            None => self,
        }
    }

    /// A column equals one of some values; of none: nothing fits.
    pub(super) fn one_of<V: Into<Value>>(self, column: &'static str, values: impl IntoIterator<Item = V>) -> Where {
        let mut this = self.and(column);
        let first = this.args.len();
        this.args.extend(values.into_iter().map(Into::into));
        let numbers: Vec<String> = (first + 1..=this.args.len()).map(|n| format!("${n}")).collect();
        // An empty list is no SQL on PostgreSQL.
        this.text.push_str(&if numbers.is_empty() { " IS NULL AND 1 = 0".to_owned() } else { format!(" IN ({})", numbers.join(",")) });
        this
    }

    /// A column equals none of some values.
    pub(super) fn none_of(self, column: &'static str, values: &[String]) -> Where {
        values.iter().fold(self, |this, value| {
            let mut this = this.with(column, value);
            let number = this.args.len();
            this.text.push_str(&format!(" <> ${number}"));
            this
        })
    }

    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.args.len()
    }

    /// `head`, the conditions behind ` WHERE `, then `tail`.
    pub(super) fn sql(&self, head: &str, tail: &str) -> Sql {
        let word = if self.text.is_empty() { "" } else { " WHERE " };
        Sql::built(format!("{head}{word}{}{tail}", self.text), self.args.clone())
    }
}

/// Rows for a multi-row statement: `(?,?),(?,?)…`, in portions that both databases take (SQLite allows 32,766 arguments).
pub(super) struct Rows {
    columns: usize,
    args: Vec<Value>,
}

impl Rows {
    /// Rows of so many columns.
    pub(super) fn new(columns: usize) -> Rows {
        Rows { columns, args: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns);
        self.args.extend(row);
    }

    /// Adds a row whose length is known at run time only.
    pub(super) fn extend(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns);
        self.args.extend(row);
    }

    /// The statements: `head (…),(…) tail`, each with its portion. Full portions share one text, which stays prepared.
    pub(super) fn statements(self, head: &str, tail: &str) -> Vec<Sql> {
        const PORTION: usize = 4000;
        let rows = (PORTION / self.columns).max(1);
        let mut args = self.args.into_iter();
        let mut statements = Vec::new();
        loop {
            let portion: Vec<Value> = args.by_ref().take(rows * self.columns).collect();
            if portion.is_empty() {
                return statements;
            }
            let full = portion.len() == rows * self.columns;
            let text = format!("{head} {} {tail}", tuples(portion.len() / self.columns, self.columns));
            statements.push(Sql { text: text.into(), args: portion, keep: full, in_order: true });
        }
    }
}

fn tuples(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// A column, by its name.
    pub(super) fn get<T: Column>(&self, name: &str) -> Result<T> {
        T::read(self, name)
    }

    /// A column that holds a word or an id as text.
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T> {
        let text: String = self.get(name)?;
        text.parse().map_err(|e| Error::Damaged(format!("{name}: {e}")))
    }

    /// The same, or null.
    pub(super) fn parse_maybe<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        let text: Option<String> = self.get(name)?;
        text.map(|text| text.parse().map_err(|e| Error::Damaged(format!("{name}: {e}")))).transpose()
    }

    /// A column that holds JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text: String = self.get(name)?;
        serde_json::from_str(&text).map_err(|e| Error::Damaged(format!("{name}: {e}")))
    }

    fn int(&self, name: &str) -> Result<Option<i64>> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(name)?,
            Row::Postgres(row) => row.try_get(name)?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(name)?,
            Row::Postgres(row) => row.try_get(name)?,
        })
    }
}

/// What a column can be read as.
pub(super) trait Column: Sized {
    fn read(row: &Row, name: &str) -> Result<Self>;
}

fn present<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::Damaged(format!("{name} is null")))
}

macro_rules! int_columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn read(row: &Row, name: &str) -> Result<Self> {
                let n = present(row.int(name)?, name)?;
                <$type>::try_from(n).map_err(|_| Error::Damaged(format!("{name} is {n}")))
            }
        }

        impl Column for Option<$type> {
            fn read(row: &Row, name: &str) -> Result<Self> {
                let convert = |n| <$type>::try_from(n).map_err(|_| Error::Damaged(format!("{name} is {n}")));
                row.int(name)?.map(convert).transpose()
            }
        }
    )*};
}
int_columns!(i64, u64, u32, u16, u8);

macro_rules! id_columns {
    ($($type:ident),*) => {$(
        impl From<$type> for Value {
            fn from(id: $type) -> Value {
                Value::Int(Some(id.0))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(id: Option<$type>) -> Value {
                Value::Int(id.map(|id| id.0))
            }
        }

        impl Column for $type {
            fn read(row: &Row, name: &str) -> Result<Self> {
                Ok($type(present(row.int(name)?, name)?))
            }
        }

        impl Column for Option<$type> {
            fn read(row: &Row, name: &str) -> Result<Self> {
                Ok(row.int(name)?.map($type))
            }
        }
    )*};
}
id_columns!(
    TenantId,
    GroupId,
    DeviceId,
    DirectoryId,
    ChannelId,
    StreamId,
    TemplateId,
    RecordId,
    RecordingId,
    AlarmId,
    CallbackId,
    DepositId,
    UpperId,
    Time
);

impl Column for bool {
    fn read(row: &Row, name: &str) -> Result<Self> {
        Ok(present(row.int(name)?, name)? != 0)
    }
}

impl Column for String {
    fn read(row: &Row, name: &str) -> Result<Self> {
        present(row.text(name)?, name)
    }
}

impl Column for Option<String> {
    fn read(row: &Row, name: &str) -> Result<Self> {
        row.text(name)
    }
}
