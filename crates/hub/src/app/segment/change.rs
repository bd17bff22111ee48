//! Making, changing and deleting segments.

use std::net::IpAddr;

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_types::acl::Acl;
use renkei_types::action::Action;
use renkei_types::dnat::Dnat;
use renkei_types::id::{ProjectId, SegmentId, SiteId};
use renkei_types::lease::Lease;
use renkei_types::name::Name;
use renkei_types::network::Range;
use renkei_types::operation::Generation;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::quota::Amounts;
use renkei_types::segment::{NewSegment, Segment, SegmentPatch};
use renkei_types::site::Site;

use super::gateway::Asking;
use super::{name_key, next, stays, versioned};
use crate::app::decision::{Decision, Draft};
use crate::app::operation::done;
use crate::app::quota::Share;
use crate::app::{Answer, App, Asked, Versioned};

const VERB: Action = Action::SegmentWrite;
/// As mdx gives.
const USUAL: &str = "10.15.0.0/21";
/// Fits into 1500 bytes with the headers of VXLAN (RFC 7348) over IPv4.
const USUAL_MTU: u16 = 1450;
/// Name servers or time servers that a segment has at most.
const MOST_SERVERS: usize = 8;
/// Numbers on the wire have 24 bits, and 0 is none.
const VNI_MASK: u128 = 0x00ff_ffff;
/// So many numbers are drawn before a site counts as full: half of 16 million would have to be taken for one of 2^64 to fail.
const DRAWS: usize = 64;

impl App {
    /// Makes one. The first of a project is its default one.
    pub async fn create_segment(
        &self,
        asked: &Asked,
        project: ProjectId,
        new: NewSegment,
    ) -> Result<Answer<Versioned<Segment>>, Problem> {
        sound(&new)?;
        self.decide(asked, || self.segment_creation(asked, project, &new)).await
    }

    /// Changes one.
    pub async fn change_segment(
        &self,
        asked: &Asked,
        id: SegmentId,
        patch: SegmentPatch,
    ) -> Result<Answer<Versioned<Segment>>, Problem> {
        servers("dns", patch.dns.as_deref())?;
        servers("ntp", patch.ntp.as_deref())?;
        self.decide(asked, || self.segment_change(asked, id, &patch)).await
    }

