//! What is kept: a file for each noun.
//!
//! A noun is a struct that gives its id and, for each declared index, the text under which it is found. Nothing else about it is
//! known to the database, so one more noun is one file here and one migration.

use std::fmt::Write;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub mod acl;
pub mod attempt;
pub mod authority;
pub mod contact;
pub mod dnat;
pub mod duty;
pub mod global_ip;
pub mod host;
pub mod idempotency;
pub mod image;
pub mod lease;
pub mod manifest;
pub mod member;
pub mod operation;
pub mod organization;
pub mod preset;
pub mod project;
pub mod quota;
pub mod segment;
pub mod signing_key;
pub mod site;
pub mod stream;
pub mod template;
pub mod token;
pub mod user;
pub mod vm;

/// Where a noun is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its table.
    pub table: &'static str,
    /// The texts under which it is found, a column each.
    pub indexes: &'static [Index],
}

/// A text under which a noun is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name, and its column's.
    pub name: &'static str,
    /// Whether two rows may not have the same.
    pub unique: bool,
}

impl Index {
    /// An index in which many rows may have the same key.
    pub const fn many(name: &'static str) -> Self {
        Self { name, unique: false }
    }

    /// An index in which a key is there once.
    pub const fn unique(name: &'static str) -> Self {
        Self { name, unique: true }
    }
}

impl Kind {
    /// Where `index` stands among those declared.
    pub(crate) fn position(&self, index: &str) -> Option<usize> {
        self.indexes.iter().position(|declared| declared.name == index)
    }
}

/// Something that is kept as a row.
///
/// The body is JSON with serde's defaults: a new field with `#[serde(default)]` needs no migration. A change of what a key is
/// made of does.
pub trait Noun: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where.
    const KIND: Kind;

    /// Its id.
    fn id(&self) -> Uuid;

    /// Its key in each declared index, in the order of declaration; `None`: not in that index.
    fn keys(&self) -> Vec<Option<String>>;
}

/// A noun as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<N> {
    /// Grows by one with each change; the first is 1.
    pub version: u64,
    /// The noun.
    pub value: N,
}

impl<N> Deref for Stored<N> {
    type Target = N;

    fn deref(&self) -> &N {
        &self.value
    }
}

/// The key of a row that belongs to two things: `first/second`.
pub fn pair(first: Uuid, second: Uuid) -> String {
    let mut text = String::with_capacity(73);
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{first}/{second}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well_formed<N: Noun>() {
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(plain(N::KIND.table));
        for index in N::KIND.indexes {
            assert!(plain(index.name), "{}", index.name);
            assert!(!["id", "version", "body"].contains(&index.name), "{}", index.name);
        }
    }

    #[test]
    fn names_of_tables_and_indexes_need_no_escapes() {
        well_formed::<attempt::Attempt>();
        well_formed::<authority::AuthorityRow>();
        well_formed::<duty::Duty>();
        well_formed::<idempotency::Idempotency>();
        well_formed::<renkei_types::member::Member>();
        well_formed::<renkei_types::operation::Operation>();
        well_formed::<renkei_types::organization::Organization>();
        well_formed::<renkei_types::project::Project>();
        well_formed::<quota::QuotaRow>();
        well_formed::<signing_key::SigningKeyRow>();
        well_formed::<renkei_types::site::Site>();
        well_formed::<token::Credential>();
        well_formed::<user::Account>();
        well_formed::<renkei_types::acl::Acl>();
        well_formed::<contact::Contact>();
        well_formed::<renkei_types::dnat::Dnat>();
        well_formed::<renkei_types::global_ip::GlobalIp>();
        well_formed::<renkei_types::host::Host>();
        well_formed::<host::Invitation>();
        well_formed::<renkei_types::image::Image>();
        well_formed::<renkei_types::lease::Lease>();
        well_formed::<manifest::Issued>();
        well_formed::<manifest::Manifest>();
        well_formed::<renkei_types::preset::Preset>();
        well_formed::<renkei_types::segment::Segment>();
        well_formed::<stream::StreamRow>();
        well_formed::<renkei_types::template::Template>();
        well_formed::<vm::VmRow>();
    }
}
