//! The keys that sign play and push URLs.

use super::Store;
use super::error::Result;
use super::seal::random;
use super::sql::sql;
use crate::base::pii::Secret;
use crate::model::domain::{Keys, Purpose};

impl Store {
    /// The keys of a purpose; the first call ever makes them.
    pub async fn domain_keys(&self, purpose: Purpose) -> Result<Keys> {
        if let Some(keys) = self.find_domain_keys(purpose).await? {
            return Ok(keys);
        }
        let made = Keys { main: Secret(hex::encode(random::<16>()?)), backup: Secret(hex::encode(random::<16>()?)) };
        self.put_domain_keys(purpose, &made, false).await?;
        // Another server may have been quicker.
        Ok(self.find_domain_keys(purpose).await?.unwrap_or(made))
    }

    /// Sets the keys of a purpose.
    pub async fn set_domain_keys(&self, purpose: Purpose, keys: &Keys) -> Result<()> {
        self.put_domain_keys(purpose, keys, true).await
    }

    async fn put_domain_keys(&self, purpose: Purpose, keys: &Keys, replace: bool) -> Result<()> {
        let seal = |slot, key: &Secret| self.0.sealer.seal(&place(purpose, slot), key);
        let (main, backup) = (seal("main", &keys.main)?, seal("backup", &keys.backup)?);
        let put = match replace {
            true => sql("INSERT INTO domain_keys (purpose, main, backup) VALUES ($1, $2, $3) \
                 ON CONFLICT (purpose) DO UPDATE SET main = excluded.main, backup = excluded.backup"),
            false => sql("INSERT INTO domain_keys (purpose, main, backup) VALUES ($1, $2, $3) ON CONFLICT (purpose) DO NOTHING"),
        };
        let put = put.bind(purpose.as_str()).bind(main).bind(backup);
        self.write(move |tx| Box::pin(async move { tx.execute(put).await.map(drop) })).await
    }

    async fn find_domain_keys(&self, purpose: Purpose) -> Result<Option<Keys>> {
        let find = sql("SELECT main, backup FROM domain_keys WHERE purpose = $1").bind(purpose.as_str());
        let Some(row) = self.reader().await?.one(find).await? else { return Ok(None) };
        let open = |slot: &'static str| self.0.sealer.open(&place(purpose, slot), &row.get::<String>(slot)?);
        Ok(Some(Keys { main: open("main")?, backup: open("backup")? }))
    }
}

fn place(purpose: Purpose, slot: &str) -> String {
    format!("domain_keys/{purpose}/{slot}")
}
