//! One picture of one key frame. The process is not the one of the streams' sound: a hostile frame ends pictures only.

use super::Settings;
use super::helper::Helper;
use crate::media::nal;
use crate::media::track::VideoCodec;
use crate::proto::av::{Ask, Codec, Reply};
use crate::runtime::task::Tasks;
use crate::stream::Unit;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long one picture may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may wait for its turn.
const TURN: Duration = Duration::from_secs(10);
/// JPEG quality, of 100, of pictures that somebody looks at now.
pub const QUALITY: u8 = 80;

/// Makes pictures, one at a time. Nothing is started before the first. Cloning shares it.
#[derive(Clone)]
pub struct Stills {
    helper: Helper,
    turn: Arc<Semaphore>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The JPEG file.
    pub jpeg: Bytes,
    /// Its width.
    pub width: u16,
    /// Its height.
    pub height: u16,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPicture {
    /// The codec is none that pictures are taken of.
    #[error("no pictures are taken of {0}")]
    Unfit(&'static str),
    /// There is no helper, it is too busy, or it could not decode the frame.
    #[error("no picture: {0}")]
    Failed(String),
}

impl Stills {
    /// With a helper of its own, in `tasks`.
    pub fn new(settings: &Settings, tasks: &Tasks) -> Stills {
        Stills { helper: Helper::new(settings.clone(), tasks), turn: Arc::new(Semaphore::new(1)) }
    }

    /// A picture of a key frame; at most `width` pixels wide, or of the source's size if that is 0. `quality` is of 100.
    pub async fn take(&self, unit: &Unit, width: u16, quality: u8) -> Result<Picture, NoPicture> {
        let (codec, data) = still(unit)?;
        // The helper does one thing at a time: so its time limit counts from when it begins.
        let turn = tokio::time::timeout(TURN, self.turn.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(NoPicture::Failed("too many are asked for now".to_owned())) };
        let ask = Ask::Snapshot { codec, width, height: 0, quality: quality.clamp(1, 100), data };
        match self.helper.ask(ask, PATIENCE).await {
            Ok(Reply::Picture { jpeg, width, height }) => Ok(Picture { jpeg, width, height }),
            Ok(_) => Err(NoPicture::Failed("weir-av answered something else".to_owned())),
            Err(why) => Err(NoPicture::Failed(why)),
        }
    }
}

/// The frame with its parameter sets, as Annex B.
fn still(unit: &Unit) -> Result<(Codec, Bytes), NoPicture> {
    let video = unit.tracks.video.as_deref().ok_or(NoPicture::Unfit("sound"))?;
    let (codec, sets): (_, [&[Bytes]; 3]) = match &video.codec {
        VideoCodec::H264 { sps, pps } => (Codec::H264, [&[], sps, pps]),
        VideoCodec::H265 { vps, sps, pps } => (Codec::H265, [vps, sps, pps]),
        other => return Err(NoPicture::Unfit(other.name())),
    };
    let mut data = Vec::with_capacity(unit.frame.data.len() + 256);
    for set in sets.into_iter().flatten() {
        data.extend_from_slice(&[0, 0, 0, 1]);
        data.extend_from_slice(set);
    }
    nal::put_annex_b(&unit.frame.data, &mut data);
    Ok((codec, data.into()))
}
