//! Pages of lists: counted, sorted through indexes, quick at both ends.

use super::db::Conn;
use super::error::{Error, Result};
use super::sql::{Row, Where};
use crate::model::page::{Page, Sort};

/// What a list can be sorted by: the API's name in small letters, the column, whether it can be null.
pub(super) type SortColumns = &'static [(&'static str, &'static str, bool)];

/// A list of one table.
pub(super) struct List {
    /// The table that is filtered and sorted.
    pub(super) table: &'static str,
    /// What is selected, and from what (the table, perhaps joined with others).
    pub(super) select: &'static str,
    /// Which rows.
    pub(super) filter: Where,
    /// The order: a column of the table, then the id.
    pub(super) order: Order,
}

/// An order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    column: &'static str,
    nullable: bool,
    descending: bool,
}

impl Order {
    /// By id, oldest first.
    pub(super) const ID: Order = Order { column: "id", nullable: false, descending: false };

    /// By id, newest first.
    pub(super) const NEWEST: Order = Order { column: "id", nullable: false, descending: true };

    /// The order that was asked for, if there is such a column.
    pub(super) fn of(sort: &Sort, columns: SortColumns) -> Result<Order> {
        let Some(by) = sort.by.as_deref().map(str::to_ascii_lowercase).filter(|by| !by.is_empty()) else {
            return Ok(Order { descending: sort.descending, ..Order::ID });
        };
        let known = || columns.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        let (_, column, nullable) = columns
            .iter()
            .find(|(name, ..)| *name == by)
            .ok_or_else(|| Error::Invalid { parameter: "SortBy", why: format!("one of {}", known()) })?;
        Ok(Order { column, nullable: *nullable, descending: sort.descending })
    }

    fn sql(self, table: &str, reversed: bool) -> String {
        let Order { column, nullable, descending } = self;
        // Where nulls stand differs between the databases unless it is said.
        let (word, nulls) = if descending != reversed { ("DESC", " NULLS LAST") } else { ("ASC", " NULLS FIRST") };
        let nulls = if nullable { nulls } else { "" };
        match column {
            "id" => format!(" ORDER BY {table}.id {word}"),
            column => format!(" ORDER BY {table}.{column} {word}{nulls}, {table}.id {word}"),
        }
    }
}

impl Conn {
    /// One page of a list, and how long the list is.
    pub(super) async fn page(&mut self, list: List, page: Page) -> Result<(Vec<Row>, u64)> {
        let List { table, select, filter, order } = list;
        let total = self.number(filter.sql(&format!("SELECT COUNT(*) AS n FROM {table}"), "")).await?;
        let rows = self.window(List { table, select, filter, order }, total, page.offset(), i64::from(page.size())).await?;
        Ok((rows, total.max(0) as u64))
    }

    /// `size` rows from `offset` of a list that has `total`.
    pub(super) async fn window(&mut self, list: List, total: i64, offset: i64, size: i64) -> Result<Vec<Row>> {
        let size = size.min(total - offset);
        if size <= 0 {
            return Ok(Vec::new());
        }
        // Skipped rows cost time: what stands nearer to the end is read from the end.
        let reversed = offset > total / 2;
        let skip = if reversed { total - offset - size } else { offset };
        let List { table, select, filter, order } = list;
        // The inner query walks an index and skips there; whole rows are read for this page alone.
        let head = format!("{select} WHERE {table}.id IN (SELECT id FROM {table}");
        let query = filter.sql(&head, &order.sql(table, reversed)).then(" LIMIT ?", size).then(" OFFSET ?)", skip);
        self.all(query.tail(&order.sql(table, false))).await
    }
}
