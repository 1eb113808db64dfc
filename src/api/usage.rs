//! Usage statistics: what came in, what went out, what was stored; for a group, over a range of time.

use super::value::{Id, RecordFormat};
use crate::model::time::Time;
use crate::{action, actions, reply};

actions![
    "Usage statistics", "统计查询": DescribeUsageStatUpVideoAudioInfo, DescribeUsageStatUpPeakPublishStreamData, DescribeUsageStatRecordData,
    DescribeUsageStatSnapshotData, DescribeUsageStatTrafficData, DescribeUsageStatReqTrafficData, DescribeUsageStatBpsData,
    DescribeUsageStatReqBpsData
];

action! {
    /// Tells the frame and bit rates of one stream every five minutes, newest first; over six hours at most.
    /// zh: 查询单路流的帧率与码率，按5分钟粒度统计，最大时间跨度6小时。
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
        /// The end of the five minutes.
        /// zh: 统计时刻。
        "Time" time: String,
    }
}

macro_rules! range_action {
    ($($(#[doc = $doc:literal])+ $name:ident)+) => {$(
        action! {
            $(#[doc = $doc])+
            pub struct $name {
                /// The group's id.
                /// zh: 空间ID。
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
