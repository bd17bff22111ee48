//! A stream that an agent is asked for: the hub that holds the agent's connection reads here what another one wants of it.

use jiff::Timestamp;
use renkei_types::id::{HostId, StreamId};
use renkei_types::stream::Of;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// See the module. It is worth nothing after it has come, or is over, and is swept then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRow {
    /// Its id.
    pub id: StreamId,
    /// Whose agent is asked.
    pub host: HostId,
    /// Of what.
    pub of: Of,
    /// The hub that waits, by the id that it drew when it started.
    pub hub: Uuid,
    /// Where agents find that hub, the best address first.
    pub at: Vec<String>,
    /// From when on nobody waits for it.
    pub expires: Timestamp,
}

impl Noun for StreamRow {
    const KIND: Kind = Kind {
        table: "stream",
        indexes: &[Index::many("host")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.host.to_string())]
    }
}
