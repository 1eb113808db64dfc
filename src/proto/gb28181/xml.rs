//! XML as devices write it: repaired where it can be, read as far as it goes, entities never expanded, memory bounded.
//!
//! Names are compared in any letter case and without prefix, and an attribute is looked up like a child element, because one
//! sender writes `<SN>1</SN>` and another `<Response SN="1">`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// The most elements and attributes of one document: 10,000 catalog items of every field, three times over.
pub const NODES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 32;
const NONE: u32 = u32::MAX;

/// Why a text is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No element at all.
    #[error("no XML element")]
    Empty,
    /// Elements within elements without end.
    #[error("more than {DEPTH_MAX} elements within each other")]
    TooDeep,
    /// More than [`NODES_MAX`] elements.
    #[error("more than {NODES_MAX} elements")]
    TooMany,
}

/// A document: all nodes in one place, texts in one string.
#[derive(Debug, Clone, Default)]
pub struct Document {
    nodes: Vec<Node>,
    text: String,
    /// The text broke off or broke the grammar somewhere; what came before is here.
    pub cut: bool,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    name: (u32, u32),
    value: (u32, u32),
    first: u32,
    last: u32,
    next: u32,
}

/// One element of a document.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    document: &'a Document,
    index: u32,
}

impl Document {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Document, Error> {
        let text = repair(text);
        let mut reader = Reader::from_str(&text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let mut build = Builder::default();
        loop {
            match reader.read_event() {
                Ok(Event::Start(start)) => build.start(&start)?,
                Ok(Event::Empty(start)) => {
                    build.start(&start)?;
                    build.open.pop();
                }
                Ok(Event::End(end)) => build.end(end.local_name().as_ref()),
                Ok(Event::Text(text)) => build.text(&text.xml10_content()),
                Ok(Event::CData(text)) => build.text(&text.xml10_content()),
                Ok(Event::GeneralRef(entity)) => build.entity(&entity),
                Ok(Event::Eof) => break,
                // a document type may declare entities: it is not looked at, so there are none
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
                Err(_) => {
                    build.document.cut = true;
                    break;
                }
            }
            if build.done {
                break;
            }
        }
        build.document.cut |= !build.open.is_empty();
        match build.document.nodes.is_empty() {
            true => Err(Error::Empty),
            false => Ok(build.document),
        }
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        Element { document: self, index: 0 }
    }

    fn slice(&self, range: (u32, u32)) -> &str {
        self.text.get(range.0 as usize..range.1 as usize).unwrap_or_default()
    }
}

#[derive(Default)]
struct Builder {
    document: Document,
    open: Vec<u32>,
    done: bool,
}

impl Builder {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        if self.open.len() == DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        let index = self.node(start.local_name().as_ref(), "")?;
        self.open.push(index);
        for attribute in start.attributes().with_checks(false).flatten() {
            let value = unescape(attribute.value.as_ref());
            self.node(attribute.key.local_name().as_ref(), &value)?;
        }
        Ok(())
    }

    /// Adds a node under the open one.
    fn node(&mut self, name: &str, value: &str) -> Result<u32, Error> {
        let index = self.document.nodes.len();
        if index >= NODES_MAX || self.document.text.len() > u32::MAX as usize / 2 {
            return Err(Error::TooMany);
        }
        let index = index as u32;
        let name = self.append(name);
        let value = self.append(value);
        self.document.nodes.push(Node { name, value, first: NONE, last: NONE, next: NONE });
        if let Some(parent) = self.open.last().copied() {
            let last = std::mem::replace(&mut self.document.nodes[parent as usize].last, index);
            match last {
                NONE => self.document.nodes[parent as usize].first = index,
                last => self.document.nodes[last as usize].next = index,
            }
        }
        Ok(index)
    }

    fn append(&mut self, text: &str) -> (u32, u32) {
        let start = self.document.text.len() as u32;
        self.document.text.push_str(text);
        (start, self.document.text.len() as u32)
    }

    /// Closes up to the nearest open element of that name; an end of something that was never opened is passed over.
    fn end(&mut self, name: &str) {
        let matches = |index: &u32| self.document.slice(self.document.nodes[*index as usize].name).eq_ignore_ascii_case(name);
        if let Some(at) = self.open.iter().rposition(matches) {
            self.open.truncate(at);
            self.done = self.open.is_empty();
        }
    }

    fn text(&mut self, text: &str) {
        let Some(open) = self.open.last().copied() else { return };
        let (start, end) = self.document.nodes[open as usize].value;
        let at = self.document.text.len() as u32;
        let blank = self.document.slice((start, end)).trim().is_empty();
        if end == at && !blank {
            // the text goes on, after an entity for instance
            self.append(text);
            self.document.nodes[open as usize].value.1 = self.document.text.len() as u32;
        } else if blank && !text.trim().is_empty() {
            self.document.nodes[open as usize].value = self.append(text);
        }
    }

