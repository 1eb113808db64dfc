//! Nonces of signed calls, where several servers share a database: a call that one of them took is not taken by another.

use super::db::{Backend, Db};
use super::error::Result;
use super::sql::sql;
use super::{Store, Tx};

/// Whether a nonce was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the caller's.
    New,
    /// Some server took it before.
    Used,
    /// The call was signed before this time, in unix seconds, and nobody knows any more what was taken until then.
    Before(i64),
}

impl Store {
    /// Whether other servers may use the database at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.db, Db::Postgres(_))
    }

    /// Takes a nonce of a key for a call that was signed at `time`; it may be forgotten at `until`. Key and nonce are hashes, times
    /// are unix seconds. One statement, which is durable only as long as the database runs: see the schema.
    pub async fn take_nonce(&self, key: u64, nonce: u64, time: i64, until: i64) -> Result<Taken> {
        let (key, nonce, now) = (key.cast_signed(), nonce.cast_signed(), self.now().as_secs());
        self.write(move |tx| Box::pin(take(tx, [key, nonce, until], time, now))).await
    }

    /// Forgets nonces that are over.
    pub async fn sweep_nonces(&self) -> Result<u64> {
        let now = self.now().as_secs();
        let over = sql("DELETE FROM nonces WHERE until < $1 AND NOT (access_key = 0 AND nonce = 0)").bind(now);
        self.write(move |tx| Box::pin(async move { tx.execute(over).await })).await
    }
}

async fn take(tx: &mut Tx, entry: [i64; 3], time: i64, now: i64) -> Result<Taken> {
    let insert = "INSERT INTO nonces (access_key, nonce, until) \
                  SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM nonces \
                  WHERE access_key = 0 AND nonce = 0 AND until <= $4 ON CONFLICT (access_key, nonce) DO NOTHING";
    let [key, nonce, until] = entry;
    loop {
        if tx.execute(sql(insert).bind(key).bind(nonce).bind(until).bind(time)).await? == 1 {
            return Ok(Taken::New);
        }
        let floor = tx.one(sql("SELECT until FROM nonces WHERE access_key = 0 AND nonce = 0")).await?;
        match floor.map(|row| row.get::<i64>("until")).transpose()? {
            Some(floor) if time < floor => return Ok(Taken::Before(floor)),
            Some(_) => return Ok(Taken::Used),
            None => lost(tx, now).await?,
        }
    }
}

/// The database lost what was taken before: calls that were signed until now cannot be told from replays.
async fn lost(tx: &mut Tx, now: i64) -> Result<()> {
    let floor = "INSERT INTO nonces (access_key, nonce, until) VALUES (0, 0, $1) ON CONFLICT (access_key, nonce) DO NOTHING";
    tx.execute(sql(floor).bind(now)).await.map(drop)
}

/// What was taken before a restore is not known either.
pub(super) async fn restored(tx: &mut Tx, now: i64) -> Result<()> {
    if tx.backend() == Backend::Sqlite {
        return Ok(());
    }
    tx.execute(sql("UPDATE nonces SET until = $1 WHERE access_key = 0 AND nonce = 0").bind(now)).await.map(drop)
}
