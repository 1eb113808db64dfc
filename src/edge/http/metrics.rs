//! `/metrics` in the Prometheus text format, read from the objects that the figures belong to.

use super::Http;
use crate::media::timeline;
use crate::stream::Info;
use std::fmt::{Display, Write};

/// Collects lines; a metric's lines stand together under its head.
struct Text(String);

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if n == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }
}

impl Http {
    /// All metrics now.
    pub fn metrics(&self) -> String {
        let mut text = Text(String::with_capacity(4096));
        text.metric("weir_build_info", "gauge", "The version that runs.");
        text.value("weir_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.sessions(&mut text);
        text.single("weir_http_connections", "gauge", "HTTP connections that are open.", self.limits().now());
        text.single("weir_hls_players", "gauge", "Players that watch by HLS.", self.viewers().len());
        text.single("weir_hls_streams", "gauge", "Streams that are being cut into segments.", self.parts().segments.streams());
        for (name, kind, help, value) in self.parts().calls.iter().flat_map(|calls| calls.metrics()) {
            text.single(name, kind, help, value);
        }
        let streams: Vec<Info> = self.parts().registry.list().iter().map(|stream| stream.info()).collect();
        totals(&mut text, &streams);
        for figure in (self.parts().figures)() {
            text.single(figure.name, figure.kind, figure.help, figure.value);
        }
        if self.settings().metrics_streams {
            each(&mut text, &streams);
        }
        text.0
    }

    fn sessions(&self, text: &mut Text) {
        let sums = self.parts().sessions.sums();
        let mut table = |name: &str, kind: &str, help: &str, value: &dyn Fn(&crate::edge::session::Sum) -> u64| {
            text.metric(name, kind, help);
            for sum in &sums {
                text.value(name, &[("protocol", sum.protocol), ("role", sum.role.name())], value(sum));
            }
        };
        table("weir_sessions", "gauge", "Sessions that are open.", &|s| s.live);
        table("weir_sessions_opened_total", "counter", "Sessions ever.", &|s| s.opened);
        table("weir_received_bytes_total", "counter", "Bytes from peers.", &|s| s.read);
        table("weir_sent_bytes_total", "counter", "Bytes to peers.", &|s| s.wrote);
        table("weir_frames_total", "counter", "Frames taken from publishers or given to players.", &|s| s.frames);
        table("weir_lagged_total", "counter", "Times that a player had to skip to a newer key frame.", &|s| s.skips);
        let name = "weir_session_failures_total";
        text.metric(name, "counter", "Sessions that did not end in order, by who is to blame.");
        for sum in &sums {
            for (who, n) in ["peer", "environment", "us"].iter().zip(sum.blamed) {
                text.value(name, &[("protocol", sum.protocol), ("role", sum.role.name()), ("blame", who)], n);
            }
        }
    }
}

/// Sums over the streams that are there now.
fn totals(text: &mut Text, streams: &[Info]) {
    let live = streams.iter().filter(|s| s.source.is_some()).count();
    text.metric("weir_streams", "gauge", "Streams, by whether somebody publishes them now or their viewers wait for the publisher.");
    text.value("weir_streams", &[("state", "live")], live);
    text.value("weir_streams", &[("state", "gap")], streams.len() - live);
    let sum = |f: &dyn Fn(&Info) -> u64| streams.iter().map(f).sum::<u64>();
    text.single("weir_viewers", "gauge", "Players of all streams.", sum(&|s| s.viewers.into()));
    text.single("weir_workers", "gauge", "Other readers: recorders, segmenters, relays.", sum(&|s| s.workers.into()));
    text.single("weir_cached_bytes", "gauge", "Coded media in the GOP caches.", sum(&|s| s.cached_bytes));
    let name = "weir_live_dropped_frames";
    text.single(name, "gauge", "Frames of the present streams that were dropped on ingest.", sum(&|s| s.counts.dropped));
    let name = "weir_live_timestamp_repairs";
    text.metric(name, "gauge", "Timestamps of the present publishers that were repaired, by cause.");
    for at in 0..CAUSES {
        let cause = causes(&timeline::Counts::default())[at].0;
        text.value(name, &[("cause", cause)], sum(&|s| causes(&s.repairs)[at].1));
    }
}

/// Every stream by its name.
fn each(text: &mut Text, streams: &[Info]) {
    let mut table = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Info) -> f64| {
        text.metric(name, kind, help);
        for stream in streams {
            text.value(name, &[("stream", stream.key.as_str())], value(stream));
        }
    };
    table("weir_stream_viewers", "gauge", "Players.", &|s| s.viewers.into());
    table("weir_stream_video_fps", "gauge", "Pictures a second.", &|s| s.counts.video_fps);
    table("weir_stream_bitrate", "gauge", "Bits of media a second.", &|s| (s.counts.video_bps + s.counts.audio_bps) as f64);
    table("weir_stream_frames_total", "counter", "Frames taken in.", &|s| (s.counts.video_frames + s.counts.audio_frames) as f64);
    table("weir_stream_bytes_total", "counter", "Bytes of media taken in.", &|s| (s.counts.video_bytes + s.counts.audio_bytes) as f64);
    table("weir_stream_dropped_total", "counter", "Frames dropped on ingest.", &|s| s.counts.dropped as f64);
    table("weir_stream_lagged_total", "counter", "Times that a reader had to skip.", &|s| s.counts.lagged as f64);
    let repairs = |s: &Info| causes(&s.repairs).iter().map(|(_, n)| *n).sum::<u64>() as f64;
    table("weir_stream_timestamp_repairs", "gauge", "Timestamps of the present publisher that were repaired.", &repairs);
}

const CAUSES: usize = 8;

fn causes(counts: &timeline::Counts) -> [(&'static str, u64); CAUSES] {
    // Taken apart in full, so that a new cause cannot be forgotten here.
    let timeline::Counts { jump, rollback, equal, missing, order, early, drift, wrap } = *counts;
    [
        ("jump", jump),
        ("rollback", rollback),
        ("equal", equal),
        ("missing", missing),
        ("order", order),
        ("early", early),
        ("drift", drift),
        ("wrap", wrap),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text(String::new());
        text.metric("a", "gauge", "Help.");
        text.value("a", &[("b", "x\"y\\z\n"), ("c", "d")], 1.5);
        assert_eq!(text.0, "# HELP a Help.\n# TYPE a gauge\na{b=\"x\\\"y\\\\z\\n\",c=\"d\"} 1.5\n");
    }
}
