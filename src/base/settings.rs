//! Declares a section of the configuration once: struct, defaults, documentation and key list come from one text.
//!
//! ```
//! weir::settings! {
//!     /// What the example listens on.
//!     pub struct Example {
//!         /// The address and port.
//!         pub listen: String = "0.0.0.0:80".to_owned(),
//!     }
//! }
//! assert_eq!(Example::default().listen, "0.0.0.0:80");
//! ```

/// One key of a section, as the reference file shows it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key's name.
    pub name: &'static str,
    /// Its documentation, a line each.
    pub doc: &'static [&'static str],
}

/// A section that [`settings!`](crate::settings) declared.
pub trait Section {
    /// What the section is for, a line each.
    const DOC: &'static [&'static str];
    /// Its keys, in the order of declaration.
    const KEYS: &'static [Key];
}

/// Declares a section: fields with documentation and default value; unknown keys are refused when it is read.
#[macro_export]
macro_rules! settings {
    ($(#[doc = $doc:literal])* $vis:vis struct $name:ident {
        $($(#[doc = $fdoc:literal])* $(#[serde($($attr:tt)*)])* pub $field:ident: $type:ty = $default:expr),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        $vis struct $name {
            $($(#[doc = $fdoc])* $(#[serde($($attr)*)])* pub $field: $type,)*
        }
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
        impl $crate::base::settings::Section for $name {
            const DOC: &'static [&'static str] = &[$($doc),*];
            const KEYS: &'static [$crate::base::settings::Key] = &[$($crate::base::settings::Key {
                name: stringify!($field),
                doc: &[$($fdoc),*],
            }),*];
        }
    };
}
