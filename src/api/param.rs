//! How one parameter is read and described: every type of a parameter implements [`Param`], so reading, validation and reference agree.

use super::error::Error;
use super::query::Given;

/// What a parameter may hold; the reference page, the OpenAPI description and the bad-input tests are made from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The type in the reference.
    pub kind: Kind,
    /// Smallest and largest number.
    pub range: Option<(i64, i64)>,
    /// Longest text, in characters.
    pub max_len: Option<usize>,
    /// The only values allowed; empty means any.
    pub values: &'static [&'static str],
    /// Several values, as `a,b` or as a JSON array.
    pub list: bool,
    /// What stands for an absent parameter.
    pub default: Option<&'static str>,
    /// The `format` of the OpenAPI description.
    pub format: Option<&'static str>,
    /// A value that is taken.
    pub sample: &'static str,
}

/// Types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true`, `false`, `1`, `0`.
    Boolean,
}

impl Shape {
    /// Any text of at most `max_len` characters.
    pub const fn text(max_len: usize, sample: &'static str) -> Shape {
        Shape { kind: Kind::String, range: None, max_len: Some(max_len), values: &[], list: false, default: None, format: None, sample }
    }

    /// A whole number in a range.
    pub const fn integer(min: i64, max: i64, sample: &'static str) -> Shape {
        Shape { kind: Kind::Integer, range: Some((min, max)), max_len: None, ..Shape::text(0, sample) }
    }

    /// One of some words.
    pub const fn word(values: &'static [&'static str]) -> Shape {
        Shape { values, max_len: None, ..Shape::text(0, values[0]) }
    }

    /// The same with a format.
    pub const fn format(self, format: &'static str) -> Shape {
        Shape { format: Some(format), ..self }
    }

    /// The same with a default.
    pub const fn default(self, default: &'static str) -> Shape {
        Shape { default: Some(default), ..self }
    }

    /// A list of the same.
    pub const fn list(self) -> Shape {
        Shape { list: true, ..self }
    }
}

/// A type that can be read from the text of a parameter that was given and is not empty.
pub trait Value: Sized {
    /// What it may hold.
    const SHAPE: Shape;
    /// Reads it; the error completes "The parameter X …".
    fn read(text: &str) -> Result<Self, String>;
}

/// What stands in a field of an action's structure.
pub trait Param: Sized {
    /// What it may hold.
    const SHAPE: Shape;
    /// Whether it must be given.
    const REQUIRED: bool;
    /// Reads it; `None` means that it was not given. The outer `None` of the answer means that it is missing.
    fn take(given: Option<&str>) -> Option<Result<Self, String>>;
}

impl<T: Value> Param for T {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = T::SHAPE.default.is_none();
    fn take(given: Option<&str>) -> Option<Result<Self, String>> {
        match given.filter(|text| !text.is_empty()) {
            Some(text) => Some(T::read(text)),
            None => T::SHAPE.default.map(T::read),
        }
    }
}

impl<T: Value> Param for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;
    fn take(given: Option<&str>) -> Option<Result<Self, String>> {
        Some(given.filter(|text| !text.is_empty()).map(T::read).transpose())
    }
}

/// A field of a Modify… call: left alone, emptied or set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not given: it stays as it is.
    #[default]
    Keep,
    /// Given and empty.
    Clear,
    /// Given.
    Set(T),
}

impl<T: Value> Param for Patch<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;
    fn take(given: Option<&str>) -> Option<Result<Self, String>> {
        Some(match given {
            None => Ok(Patch::Keep),
            Some("") => Ok(Patch::Clear),
            Some(text) => T::read(text).map(Patch::Set),
        })
    }
}

impl<T> Patch<T> {
    /// Maps what is set.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(f(value)),
        }
    }

    /// The new value over what was there; [`Clear`](Patch::Clear) gives the type's empty value.
    pub fn over(self, before: &mut T)
    where
        T: Default,
    {
        match self {
            Patch::Keep => {}
            Patch::Clear => *before = T::default(),
            Patch::Set(value) => *before = value,
        }
    }
}

/// The description of one parameter of an action.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The name in the request.
    pub name: &'static str,
    /// Other names that clients use for it.
    pub aliases: &'static [&'static str],
    /// Its documentation, a line each; lines that begin with `zh:` are Chinese.
    pub doc: &'static [&'static str],
    /// What it may hold.
    pub shape: Shape,
    /// Whether it must be given.
    pub required: bool,
}

/// Reads one parameter of an action by its name or one of its aliases.
pub fn take<T: Param>(given: &Given, name: &str, aliases: &[&str]) -> Result<T, Error> {
    let names = || std::iter::once(name).chain(aliases.iter().copied());
    if let Some(twice) = names().find(|n| given.ambiguous(n)) {
        return Err(Error::invalid(twice, "is given more than once with different values"));
    }
    // A name with a value wins over one that is there but empty.
    let value = names().filter_map(|n| given.get(n)).find(|v| !v.is_empty()).or_else(|| names().find_map(|n| given.get(n)));
    match T::take(value) {
        Some(Ok(value)) => Ok(value),
        Some(Err(allowed)) => Err(Error::invalid(name, allowed)),
        None => Err(Error::missing(name)),
    }
}

/// The English lines of a documentation, joined.
pub fn english(doc: &[&str]) -> String {
    lines(doc).filter(|l| !l.starts_with("zh:")).collect::<Vec<_>>().join(" ")
}

/// The Chinese lines of a documentation, joined.
pub fn chinese(doc: &[&str]) -> String {
    lines(doc).filter_map(|l| l.strip_prefix("zh:")).map(str::trim).collect()
}

fn lines<'a>(doc: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    doc.iter().map(|l| l.trim()).filter(|l| !l.is_empty())
}