    fn entity(&mut self, entity: &quick_xml::events::BytesRef<'_>) {
        if let Ok(Some(c)) = entity.resolve_char_ref() {
            return self.text(c.encode_utf8(&mut [0; 4]));
        }
        let raw = entity.xml10_content();
        match named(&raw) {
            Some(text) => self.text(text),
            // unknown ones stay as they were written: nothing is ever expanded
            None => self.text(&format!("&{raw};")),
        }
    }
}

impl<'a> Element<'a> {
    fn node(self) -> &'a Node {
        &self.document.nodes[self.index as usize]
    }

    /// Its name, without prefix.
    pub fn name(self) -> &'a str {
        self.document.slice(self.node().name)
    }

    /// Its text, trimmed.
    pub fn text(self) -> &'a str {
        self.document.slice(self.node().value).trim()
    }

    /// Its attributes and child elements, in order.
    pub fn children(self) -> impl Iterator<Item = Element<'a>> {
        let mut next = self.node().first;
        std::iter::from_fn(move || {
            let index = (next != NONE).then_some(next)?;
            let child = Element { document: self.document, index };
            next = child.node().next;
            Some(child)
        })
    }

    /// The first child or attribute of that name, in any letter case.
    pub fn child(self, name: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.name().eq_ignore_ascii_case(name))
    }

    /// The text of a child or attribute; `None` if it is missing or empty.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.child(name).map(Element::text).filter(|text| !text.is_empty())
    }

    /// The same, or the empty text.
    pub fn text_of(self, name: &str) -> &'a str {
        self.get(name).unwrap_or_default()
    }

    /// A child's text as a number; what is none is missing.
    pub fn number<T: std::str::FromStr>(self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The elements called `Item`, in any letter case.
    pub fn items(self) -> impl Iterator<Item = Element<'a>> {
        self.children().filter(|child| child.name().eq_ignore_ascii_case("Item"))
    }
}

/// Escapes every bare `&` and every `<` that opens no tag: Hikvision puts both into names as they are.
fn repair(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut kept, mut raw_until) = (0, 0);
    for at in memchr::memchr2_iter(b'&', b'<', bytes) {
        if at < raw_until {
            continue;
        }
        if bytes[at..].starts_with(b"<![CDATA[") {
            raw_until = memchr::memmem::find(&bytes[at..], b"]]>").map_or(bytes.len(), |end| at + end);
            continue;
        }
        let escape = match bytes[at] {
            b'&' if !is_entity(&bytes[at..]) => "&amp;",
            b'<' if !is_markup(&bytes[at..]) => "&lt;",
            _ => continue,
        };
        out.push_str(&text[kept..at]);
        out.push_str(escape);
        kept = at + 1;
    }
    match kept {
        0 => Cow::Borrowed(text),
        _ => {
            out.push_str(&text[kept..]);
            Cow::Owned(out)
        }
    }
}

fn is_entity(bytes: &[u8]) -> bool {
    let rest = &bytes[1..bytes.len().min(12)];
    let Some(end) = rest.iter().position(|byte| *byte == b';') else { return false };
    match &rest[..end] {
        [b'#', b'x' | b'X', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit),
        [b'#', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        name => !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric),
    }
}

/// A `<` opens a tag if a name, `/`, `!` or `?` follows and a `>` comes before the next `<`.
fn is_markup(bytes: &[u8]) -> bool {
    match bytes.get(1) {
        Some(b'!' | b'?') => true,
        Some(b'/' | b'_') => closes(bytes),
        Some(byte) if byte.is_ascii_alphabetic() || *byte >= 0x80 => closes(bytes),
        _ => false,
    }
}

fn closes(bytes: &[u8]) -> bool {
    // tags are short; without this bound a text full of `<a` would be scanned to its end for each of them
    let rest = &bytes[1..bytes.len().min(1025)];
    memchr::memchr2(b'<', b'>', rest).is_some_and(|at| rest[at] == b'>')
}

