//! What an action is: a declaration that the parser, the reference and the tests are made from, and one `run`.

use super::context::Context;
use super::error::Error;
use super::param::Spec;
use super::query::Given;
use super::reply::{Reply, Shape, Shown};
use std::future::Future;
use std::pin::Pin;

/// What [`action!`](crate::action) makes of a declaration.
pub trait Declared: Sized + Send + 'static {
    /// The name in the request.
    const NAME: &'static str;
    /// Its documentation, a line each; lines that begin with `zh:` are Chinese.
    const DOC: &'static [&'static str];
    /// Its parameters.
    const PARAMS: &'static [Spec];
    /// Reads and validates all parameters.
    fn read(given: &Given) -> Result<Self, Error>;
}

/// One action of the API.
pub trait Action: Declared {
    /// What it answers.
    type Reply: Reply;
    /// Who may call it.
    const WHO: Who = Who::Tenant;
    /// Does it. The parameters are valid; what is left to check are objects and their states.
    fn run(self, cx: &Context) -> impl Future<Output = Result<Self::Reply, Error>> + Send;
}

/// Who may call an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Every key, on its own objects.
    Tenant,
    /// The operator's key alone.
    Operator,
}

/// The answer's JSON object, still without its request id.
pub type Outcome = Result<Vec<u8>, Error>;

/// A future in a box.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An action as the dispatcher and the reference see it.
pub struct Entry {
    /// The name in the request.
    pub name: &'static str,
    /// Its documentation.
    pub doc: &'static [&'static str],
    /// Its parameters.
    pub params: &'static [Spec],
    /// What it answers.
    pub reply: fn() -> Shape,
    /// Who may call it.
    pub who: Who,
    /// Reads the parameters and does it.
    pub run: for<'a> fn(&'a Given, &'a Context) -> Boxed<'a, Outcome>,
    /// Reads the parameters only.
    pub check: fn(&Given) -> Result<(), Error>,
}

impl Entry {
    /// The entry of an action.
    pub const fn of<A: Action>() -> Entry {
        Entry {
            name: A::NAME,
            doc: A::DOC,
            params: A::PARAMS,
            reply: <A::Reply as Shown>::shape,
            who: A::WHO,
            run: |given, cx| Box::pin(run::<A>(given, cx)),
            check: |given| A::read(given).map(drop),
        }
    }
}

async fn run<A: Action>(given: &Given, cx: &Context) -> Outcome {
    let reply = A::read(given)?.run(cx).await?;
    serde_json::to_vec(&reply).map_err(Error::internal)
}

/// The actions on one kind of object.
pub struct Noun {
    /// Its title in English.
    pub title: &'static str,
    /// Its title in Chinese.
    pub title_zh: &'static str,
    /// Its actions.
    pub actions: &'static [Entry],
}

/// Lists the actions of a file.
#[macro_export]
macro_rules! actions {
    ($title:literal, $zh:literal: $($action:ident),+ $(,)?) => {
        /// The actions of this file.
        pub const ACTIONS: $crate::api::action::Noun = $crate::api::action::Noun {
            title: $title,
            title_zh: $zh,
            actions: &[$($crate::api::action::Entry::of::<$action>()),+],
        };
    };
}

/// Declares an action: its documentation and its parameters, each with its name on the wire (`|` before an alias),
/// its field, its type and its documentation. The type says whether it is required and what is allowed.
#[macro_export]
macro_rules! action {
    ($(#[doc = $doc:literal])+ pub struct $name:ident {
        $($(#[doc = $pdoc:literal])+ $wire:literal $(| $alias:literal)* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[doc = $pdoc])+ pub $field: $type,)*
        }
        impl $crate::api::action::Declared for $name {
            const NAME: &'static str = stringify!($name);
            const DOC: &'static [&'static str] = &[$($doc),+];
            const PARAMS: &'static [$crate::api::param::Spec] = &[$($crate::api::param::Spec {
                name: $wire,
                aliases: &[$($alias),*],
                doc: &[$($pdoc),+],
                shape: <$type as $crate::api::param::Param>::SHAPE,
                required: <$type as $crate::api::param::Param>::REQUIRED,
            }),*];
            #[allow(unused_variables)]
            fn read(given: &$crate::api::query::Given) -> Result<Self, $crate::api::error::Error> {
                Ok($name { $($field: $crate::api::param::take(given, $wire, &[$($alias),*])?),* })
            }
        }
    };
}
