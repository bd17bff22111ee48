//! What stands in a target directory, for `--update`, `--delete` and their kin.
//!
//! A listing of the directory tells it. Where directories are so large that their listings would fill the memory, they are
//! let go, and what stands is asked for name by name, as the source brings the names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::try_join_all;

use crate::copy::endpoint::base::Names;
use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::landing::join;
use crate::copy::endpoint::spot::Spot;
use crate::copy::trouble::Trouble;

/// Names of all directories under way together that are held: some 50 MiB.
const MOST_HELD: usize = 1 << 18;

/// How many names are held, over all directories.
#[derive(Default)]
pub struct Held(AtomicUsize);

/// How much of a directory has to be known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Only of what the source has.
    Common,
    /// All of it, whatever it takes.
    All,
}

/// What is known of one directory.
pub struct Standing<'a> {
    known: HashMap<Vec<u8>, Facts>,
    is_whole: bool,
    held: &'a Held,
    count: usize,
}

impl<'a> Standing<'a> {
    /// Nothing stands there, or nobody wants to know.
    pub fn nothing(held: &'a Held) -> Self {
        Self {
            known: HashMap::new(),
            is_whole: true,
            held,
            count: 0,
        }
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// It cannot be listed.
    pub async fn list(held: &'a Held, dir: &Spot, need: Need) -> Result<Self, Trouble> {
        let mut standing = Self::nothing(held);
        let mut listing = dir.base.list(&dir.rel).await;
        while let Some(names) = listing.recv().await {
            let names = names?;
            standing.count += names.len();
            let all = held.0.fetch_add(names.len(), Relaxed) + names.len();
            if need == Need::Common && all > MOST_HELD {
                standing.known = HashMap::new();
                standing.is_whole = false;
                standing.give_back();
                break;
            }
            standing.known.extend(names);
        }
        Ok(standing)
    }

    /// To be called before names are [taken](Self::take): asks for them where the listing was let go.
    ///
    /// # Errors
    /// One cannot be looked at.
    pub async fn look_at(&mut self, dir: &Spot, names: &Names) -> Result<(), Trouble> {
        if self.is_whole {
            return Ok(());
        }
        let looks = names.iter().map(|(name, _)| async move {
            let facts = dir.base.lstat(&join(&dir.rel, name)).await?;
            Ok::<_, Trouble>(facts.map(|facts| (name.clone(), facts)))
        });
        let found = try_join_all(looks).await?;
        self.known.extend(found.into_iter().flatten());
        Ok(())
    }

    /// What stands under a name, which is then no longer known.
    pub fn take(&mut self, name: &[u8]) -> Option<Facts> {
        self.known.remove(name)
    }

    /// What was not taken.
    pub fn into_rest(mut self) -> HashMap<Vec<u8>, Facts> {
        std::mem::take(&mut self.known)
    }

    fn give_back(&mut self) {
        self.held.0.fetch_sub(std::mem::take(&mut self.count), Relaxed);
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
