//! Which charset a body is in. The label in the XML prolog lies in both directions, so the bytes decide.

use encoding_rs::GB18030;
use std::borrow::Cow;

/// A body as text: UTF-8 where the bytes are UTF-8 with Chinese in it, else GB 18030 (which holds GBK and GB 2312).
///
/// Chinese is three bytes in UTF-8. Two-byte sequences that happen to be valid are usually GBK pairs, so they count only if the
/// label says UTF-8.
pub fn decode(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) if text.is_ascii() || has_three_bytes(text) || says_utf8(body) => Cow::Borrowed(text),
        Ok(_) => gb18030(body),
        Err(_) if mostly_utf8(body) => String::from_utf8_lossy(body),
        Err(_) => gb18030(body),
    }
}

/// Text as GB 18030 bytes.
pub fn encode(text: &str) -> Cow<'_, [u8]> {
    GB18030.encode(text).0
}

fn gb18030(body: &[u8]) -> Cow<'_, str> {
    GB18030.decode_without_bom_handling(body).0
}

fn has_three_bytes(text: &str) -> bool {
    text.chars().any(|c| c.len_utf8() >= 3)
}

fn says_utf8(body: &[u8]) -> bool {
    let prolog = &body[..body.len().min(100)];
    let prolog = prolog.split(|byte| *byte == b'>').next().unwrap_or_default();
    let text = String::from_utf8_lossy(prolog).to_ascii_lowercase();
    text.contains("utf-8") || text.contains("utf8")
}

/// UTF-8 with a few broken characters: devices cut names to a field's length in the middle of a character, and a datagram may end there.
fn mostly_utf8(body: &[u8]) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    for chunk in body.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| c.len_utf8() >= 3).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > 0 && bad * if says_utf8(body) { 1 } else { 8 } <= good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbk(text: &str) -> Vec<u8> {
        encode(text).into_owned()
    }

    #[test]
    fn the_bytes_decide() {
        let with = |prolog: &str, bytes: &[u8]| [prolog.as_bytes(), bytes].concat();
        for (what, bytes, text) in [
            ("gbk labelled gb2312", with("<?xml encoding=\"GB2312\"?>", &gbk("东门")), "东门"),
            ("gbk labelled utf-8", with("<?xml encoding=\"UTF-8\"?>", &gbk("东门")), "东门"),
            ("utf-8 labelled gb2312", with("<?xml encoding=\"GB2312\"?>", "东门".as_bytes()), "东门"),
            ("utf-8, no prolog", "<Name>东门</Name>".as_bytes().to_vec(), "东门"),
            ("gbk, no prolog", gbk("<Name>东门</Name>"), "东门"),
            ("a gbk pair that is valid utf-8", with("<?xml?>", b"\xc2\xa3"), "拢"),
            ("the same bytes under a utf-8 label", with("<?xml encoding=\"utf-8\"?>", b"\xc2\xa3"), "£"),
            ("a rare character outside gbk", gbk("𠮷"), "𠮷"),
            (
                "utf-8 with a name cut within a character",
                with("<?xml encoding=\"UTF-8\"?>", b"<a>\xe4\xb8\x9c\xe9\x97</a>\xe9\x97\xa8"),
                "门",
            ),
            ("bom", with("\u{feff}", "东门".as_bytes()), "东门"),
        ] {
            assert!(decode(&bytes).contains(text), "{what}: {}", decode(&bytes));
        }
    }

    #[test]
    fn malformed_gbk_is_text_with_marks() {
        for bytes in [&b"\xb6"[..], b"\xff\xff\xff", b"\xb6\xab\xc3", b"\x81\x30\x81"] {
            assert!(!decode(bytes).is_empty());
        }
    }
}
