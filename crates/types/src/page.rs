//! A page of a list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Entries on a page unless the caller says how many.
pub const DEFAULT_LIMIT: u32 = 100;
/// The most entries that a page has.
pub const MAX_LIMIT: u32 = 1000;

/// A page, and how to get the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries, in the order of the list.
    pub items: Vec<T>,
    /// Show this as `after` to get the next page; missing on the last one. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
