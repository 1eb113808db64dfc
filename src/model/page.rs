//! Lists come in pages, sorted: what is asked for and what comes back.

/// Which page: `PageNum` from 1, `PageSize` from 1 to 100. Past the end it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    num: u32,
    size: u32,
}

impl Page {
    /// The largest `PageSize`.
    pub const MAX: u32 = 100;

    /// A page; the numbers are brought into their ranges.
    pub fn new(num: u32, size: u32) -> Page {
        Page { num: num.max(1), size: size.clamp(1, Page::MAX) }
    }

    /// `PageNum`.
    pub fn num(self) -> u32 {
        self.num
    }

    /// `PageSize`.
    pub fn size(self) -> u32 {
        self.size
    }

    /// How many rows stand before it.
    pub fn offset(self) -> i64 {
        i64::from(self.num - 1) * i64::from(self.size)
    }
}

impl Default for Page {
    fn default() -> Page {
        Page::new(1, 20)
    }
}

/// One page of a list, and how much there is in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// `TotalCount`.
    pub total: u64,
    /// What was asked for.
    pub page: Page,
}

impl<T> Paged<T> {
    /// `PageCount`.
    pub fn pages(&self) -> u64 {
        self.total.div_ceil(u64::from(self.page.size))
    }

    /// Nothing at all.
    pub fn none(page: Page) -> Paged<T> {
        Paged { items: Vec::new(), total: 0, page }
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Paged<U> {
        Paged { items: self.items.into_iter().map(f).collect(), total: self.total, page: self.page }
    }
}

/// The order of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sort {
    /// `SortBy`: a scalar field of the object in any letter case; `None` is the id.
    pub by: Option<String>,
    /// `SortDirection` is `desc`.
    pub descending: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_from_one() {
        let page = Page::new(3, 20);
        assert_eq!((page.offset(), page.num(), page.size()), (40, 3, 20));
        assert_eq!(Page::new(0, 1000), Page::new(1, 100));
        assert_eq!(Page::new(u32::MAX, 100).offset(), i64::from(u32::MAX - 1) * 100);
        assert_eq!(Paged::<()> { items: vec![], total: 101, page }.pages(), 6);
        assert_eq!(Paged::<()> { items: vec![], total: 0, page }.pages(), 0);
    }
}
