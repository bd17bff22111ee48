//! Whether a file that stands at the target is left alone.

use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::spot::Spot;
use crate::copy::lane::item::Item;
use crate::copy::proof::verify::{Budget, hash_within};
use crate::copy::trouble::Trouble;
use crate::local::meta::Kind;
use crate::request::Existing;

/// Files compared by content at the same time.
const COMPARED_AT_ONCE: usize = 64;

/// The rule of one copy.
pub struct Choice {
    existing: Existing,
    budget: Budget,
}

impl Choice {
    pub fn new(existing: Existing) -> Self {
        Self {
            existing,
            budget: Budget::new(COMPARED_AT_ONCE, None),
        }
    }

    /// Whether deciding takes round trips or reads files, so that many are better decided at the same time.
    pub fn takes_time(&self) -> bool {
        self.existing == Existing::SkipSameContent
    }

    /// Why the file is left alone, if it is.
    pub async fn keeps(&self, item: &Item, standing: &Facts) -> Result<Option<&'static str>, Trouble> {
        let same_size = standing.kind == Kind::File && standing.size == item.facts.size;
        Ok(match self.existing {
            Existing::Replace => None,
            Existing::Keep => Some("something is there already"),
            Existing::SkipSameTime => {
                let same = same_size && standing.mtime.secs == item.facts.mtime.secs;
                same.then_some("same size and time")
            }
            Existing::SkipSameContent if same_size => {
                let same = self.same_content(&item.source, &item.target, item.facts.size).await?;
                same.then_some("same content")
            }
            Existing::SkipSameContent => None,
        })
    }

    async fn same_content(&self, source: &Spot, target: &Spot, size: u64) -> Result<bool, Trouble> {
        let (source, target) = tokio::join!(
            hash_within(source, size, &self.budget),
            hash_within(target, size, &self.budget)
        );
        match (source, target) {
            (Ok(source), Ok(target)) => Ok(source.is_some() && source == target),
            (Err(trouble), _) | (_, Err(trouble)) if trouble.is_lost() => Err(trouble),
            // What cannot be read cannot be the same; copying it will tell why.
            _ => Ok(false),
        }
    }
}
