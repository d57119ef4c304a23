//! Where a page of a list ends and the next begins.

/// The last row of a page, by what the list is sorted by. The next page starts behind it, however
/// many rows have come or gone in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// The value of the column that the list is sorted by.
    pub key: i64,
    /// Tells rows with the same key apart.
    pub id: i64,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` when this is the end.
    pub next: Option<After>,
}

impl<T> Page<T> {
    /// Makes a page of `limit` rows from up to `limit + 1` that were read: the one too many only
    /// tells that there is more.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> After) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(place) } else { None };
        Self { items, next }
    }
}
