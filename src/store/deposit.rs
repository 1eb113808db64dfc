//! Files on their way to where they are kept: what was handed in is done, whatever happens to the server in between.

use super::error::{Error, Result};
use super::sql::{Row, Where, sql};
use super::{Store, Tx, callback, record};
use crate::base::pii::Secret;
use crate::model::callback as told;
use crate::model::deposit::{Deposit, Draft, Part};
use crate::model::id::{DepositId, GroupId, RecordingId, StreamId, TemplateId, TenantId};
use crate::model::record::{Draft as RecordDraft, Place, Record};
use crate::model::tenant::BucketKey;
use crate::model::time::Time;
use serde::{Deserialize, Serialize};

const SELECT: &str = "SELECT id, owner, file, region, endpoint, bucket, object, content_type, size, replaces, key_id, secret, record, \
     callback_object, callback_url, callback_body, upload, tries, due, error, created FROM deposits";

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Writes down what shall be done with a file, before anything is done; it is due at `due`.
    pub async fn put_deposit(&self, draft: Draft, due: Time) -> Result<Deposit> {
        let (id, created) = (DepositId(self.next_id()), self.now());
        let secret = match &draft.key {
            Some(key) => Some(self.0.sealer.seal(&sealed_at(id), &key.secret)?),
            None => None,
        };
        let record = draft.record.as_ref().map(|r| serde_json::to_string(&Kept::of(r))).transpose();
        let record = record.map_err(|e| Error::Damaged(e.to_string()))?;
        let callback = draft.callback.as_ref();
        let insert = sql("INSERT INTO deposits (id, owner, node, file, region, endpoint, bucket, object, content_type, size, replaces, \
             key_id, secret, record, callback_object, callback_url, callback_body, upload, tries, due, error, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, '', 0, $18, '', $19)")
        .bind(id)
        .bind(draft.owner)
        .bind(self.0.settings.node)
        .bind(&draft.file)
        .bind(&draft.region)
        .bind(&draft.place.endpoint)
        .bind(&draft.place.bucket)
        .bind(&draft.place.object)
        .bind(&draft.content_type)
        .bind(draft.size)
        .bind(draft.replaces)
        .bind(draft.key.as_ref().map(|key| key.id.clone()))
        .bind(secret)
        .bind(record)
        .bind(callback.map(|c| c.object.clone()))
        .bind(callback.map(|c| c.url.clone()))
        .bind(callback.map(|c| c.body.clone()))
        .bind(due)
        .bind(created);
        self.write(move |tx| Box::pin(async move { tx.execute(insert).await.map(drop) })).await?;
        Ok(Deposit { id, draft, upload: String::new(), tries: 0, due, error: String::new(), created })
    }

    /// This server's deposits that are due, the longest waiting first.
    pub async fn due_deposits(&self, now: Time, limit: u32) -> Result<Vec<Deposit>> {
        let query = Where::default().is("node", self.0.settings.node).with("due <= ?", now).sql(SELECT, " ORDER BY due, id");
        self.read_deposits(query.then(" LIMIT ?", limit)).await
    }

    /// This server's deposits, the oldest first, from behind `after` on.
    pub async fn deposits(&self, after: DepositId, limit: u32) -> Result<Vec<Deposit>> {
        let query = Where::default().is("node", self.0.settings.node).with("id > ?", after).sql(SELECT, " ORDER BY id");
        self.read_deposits(query.then(" LIMIT ?", limit)).await
    }

    async fn read_deposits(&self, query: super::sql::Sql) -> Result<Vec<Deposit>> {
        self.reader().await?.all(query).await?.iter().map(|row| self.read_deposit(row)).collect()
    }

    /// Whether there is a deposit of that id.
    pub async fn has_deposit(&self, id: DepositId) -> Result<bool> {
        Ok(self.reader().await?.one(sql("SELECT id FROM deposits WHERE id = $1").bind(id)).await?.is_some())
    }

    /// When this server's next deposit is due; `None`: nothing waits.
    pub async fn deposits_due(&self) -> Result<Option<Time>> {
        let query = sql("SELECT MIN(due) AS due FROM deposits WHERE node = $1").bind(self.0.settings.node);
        self.reader().await?.one(query).await?.map_or(Ok(None), |row| row.get("due"))
    }

    /// What waits on this server for a bucket.
    pub async fn deposits_waiting(&self) -> Result<Waiting> {
        let query = sql("SELECT COUNT(*) AS n, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes FROM deposits \
             WHERE node = $1 AND bucket <> ''")
        .bind(self.0.settings.node);
        match self.reader().await?.one(query).await? {
            Some(row) => Ok(Waiting { files: row.get("n")?, bytes: row.get("bytes")? }),
            None => Ok(Waiting::default()),
        }
    }

    /// Whether an object has its name from a record or a deposit already.
    pub async fn is_object_taken(&self, place: &Place) -> Result<bool> {
        let mut conn = self.reader().await?;
        for head in ["SELECT id FROM records", "SELECT id FROM deposits"] {
            let query = Where::default().is("bucket", &place.bucket).is("object", &place.object).is("endpoint", &place.endpoint);
            if conn.one(query.sql(head, " LIMIT 1")).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It failed, and is tried again at this time.
    pub async fn retry_deposit(&self, id: DepositId, at: Time, why: &str) -> Result<()> {
        let why: String = why.chars().take(500).collect();
        let update = sql("UPDATE deposits SET tries = tries + 1, due = $2, error = $3 WHERE id = $1").bind(id).bind(at).bind(why);
        self.write(move |tx| Box::pin(async move { tx.execute(update).await.map(drop) })).await
    }

    /// The multipart upload that carries it is this one, without parts yet; empty: none.
    pub async fn set_deposit_upload(&self, id: DepositId, upload: &str) -> Result<()> {
        let update = sql("UPDATE deposits SET upload = $2 WHERE id = $1").bind(id).bind(upload);
        self.write(move |tx| {
            Box::pin(async move {
                forget_parts(tx, id).await?;
                tx.execute(update).await.map(drop)
            })
        })
        .await
    }

    /// The bucket has a further part of it, the `n`th from 0.
    pub async fn add_deposit_part(&self, id: DepositId, n: usize, part: Part) -> Result<()> {
        let insert = sql("INSERT INTO deposit_parts (deposit, n, tag, sum, bytes) SELECT $1, $2, $3, $4, $5 \
             WHERE EXISTS (SELECT 1 FROM deposits WHERE id = $1)");
        let insert = insert.bind(id).bind(n as i64).bind(part.tag).bind(part.sum).bind(part.bytes);
        self.write(move |tx| Box::pin(async move { tx.execute(insert).await.map(drop) })).await
    }

    /// The parts of it that the bucket has, in order.
    pub async fn deposit_parts(&self, id: DepositId) -> Result<Vec<Part>> {
        let query = sql("SELECT tag, sum, bytes FROM deposit_parts WHERE deposit = $1 ORDER BY n").bind(id);
        let rows = self.reader().await?.all(query).await?;
        rows.iter().map(|row| Ok(Part { tag: row.get("tag")?, sum: row.get("sum")?, bytes: row.get("bytes")? })).collect()
    }

    /// It is given up: nothing is written.
    pub async fn drop_deposit(&self, id: DepositId) -> Result<()> {
        let delete = sql("DELETE FROM deposits WHERE id = $1").bind(id);
        self.write(move |tx| {
            Box::pin(async move {
                forget_parts(tx, id).await?;
                tx.execute(delete).await.map(drop)
            })
        })
        .await
    }

    /// The object is there: its record is written and told of, and the deposit is over, all in one. Records of what it took the
    /// place of go. `None` where it is a part, or was finished before.
    pub async fn finish_deposit(&self, deposit: Deposit, callbacks: u64) -> Result<Option<Record>> {
        let store = self.clone();
        let finish = self.write(move |tx| {
            Box::pin(async move {
                // Whoever finishes it twice does nothing the second time.
                if tx.execute(sql("DELETE FROM deposits WHERE id = $1").bind(deposit.id)).await? == 0 {
                    return Ok(None);
                }
                forget_parts(tx, deposit.id).await?;
                let Draft { place, replaces, record, callback, size, .. } = deposit.draft;
                let mut stored = record::Stored::default();
                if replaces {
                    let old = Where::default().is("bucket", &place.bucket).is("object", &place.object).is("endpoint", &place.endpoint);
                    let rows = tx.all(old.sql("SELECT id FROM records", "")).await?;
                    let ids = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<_>>>()?;
                    record::delete(tx, &ids, &mut stored).await?;
                }
                let Some(draft) = record else {
                    stored.note(tx).await?;
                    return Ok(None);
                };
                let draft = RecordDraft { place, size: size.max(draft.size), ..draft };
                let made = record::insert(tx, &store, vec![draft], &mut stored).await?.pop();
                if let Some(callback) = callback {
                    let dropped = callback::queue(tx, &store, vec![callback], callbacks).await?;
                    if dropped > 0 {
                        tracing::warn!("too many callbacks wait: that of a stored file was dropped");
                    }
                }
                stored.note(tx).await?;
                Ok(made)
            })
        });
        let made = finish.await?;
        if let Some(record) = &made {
            self.count_stored(record);
        }
        Ok(made)
    }

    fn read_deposit(&self, row: &Row) -> Result<Deposit> {
        let (id, owner): (DepositId, TenantId) = (row.get("id")?, row.get("owner")?);
        let key = match (row.get::<Option<String>>("key_id")?, row.get::<Option<String>>("secret")?) {
            (Some(key), Some(secret)) => Some(BucketKey { id: key, secret: self.open_secret(id, &secret)? }),
            _ => None,
        };
        let place = Place { endpoint: row.get("endpoint")?, bucket: row.get("bucket")?, object: row.get("object")? };
        let size: u64 = row.get("size")?;
        let record = match row.get::<Option<String>>("record")? {
            Some(text) => {
                let kept: Kept = serde_json::from_str(&text).map_err(|e| Error::Damaged(format!("record: {e}")))?;
                Some(kept.into_draft(owner, place.clone(), size)?)
            }
            None => None,
        };
        let callback = match (row.get::<Option<String>>("callback_object")?, row.get::<Option<String>>("callback_url")?) {
            (Some(object), Some(url)) => {
                Some(told::Draft { owner, object, url, body: row.get::<Option<String>>("callback_body")?.unwrap_or_default() })
            }
            _ => None,
        };
        let draft = Draft {
            owner,
            file: row.get("file")?,
            region: row.get("region")?,
            place,
            content_type: row.get("content_type")?,
            size,
            replaces: row.get("replaces")?,
            key,
            record,
            callback,
        };
        Ok(Deposit {
            id,
            draft,
            upload: row.get("upload")?,
            tries: row.get("tries")?,
            due: row.get("due")?,
            error: row.get("error")?,
            created: row.get("created")?,
        })
    }

    fn open_secret(&self, id: DepositId, sealed: &str) -> Result<Secret> {
        self.0.sealer.open(&sealed_at(id), sealed)
    }
}

async fn forget_parts(tx: &mut Tx, id: DepositId) -> Result<()> {
    tx.execute(sql("DELETE FROM deposit_parts WHERE deposit = $1").bind(id)).await.map(drop)
}

fn sealed_at(id: DepositId) -> String {
    format!("deposits/{id}/secret")
}

/// A record's draft as JSON; place and owner stand in columns of their own.
#[derive(Serialize, Deserialize)]
struct Kept {
    stream: StreamId,
    group: GroupId,
    template: Option<TemplateId>,
    #[serde(default)]
    recording: Option<RecordingId>,
    kind: String,
    format: Option<String>,
    start: i64,
    end: i64,
    duration_ms: i64,
    width: u32,
    height: u32,
    /// Of the file with its parts, where that is more than the file.
    #[serde(default)]
    size: u64,
    expires: Option<i64>,
}

impl Kept {
    fn of(draft: &RecordDraft) -> Kept {
        Kept {
            stream: draft.stream,
            group: draft.group,
            template: draft.template,
            recording: draft.recording,
            kind: draft.kind.as_str().to_owned(),
            format: draft.format.map(|f| f.as_str().to_owned()),
            start: draft.start.0,
            end: draft.end.0,
            duration_ms: draft.duration_ms,
            width: draft.width,
            height: draft.height,
            size: draft.size,
            expires: draft.expires.map(|t| t.0),
        }
    }

    fn into_draft(self, owner: TenantId, place: Place, size: u64) -> Result<RecordDraft> {
        let word = |e: &dyn std::fmt::Display| Error::Damaged(format!("record: {e}"));
        Ok(RecordDraft {
            stream: self.stream,
            group: self.group,
            owner,
            template: self.template,
            recording: self.recording,
            kind: self.kind.parse().map_err(|e| word(&e))?,
            format: self.format.map(|f| f.parse()).transpose().map_err(|e| word(&e))?,
            place,
            start: Time(self.start),
            end: Time(self.end),
            duration_ms: self.duration_ms,
            width: self.width,
            height: self.height,
            size: size.max(self.size),
            expires: self.expires.map(Time),
        })
    }
}
