//! What several answers have in common: pages and outcomes of batches.

use super::error::Error;
use super::value::{Direction, PageNum, PageSize, SortBy, SortDirection};
use crate::model::page::{Page, Sort};
use crate::reply;

/// The page that two parameters ask for.
pub fn page(size: PageSize, num: PageNum) -> Page {
    Page::new(num.0, size.0)
}

/// The order that two parameters ask for.
pub fn sort(by: Option<SortBy>, direction: SortDirection) -> Sort {
    Sort { by: by.map(|by| by.0), descending: direction.0 == Direction::Desc }
}

/// `on` or `off`.
pub fn on(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Declares the answer of a list: a page of rows under a name.
#[macro_export]
macro_rules! page_reply {
    ($(#[doc = $doc:literal])+ $name:ident $wire:literal of $row:ty) => {
        $crate::reply! {
            $(#[doc = $doc])+
            pub struct $name {
                /// Rows a page.
                /// zh: 分页大小。
                "PageSize" page_size: u32,
                /// Which page, from 1.
                /// zh: 第几个分页。
                "PageNum" page_num: u32,
                /// How many pages there are.
                /// zh: 分页总数。
                "PageCount" page_count: u64,
                /// How many rows there are in all.
                /// zh: 总数。
                "TotalCount" total: u64,
                /// The rows of this page.
                /// zh: 列表。
                $wire rows: Vec<$row>,
            }
        }
        impl From<$crate::model::page::Paged<$row>> for $name {
            fn from(page: $crate::model::page::Paged<$row>) -> $name {
                $name {
                    page_size: page.page.size(),
                    page_num: page.page.num(),
                    page_count: page.pages(),
                    total: page.total,
                    rows: page.items,
                }
            }
        }
    };
}

reply! {
    /// The outcome for one object of a batch.
    pub struct Outcome {
        /// The object's id.
        /// zh: 对象ID。
        "Id" id: String,
        /// Why it failed; absent where it did not.
        /// zh: 错误信息，仅在出错时存在。
        "Error" error: Option<String>,
    }
}

reply! {
    /// The outcomes of a batch.
    pub struct Outcomes {
        /// One row for each object.
        /// zh: 结果列表。
        "Results" results: Vec<Outcome>,
    }
}

impl Outcome {
    /// The row of one object.
    pub fn of<T>(id: impl ToString, done: Result<T, Error>) -> Outcome {
        Outcome { id: id.to_string(), error: done.err().map(|e| e.message) }
    }
}
