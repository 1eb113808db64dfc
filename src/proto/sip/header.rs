//! Header names and values: known names as an enum, values as the bytes that came.

use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

macro_rules! names {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal $(, $compact:literal)?;)*) => {
        /// A header's name; compact and odd-case spellings are the same name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $(#[doc = $doc])* $variant,)*
            /// Any other, as it was spelled.
            Other(Box<str>),
        }

        impl Name {
            /// The canonical spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Name::$variant => $text,)*
                    Name::Other(text) => text,
                }
            }

            /// Reads a name in any letter case, compact forms included (RFC 3261 section 7.3.3).
            pub fn parse(text: &str) -> Name {
                $(if text.eq_ignore_ascii_case($text) $(|| text.eq_ignore_ascii_case($compact))? {
                    return Name::$variant;
                })*
                Name::Other(text.into())
            }
        }
    };
}

names! {
    Via = "Via", "v";
    From = "From", "f";
    To = "To", "t";
    CallId = "Call-ID", "i";
    CSeq = "CSeq";
    ContentLength = "Content-Length", "l";
    ContentType = "Content-Type", "c";
    MaxForwards = "Max-Forwards";
    Contact = "Contact", "m";
    Expires = "Expires";
    UserAgent = "User-Agent";
    Server = "Server";
    /// The version of GB/T 28181 that the sender speaks.
    XGbVer = "X-GB-Ver";
    Authorization = "Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    Date = "Date";
    Subject = "Subject", "s";
    Event = "Event", "o";
    SubscriptionState = "Subscription-State";
    Allow = "Allow";
    Supported = "Supported", "k";
    Route = "Route";
    RecordRoute = "Record-Route";
    RetryAfter = "Retry-After";
    MinExpires = "Min-Expires";
    ContentEncoding = "Content-Encoding", "e";
    Reason = "Reason";
    ProxyAuthenticate = "Proxy-Authenticate";
    ProxyAuthorization = "Proxy-Authorization";
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The headers of a message, in their order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(Name, Bytes)>);

impl Headers {
    /// None yet.
    pub fn new() -> Headers {
        Headers(Vec::with_capacity(12))
    }

    /// Appends one.
    pub fn push(&mut self, name: Name, value: impl Into<Bytes>) {
        self.0.push((name, value.into()));
    }

    /// Puts one in front of all others.
    pub fn push_front(&mut self, name: Name, value: impl Into<Bytes>) {
        self.0.insert(0, (name, value.into()));
    }

    /// Replaces the first of that name, or appends.
    pub fn set(&mut self, name: Name, value: impl Into<Bytes>) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value.into(),
            None => self.push(name, value),
        }
    }

    /// Removes every one of that name.
    pub fn remove(&mut self, name: &Name) {
        self.0.retain(|(n, _)| n != name);
    }

    /// The first of that name, as it came.
    pub fn raw(&self, name: &Name) -> Option<&Bytes> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The first of that name, as text.
    pub fn get(&self, name: &Name) -> Option<Cow<'_, str>> {
        self.raw(name).map(|value| text(value))
    }

    /// Every one of that name, in order.
    pub fn all<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Bytes> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value)
    }

    /// Everything, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(n, v)| (n.as_str(), text(v)))).finish()
    }
}

/// Header bytes as text: UTF-8 where valid, else GB 18030, the charset of the devices that put Chinese names there.
pub fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(value).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_in_any_spelling() {
        for (text, name) in
            [("v", Name::Via), ("VIA", Name::Via), ("call-id", Name::CallId), ("I", Name::CallId), ("x-gb-ver", Name::XGbVer)]
        {
            assert_eq!(Name::parse(text), name);
        }
        assert_eq!(Name::parse("X-Route"), Name::Other("X-Route".into()));
    }

    #[test]
    fn gbk_bytes_read_as_text_and_stay_as_they_are() {
        let mut headers = Headers::new();
        headers.push(Name::Subject, Bytes::from_static(b"\xb6\xab\xc3\xc5"));
        assert_eq!(headers.get(&Name::Subject).unwrap(), "东门");
        assert_eq!(&headers.raw(&Name::Subject).unwrap()[..], b"\xb6\xab\xc3\xc5");
    }
}
