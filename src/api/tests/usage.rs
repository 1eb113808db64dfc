//! Statistics of what is gone: groups that were deleted, streams that moved, five minutes that were forgotten.

use super::{Desk, root, text};
use crate::model::id::{GroupId, StreamId};
use crate::model::tenant::OPERATOR;
use crate::model::time::Time;
use crate::model::usage::{Peak, Peaks, Sums, Total, Usage};
use crate::store::{MINUTE, SPANS};

/// What a stream uses in each minute.
const SUMS: Sums = Sums {
    bytes_in: 3_000_000,
    bytes_out: 6_000_000,
    video_frames: 1500,
    audio_frames: 3000,
    live_ms: 60_000,
    viewers: 2,
    mp4_ms: 60_000,
    flv_ms: 0,
    hls_ms: 0,
    snapshots: 2,
};

/// So many minutes of a stream from `at` on, rolled up.
async fn use_up(desk: &Desk, group: &str, stream: &str, at: &str, minutes: i64) {
    let (at, group): (Time, GroupId) = (at.parse().unwrap(), group.parse().unwrap());
    let stream: StreamId = stream.parse().unwrap();
    let (mut rows, mut totals) = (Vec::new(), Vec::new());
    for n in 0..minutes {
        let at = Time::from_secs(at.as_secs() + n * 60);
        let peak = Peak { most: 1, at };
        let peaks = Peaks { streams: peak, viewers: peak, recordings: peak, devices: peak };
        rows.push(Usage { at, owner: OPERATOR, group, stream, sums: SUMS });
        for group in [None, Some(group)] {
            totals.push(Total { sums: Sums { viewers: 0, ..SUMS }, peaks, ..Total::new(at, OPERATOR, group, "") });
        }
    }
    let store = desk.api.store();
    store.put_usage(rows, totals).await.unwrap();
    let end = Time::from_secs(at.as_secs() + minutes * 60 + 86_400);
    for span in &SPANS[1..] {
        store.roll_usage(*span, at.floor(*span), end).await.unwrap();
        store.roll_totals(*span, at.floor(*span), end).await.unwrap();
    }
}

const RANGE: [(&str, &str); 2] = [("StartTime", "2026-02-01T10:00:00Z"), ("EndTime", "2026-02-01T10:10:00Z")];
const STATISTICS: [&str; 7] = [
    "DescribeUsageStatUpPeakPublishStreamData",
    "DescribeUsageStatRecordData",
    "DescribeUsageStatSnapshotData",
    "DescribeUsageStatTrafficData",
    "DescribeUsageStatReqTrafficData",
    "DescribeUsageStatBpsData",
    "DescribeUsageStatReqBpsData",
];

#[tokio::test]
async fn a_deleted_group_tells_the_same_as_before() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    use_up(&desk, &group, &stream, RANGE[0].1, 10).await;
    let all = async || {
        let mut answers = Vec::new();
        for action in STATISTICS {
            let mut answer = desk.root(action, &[("GroupId", &group), RANGE[0], RANGE[1]]).await.ok();
            answer.as_object_mut().unwrap().remove("RequestId");
            answers.push(answer);
        }
        let rates = [("GroupId", group.as_str()), ("StreamId", &stream), RANGE[0], RANGE[1]];
        let mut answer = desk.root("DescribeUsageStatUpVideoAudioInfo", &rates).await.ok();
        answer.as_object_mut().unwrap().remove("RequestId");
        answers.push(answer);
        answers
    };
    let before = all().await;
    assert_eq!(before[3]["TrafficDataPerInterval"]["DataModule"][0]["TrafficValue"], 30_000_000);
    assert_eq!(before[7]["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"][0]["VideoFrameRate"], "25");
    desk.root("HaltGroup", &[("Id", &group)]).await.ok();
    desk.root("DeleteGroup", &[("Id", &group)]).await.ok();
    assert_eq!(all().await, before);
    // For its owner alone; a group that used nothing is not found any more, and no group is all groups.
    let other = desk.tenant("other").await;
    let unused = desk.group(&root(), "rtmp").await;
    desk.root("HaltGroup", &[("Id", &unused)]).await.ok();
    desk.root("DeleteGroup", &[("Id", &unused)]).await.ok();
    for action in STATISTICS {
        desk.call(&other, action, &[("GroupId", &group), RANGE[0], RANGE[1]]).await.refused(404, "ResourceNotFound.Group");
        for none in [unused.as_str(), "0"] {
            desk.root(action, &[("GroupId", none), RANGE[0], RANGE[1]]).await.refused(404, "ResourceNotFound.Group");
        }
    }
    let rates = [("GroupId", group.as_str()), ("StreamId", "7"), RANGE[0], RANGE[1]];
    desk.root("DescribeUsageStatUpVideoAudioInfo", &rates).await.refused(404, "ResourceNotFound.Stream");
}