    /// Deletes one that nothing uses, with its rules. It is there as a tombstone until the site has confirmed it.
    pub async fn delete_segment(&self, asked: &Asked, id: SegmentId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.segment_deletion(asked, id)).await
    }

    async fn segment_creation(
        &self,
        asked: &Asked,
        project: ProjectId,
        new: &NewSegment,
    ) -> Result<Decision<Versioned<Segment>>, Problem> {
        let tenant = self.tenant(project).await?;
        tenant.may(asked, VERB)?;
        let (v4, v6) = ranges(new)?;
        let site = self.site_to_be_at(&tenant.project.value, &new.sites).await?;
        let v4 = self.own_range(new, (v4, v6), (project, site)).await?;
        self.segment_name_is_free(project, &new.name, None).await?;
        let mut draft = Draft::new();
        tenant.extend(&mut draft);
        let share = Share { project, site };
        let amounts = Amounts {
            segments: 1,
            ..Amounts::default()
        };
        self.take(&mut draft, share, amounts).await?;
        let so_far = self.default_segment(project).await?;
        let fits = tenant.project.value.default_site.is_none_or(|default| default == site);
        if new.default && !fits {
            return Err(self.not_at_the_default_site(&tenant.project.value, site).await?);
        }
        let default = new.default || (fits && so_far.is_none());
        let segment = Segment {
            id: SegmentId(self.draw(asked.now)),
            project,
            sites: vec![site],
            name: new.name.clone(),
            default,
            vni: self.free_vni(site, asked.now).await?,
            v4,
            v6,
            mtu: new.mtu.unwrap_or(USUAL_MTU),
            dns: new.dns.clone(),
            ntp: new.ntp.clone(),
            strict: new.strict,
            generation: Generation::default().next(),
            seen: Generation::default(),
            tombstone: false,
            created: asked.now,
        };
        draft.create(&segment);
        let mut segments = vec![segment.clone()];
        segments.extend(so_far.filter(|_| default).map(|other| not_default(&mut draft, &other)));
        self.spread(asked, &mut draft, &segments).await?;
        Ok(draft.answer(versioned(segment)))
    }

    /// A project's segments at a site have one gateway, which tells them apart by their addresses. One for which no range is asked
    /// gets the first of the usual size that is free.
    async fn own_range(
        &self,
        new: &NewSegment,
        (v4, v6): (Range, Option<Range>),
        (project, site): (ProjectId, SiteId),
    ) -> Result<Range, Problem> {
        let rows = self.every::<Segment>("project", &project.to_string()).await?;
        let there: Vec<&Segment> = rows
            .iter()
            .map(|row| &row.value)
            .filter(|row| row.site() == Some(site))
            .collect();
        let holder = |range: &Range| {
            let overlaps = |segment: &&&Segment| {
                let its = [Some(segment.v4), segment.v6];
                its.iter().flatten().any(|its| its.overlaps(range))
            };
            there.iter().find(overlaps).copied()
        };
        let taken = |field: &str, range: &Range, by: &Segment| {
            let problem = format!("`{range}` overlaps with segment `{}` of the same project", by.name);
            let problem = Problem::new(ProblemKind::Conflict, problem).field(field);
            problem.hint("ask for another range: the project's gateway tells its segments apart by their addresses")
        };
        if let Some((range, by)) = v6.and_then(|range| Some((range, holder(&range)?))) {
            return Err(taken("v6", &range, by));
        }
        match (holder(&v4), new.v4) {
            (None, _) => Ok(v4),
            (Some(by), Some(range)) => Err(taken("v4", &range, by)),
            (Some(by), None) => {
                let free = usual_ranges().find(|range| holder(range).is_none());
                free.ok_or_else(|| taken("v4", &v4, by))
            }
        }
    }

    async fn segment_change(
        &self,
        asked: &Asked,
        id: SegmentId,
        patch: &SegmentPatch,
    ) -> Result<Decision<Versioned<Segment>>, Problem> {
        let (tenant, old) = self.in_project::<Segment>(asked, VERB, id.0).await?;
        asked.unchanged(old.value.generation.0)?;
        stays(&old.value)?;
        let project = &tenant.project.value;
        if let Some(name) = &patch.name {
            self.segment_name_is_free(project.id, name, Some(id)).await?;
        }
        if patch.default == Some(false) && old.value.default {
            let problem = format!("segment `{}` is the default one of its project", old.value.name);
            let problem = Problem::new(ProblemKind::Conflict, problem).field("default");
            return Err(problem.hint("make another one the default instead"));
        }
        let becomes_default = patch.default == Some(true) && !old.value.default;
        if let Some(site) = old.value.site()
            && becomes_default
            && project.default_site.is_some_and(|default| default != site)
        {
            return Err(self.not_at_the_default_site(project, site).await?);
        }
        let was = old.value.clone();
        let patch = patch.clone();
        let new = Segment {
            name: patch.name.unwrap_or(was.name),
            default: was.default || becomes_default,
            dns: patch.dns.unwrap_or(was.dns),
            ntp: patch.ntp.unwrap_or(was.ntp),
            strict: patch.strict.unwrap_or(was.strict),
            ..was
        };
        let mut draft = Draft::new();
        if new == old.value {
            draft.expect(&old);
            return Ok(draft.answer(versioned(new)));
        }
        let new = next(&new);
        draft.change(&old, &new);
        let mut segments = vec![new.clone()];
        if becomes_default {
            // Two that become the default at once meet in the project's row.
            tenant.extend(&mut draft);
            let other = self.default_segment(project.id).await?;
            segments.extend(other.map(|other| not_default(&mut draft, &other)));
        } else {
            tenant.expect(&mut draft);
        }
        self.spread(asked, &mut draft, &segments).await?;
        Ok(draft.answer(versioned(new)))
    }

    pub(super) async fn segment_deletion(&self, asked: &Asked, id: SegmentId) -> Result<Decision<()>, Problem> {
        let (tenant, old) = self.in_project::<Segment>(asked, VERB, id.0).await?;
        asked.unchanged(old.value.generation.0)?;
        let mut draft = Draft::new();
        if old.value.tombstone {
            draft.expect(&old);
            return Ok(draft.answer(()));
        }
        self.nothing_holds(&old.value).await?;
        // Which one is the default must not change beside it, nor another one come.
        tenant.extend(&mut draft);
        for acl in self.every::<Acl>("segment", &id.to_string()).await? {
            draft.delete(&acl);
        }
        let tombstone = Segment {
            tombstone: true,
            default: false,
            ..next(&old.value)
        };
        let site = match old.value.site() {
            Some(site) => self.row::<Site>(site.0).await?,
            None => None,
        };
        if let Some(site) = site.filter(|site| site.value.gateway.is_none()) {
            // No host was ever told of it.
            draft.expect(&site);
            draft.delete(&old);
            let gone = Segment {
                seen: tombstone.generation,
                ..tombstone
            };
            self.end_operations(draft.aside(), &gone, asked.now).await?;
            draft.aside().insert(&done(asked, VERB, &gone, gone.generation.0)?);
            return Ok(draft.answer(()));
        }
        draft.bury(&old, &tombstone);
        self.spread(asked, &mut draft, &[tombstone]).await?;
        Ok(draft.answer(()))
    }

    /// Tells the gateways of segments as they will be, with an operation for each.
    pub(super) async fn spread(&self, asked: &Asked, draft: &mut Draft, segments: &[Segment]) -> Result<(), Problem> {
        let all: Vec<&Segment> = segments.iter().collect();
        let waits = self.tell_gateways(draft.aside(), &all, asked.now).await?;
        let asking = Asking::new(asked, VERB)?;
        for segment in segments {
            let operation = self.segment_operation(&asking, segment, (segment, &waits));
            draft.aside().insert(&operation);
        }
        Ok(())
    }

    /// Refuses to delete what machines, reservations and mappings hold, and the default one while there are others.
    async fn nothing_holds(&self, segment: &Segment) -> Result<(), Problem> {
        let key = segment.id.to_string();
        let leases = self.every::<Lease>("segment", &key).await?;
        let dnats = self.every::<Dnat>("segment", &key).await?;
        let held = leases.iter().find(|lease| lease.value.vm.is_some());
        let (what, hint) = match (held, leases.first(), dnats.first()) {
            (Some(lease), ..) => (
                format!("a machine with address `{}`", lease.value.address),
                "destroy the machines in it, or move their adapters to another segment",
            ),
            (_, Some(lease), _) => (
                format!("the reserved address `{}`", lease.value.address),
                "release its addresses first: `renkei lease list` shows them",
            ),
            (_, _, Some(dnat)) => (
                format!("the mapping of `{}`", dnat.value.global_ip),
                "delete its mappings first: `renkei dnat list` shows them",
            ),
            _ if segment.default => {
                let rows = self.every::<Segment>("project", &segment.project.to_string()).await?;
                let mut others = rows
                    .iter()
                    .filter(|row| row.value.id != segment.id && !row.value.tombstone);
                if others.next().is_none() {
                    return Ok(());
                }
                let problem = format!("segment `{}` is the default one of its project", segment.name);
                let problem = Problem::new(ProblemKind::Conflict, problem);
                return Err(problem.hint("make another one the default first: `renkei segment change OTHER --default`"));
            }
            _ => return Ok(()),
        };
        let problem = format!("segment `{}` still has {what}", segment.name);
        Err(Problem::new(ProblemKind::Conflict, problem).hint(hint))
    }

    async fn segment_name_is_free(
        &self,
        project: ProjectId,
        name: &Name,
        except: Option<SegmentId>,
    ) -> Result<(), Problem> {
        match self.find::<Segment>("name", &name_key(project, name)).await? {
            Some(other) if Some(other.value.id) != except => Err(crate::app::taken(SegmentId::NOUN, name.as_str())),
            _ => Ok(()),
        }
    }

    /// A number on the wire that no segment of the site has.
    async fn free_vni(&self, site: SiteId, now: Timestamp) -> Result<u32, Problem> {
        for _ in 0..DRAWS {
            let drawn = self.draw(now).as_u128() & VNI_MASK;
            let Some(vni) = u32::try_from(drawn).ok().filter(|vni| *vni > 0) else {
                continue;
            };
            if self.find::<Segment>("vni", &format!("{site}/{vni}")).await?.is_none() {
                return Ok(vni);
            }
        }
        Err(Problem::new(ProblemKind::Conflict, "the site has no network numbers left").hint("use another site"))
    }
}

