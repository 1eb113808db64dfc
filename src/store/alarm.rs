//! Alarms: written in batches, listed newest first, swept by age and number.

use super::Store;
use super::error::Result;
use super::list::{List, Order};
use super::sql::{Row, Rows, Value, Where, sql};
use crate::model::alarm::Alarm;
use crate::model::id::{AlarmId, DeviceId, GroupId};
use crate::model::page::{Page, Paged};
use crate::model::tenant::Scope;
use crate::model::time::Time;

const SELECT: &str = "SELECT id, owner, group_id, device_id, gb_id, method, kind, priority, description, happened FROM alarms";

/// Rows that one statement of a sweep deletes at most: others write in between.
const PORTION: i64 = 1000;

/// Which alarms are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlarmFilter {
    /// Of this group.
    pub group: Option<GroupId>,
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Not before.
    pub from: Option<Time>,
    /// Before.
    pub to: Option<Time>,
}

impl Store {
    /// Writes alarms; their ids are given here.
    pub async fn add_alarms(&self, alarms: Vec<Alarm>) -> Result<Vec<Alarm>> {
        let mut rows = Rows::new(10);
        let number = |alarm: Alarm| Alarm { id: AlarmId(self.next_id()), ..alarm };
        let alarms: Vec<Alarm> = alarms.into_iter().map(number).collect();
        for a in &alarms {
            rows.push([
                a.id.into(),
                a.owner.into(),
                a.group.into(),
                a.device.into(),
                Value::from(&a.gb_id),
                a.method.into(),
                a.kind.into(),
                Value::from(&a.priority),
                Value::from(&a.description),
                a.at.into(),
            ]);
        }
        let head = "INSERT INTO alarms (id, owner, group_id, device_id, gb_id, method, kind, priority, description, happened) VALUES";
        let statements = rows.statements(head, "");
        self.write(move |tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.execute(statement).await?;
                }
                Ok(alarms)
            })
        })
        .await
    }

    /// A page of alarms, newest first.
    pub async fn alarms(&self, scope: Scope, filter: AlarmFilter, page: Page) -> Result<Paged<Alarm>> {
        let mut rows = Where::scope(scope).equals_if("group_id", filter.group).equals_if("device_id", filter.device);
        if let Some(from) = filter.from {
            rows = rows.with("happened >= ?", from);
        }
        if let Some(to) = filter.to {
            rows = rows.with("happened < ?", to);
        }
        let list = List { table: "alarms", select: SELECT, filter: rows, order: Order::NEWEST, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(read).collect::<Result<_>>()?, total, page })
    }

    /// Deletes alarms, positions and log entries of callbacks that are older than `store.keep_logs`, and the oldest of those beyond
    /// `store.most_logs`; a portion at a time. Returns whether there may be more.
    pub async fn sweep_logs(&self) -> Result<bool> {
        let before = Time(self.now().0.saturating_sub(i64::try_from(self.0.settings.keep_logs.0.as_millis()).unwrap_or(i64::MAX)));
        // Counted by a reader: whoever writes does not wait for that.
        let mut reader = self.reader().await?;
        let alarms = reader.number(sql("SELECT COUNT(*) AS n FROM alarms")).await?;
        let deliveries = reader.number(sql("SELECT COUNT(*) AS n FROM deliveries")).await?;
        let positions = reader.number(sql("SELECT COUNT(*) AS n FROM positions")).await?;
        drop(reader);
        let most = match self.0.settings.most_logs {
            0 => i64::MAX,
            most => i64::try_from(most).unwrap_or(i64::MAX),
        };
        self.write(move |tx| {
            Box::pin(async move {
                let mut more = false;
                for (rows, old, oldest) in [
                    (
                        alarms,
                        sql("DELETE FROM alarms WHERE id IN (SELECT id FROM alarms WHERE happened < $1 LIMIT $2)"),
                        sql("DELETE FROM alarms WHERE id IN (SELECT id FROM alarms ORDER BY id LIMIT $1)"),
                    ),
                    (
                        deliveries,
                        sql("DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE happened < $1 LIMIT $2)"),
                        sql("DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT $1)"),
                    ),
                    (
                        positions,
                        sql("DELETE FROM positions WHERE id IN (SELECT id FROM positions WHERE happened < $1 LIMIT $2)"),
                        sql("DELETE FROM positions WHERE id IN (SELECT id FROM positions ORDER BY id LIMIT $1)"),
                    ),
                ] {
                    let gone = tx.execute(old.bind(before).bind(PORTION)).await?;
                    more |= gone >= PORTION.unsigned_abs();
                    let beyond = rows.saturating_sub(i64::try_from(gone).unwrap_or(i64::MAX)).saturating_sub(most);
                    if beyond > 0 {
                        tx.execute(oldest.bind(beyond.min(PORTION))).await?;
                        more |= beyond > PORTION;
                    }
                }
                Ok(more)
            })
        })
        .await
    }
}

fn read(row: &Row) -> Result<Alarm> {
    Ok(Alarm {
        id: row.get("id")?,
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        device: row.get("device_id")?,
        gb_id: row.parse("gb_id")?,
        method: row.get("method")?,
        kind: row.get("kind")?,
        priority: row.get("priority")?,
        description: row.get("description")?,
        at: row.get("happened")?,
    })
}
