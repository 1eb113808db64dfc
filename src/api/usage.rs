//! Usage statistics: what came in, what went out, what was stored; for a group, over a range of time.

use super::action::Action;
use super::context::{Context, number};
use super::error::Error;
use super::series::{self, DAY, Range};
use super::value::{Id, RecordFormat};
use crate::model::id::{GroupId, TenantId};
use crate::model::time::Time;
use crate::model::usage::Sums;
use crate::store::{self, TotalOf};
use crate::{action, actions, reply};

actions![
    "Usage statistics", "统计查询": DescribeUsageStatUpVideoAudioInfo, DescribeUsageStatUpPeakPublishStreamData, DescribeUsageStatRecordData,
    DescribeUsageStatSnapshotData, DescribeUsageStatTrafficData, DescribeUsageStatReqTrafficData, DescribeUsageStatBpsData,
    DescribeUsageStatReqBpsData
];

action! {
    /// Tells the frame and bit rates of one stream every five minutes, newest first; over six hours at most. What is older than
    /// usage.keep_details (93 days) is told by the means of whole hours.
    /// zh: 查询单路流的帧率与码率，按5分钟粒度统计，最大时间跨度6小时；早于usage.keep_details（93天）的按小时均值返回。
    pub struct DescribeUsageStatUpVideoAudioInfo {
        /// The group's id.
        /// zh: 空间ID。
        "GroupId" group: Id,
        /// The stream's id.
        /// zh: 流ID。
        "StreamId" stream: Id,
        /// Where the range begins.
        /// zh: 起始时间。
        "StartTime" from: Time,
        /// Where it ends; must lie behind StartTime.
        /// zh: 结束时间，需大于起始时间。
        "EndTime" to: Time,
    }
}

reply! {
    /// The rates of a stream.
    pub struct Rates {
        /// One row every five minutes.
        /// zh: 流的帧率、码率信息。
        "FrameRateAndBitRateInfos" rows: RateRows,
    }
}

reply! {
    /// Rates, wrapped.
    pub struct RateRows {
        /// The rows, newest first.
        /// zh: 按时间倒序。
        "FrameRateAndBitRateInfo" rows: Vec<Rate>,
    }
}

reply! {
    /// The rates of a stream over five minutes.
    pub struct Rate {
        /// Frames of video a second.
        /// zh: 流的视频帧率。
        "VideoFrameRate" video: String,
        /// Frames of audio a second.
        /// zh: 流的音频帧率。
        "AudioFrameRate" audio: String,
        /// Kilobits a second.
        /// zh: 流的码率，单位kbps。
        "BitRate" bits: String,
        /// Where the five minutes begin.
        /// zh: 统计时刻。
        "Time" time: String,
    }
}

