//! A segment: a project's layer-2 network at a site.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ProjectId, SegmentId, SiteId};
use crate::name::Name;
use crate::network::Range;
use crate::operation::Generation;

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// Whose.
    pub project: ProjectId,
    /// Where. One for now; the API has a list.
    pub sites: Vec<SiteId>,
    /// Its name, once in a project.
    pub name: Name,
    /// Whether machines get it that ask for none, and lists begin with it.
    #[serde(default)]
    pub default: bool,
    /// Its number on the wire, once in a site (RFC 7348, section 5: 24 bits).
    pub vni: u32,
    /// Its IPv4 addresses.
    pub v4: Range,
    /// Its IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Range>,
    /// The largest packet, bytes.
    pub mtu: u16,
    /// Name servers for its machines; the site's without.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub dns: Vec<IpAddr>,
    /// Time servers for its machines; the site's without.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub ntp: Vec<IpAddr>,
    /// Whether a machine may use issued addresses only.
    #[serde(default)]
    pub strict: bool,
    /// Grows with each change of the segment, its rules or its mappings.
    pub generation: Generation,
    /// The generation that the site has confirmed.
    pub seen: Generation,
    /// Set from when it is to be gone until the site has confirmed it.
    #[serde(default)]
    pub tombstone: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl Segment {
    /// The site that it is at.
    pub fn site(&self) -> Option<SiteId> {
        self.sites.first().copied()
    }

    /// Its range of the same family as `address`, if it has one and `address` is in it.
    pub fn range_of(&self, address: IpAddr) -> Option<Range> {
        [Some(self.v4), self.v6]
            .into_iter()
            .flatten()
            .find(|range| range.has(address))
    }

    /// The gateway's address in a range: the first that a machine could have.
    pub fn gateway(range: &Range) -> Option<IpAddr> {
        range.hosts().next()
    }
}

/// Asks for a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSegment {
    /// Its name, once in a project.
    pub name: Name,
    /// At which sites: one for now; the project's default site without.
    #[serde(default)]
    pub sites: Vec<SiteId>,
    /// Whether it becomes the default one; the first always is.
    #[serde(default)]
    pub default: bool,
    /// Its IPv4 addresses, /8 to /29; without, the first of 10.15.0.0/21, 10.15.8.0/21 and so on that no other segment of the project at
    /// the site has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<Range>,
    /// Its IPv6 addresses, /48 to /120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Range>,
    /// The largest packet, bytes; 1450 without, which fits into 1500 with VXLAN's headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1280, maximum = 9216)]
    pub mtu: Option<u16>,
    /// Name servers for its machines.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub dns: Vec<IpAddr>,
    /// Time servers for its machines.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub ntp: Vec<IpAddr>,
    /// Whether a machine may use issued addresses only.
    #[serde(default)]
    pub strict: bool,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// `true` makes it the default one in place of the one so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    /// Name servers, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub dns: Option<Vec<IpAddr>>,
    /// Time servers, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub ntp: Option<Vec<IpAddr>>,
    /// Whether a machine may use issued addresses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}
