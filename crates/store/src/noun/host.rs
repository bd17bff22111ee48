//! A host, as the API shows it, and the invitation to become one.

use jiff::Timestamp;
use renkei_types::host::Host;
use renkei_types::id::{HostId, SiteId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Host {
    const KIND: Kind = Kind {
        table: "host",
        indexes: &[Index::many("site"), Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `name` is `site/name` in small letters.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.site.to_string()),
            Some(format!("{}/{}", self.site, self.name.folded())),
        ]
    }
}

/// A one-time word with which a host joins a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// Which site.
    pub site: SiteId,
    /// A hash of its secret.
    pub secret_hash: String,
    /// From when on it does not work.
    pub expires: Timestamp,
    /// The host that has joined with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<HostId>,
    /// A hash of that host's public key: whoever has lost the answer may ask again with the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<String>,
}

impl Noun for Invitation {
    const KIND: Kind = Kind {
        table: "invitation",
        indexes: &[Index::many("site"), Index::unique("secret_hash")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.site.to_string()), Some(self.secret_hash.clone())]
    }
}
