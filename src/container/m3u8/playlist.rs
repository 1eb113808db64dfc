//! Writes playlists: a media playlist of transport stream segments, and the master playlist that leads to it.

use crate::media::time::Timestamp;
use hls_m3u8::tags::{ExtXProgramDateTime, VariantStream};
use hls_m3u8::types::{PlaylistType, Resolution, StreamData, UFloat};
use hls_m3u8::{MasterPlaylist, MediaPlaylist, MediaSegment};
use std::time::Duration;

/// A segment as the playlist lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, relative to the playlist.
    pub uri: String,
    /// How long it plays.
    pub duration: Duration,
    /// When its first frame arrived, on the wall clock.
    pub wall: Timestamp,
    /// The time line, or what a decoder must know, breaks before it.
    pub discontinuity: bool,
}

/// What stands above the segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The longest segment, rounded to whole seconds (§4.3.3.1); no segment may round to more.
    pub target: u64,
    /// The number of the first segment.
    pub sequence: u64,
    /// How many discontinuities have left the list (§4.3.3.3).
    pub discontinuities: u64,
    /// Every segment starts with a key frame (§4.3.5.1).
    pub independent: bool,
    /// No segment follows.
    pub ended: bool,
    /// Nothing was or will be removed: a recording.
    pub vod: bool,
}

/// A variant that a master playlist offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Where the media playlist is, relative to the master playlist.
    pub uri: String,
    /// Bits a second at the peak.
    pub bandwidth: u64,
    /// The codecs by their RFC 6381 names, as far as they are known.
    pub codecs: Vec<String>,
    /// Width and height, where known.
    pub resolution: Option<(u32, u32)>,
    /// Frames a second, where known.
    pub fps: Option<(u32, u32)>,
}

