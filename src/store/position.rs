//! Positions of devices: written in batches, listed newest first, swept with the logs.

use super::Store;
use super::error::{Error, Result};
use super::list::{List, Order};
use super::sql::{Row, Rows, Value, Where};
use crate::model::id::DeviceId;
use crate::model::page::{Page, Paged};
use crate::model::position::{Filter, Fix};
use crate::model::tenant::Scope;

const SELECT: &str =
    "SELECT id, owner, group_id, device_id, gb_id, longitude, latitude, speed, direction, altitude, happened FROM positions";

impl Store {
    /// Writes positions.
    pub async fn add_positions(&self, fixes: Vec<Fix>) -> Result<()> {
        let mut rows = Rows::new(11);
        let text = |value: Option<f64>| Value::Text(value.map(|value| value.to_string()));
        for fix in &fixes {
            rows.push([
                self.next_id().into(),
                fix.owner.into(),
                fix.group.into(),
                fix.device.into(),
                Value::from(&fix.gb_id),
                fix.longitude.to_string().into(),
                fix.latitude.to_string().into(),
                text(fix.speed),
                text(fix.direction),
                text(fix.altitude),
                fix.at.into(),
            ]);
        }
        let head = "INSERT INTO positions (id, owner, group_id, device_id, gb_id, longitude, latitude, speed, direction, altitude, happened) VALUES";
        let statements = rows.statements(head, "");
        if statements.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.execute(statement).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// A page of a device's positions, newest first.
    pub async fn positions(&self, scope: Scope, device: DeviceId, filter: Filter, page: Page) -> Result<Paged<Fix>> {
        let mut rows = Where::scope(scope).is("device_id", device).equals_if("gb_id", filter.gb_id.as_ref());
        if let Some(from) = filter.from {
            rows = rows.with("happened >= ?", from);
        }
        if let Some(to) = filter.to {
            rows = rows.with("happened < ?", to);
        }
        let list = List { table: "positions", select: SELECT, filter: rows, order: Order::NEWEST, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(read).collect::<Result<_>>()?, total, page })
    }
}

fn read(row: &Row) -> Result<Fix> {
    let number = |name: &str| row.parse_maybe::<f64>(name);
    let degrees = |name: &str| number(name)?.ok_or_else(|| Error::Damaged(format!("{name} is null")));
    Ok(Fix {
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        device: row.get("device_id")?,
        gb_id: row.parse("gb_id")?,
        longitude: degrees("longitude")?,
        latitude: degrees("latitude")?,
        speed: number("speed")?,
        direction: number("direction")?,
        altitude: number("altitude")?,
        at: row.get("happened")?,
    })
}
