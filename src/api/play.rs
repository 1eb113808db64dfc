//! Everything that plays streams, for pages that show many at once: all ways of a stream in one answer.

use super::action::Action;
use super::context::{Context, number};
use super::error::Error;
use super::stream;
use super::url::{self, Form};
use super::value::{App, Id, Ids, Int, Unix};
use crate::base::id::StreamKey;
use crate::model::group::{Group, OutProtocol};
use crate::{action, actions, reply};

actions!["Playing", "播放": DescribePlayUrls];

action! {
    /// Gives URLs that play streams, by every protocol that their groups allow, with the stream's picture. They are signed with the
    /// server's own key. With a start and an end they play what the device itself recorded.
    /// zh: 批量获取流的全部播放地址（含截图地址），由服务端签名；指定起止时间时播放设备端录像。
    pub struct DescribePlayUrls {
        /// The streams' ids.
        /// zh: 流ID，多值用逗号分隔。
        "Id" ids: Ids,
        /// How long the URLs are good, in seconds.
        /// zh: URL的过期时长，单位秒。
        "Expire" expire: Option<Int<1, 315_360_000>>,
        /// Where the device's recording begins, in unix seconds.
        /// zh: 设备录像的开始时间，unix时间戳。
        "StartTime" from: Option<Unix>,
        /// Where the device's recording ends, in unix seconds.
        /// zh: 设备录像的结束时间，unix时间戳。
        "EndTime" to: Option<Unix>,
        /// The name of a transcode rule whose output is to be played.
        /// zh: 转码规则名称。
        "Transcode" rule: Option<App>,
    }
}

reply! {
    /// How to play streams.
    pub struct PlayUrls {
        /// One row for each stream.
        /// zh: 结果列表。
        "Results" results: Vec<PlayUrl>,
        /// Until when the URLs open the streams, in unix seconds.
        /// zh: URL过期时间点，unix时间戳，单位秒。
        "ExpireTime" expires: i64,
    }
}

reply! {
    /// How to play a stream. What its group does not allow is absent.
    pub struct PlayUrl {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
        /// Why it cannot be played; absent where it can.
        /// zh: 错误信息，仅在出错时存在。
        "Error" error: Option<String>,
        /// WebRTC: an offer is posted here (WHEP).
        /// zh: WebRTC（WHEP）播放地址。
        "WhepUrl" whep: Option<String>,
        /// FLV over HTTP; over WebSocket with ws instead of http.
        /// zh: HTTP-FLV播放地址，WebSocket-FLV将http换成ws即可。
        "FlvUrl" flv: Option<String>,
        /// HLS.
        /// zh: HLS播放地址。
        "HlsUrl" hls: Option<String>,
        /// HLS in several sizes, among which the player chooses; where a transcode template has rules for the stream.
        /// zh: 自适应码率HLS播放地址，仅在绑定了转码模板时存在。
        "AbrUrl" abr: Option<String>,
        /// RTMP.
        /// zh: RTMP播放地址。
        "RtmpUrl" rtmp: Option<String>,
        /// The present picture, as JPEG.
        /// zh: 当前画面（JPEG）地址。
        "SnapshotUrl" snapshot: Option<String>,
    }
}

impl Action for DescribePlayUrls {
    type Reply = PlayUrls;

    async fn run(self, cx: &Context) -> Result<PlayUrls, Error> {
        match (self.from, self.to) {
            (Some(_), None) => return Err(Error::missing("EndTime")),
            (None, Some(_)) => return Err(Error::missing("StartTime")),
            (Some(from), Some(to)) if from.0 >= to.0 => return Err(Error::invalid("EndTime", "must lie behind StartTime")),
            _ => {}
        }
        let expires = cx.now().saturating_add(self.expire.map_or_else(|| stream::default_expiry(cx), |e| e.0));
        let mut results = Vec::with_capacity(self.ids.0.len());
        for id in &self.ids.0 {
            results.push(self.row(cx, Id(id.clone()), expires).await.unwrap_or_else(|e| PlayUrl::failed(id, e.message)));
        }
        Ok(PlayUrls { results, expires })
    }
}

impl DescribePlayUrls {
    async fn row(&self, cx: &Context, id: Id, expires: i64) -> Result<PlayUrl, Error> {
        let stream = cx.store().stream(cx.scope(), number(&id, "Stream")?).await?;
        let group = cx.store().group(cx.scope(), stream.group).await?;
        let key = match (self.from.zip(self.to), &self.rule) {
            (Some((from, to)), _) => stream::playback(cx, &stream, from.0, to.0).await?,
            (None, Some(rule)) => stream::output(cx, &stream, &rule.0).await?,
            (None, None) => stream.key().map_err(Error::internal)?,
        };
        let mut urls = PlayUrl::of(cx, (stream.id.to_string(), stream.name), &group, &key, expires);
        let live = self.from.is_none() && self.rule.is_none();
        if let Some(hls) = urls.hls.as_ref().filter(|_| live)
            && cx.book().has_rules(stream.id).await?
        {
            urls.abr = Some(format!("{hls}{}abr=1", if hls.contains('?') { '&' } else { '?' }));
        }
        Ok(urls)
    }
}

impl PlayUrl {
    fn failed(id: &str, why: String) -> PlayUrl {
        PlayUrl {
            id: id.to_owned(),
            name: String::new(),
            error: Some(why),
            whep: None,
            flv: None,
            hls: None,
            abr: None,
            rtmp: None,
            snapshot: None,
        }
    }

    fn of(cx: &Context, (id, name): (String, String), group: &Group, key: &StreamKey, expires: i64) -> PlayUrl {
        let url = |form: Form, extension: &str| {
            let path = url::path(key.app(), key.name(), extension);
            let plain = cx.places().play(form, None, &path);
            match cx.playback().auth {
                true => format!("{plain}?auth_key={}", url::auth_key(&path, expires, "0", "0", &cx.play_keys().main.0)),
                false => plain,
            }
        };
        let allowed = |way: OutProtocol, form: Form| group.out_protocols.has(way).then(|| url(form, form.extension()));
        PlayUrl {
            id,
            name,
            error: None,
            whep: Some(url(Form::Flv, ".whep")),
            flv: allowed(OutProtocol::Flv, Form::Flv),
            hls: allowed(OutProtocol::Hls, Form::Hls),
            abr: None,
            rtmp: allowed(OutProtocol::Rtmp, Form::Rtmp),
            snapshot: Some(url(Form::Flv, ".jpg")),
        }
    }
}
