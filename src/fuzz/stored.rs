//! Playlists as they lie in a directory or a bucket that others can write to.

use crate::storage::{parts, rewrite};

/// Whatever a playlist says, the objects that it leads to lie below the root; and what is not a reference stays as it is.
pub(super) fn playlist(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for object in ["a.m3u8", "rec/live/a.m3u8", "门/b.m3u8"] {
        for part in parts(&text, object) {
            assert!(!part.is_empty() && part.len() < 1024, "{part:?}");
            assert!(part.split('/').all(|name| !name.is_empty() && !name.starts_with('.')), "{part:?}");
            assert!(!part.contains(['\\', '\0', '\n', '\r']), "{part:?}");
        }
        let same = rewrite(&text, object, |_| None);
        assert!(same.lines().eq(text.lines()));
        let signed = rewrite(&text, object, |part| Some(format!("/records/{part}?auth_key=1")));
        assert_eq!(signed.lines().count(), text.lines().count());
    }
}