#[tokio::test]
async fn a_stream_that_moved_has_its_share_in_each_group() {
    let desk = Desk::new().await;
    let (one, two) = (desk.group(&root(), "gb28181").await, desk.group(&root(), "gb28181").await);
    let (device, _, stream) = desk.camera(&root(), &one).await;
    use_up(&desk, &one, &stream, "2026-02-01T10:00:00Z", 5).await;
    desk.root("ModifyDevice", &[("Id", &device), ("GroupId", &two)]).await.ok();
    use_up(&desk, &two, &stream, "2026-02-01T10:05:00Z", 5).await;
    let rates = async |group: &str| -> Vec<String> {
        let pairs = [("GroupId", group), ("StreamId", stream.as_str()), RANGE[0], RANGE[1]];
        let rows = desk.root("DescribeUsageStatUpVideoAudioInfo", &pairs).await.ok();
        let rows = rows["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"].clone();
        rows.as_array().unwrap().iter().map(|row| text(&row["VideoFrameRate"])).collect()
    };
    // Newest first.
    assert_eq!((rates(&one).await, rates(&two).await), (vec!["0".into(), "25".into()], vec!["25".into(), "0".into()]));
}

#[tokio::test]
async fn rates_whose_five_minutes_were_forgotten_are_those_of_their_hours() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    // More than a year ago: half an hour, and five minutes of the hour after the next.
    use_up(&desk, &group, &stream, "2025-01-10T10:00:00Z", 30).await;
    use_up(&desk, &group, &stream, "2025-01-10T12:00:00Z", 5).await;
    let rates = async || -> Vec<String> {
        let range = [("StartTime", "2025-01-10T10:20:00Z"), ("EndTime", "2025-01-10T12:10:00Z")];
        let pairs = [("GroupId", group.as_str()), ("StreamId", stream.as_str()), range[0], range[1]];
        let rows = desk.root("DescribeUsageStatUpVideoAudioInfo", &pairs).await.ok();
        let rows = rows["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"].clone();
        rows.as_array().unwrap().iter().rev().map(|row| text(&row["VideoFrameRate"])).collect()
    };
    let shown = |parts: &[(&str, usize)]| parts.iter().flat_map(|(rate, n)| vec![(*rate).to_owned(); *n]).collect::<Vec<_>>();
    // As long as the five minutes are kept, they are told: two, then nothing, then the first of twelve o'clock.
    assert_eq!(rates().await, shown(&[("25", 2), ("0", 18), ("25", 1), ("0", 1)]));
    let store = desk.api.store();
    for span in [MINUTE, 300] {
        while store.sweep_usage(span, "2025-06-01T00:00:00Z".parse().unwrap()).await.unwrap() {}
    }
    // Then the hours: never less than there was, and nothing where there was nothing.
    assert_eq!(rates().await, shown(&[("25", 8), ("0", 12), ("25", 2)]));
}

#[tokio::test]
async fn two_years_are_told_in_full_by_every_interval() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    use_up(&desk, &group, &stream, "2024-03-05T10:00:00Z", 10).await;
    // What the ledger forgets of the time before: minutes of all, five minutes of single streams.
    let (store, before) = (desk.api.store(), "2025-11-01T00:00:00Z".parse::<Time>().unwrap());
    while store.sweep_usage(MINUTE, before).await.unwrap() || store.sweep_usage(300, before).await.unwrap() {}
    while store.sweep_totals(MINUTE, before, false).await.unwrap() || store.sweep_totals(300, before, true).await.unwrap() {}
    for (from, to, rows) in [
        ("2024-03-05T10:00:00Z", "2024-03-05T10:10:00Z", 2),
        ("2024-03-05T00:00:00Z", "2024-03-08T00:00:00Z", 3 * 288),
        ("2024-03-01T00:00:00Z", "2024-04-01T00:00:00Z", 31 * 24),
        ("2024-03-01T00:00:00Z", "2024-05-30T00:00:00Z", 90),
    ] {
        let range = [("GroupId", group.as_str()), ("StartTime", from), ("EndTime", to)];
        let answer = desk.root("DescribeUsageStatTrafficData", &range).await.ok();
        let points = answer["TrafficDataPerInterval"]["DataModule"].as_array().unwrap().clone();
        let sum: i64 = points.iter().map(|point| point["TrafficValue"].as_i64().unwrap()).sum();
        assert_eq!((points.len(), sum), (rows, 60_000_000), "{from} to {to}");
        let charged = desk.root("QueryChargingTrafficTotalUsage", &[("Type", "down"), range[1], range[2]]).await.ok();
        assert_eq!(charged["Datas"][0]["Usage"], "60000000", "{from} to {to}");
    }
}
