//! Pages of lists: the caller gets an opaque word for where to go on, never a number of rows to skip.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use renkei_policy::reach::Reach;
use renkei_store::read::ListQuery;
use renkei_types::page::{DEFAULT_LIMIT, MAX_LIMIT, Page};
use renkei_types::problem::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::App;
use super::subject::Subject;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// At most so many entries.
    pub limit: u32,
    /// After this one.
    pub after: Option<Place>,
}

/// A place in a list: the key that it is sorted by, and the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place(pub String, pub Uuid);

impl Paging {
    /// From what the caller wrote.
    pub fn new(limit: Option<u32>, after: Option<&str>) -> Result<Self, Problem> {
        let limit = self::limit(limit)?;
        let after = after.map(Place::read).transpose()?;
        Ok(Self { limit, after })
    }
}

/// How many entries a page has.
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    let problem = Problem::new(ProblemKind::Invalid, format!("`limit` is {limit}"));
    Err(problem.field("limit").hint(format!("ask for 1 to {MAX_LIMIT} entries")))
}

impl Place {
    /// As a word for the caller.
    pub fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(word: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(word).ok();
        let place = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        place.filter(|place| !place.0.contains('\0')).ok_or_else(|| {
            let problem = Problem::new(ProblemKind::Invalid, "`after` is not a place in this list");
            problem.field("after").hint("use `next` of the page before, as it is")
        })
    }
}

impl App {
    /// A page of a noun sorted by `order`, a declared index, or else by id; of those with the keys in `equals`, and, if ids are given, only
    /// of those.
    pub(super) async fn page<S: Subject>(
        &self,
        paging: &Paging,
        order: Option<&'static str>,
        equals: Vec<(&'static str, String)>,
        ids: Option<Vec<Uuid>>,
    ) -> Result<Page<S>, Problem> {
        let query = ListQuery {
            equals,
            ids,
            after: paging.after.clone().map(|Place(key, id)| (key, id)),
            order,
            // One more than asked for tells whether there is a next page.
            limit: paging.limit + 1,
        };
        let rows = self.store.read.list::<S>(&query).await;
        let mut items: Vec<S> = rows
            .map_err(|error| super::state(&error))?
            .into_iter()
            .map(|row| row.value)
            .collect();
        let more = items.len() > paging.limit as usize;
        items.truncate(paging.limit as usize);
        let next = items.last().filter(|_| more).map(|last| place(last, order).write());
        Ok(Page { items, next })
    }
}

impl App {
    /// The same for those that have any of these keys in an index. Each is asked for by itself: a caller's projects and sites are few,
    /// and no index could answer for all of them together.
    pub(super) async fn page_of_any<S: Subject>(
        &self,
        paging: &Paging,
        order: Option<&'static str>,
        (index, keys): (&'static str, &[String]),
        equals: &[(&'static str, String)],
    ) -> Result<Page<S>, Problem> {
        let mut items: Vec<(Place, S)> = Vec::new();
        for key in keys {
            let query = ListQuery {
                equals: equals.iter().cloned().chain([(index, key.clone())]).collect(),
                ids: None,
                after: paging.after.clone().map(|Place(key, id)| (key, id)),
                order,
                limit: paging.limit + 1,
            };
            let rows = self.store.read.list::<S>(&query).await;
            let rows = rows.map_err(|error| super::state(&error))?;
            items.extend(rows.into_iter().map(|row| (place(&row.value, order), row.value)));
            items.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            items.truncate(paging.limit as usize + 1);
        }
        let more = items.len() > paging.limit as usize;
        items.truncate(paging.limit as usize);
        let next = items.last().filter(|_| more).map(|(last, _)| last.write());
        let items = items.into_iter().map(|(_, item)| item).collect();
        Ok(Page { items, next })
    }
}

/// The ids that a list is cut down to; none where the caller sees all.
pub(super) fn only<T: Ord>(reach: Reach<T>, id: impl Fn(&T) -> Uuid) -> Option<Vec<Uuid>> {
    match reach {
        Reach::All => None,
        Reach::Only(some) => Some(some.iter().map(id).collect()),
    }
}

fn place<S: Subject>(last: &S, order: Option<&'static str>) -> Place {
    let position = S::KIND.indexes.iter().position(|index| Some(index.name) == order);
    let key = position.and_then(|position| last.keys().into_iter().nth(position).flatten());
    Place(key.unwrap_or_default(), last.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        let place = Place("計算".to_owned(), Uuid::now_v7());
        assert_eq!(Paging::new(None, Some(&place.write())).unwrap().after, Some(place));
    }

    #[test]
    fn a_wrong_word_is_refused_with_its_field() {
        for word in ["", "x", "%%", "bnVsbA"] {
            let problem = Paging::new(None, Some(word)).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("after"));
        }
        assert_eq!(Paging::new(Some(0), None).unwrap_err().field.as_deref(), Some("limit"));
        assert_eq!(
            Paging::new(Some(1001), None).unwrap_err().field.as_deref(),
            Some("limit")
        );
    }
}
