//! Closed sets of words, as the API spells them: `on`, `off`, `gb28181` …

/// A text is none of the words that are allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not one of {}", .allowed.join(", "))]
pub struct NotAWord {
    /// What was given.
    pub given: String,
    /// What is allowed.
    pub allowed: &'static [&'static str],
}

/// Declares an enum whose values are words; text, JSON and the list of all words follow from it.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $vdoc:literal])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $vdoc])* $variant),* }

        impl $name {
            /// All values.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// All words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word of the API.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::model::word::NotAWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err($crate::model::word::NotAWord { given: text.to_owned(), allowed: Self::WORDS }),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

/// Declares a set of [`words!`](words): kept in declaration order, written with commas, as `OutProtocol` and `FileFormat` are.
macro_rules! word_set {
    ($(#[doc = $doc:literal])* $name:ident of $word:ident) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(u32);

        impl $name {
            /// Nothing.
            pub const NONE: $name = $name(0);

            /// Whether `word` is in the set.
            pub fn has(self, word: $word) -> bool {
                self.0 & (1 << word as u32) != 0
            }

            /// The set with `word`.
            #[must_use]
            pub fn with(self, word: $word) -> $name {
                $name(self.0 | 1 << word as u32)
            }

            /// Whether it holds nothing.
            pub fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Its words.
            pub fn iter(self) -> impl Iterator<Item = $word> {
                $word::ALL.iter().copied().filter(move |word| self.has(*word))
            }
        }

        impl FromIterator<$word> for $name {
            fn from_iter<I: IntoIterator<Item = $word>>(words: I) -> Self {
                words.into_iter().fold($name::NONE, $name::with)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::model::word::NotAWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse::<$word>).collect()
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                for (n, word) in self.iter().enumerate() {
                    write!(f, "{}{word}", if n == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {word_set, words};

#[cfg(test)]
mod tests {
    use crate::model::group::{OutProtocol, OutProtocols};

    #[test]
    fn a_set_reads_in_any_order_and_writes_in_its_own() {
        let set: OutProtocols = "rtmp, flv".parse().unwrap();
        assert!(set.has(OutProtocol::Rtmp) && set.has(OutProtocol::Flv) && !set.has(OutProtocol::Hls));
        assert_eq!(set.to_string(), "flv,rtmp");
        assert_eq!(serde_json::to_string(&set).unwrap(), "\"flv,rtmp\"");
        assert!("".parse::<OutProtocols>().unwrap().is_empty());
    }

    #[test]
    fn a_wrong_word_is_told_with_the_right_ones() {
        let error = "flv,mkv".parse::<OutProtocols>().unwrap_err();
        assert_eq!(error.to_string(), "\"mkv\" is not one of flv, hls, rtmp");
        assert!(serde_json::from_str::<OutProtocol>("\"FLV\"").is_err());
    }
}
