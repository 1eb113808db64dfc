//! Recordings that were started by the cloud recording interface: which run, which are over, what was ordered.

use super::Store;
use super::error::{Error, Noun, Result};
use super::sql::{Row, Where, sql};
use crate::base::pii::Secret;
use crate::model::cloud::CloudRecording;
use crate::model::tenant::Scope;
use crate::model::time::Time;

const SELECT: &str = "SELECT sid, resource, owner, group_id, stream_id, cname, uid, mode, recording, sealed, running, started, stopped, expires \
     FROM cloud_recordings";

/// How a new recording stands against those that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudBegin {
    /// It is written.
    New,
    /// Its resource has been used, by this recording.
    Used(Box<CloudRecording>),
    /// The same application, channel and user are being recorded.
    Same,
}

impl Store {
    /// Writes a recording that begins, unless its resource is used up or the same is recorded already.
    pub async fn begin_cloud_recording(&self, new: CloudRecording) -> Result<CloudBegin> {
        let store = self.clone();
        let sealed = self.0.sealer.seal(&place(&new.sid), &new.order)?;
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("cloud", &format!("{}/{}/{}", new.group, new.cname, new.uid)).await?;
                if let Some(row) = tx.one(Where::default().is("resource", &new.resource).sql(SELECT, "")).await? {
                    return Ok(CloudBegin::Used(Box::new(store.read_cloud(&row)?)));
                }
                let same = Where::default().is("group_id", new.group).is("cname", &new.cname).is("uid", &new.uid).and("running = 1");
                if tx.one(same.sql(SELECT, "")).await?.is_some() {
                    return Ok(CloudBegin::Same);
                }
                let insert =
                    sql("INSERT INTO cloud_recordings (sid, resource, owner, group_id, stream_id, cname, uid, mode, recording, sealed, \
                     running, started, stopped, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, NULL, $12)");
                let insert = insert.bind(&new.sid).bind(&new.resource).bind(new.owner).bind(new.group).bind(new.stream).bind(&new.cname);
                let insert = insert.bind(&new.uid).bind(&new.mode).bind(&new.recording).bind(sealed).bind(new.started).bind(new.expires);
                tx.execute(insert).await?;
                Ok(CloudBegin::New)
            })
        })
        .await
    }

    /// The recorder's ids of a recording, as text.
    pub async fn set_cloud_recording(&self, sid: &str, recording: &str) -> Result<()> {
        let update = sql("UPDATE cloud_recordings SET recording = $2 WHERE sid = $1").bind(sid).bind(recording);
        self.write(move |tx| Box::pin(async move { tx.execute(update).await.map(drop) })).await
    }

    /// It is over; `false`: it was already. What was ordered is forgotten.
    pub async fn end_cloud_recording(&self, sid: &str) -> Result<bool> {
        let update = sql("UPDATE cloud_recordings SET running = 0, stopped = $2, sealed = '' WHERE sid = $1 AND running = 1");
        let update = update.bind(sid).bind(self.now());
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(update).await? > 0) })).await
    }

    /// It never began.
    pub async fn drop_cloud_recording(&self, sid: &str) -> Result<()> {
        let delete = sql("DELETE FROM cloud_recordings WHERE sid = $1").bind(sid);
        self.write(move |tx| Box::pin(async move { tx.execute(delete).await.map(drop) })).await
    }

    /// A recording.
    pub async fn cloud_recording(&self, scope: Scope, sid: &str) -> Result<CloudRecording> {
        let row = self.reader().await?.one(Where::scope(scope).is("sid", sid).sql(SELECT, "")).await?;
        self.read_cloud(&row.ok_or_else(|| Error::not_found(Noun::Record, sid))?)
    }

    /// The recording that used a resource.
    pub async fn cloud_recording_of(&self, resource: &str) -> Result<Option<CloudRecording>> {
        let row = self.reader().await?.one(Where::default().is("resource", resource).sql(SELECT, "")).await?;
        row.map(|row| self.read_cloud(&row)).transpose()
    }

    /// Those that run: what a server that starts has to go on with.
    pub async fn running_cloud_recordings(&self) -> Result<Vec<CloudRecording>> {
        let rows = self.reader().await?.all(sql(SELECT).tail(" WHERE running = 1 ORDER BY started, sid")).await?;
        rows.iter().map(|row| self.read_cloud(row)).collect()
    }

    /// Forgets those that are over and that nobody may ask about any more.
    pub async fn sweep_cloud_recordings(&self) -> Result<u64> {
        let delete = sql("DELETE FROM cloud_recordings WHERE running = 0 AND expires < $1").bind(self.now());
        self.write(move |tx| Box::pin(async move { tx.execute(delete).await })).await
    }

    fn read_cloud(&self, row: &Row) -> Result<CloudRecording> {
        let (sid, sealed): (String, String) = (row.get("sid")?, row.get("sealed")?);
        let order = match sealed.is_empty() {
            true => Secret::default(),
            false => self.0.sealer.open(&place(&sid), &sealed)?,
        };
        let stopped: Option<i64> = row.get("stopped")?;
        Ok(CloudRecording {
            resource: row.get("resource")?,
            owner: row.get("owner")?,
            group: row.get("group_id")?,
            stream: row.get("stream_id")?,
            cname: row.get("cname")?,
            uid: row.get("uid")?,
            mode: row.get("mode")?,
            recording: row.get("recording")?,
            order,
            running: row.get("running")?,
            started: row.get("started")?,
            stopped: stopped.map(Time),
            expires: row.get("expires")?,
            sid,
        })
    }
}

fn place(sid: &str) -> String {
    format!("cloud_recordings/{sid}/sealed")
}
