//! How an answer is declared: one list of fields gives its JSON, its reference and its schema.

/// What a field of an answer is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Several.
    List(fn() -> Shape),
    /// An object with fields of its own.
    Object(&'static str, &'static [Field]),
    /// Any JSON.
    Any,
}

/// A field of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in the JSON.
    pub name: &'static str,
    /// A second name under which the same value is answered.
    pub also: &'static [&'static str],
    /// Its documentation, a line each; lines that begin with `zh:` are Chinese.
    pub doc: &'static [&'static str],
    /// What it holds.
    pub shape: fn() -> Shape,
}

/// A value that stands in an answer.
pub trait Shown: serde::Serialize {
    /// What it is.
    fn shape() -> Shape;
    /// Whether the field is left out of the answer.
    fn absent(&self) -> bool {
        false
    }
}

/// A whole answer, declared with [`reply!`](crate::reply).
pub trait Reply: Shown + Send {
    /// Its fields.
    const FIELDS: &'static [Field];
}

macro_rules! shown {
    ($($type:ty => $shape:ident),*) => {$(
        impl Shown for $type {
            fn shape() -> Shape {
                Shape::$shape
            }
        }
    )*};
}
shown!(String => String, &'static str => String, i64 => Integer, u64 => Integer, u32 => Integer, u16 => Integer, bool => Boolean, serde_json::Value => Any);

impl<T: Shown> Shown for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }
    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shape() -> Shape {
        Shape::List(T::shape)
    }
}

/// Declares an object of an answer: every field with its documentation and its name on the wire.
///
/// ```
/// weir::reply! {
///     /// What a creation answers.
///     pub struct Created {
///         /// The new object's id.
///         /// zh: 新对象的ID。
///         "Id" & "ID" id: String,
///     }
/// }
/// let json = serde_json::to_string(&Created { id: "1".into() }).unwrap();
/// assert_eq!(json, r#"{"Id":"1","ID":"1"}"#);
/// ```
#[macro_export]
macro_rules! reply {
    ($(#[doc = $doc:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $fdoc:literal])+ $wire:literal $(& $also:literal)* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $fdoc])+ pub $field: $type,)*
        }
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[allow(unused_imports)]
                use ::serde::ser::SerializeMap as _;
                #[allow(unused_mut)]
                let mut map = serializer.serialize_map(None)?;
                $(if !$crate::api::reply::Shown::absent(&self.$field) {
                    map.serialize_entry($wire, &self.$field)?;
                    $(map.serialize_entry($also, &self.$field)?;)*
                })*
                map.end()
            }
        }
        impl $crate::api::reply::Shown for $name {
            fn shape() -> $crate::api::reply::Shape {
                $crate::api::reply::Shape::Object(stringify!($name), <Self as $crate::api::reply::Reply>::FIELDS)
            }
        }
        impl $crate::api::reply::Reply for $name {
            const FIELDS: &'static [$crate::api::reply::Field] = &[$($crate::api::reply::Field {
                name: $wire,
                also: &[$($also),*],
                doc: &[$($fdoc),*],
                shape: <$type as $crate::api::reply::Shown>::shape,
            }),*];
        }
    };
}

reply! {
    /// An answer that says no more than that it was done.
    pub struct Done {}
}

reply! {
    /// An answer that repeats the id of the object.
    pub struct Touched {
        /// The object's id.
        /// zh: 对象ID。
        "Id" id: String,
    }
}

impl Touched {
    /// The answer for an id.
    pub fn new(id: impl ToString) -> Touched {
        Touched { id: id.to_string() }
    }
}