/// The playlist cannot be written: a value breaks a rule of the format.
#[derive(Debug, thiserror::Error)]
#[error("playlist: {0}")]
pub struct Error(#[from] hls_m3u8::Error);

/// The target duration that `segment` asks for: its length, rounded to the nearest whole second as §4.3.3.1 says.
pub fn target_of(segment: Duration) -> u64 {
    (segment.as_millis() as u64 + 500) / 1000
}

/// Writes a media playlist.
pub fn media(head: Head, segments: impl IntoIterator<Item = Entry>) -> Result<String, Error> {
    let mut playlist = MediaPlaylist::builder();
    playlist
        .target_duration(Duration::from_secs(head.target.max(1)))
        .media_sequence(head.sequence as usize)
        .discontinuity_sequence(head.discontinuities as usize)
        .has_independent_segments(head.independent)
        .has_end_list(head.ended)
        .segments(Vec::new());
    if head.vod {
        playlist.playlist_type(PlaylistType::Vod);
    }
    for segment in segments {
        let built = MediaSegment::builder()
            .duration(Duration::from_millis(segment.duration.as_millis() as u64))
            .program_date_time(ExtXProgramDateTime::new(date_time(segment.wall)))
            .has_discontinuity(segment.discontinuity)
            .uri(segment.uri)
            .build()?;
        playlist.push_segment(built);
    }
    Ok(playlist.build()?.to_string())
}

/// Writes a master playlist with one variant.
pub fn master(variant: &Variant) -> Result<String, Error> {
    masters(std::slice::from_ref(variant))
}

/// Writes a master playlist; players begin with the first variant.
pub fn masters(variants: &[Variant]) -> Result<String, Error> {
    let streams = variants.iter().map(stream).collect::<Result<Vec<_>, Error>>()?;
    Ok(MasterPlaylist::builder().variant_streams(streams).build()?.to_string())
}

fn stream(variant: &Variant) -> Result<VariantStream<'_>, Error> {
    let mut data = StreamData::builder();
    data.bandwidth(variant.bandwidth.max(1));
    if !variant.codecs.is_empty() {
        data.codecs(variant.codecs.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if let Some((width, height)) = variant.resolution {
        data.resolution(Resolution::new(width as usize, height as usize));
    }
    let stream_data = data.build()?;
    let frame_rate = variant.fps.filter(|(_, den)| *den > 0).map(|(num, den)| UFloat::new((f64::from(num) / f64::from(den)) as f32));
    Ok(VariantStream::ExtXStreamInf {
        uri: variant.uri.as_str().into(),
        frame_rate,
        audio: None,
        subtitles: None,
        closed_captions: None,
        stream_data,
    })
}

pub(super) fn date_time(wall: Timestamp) -> String {
    // Only times outside of the years -9999 to 9999 fail, and no clock shows those.
    let time = jiff::Timestamp::from_nanosecond(wall.0.into()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(n: u64, millis: u64, discontinuity: bool) -> Entry {
        let wall = Timestamp::from_millis(1_700_000_000_123 + 2_000 * n as i64);
        Entry { uri: format!("a/{n}.ts?hls=k"), duration: Duration::from_millis(millis), wall, discontinuity }
    }

    #[test]
    fn a_live_playlist_reads_as_the_format_says() {
        let head = Head { target: 2, sequence: 17, discontinuities: 3, independent: true, ..Head::default() };
        let text = media(head, [segment(0, 1_960, false), segment(1, 2_040, true)]).unwrap();
        let lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            "#EXT-X-TARGETDURATION:2",
            "#EXT-X-MEDIA-SEQUENCE:17",
            "#EXT-X-DISCONTINUITY-SEQUENCE:3",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.123Z",
            "#EXTINF:1.96,",
            "a/0.ts?hls=k",
            "#EXT-X-DISCONTINUITY",
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.123Z",
            "#EXTINF:2.04,",
            "a/1.ts?hls=k",
        ];
        let mut got: Vec<&str> = text.lines().collect();
        let mut expected = lines.to_vec();
        // The order of tags within one segment is free.
        got.sort_unstable();
        expected.sort_unstable();
        assert_eq!(got, expected, "{text}");
        let parsed = MediaPlaylist::try_from(text.as_str()).unwrap();
        assert_eq!((parsed.media_sequence, parsed.segments.num_elements(), parsed.has_end_list), (17, 2, false));
    }

    #[test]
    fn a_recording_is_closed() {
        let head = Head { target: 2, ended: true, vod: true, ..Head::default() };
        let text = media(head, [segment(0, 2_000, false)]).unwrap();
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    }

    #[test]
    fn a_segment_that_outgrows_the_target_is_refused() {
        assert!(media(Head { target: 2, ..Head::default() }, [segment(0, 2_499, false)]).is_ok());
        assert!(media(Head { target: 2, ..Head::default() }, [segment(0, 2_500, false)]).is_err());
        for (millis, target) in [(0, 0), (499, 0), (500, 1), (2_499, 2), (2_500, 3)] {
            assert_eq!(target_of(Duration::from_millis(millis)), target);
        }
    }

    #[test]
    fn the_master_playlist_names_what_is_known() {
        let variant = Variant {
            uri: "a.m3u8?hls=k".to_owned(),
            bandwidth: 2_000_000,
            codecs: vec!["avc1.64001f".to_owned(), "mp4a.40.2".to_owned()],
            resolution: Some((1920, 1080)),
            fps: Some((25, 1)),
        };
        let text = master(&variant).unwrap();
        assert!(text.starts_with("#EXTM3U\n"), "{text}");
        for part in ["BANDWIDTH=2000000", "CODECS=\"avc1.64001f,mp4a.40.2\"", "RESOLUTION=1920x1080", "FRAME-RATE=25", "\na.m3u8?hls=k\n"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let bare = master(&Variant { codecs: vec![], resolution: None, fps: Some((1, 0)), ..variant.clone() }).unwrap();
        assert!(!bare.contains("CODECS") && !bare.contains("FRAME-RATE"), "{bare}");
        assert_eq!(MasterPlaylist::try_from(bare.as_str()).unwrap().variant_streams.len(), 1);
        let small = Variant { uri: "a_sd.m3u8".to_owned(), bandwidth: 500_000, ..variant.clone() };
        let text = masters(&[variant, small]).unwrap();
        assert_eq!(MasterPlaylist::try_from(text.as_str()).unwrap().variant_streams.len(), 2);
        assert!(text.find("a.m3u8").unwrap() < text.find("a_sd.m3u8").unwrap(), "in the order given: {text}");
    }
}
