//! Ids: a UUID version 7 each (RFC 9562), with a type of its own per noun, so that a site's id cannot be passed for a project's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What it is the id of, as the API says it.
            pub const NOUN: &'static str = $noun;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let id = Uuid::try_parse(text).map_err(|_| NotAnId { noun: $noun, text: text.to_owned() })?;
                Ok(Self(id))
            }
        }
    )*};
}

ids! {
    /// Of an organization.
    OrganizationId "organization";
    /// Of a project.
    ProjectId "project";
    /// Of a user.
    UserId "user";
    /// Of an API token.
    TokenId "token";
    /// Of a site.
    SiteId "site";
    /// Of an operation.
    OperationId "operation";
    /// Of a membership.
    MemberId "member";
    /// Of a quota.
    QuotaId "quota";
    /// Of a host.
    HostId "host";
    /// Of a machine.
    VmId "vm";
    /// Of a template.
    TemplateId "template";
    /// Of an image.
    ImageId "image";
    /// Of a preset.
    PresetId "preset";
    /// Of a segment.
    SegmentId "segment";
    /// Of a stream.
    StreamId "stream";
    /// Of a lease.
    LeaseId "lease";
    /// Of a rule of what may enter a segment.
    AclId "acl";
    /// Of a mapping of an outside address.
    DnatId "dnat";
    /// Of an outside address.
    GlobalIpId "global-ip";
}

/// A text that is no UUID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not the id of a {noun}: it must be a UUID")]
pub struct NotAnId {
    /// What it should have been the id of.
    pub noun: &'static str,
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_a_uuid_and_read_back() {
        let text = "0192d3c4-0000-7000-8000-000000000001";
        let id: ProjectId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    }

    #[test]
    fn what_is_no_id_is_named_with_its_noun() {
        let error = "lab".parse::<SiteId>().unwrap_err();
        assert_eq!(error.to_string(), "`lab` is not the id of a site: it must be a UUID");
    }
}