fn named(entity: &str) -> Option<&'static str> {
    Some(match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// An attribute's value with the five named entities resolved.
fn unescape(raw: &str) -> String {
    if !raw.contains('&') {
        return raw.to_owned();
    }
    raw.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

/// Writes elements, a line each; texts are escaped and lose what XML cannot hold.
#[derive(Debug, Clone)]
pub struct Writer {
    text: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// Begins a document with that root element; the label is what the prolog says.
    pub fn new(label: &str, root: &'static str) -> Writer {
        Writer { text: format!("<?xml version=\"1.0\" encoding=\"{label}\"?>\r\n<{root}>\r\n"), open: vec![root] }
    }

    /// An element with a text.
    pub fn field(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Writer {
        self.text.push_str(&format!("<{name}>"));
        escape(&value.to_string(), &mut self.text);
        self.text.push_str(&format!("</{name}>\r\n"));
        self
    }

    /// The same, unless it is empty.
    pub fn optional(&mut self, name: &str, value: &str) -> &mut Writer {
        match value.is_empty() {
            true => self,
            false => self.field(name, value),
        }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str) -> &mut Writer {
        self.text.push_str(&format!("<{name}>\r\n"));
        self.open.push(name);
        self
    }

    /// Opens an element with `Num="n"`.
    pub fn list(&mut self, name: &'static str, n: usize) -> &mut Writer {
        self.text.push_str(&format!("<{name} Num=\"{n}\">\r\n"));
        self.open.push(name);
        self
    }

    /// Closes the innermost open element.
    pub fn close(&mut self) -> &mut Writer {
        if let Some(name) = self.open.pop() {
            self.text.push_str(&format!("</{name}>\r\n"));
        }
        self
    }

    /// Closes what is open and gives the text.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    #[test]
    fn children_attributes_and_letter_case() {
        let d = read(
            "<?xml version=\"1.0\"?>\n<Response CmdType='Catalog' SN=\"7\"><deviceid> 3402 </deviceid><L Num=\"2\"><Item/><item><a>1</a></item></L></Response>",
        );
        let root = d.root();
        assert_eq!((root.name(), root.get("cmdtype"), root.number::<u32>("SN")), ("Response", Some("Catalog"), Some(7)));
        assert_eq!(root.get("DeviceID"), Some("3402"));
        let list = root.child("L").unwrap();
        assert_eq!((list.number::<u32>("num"), list.items().count()), (Some(2), 2));
        assert_eq!(list.items().nth(1).unwrap().get("A"), Some("1"));
        assert!(!d.cut);
    }

    #[test]
    fn bare_signs_in_names_are_repaired() {
        for (text, name) in [
            ("<a><Name>A & B</Name></a>", "A & B"),
            ("<a><Name>A&amp;B &lt;1&gt; &#20013;&#x6587;</Name></a>", "A&B <1> 中文"),
            ("<a><Name>x < 3 <</Name></a>", "x < 3 <"),
            ("<a><Name>a<b</Name></a>", "a<b"),
            ("<a><Name><![CDATA[<raw> & so]]></Name></a>", "<raw> & so"),
            ("<a><Name>&nbsp;x&;</Name></a>", "&nbsp;x&;"),
            ("<a><Name> </Name></a>", ""),
        ] {
            assert_eq!(read(text).root().text_of("Name"), name, "{text}");
        }
    }

    #[test]
    fn what_breaks_off_is_read_so_far() {
        for text in ["<a><b>1</b><c>2", "<a><b>1</b><c", "<a><b>1</b><!-- ", "<a><b>1</b></x></y>"] {
            let d = read(text);
            assert_eq!(d.root().get("b"), Some("1"), "{text}");
            assert!(d.cut, "{text}");
        }
        let d = read("<a><b>1</c></a>trailing\0\0 <x>");
        assert_eq!((d.root().get("b"), d.cut), (Some("1"), false));
    }

    #[test]
    fn entities_are_never_expanded() {
        let text = "<!DOCTYPE a [<!ENTITY e \"boom\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]><a><b>&e;&f;</b></a>";
        assert_eq!(read(text).root().text_of("b"), "&e;&f;");
    }

    #[test]
    fn hostile_documents_are_bounded() {
        assert_eq!(Document::parse("").unwrap_err(), Error::Empty);
        assert_eq!(Document::parse("\0\0 no xml").unwrap_err(), Error::Empty);
        assert_eq!(Document::parse(&"<a>".repeat(100_000)).unwrap_err(), Error::TooDeep);
        assert_eq!(Document::parse(&format!("<a>{}", "<b/>".repeat(NODES_MAX))).unwrap_err(), Error::TooMany);
        // quadratic traps
        assert!(Document::parse(&format!("<a>{}", "<a ".repeat(300_000))).is_ok());
        assert!(Document::parse(&format!("<a>{}", "&".repeat(300_000))).is_ok());
        assert!(Document::parse(&format!("<a>{}</a>", "</b>".repeat(100_000))).is_ok());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut w = Writer::new("GB2312", "Notify");
        w.field("Name", "A & B <门>\u{1}\r\n").list("L", 1).open("Item").field("x", 1).optional("y", "").close();
        let text = w.finish();
        let d = read(&text);
        assert_eq!(d.root().get("Name"), Some("A & B <门>"));
        assert_eq!(d.root().child("L").unwrap().items().next().unwrap().get("x"), Some("1"));
        assert!(text.ends_with("</L>\r\n</Notify>\r\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_does_harm(text in ".{0,400}") {
            let _ = Document::parse(&text);
        }

        #[test]
        fn any_value_survives(value in "[^\\p{Cc}]{0,80}") {
            let mut w = Writer::new("GB2312", "R");
            w.field("v", &value);
            let document = read(&w.finish());
            proptest::prop_assert_eq!(document.root().text_of("v"), value.trim());
        }
    }
}
