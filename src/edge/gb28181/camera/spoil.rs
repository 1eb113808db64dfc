//! Rewrites a finished SIP message as a careless device writes it: line ends, compact names, charset, XML.

use super::quirk::{Quirk, Quirks};
use crate::proto::gb28181::charset;

const COMPACT: &[(&str, &str)] = &[
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Content-Type", "c"),
    ("Content-Length", "l"),
    ("Subject", "s"),
];

/// The message with the habits of `quirks`. What is no SIP message is given back as it is.
pub(super) fn spoil(bytes: &[u8], quirks: Quirks) -> Vec<u8> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return bytes.to_vec() };
    let (head, body) = (bytes.get(..end).unwrap_or_default(), bytes.get(end + 4..).unwrap_or_default());
    let xml = body.starts_with(b"<?xml");
    let body = if xml { document(body, quirks) } else { body.to_vec() };
    let line_end: &[u8] = if quirks.has(Quirk::LfLines) { b"\n" } else { b"\r\n" };
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for (number, line) in head.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':').filter(|_| number > 0);
        let name = colon.and_then(|colon| std::str::from_utf8(line.get(..colon)?).ok());
        let compact = name.and_then(|name| COMPACT.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)));
        match (colon, name, compact) {
            (_, Some(name), _) if name.eq_ignore_ascii_case("Content-Length") => {
                let name = if quirks.has(Quirk::CompactHeaders) { "l" } else { name };
                out.extend_from_slice(format!("{name}: {}", body.len()).as_bytes());
            }
            (Some(colon), _, Some((_, short))) if quirks.has(Quirk::CompactHeaders) => {
                out.extend_from_slice(short.as_bytes());
                out.extend_from_slice(line.get(colon..).unwrap_or_default());
            }
            _ => out.extend_from_slice(line),
        }
        out.extend_from_slice(line_end);
    }
    out.extend_from_slice(line_end);
    out.extend_from_slice(&body);
    out
}

fn document(body: &[u8], quirks: Quirks) -> Vec<u8> {
    let mut text = charset::decode(body).into_owned();
    if quirks.has(Quirk::NoProlog)
        && let Some((_, rest)) = text.split_once("?>")
    {
        text = rest.trim_start().to_owned();
    }
    if quirks.has(Quirk::BareAmp) {
        text = text.replace("&amp;", "&");
    }
    match quirks.has(Quirk::Utf8) {
        // The label stays.
        true => text.into_bytes(),
        false => charset::encode(&text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::gb28181::manscdp::Body;
    use crate::proto::sip::message::Envelope;
    use crate::proto::sip::{Message, framer};

    fn message() -> Vec<u8> {
        let xml = "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Response><CmdType>DeviceInfo</CmdType><SN>4</SN>\
                   <DeviceID>34020000001320000001</DeviceID><DeviceName>東門 &amp; 鎔</DeviceName></Response>";
        let body = charset::encode(xml).into_owned();
        let mut out = format!(
            "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Type: Application/MANSCDP+xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        out.extend_from_slice(&body);
        out
    }

    #[test]
    fn what_is_spoilt_is_still_understood() {
        use Quirk::*;
        for quirks in [
            vec![],
            vec![Utf8],
            vec![NoProlog],
            vec![BareAmp],
            vec![LfLines],
            vec![CompactHeaders],
            vec![Utf8, NoProlog, BareAmp, LfLines, CompactHeaders],
        ] {
            let spoilt = spoil(&message(), quirks.iter().copied().collect());
            let read = framer::datagram(&bytes::Bytes::from(spoilt.clone())).unwrap();
            let Some(Message::Request(request)) = read else { panic!("{quirks:?}") };
            assert_eq!(request.call_id(), "c", "{quirks:?}");
            let body = Body::parse(&request.body).unwrap();
            assert_eq!(body.root_element().text_of("DeviceName"), "東門 & 鎔", "{quirks:?}");
            let text = String::from_utf8_lossy(&spoilt);
            assert_eq!(quirks.contains(&LfLines), !text.contains("MESSAGE sip:a@b SIP/2.0\r\n"));
            assert_eq!(quirks.contains(&CompactHeaders), text.contains("\ni: c"));
            assert_eq!(quirks.contains(&Utf8), text.contains("東門"));
            assert_eq!(quirks.contains(&NoProlog), !text.contains("<?xml"));
            assert_eq!(quirks.contains(&BareAmp), !text.contains("&amp;"));
        }
        assert_eq!(spoil(b"\r\n\r\n", Quirks::default()), b"\r\n\r\n");
        assert_eq!(spoil(b"", Quirks::default()), b"");
    }
}