macro_rules! range_action {
    ($($(#[doc = $doc:literal])+ $name:ident)+) => {$(
        action! {
            $(#[doc = $doc])+
            pub struct $name {
                /// The group's id; also of one that was deleted.
                /// zh: 空间ID，已删除的空间也可查询。
                "GroupId" group: Id,
                /// Where the range begins.
                /// zh: 起始时间。
                "StartTime" from: Time,
                /// Where it ends; must lie behind StartTime.
                /// zh: 结束时间，需大于起始时间。
                "EndTime" to: Time,
            }
        }
    )+};
}
range_action! {
    /// Tells how many streams a group took in at once, the most of each day; over 90 days at most.
    /// zh: 查询空间接入路数峰值，按天统计，最大时间跨度90天。
    DescribeUsageStatUpPeakPublishStreamData
    /// Tells how many pictures were taken on each day; over 90 days at most.
    /// zh: 查询空间截图张数，按天统计，最大时间跨度90天。
    DescribeUsageStatSnapshotData
    /// Tells how many bytes players of a group's streams took; over 90 days at most.
    /// zh: 查询空间播流流量，最大时间跨度90天。
    DescribeUsageStatTrafficData
    /// Tells how many bytes a group's streams brought in; over 90 days at most.
    /// zh: 查询空间推流流量，最大时间跨度90天。
    DescribeUsageStatReqTrafficData
    /// Tells the bandwidth of players of a group's streams; over 90 days at most.
    /// zh: 查询空间播放带宽，最大时间跨度90天。
    DescribeUsageStatBpsData
    /// Tells the bandwidth of a group's streams coming in; over 90 days at most.
    /// zh: 查询空间接入带宽，最大时间跨度90天。
    DescribeUsageStatReqBpsData
}

reply! {
    /// Peaks of a group.
    pub struct Peaks {
        /// One row a day.
        /// zh: 路数统计信息。
        "DescribeVsUpPeakPublishStreamDatas" rows: PeakRows,
    }
}

reply! {
    /// Peaks, wrapped.
    pub struct PeakRows {
        /// The rows, oldest first.
        /// zh: 按时间顺序。
        "DescribeVsUpPeakPublishStreamData" rows: Vec<Peak>,
    }
}

reply! {
    /// The most streams at once on a day.
    pub struct Peak {
        /// When it was reached; the end of the day where there was no stream.
        /// zh: 峰值时刻。
        "PeakTime" time: String,
        /// How many.
        /// zh: 推流路数。
        "PublishStreamNum" streams: i64,
    }
}

action! {
    /// Tells how many seconds were recorded on each day; over 90 days at most.
    /// zh: 查询空间录制文件时长，按天统计，最大时间跨度90天。
    pub struct DescribeUsageStatRecordData {
        /// The group's id.
        /// zh: 空间ID。
        "GroupId" group: Id,
        /// Only files of this format.
        /// zh: 录制类型，不传则查询所有类型。
        "RecordType" format: Option<RecordFormat>,
        /// Where the range begins.
        /// zh: 起始时间。
        "StartTime" from: Time,
        /// Where it ends; must lie behind StartTime.
        /// zh: 结束时间，需大于起始时间。
        "EndTime" to: Time,
    }
}

reply! {
    /// Recorded time of a group.
    pub struct Recorded {
        /// One row a day.
        /// zh: 录制文件时长统计信息。
        "RecordDataInfos" rows: RecordedRows,
    }
}

reply! {
    /// Recorded time, wrapped.
    pub struct RecordedRows {
        /// The rows, oldest first.
        /// zh: 按时间顺序。
        "RecordDataInfo" rows: Vec<RecordedDay>,
    }
}

reply! {
    /// Recorded time of a day.
    pub struct RecordedDay {
        /// The day.
        /// zh: 日期。
        "Date" date: String,
        /// Seconds in all.
        /// zh: 单日录制总时长，单位秒。
        "Total" total: i64,
        /// Seconds of each format.
        /// zh: 区分录制格式的录制时长。
        "Detail" detail: RecordedDetail,
    }
}

reply! {
    /// Recorded time of a day by format.
    pub struct RecordedDetail {
        /// Seconds of MP4.
        /// zh: MP4录制时长，单位秒。
        "MP4" mp4: Option<i64>,
        /// Seconds of FLV.
        /// zh: FLV录制时长，单位秒。
        "FLV" flv: Option<i64>,
        /// Seconds of HLS.
        /// zh: HLS录制时长，单位秒。
        "HLS" hls: Option<i64>,
    }
}

reply! {
    /// Pictures of a group.
    pub struct Snapshots {
        /// One row a day.
        /// zh: 截图张数统计信息。
        "SnapshotDataInfos" rows: SnapshotRows,
    }
}

reply! {
    /// Pictures, wrapped.
    pub struct SnapshotRows {
        /// The rows, oldest first.
        /// zh: 按时间顺序。
        "SnapshotDataInfo" rows: Vec<SnapshotDay>,
    }
}

reply! {
    /// Pictures of a day.
    pub struct SnapshotDay {
        /// The day.
        /// zh: 日期。
        "Date" date: String,
        /// How many.
        /// zh: 单日截图总张数。
        "Total" total: i64,
    }
}

macro_rules! series {
    ($($(#[doc = $doc:literal])+ $name:ident $wire:literal, $rows:ident, $row:ident $value:literal [$(#[doc = $vdoc:literal])+])+) => {$(
        reply! {
            $(#[doc = $doc])+
            pub struct $name {
                /// One row an interval.
                /// zh: 统计信息。
                $wire rows: $rows,
            }
        }
        reply! {
            $(#[doc = $doc])+
            pub struct $rows {
                /// The rows, oldest first.
                /// zh: 按时间顺序。
                "DataModule" rows: Vec<$row>,
            }
        }
        reply! {
            $(#[doc = $doc])+
            pub struct $row {
                /// Where the interval begins.
                /// zh: UTC时间。
                "TimeStamp" time: String,
                $(#[doc = $vdoc])+
                $value value: i64,
            }
        }
    )+};
}
series! {
    /// Bytes that players took.
    Traffic "TrafficDataPerInterval", TrafficRows, TrafficRow "TrafficValue" [
        /// Bytes.
        /// zh: 流量，单位B。
    ]
    /// Bytes that came in.
    ReqTraffic "ReqTrafficDataPerInterval", ReqTrafficRows, ReqTrafficRow "ReqTrafficValue" [
        /// Bytes.
        /// zh: 流量，单位B。
    ]
    /// Bandwidth of players.
    Bps "BpsDataPerInterval", BpsRows, BpsRow "BpsValue" [
        /// Bits a second.
        /// zh: 带宽，单位bit/second。
    ]
    /// Bandwidth of what came in.
    ReqBps "ReqBpsDataPerInterval", ReqBpsRows, ReqBpsRow "ReqBpsValue" [
        /// Bits a second.
        /// zh: 带宽，单位bit/second。
    ]
}

/// The longest range of most statistics, in seconds.
const MOST: i64 = 90 * DAY;

/// Whose usage is asked for: a group's, or that of one that is no more, whose past stays billable.
async fn of_group(cx: &Context, id: &Id) -> Result<(GroupId, TenantId), Error> {
    let group = number(id, "Group")?;
    match cx.store().group(cx.scope(), group).await {
        Ok(group) => Ok((group.id, group.owner)),
        Err(store::Error::NotFound { .. }) => match cx.store().owner_of_used_group(cx.scope(), group).await? {
            Some(owner) => Ok((group, owner)),
            None => Err(Error::not_found("Group", &id.0)),
        },
        Err(error) => Err(error.into()),
    }
}

/// What a group counted in every interval, and how long the intervals are.
async fn counted(cx: &Context, group: &Id, from: Time, to: Time, step: Option<i64>) -> Result<(Vec<(Time, Sums)>, i64), Error> {
    let range = Range::new(from, to, MOST)?;
    let (group, owner) = of_group(cx, group).await?;
    let step = step.unwrap_or_else(|| range.step());
    Ok((series::totals(cx.store(), TotalOf::Group(group, owner), range, step).await?, step))
}

impl Action for DescribeUsageStatUpVideoAudioInfo {
    type Reply = Rates;

    async fn run(self, cx: &Context) -> Result<Rates, Error> {
        let range = Range::new(self.from, self.to, 6 * 3600)?;
        let (group, _) = of_group(cx, &self.group).await?;
        let stream = number(&self.stream, "Stream")?;
        let there = match cx.store().stream(cx.scope(), stream).await {
            Ok(stream) => stream.group == group,
            Err(store::Error::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        // One that moved, or is gone, has what it used in this group.
        if !there && !cx.store().was_used(cx.scope(), group, stream).await? {
            return Err(Error::not_found("Stream", &self.stream.0));
        }
        let rows = series::stream(cx.store(), cx.scope(), (group, stream), range, cx.now()).await?;
        let rate = |(at, sums): (Time, Sums)| {
            // Rates are over the time that the stream ran.
            let per_second = |n: i64| if sums.live_ms > 0 { n as f64 * 1000.0 / sums.live_ms as f64 } else { 0.0 };
            Rate {
                video: series::decimal(per_second(sums.video_frames)),
                audio: series::decimal(per_second(sums.audio_frames)),
                bits: series::decimal(per_second(sums.bytes_in.saturating_mul(8)) / 1000.0),
                time: at.to_string(),
            }
        };
        Ok(Rates { rows: RateRows { rows: rows.into_iter().rev().map(rate).collect() } })
    }
}

impl Action for DescribeUsageStatUpPeakPublishStreamData {
    type Reply = Peaks;

    async fn run(self, cx: &Context) -> Result<Peaks, Error> {
        let range = Range::new(self.from, self.to, MOST)?;
        let (group, owner) = of_group(cx, &self.group).await?;
        let of = TotalOf::Group(group, owner);
        let points = series::pieces(cx.store(), of, range).await?;
        let day = |start: Time| {
            let end = start.as_secs() + DAY;
            let of_day = points.iter().filter(|point| (start.as_secs()..end).contains(&point.at.as_secs()));
            // The first of the highest points; a day without streams peaks at its end.
            let none = (Time::from_secs(end - 1), 0);
            let streams = of_day.map(|point| (point.peaks.streams.at, point.peaks.streams.most));
            let (at, streams) = streams.fold(none, |best, point| if point.1 > best.1 { point } else { best });
            Peak { time: at.to_string(), streams }
        };
        Ok(Peaks { rows: PeakRows { rows: range.slots(DAY).map(day).collect() } })
    }
}

impl Action for DescribeUsageStatRecordData {
    type Reply = Recorded;

    async fn run(self, cx: &Context) -> Result<Recorded, Error> {
        let (days, _) = counted(cx, &self.group, self.from, self.to, Some(DAY)).await?;
        let wanted = |format| self.format.is_none_or(|only| only == format);
        let day = |(at, sums): (Time, Sums)| {
            let seconds = |format, ms: i64| wanted(format).then_some(ms / 1000);
            let detail = RecordedDetail {
                mp4: seconds(RecordFormat::Mp4, sums.mp4_ms),
                flv: seconds(RecordFormat::Flv, sums.flv_ms),
                hls: seconds(RecordFormat::Hls, sums.hls_ms),
            };
            let total = [detail.mp4, detail.flv, detail.hls].into_iter().flatten().sum();
            RecordedDay { date: at.date(), total, detail }
        };
        Ok(Recorded { rows: RecordedRows { rows: days.into_iter().map(day).collect() } })
    }
}

impl Action for DescribeUsageStatSnapshotData {
    type Reply = Snapshots;

    async fn run(self, cx: &Context) -> Result<Snapshots, Error> {
        let (days, _) = counted(cx, &self.group, self.from, self.to, Some(DAY)).await?;
        let day = |(at, sums): (Time, Sums)| SnapshotDay { date: at.date(), total: sums.snapshots };
        Ok(Snapshots { rows: SnapshotRows { rows: days.into_iter().map(day).collect() } })
    }
}

macro_rules! series_action {
    ($($action:ident => $reply:ident($rows:ident, $row:ident): |$sums:ident, $step:ident| $value:expr;)+) => {$(
        impl Action for $action {
            type Reply = $reply;

            async fn run(self, cx: &Context) -> Result<$reply, Error> {
                let (points, step) = counted(cx, &self.group, self.from, self.to, None).await?;
                let value = |$sums: Sums, $step: i64| -> i64 { $value };
                let rows = points.into_iter().map(|(at, sums)| $row { time: at.to_string(), value: value(sums, step) }).collect();
                Ok($reply { rows: $rows { rows } })
            }
        }
    )+};
}
series_action! {
    DescribeUsageStatTrafficData => Traffic(TrafficRows, TrafficRow): |sums, _step| sums.bytes_out;
    DescribeUsageStatReqTrafficData => ReqTraffic(ReqTrafficRows, ReqTrafficRow): |sums, _step| sums.bytes_in;
    DescribeUsageStatBpsData => Bps(BpsRows, BpsRow): |sums, step| sums.bytes_out.saturating_mul(8) / step;
    DescribeUsageStatReqBpsData => ReqBps(ReqBpsRows, ReqBpsRow): |sums, step| sums.bytes_in.saturating_mul(8) / step;
}
