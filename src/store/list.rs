//! Pages of lists: counted, sorted through indexes, quick at both ends and in the middle.
//!
//! A long list is *walked*: its order is an index, `{table}_by_{column}`, that holds the columns of the filters too, so that rows are
//! passed over without being read. A short one is found by its filter and sorted. SQLite has to be told which; PostgreSQL decides.

use super::db::{Backend, Conn};
use super::error::{Error, Result};
use super::sql::{Row, Sql, Where};
use crate::model::page::{Page, Sort};

/// What a list can be sorted by: the API's name in small letters, the column, whether it can be null.
pub(super) type SortColumns = &'static [(&'static str, &'static str, bool)];

/// Up to so many rows are sorted rather than walked to; in tests only few, so that both ways are taken.
const SORTED: i64 = if cfg!(test) { 6 } else { 4096 };

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
    /// Whether every order of the table has its index, with the columns of these filters in it.
    pub(super) walked: bool,
    /// The index that SQLite is to count by, where it would choose a worse one.
    pub(super) counted: Option<&'static str>,
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

    /// The same order, for SQLite to sort by and not to look for in an index.
    fn sorted(self, table: &str, reversed: bool) -> String {
        self.sql(&format!("+{table}"), reversed)
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
        let by = match list.counted.filter(|_| self.backend() == Backend::Sqlite) {
            Some(index) => format!(" INDEXED BY {index}"),
            None => String::new(),
        };
        let total = self.number(list.filter.sql(&format!("SELECT COUNT(*) AS n FROM {}{by}", list.table), "")).await?;
        let rows = self.window(list, total, page.offset(), i64::from(page.size())).await?;
        Ok((rows, total.max(0) as u64))
    }

    /// A page of a list in the order of its ids, if it has few rows: found in one go.
    pub(super) async fn few(&mut self, list: &List, page: Page) -> Result<Option<(Vec<Row>, u64)>> {
        let List { table, select, filter, .. } = list;
        let ids = filter.sql(&format!("SELECT id FROM {table}"), " ORDER BY id").then(" LIMIT ?", SORTED);
        let ids = self.all(ids).await?.iter().map(|row| row.get::<i64>("id")).collect::<Result<Vec<_>>>()?;
        let total = ids.len() as i64;
        if total == SORTED {
            return Ok(None);
        }
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let ids: Vec<i64> = ids.into_iter().skip(skip).take(page.size() as usize).collect();
        if ids.is_empty() {
            return Ok(Some((Vec::new(), total as u64)));
        }
        let id = format!("{select} WHERE {table}.id IN ({})", (1..=ids.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(","));
        let rows = Sql::built(id, ids.into_iter().map(Into::into).collect()).once().tail(&format!(" ORDER BY {table}.id"));
        Ok(Some((self.all(rows).await?, total as u64)))
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
        let List { table, select, filter, order, walked, .. } = list;
        let (by, inner) = match (walked && self.backend() == Backend::Sqlite, total > SORTED) {
            (false, _) => (String::new(), order.sql(table, reversed)),
            (true, true) => (format!(" INDEXED BY {table}_by_{}", order.column), order.sql(table, reversed)),
            (true, false) => (String::new(), order.sorted(table, reversed)),
        };
        // The inner query walks an index and skips there; whole rows are read for this page alone.
        // Told to sort, SQLite does not walk the index once more for a page that it has.
        let outer = if self.backend() == Backend::Sqlite { order.sorted(table, false) } else { order.sql(table, false) };
        let head = format!("{select} WHERE {table}.id IN (SELECT id FROM {table}{by}");
        let query = filter.sql(&head, &inner).then(" LIMIT ?", size).then(" OFFSET ?)", skip);
        self.all(query.tail(&outer)).await
    }
}
