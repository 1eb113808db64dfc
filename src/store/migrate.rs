//! Brings a database to the schema of this program: numbered steps, each once, in one transaction, checked ever after.

use super::db::{Backend, Tx};
use super::error::{Error, Result};
use super::sql::sql;
use crate::model::time::Time;
use sha2::{Digest, Sha256};

/// The steps with their numbers, in order; a number may be missing. One that was released is never changed: it is checked against
/// what was applied.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("migrations/0001_init.sql")),
    (2, "lists", include_str!("migrations/0002_lists.sql")),
    (3, "uppers", include_str!("migrations/0003_uppers.sql")),
    (4, "recordings", include_str!("migrations/0004_recordings.sql")),
    (5, "deposits", include_str!("migrations/0005_deposits.sql")),
    (6, "usage", include_str!("migrations/0006_usage.sql")),
    (7, "license", include_str!("migrations/0007_license.sql")),
    (8, "cloud", include_str!("migrations/0008_cloud.sql")),
    (9, "nonces", include_str!("migrations/0009_nonces.sql")),
    (10, "quotas", include_str!("migrations/0010_quotas.sql")),
    (13, "recordings", include_str!("migrations/0013_recordings.sql")),
    (14, "parts", include_str!("migrations/0014_parts.sql")),
];

/// The schema of this program.
pub(super) const VERSION: i64 = STEPS[STEPS.len() - 1].0;

/// Applies what is missing; refuses a schema that is newer, or whose steps are not ours.
pub(super) async fn migrate(tx: &mut Tx, now: Time) -> Result<()> {
    migrate_to(tx, VERSION, now).await
}

/// The same up to an older schema, for the rows of an older backup.
pub(super) async fn migrate_to(tx: &mut Tx, version: i64, now: Time) -> Result<()> {
    // Two servers that start at the same time: one waits here.
    tx.lock("weir", "migrate").await?;
    let table = "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL)";
    tx.execute(sql(table)).await?;
    let applied = applied(tx).await?;
    for (number, name, text) in STEPS.iter().filter(|(number, ..)| *number <= version && !applied.contains(number)) {
        let script = dialect(text, tx.backend());
        tx.script(script).await.map_err(|e| Error::Unusable(format!("schema step {number} ({name}): {e}")))?;
        let insert = sql("INSERT INTO migrations (version, name, checksum, applied) VALUES ($1, $2, $3, $4)");
        tx.execute(insert.bind(*number).bind(*name).bind(sum(text)).bind(now)).await?;
    }
    Ok(())
}

/// Only checks that the schema is this program's.
pub(super) async fn check(tx: &mut Tx) -> Result<()> {
    match applied(tx).await {
        Ok(applied) if applied.len() == STEPS.len() => Ok(()),
        Ok(_) | Err(Error::Unavailable(_)) => {
            Err(Error::Unusable("the database was not opened by this version of the server yet".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// The numbers of our steps that were applied.
async fn applied(tx: &mut Tx) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for row in tx.all(sql("SELECT version, name, checksum FROM migrations ORDER BY version DESC")).await? {
        let (version, name, checksum): (i64, String, String) = (row.get("version")?, row.get("name")?, row.get("checksum")?);
        if version > VERSION {
            return Err(Error::Unusable(format!(
                "the database has schema {version}, this program knows up to {VERSION}: a newer version wrote it; use that one, or \
                 restore a backup"
            )));
        }
        match STEPS.iter().find(|(number, ..)| *number == version) {
            Some((_, _, text)) if checksum == sum(text) => numbers.push(version),
            Some((_, ours, _)) => {
                return Err(Error::Unusable(format!(
                    "step {version} ({name}) of the database's schema is not our step {version} ({ours})"
                )));
            }
            None => return Err(Error::Unusable(format!("step {version} ({name}) of the database's schema is none of ours"))),
        }
    }
    Ok(numbers)
}

/// The text as the database wants it; see the head of the first step.
fn dialect(text: &str, backend: Backend) -> String {
    let without_comments = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
    match backend {
        // SQLite sorts nulls first by itself, and will not be told so in an index.
        Backend::Sqlite => without_comments.replace("BIGINT", "INTEGER").replace(" NULLS FIRST", "").replace(" UNLOGGED ", " "),
        Backend::Postgres => without_comments.replace("TEXT", "TEXT COLLATE \"C\""),
    }
}

fn sum(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_embedded() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations")).unwrap();
        let mut names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let ours: Vec<_> = STEPS.iter().map(|(number, name, _)| format!("{number:04}_{name}.sql")).collect();
        assert_eq!(names, ours);
        assert!(STEPS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn both_dialects_come_from_one_text() {
        let text = "-- TEXT of BIGINT\nCREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)";
        assert_eq!(dialect(text, Backend::Sqlite), "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
        assert_eq!(dialect(text, Backend::Postgres), "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT COLLATE \"C\")");
    }
}
