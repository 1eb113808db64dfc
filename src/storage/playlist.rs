//! The parts that a stored playlist names.

use super::names;

/// The objects that a playlist of this name refers to, which lie below the same directory as everything else. What points
/// elsewhere is left out.
pub fn parts(text: &str, object: &str) -> Vec<String> {
    let mut found = Vec::new();
    rewrite(text, object, |part| {
        found.push(part.to_owned());
        None
    });
    found
}

/// The playlist with its references replaced by what `change` makes of the objects that they name; `None` leaves one as it is.
pub fn rewrite(text: &str, object: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        // Where the reference stands in the line.
        let range = match line.strip_prefix("#EXT-X-MAP:") {
            Some(_) => line.find("URI=\"").map(|at| at + 5).and_then(|from| Some(from..from + line.get(from..)?.find('"')?)),
            None if line.starts_with('#') || line.trim().is_empty() => None,
            None => Some(line.len() - line.trim_start().len()..line.trim_end().len()),
        };
        let changed = range.and_then(|range| Some((change(&resolve(line.get(range.clone())?, object)?)?, range)));
        match changed {
            Some((new, range)) => {
                out.push_str(line.get(..range.start).unwrap_or_default());
                out.push_str(&new);
                out.push_str(line.get(range.end..).unwrap_or_default());
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// The object that a relative reference in a playlist of this name means.
fn resolve(uri: &str, object: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    if uri.contains("://") || uri.starts_with('/') {
        return None;
    }
    let mut path: Vec<&str> = object.split('/').collect();
    path.pop();
    for part in uri.split('/') {
        match part {
            ".." => {
                path.pop()?;
            }
            "." | "" => {}
            part => path.push(part),
        }
    }
    let found = path.join("/");
    (names::safe(&found) == found).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n../other/2.ts\n#EXTINF:2,\n../../../3.ts\n\
                        http://example.com/4.ts\n/5.ts\n.spool/6.ts\n";

    #[test]
    fn parts_lie_below_the_root() {
        assert_eq!(parts(LIST, "rec/live/a.m3u8"), ["rec/live/init.mp4", "rec/live/1.ts", "rec/other/2.ts"]);
        assert_eq!(parts("1.ts\n", "a.m3u8"), ["1.ts"]);
        assert_eq!(parts(".spool/6.ts\n.pending/1\n", "a.m3u8"), Vec::<String>::new());
    }

    #[test]
    fn references_are_replaced_and_the_rest_stays() {
        let new = rewrite(LIST, "rec/live/a.m3u8", |part| part.ends_with("1.ts").then(|| "1.ts?k=v".to_owned()));
        assert_eq!(new, LIST.replace("\n1.ts\n", "\n1.ts?k=v\n"));
        assert_eq!(rewrite("#EXT-X-MAP:URI=\"E\",B=1\n", "a.m3u8", |_| Some("new".into())), "#EXT-X-MAP:URI=\"new\",B=1\n");
        assert_eq!(rewrite("#EXT-X-MAP:URI=\"E\n#EXT-X-MAP:E\n", "a.m3u8", |_| Some("new".into())), "#EXT-X-MAP:URI=\"E\n#EXT-X-MAP:E\n");
    }
}