/// The default one gives way.
fn not_default(draft: &mut Draft, old: &Stored<Segment>) -> Segment {
    let new = Segment {
        default: false,
        ..next(&old.value)
    };
    draft.change(old, &new);
    new
}

/// Whether a segment makes sense, whatever else there is.
fn sound(new: &NewSegment) -> Result<(), Problem> {
    ranges(new)?;
    let mtu = new.mtu.unwrap_or(USUAL_MTU);
    if !(1280..=9216).contains(&mtu) {
        let problem = Problem::new(ProblemKind::Invalid, format!("`mtu` is {mtu}")).field("mtu");
        return Err(problem.hint("1280 to 9216 bytes"));
    }
    servers("dns", Some(&new.dns))?;
    servers("ntp", Some(&new.ntp))
}

/// The ranges that are asked for.
fn ranges(new: &NewSegment) -> Result<(Range, Option<Range>), Problem> {
    let invalid = |field: &str, range: &Range, hint: &str| {
        let problem = Problem::new(ProblemKind::Invalid, format!("`{field}` is `{range}`")).field(field);
        Err(problem.hint(hint))
    };
    let v4 = match new.v4 {
        Some(v4) => v4,
        None => usual_range(),
    };
    if !v4.is_v4() || !(8..=29).contains(&v4.prefix()) {
        return invalid("v4", &v4, "a range of IPv4 from /8 to /29, such as 10.15.0.0/21");
    }
    let first = v4.address();
    let special = matches!(first, IpAddr::V4(first) if first.is_loopback() || first.is_multicast() || first.is_link_local()
        || first.octets()[0] == 0 || first.octets()[0] >= 240);
    if special {
        return invalid("v4", &v4, "addresses that hosts can have, best private ones (RFC 1918)");
    }
    let Some(v6) = new.v6 else { return Ok((v4, None)) };
    if v6.is_v4() || !(48..=120).contains(&v6.prefix()) {
        return invalid("v6", &v6, "a range of IPv6 from /48 to /120, such as fd00:15::/64");
    }
    let special = matches!(v6.address(), IpAddr::V6(first) if first.is_multicast() || first.is_unicast_link_local() || first.segments()[0] == 0);
    if special {
        return invalid(
            "v6",
            &v6,
            "addresses that hosts can have, best unique local ones (RFC 4193)",
        );
    }
    // A machine's addresses of both families have the same number.
    if 128 - v6.prefix() < 32 - v4.prefix() {
        return invalid("v6", &v6, "a range with at least as many addresses as `v4` has");
    }
    Ok((v4, Some(v6)))
}

/// All ranges of the usual size, the usual one first: those of 10.15.0.0/16, then of what is left of 10.0.0.0/8.
fn usual_ranges() -> impl Iterator<Item = Range> {
    let nets = (15_u8..=255).flat_map(|second| (0_u8..32).map(move |third| [10, second, third * 8, 0]));
    nets.filter_map(|net| Range::new(IpAddr::from(net), 21))
}

fn usual_range() -> Range {
    let usual = USUAL.parse();
    usual.unwrap_or(Range::of(IpAddr::from([10, 15, 0, 0])))
}

fn servers(field: &str, servers: Option<&[IpAddr]>) -> Result<(), Problem> {
    match servers {
        Some(servers) if servers.len() > MOST_SERVERS => {
            let problem = format!("`{field}` has more than {MOST_SERVERS} addresses");
            Err(Problem::new(ProblemKind::Invalid, problem).field(field))
        }
        _ => Ok(()),
    }
}
