//! What is meant for a segment, out of its parts: a pure function.

use jiff::Timestamp;
use renkei_types::acl::Acl;
use renkei_types::agent::SegmentIntent;
use renkei_types::dnat::Dnat;
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;

use crate::app::App;

/// What a host is told of a segment. Rules and mappings that are over at `now` are left out, also if nobody has removed them yet.
pub fn intent(segment: &Segment, acls: &[Acl], dnats: &[Dnat], now: Timestamp) -> SegmentIntent {
    let holds = |expires: Option<Timestamp>| expires.is_none_or(|expires| expires > now);
    let acls = acls
        .iter()
        .filter(|acl| acl.segment == segment.id && holds(acl.expires));
    let dnats = dnats
        .iter()
        .filter(|dnat| dnat.segment == segment.id && holds(dnat.expires));
    SegmentIntent {
        id: segment.id,
        generation: segment.generation,
        tombstone: segment.tombstone,
        project: segment.project,
        vni: segment.vni,
        v4: segment.v4,
        v6: segment.v6,
        mtu: segment.mtu,
        dns: segment.dns.clone(),
        ntp: segment.ntp.clone(),
        strict: segment.strict,
        acls: acls.map(|acl| (acl.id, acl.allowed)).collect(),
        dnats: dnats
            .map(|dnat| (dnat.id, (dnat.global_ip, dnat.destination)))
            .collect(),
    }
}

impl App {
    /// What is meant for a segment now. Each change of a rule or a mapping raises the segment's generation in the same batch, so the
    /// parts fit together if the segment is the same before and after they are read; if not, it is read again.
    pub async fn segment_intent(
        &self,
        id: renkei_types::id::SegmentId,
        now: Timestamp,
    ) -> Result<Option<SegmentIntent>, Problem> {
        loop {
            let Some(before) = self.row::<Segment>(id.0).await? else {
                return Ok(None);
            };
            let key = id.to_string();
            let acls = self.every::<Acl>("segment", &key).await?;
            let dnats = self.every::<Dnat>("segment", &key).await?;
            let after = self.row::<Segment>(id.0).await?;
            if after.is_some_and(|after| after.value.generation == before.value.generation) {
                let acls: Vec<Acl> = acls.into_iter().map(|acl| acl.value).collect();
                let dnats: Vec<Dnat> = dnats.into_iter().map(|dnat| dnat.value).collect();
                return Ok(Some(intent(&before.value, &acls, &dnats, now)));
            }
        }
    }
}
