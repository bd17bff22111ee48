//! Invitations to a site, and the hosts that follow them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use renkei_policy::Resource;
use renkei_store::noun::host::Invitation;
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::action::Action;
use renkei_types::event::{Doer, Event};
use renkei_types::host::{Host, HostSettings, HostState};
use renkei_types::id::{HostId, ProjectId, SiteId};
use renkei_types::join::{Invited, Join, JoinToken, Joined};
use renkei_types::name::Name;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::site::Site;
use serde_json::{Value, json};

use super::authority::{Authority, Request, broken, hex};
use super::decision::{Decision, Draft};
use super::subject::Subject;
use super::{Answer, App, Asked, Versioned};

/// How long an invitation works.
const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// Tries while others change the same rows.
const TRIES: usize = 30;

impl Subject for Invitation {
    const NOUN: &'static str = "invitation";

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        json!({"id": self.id, "site": self.site, "expires": self.expires, "used": self.used})
    }

    fn project(&self) -> Option<ProjectId> {
        None
    }
}

impl App {
    /// Where this hub takes agents: known once it listens.
    pub fn agents_at(&self, url: String) {
        // It listens once.
        let _ = self.agents_url.set(url);
    }

    fn agents_url(&self) -> Result<&str, Problem> {
        let none = || {
            Problem::new(ProblemKind::Conflict, "this hub takes no agents")
                .hint("add the table `[hub.agents]` to its configuration, or ask another hub")
        };
        self.agents_url.get().map(String::as_str).ok_or_else(none)
    }

    /// Invites one host to a site: gives the token that it has to show.
    pub async fn invite(&self, asked: &Asked, site: SiteId) -> Result<Answer<Versioned<Invited>>, Problem> {
        asked.may(Action::HostWrite, &Resource::Site(site))?;
        let token = self.join_token(asked.now).await?;
        self.decide(asked, || self.invitation(asked, site, &token)).await
    }

    async fn invitation(
        &self,
        asked: &Asked,
        site: SiteId,
        token: &JoinToken,
    ) -> Result<Decision<Versioned<Invited>>, Problem> {
        asked.may(Action::HostWrite, &Resource::Site(site))?;
        let site = self.get::<Site>(SiteId::NOUN, site.0).await?;
        let url = self.agents_url()?.to_owned();
        let invitation = Invitation {
            id: self.draw(asked.now),
            site: site.value.id,
            secret_hash: hash(token),
            expires: asked.now + LASTS,
            used: None,
            key_hash: None,
        };
        let mut draft = Draft::new();
        draft.expect(&site);
        draft.create(&invitation);
        let token = token.reveal();
        let command = format!("renkei join {url} {token}");
        Ok(draft.secret(Versioned::first(Invited {
            id: invitation.id,
            site: invitation.site,
            token,
            url,
            command,
            expires: invitation.expires,
        })))
    }

    /// Invites the computer on which the hub itself runs to the site with this name, which is made if it is not there. Nobody asks for
    /// this but whoever starts the hub: gives where to join, and the token.
    ///
    /// # Errors
    ///
    /// When this hub takes no agents, or the database cannot be written.
    pub async fn invite_own(&self, name: &Name, now: Timestamp) -> Result<(String, JoinToken), Problem> {
        let url = self.agents_url()?.to_owned();
        let token = self.join_token(now).await?;
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            let found = self.find::<Site>("name", &name.folded()).await?;
            let site = found.map_or_else(
                || own_site(&mut batch, name, self.draw(now), now),
                |found| found.value.id,
            );
            batch.insert(&Invitation {
                id: self.draw(now),
                site,
                secret_hash: hash(&token),
                expires: now + LASTS,
                used: None,
                key_hash: None,
            });
            match self.store.state.commit(batch).await {
                Ok(()) => return Ok((url, token)),
                // Another hub over the same database was first.
                Err(CommitError::Taken { .. }) => {}
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
        Err(Problem::new(ProblemKind::Unavailable, "others keep changing the same things").hint("try again"))
    }

    async fn join_token(&self, now: Timestamp) -> Result<JoinToken, Problem> {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|error| broken(&error))?;
        let ca = self.authority(now).await?.fingerprint();
        JoinToken::new(URL_SAFE_NO_PAD.encode(secret), ca).map_err(|error| broken(&error))
    }

    /// Makes whoever shows a token a host. The same key gets the same answer again, until the invitation expires.
    pub async fn join(&self, join: &Join, doer: &Doer, now: Timestamp) -> Result<Joined, Problem> {
        let token: JoinToken = join
            .token
            .parse()
            .map_err(|error| invalid("token", &error).hint("copy the whole line that `renkei site invite` prints"))?;
        let request = Request::parse(&join.csr_pem).map_err(|error| invalid("csr_pem", &error))?;
        let authority = self.authority(now).await?;
        for _ in 0..TRIES {
            let Some(invitation) = self.find::<Invitation>("secret_hash", &hash(&token)).await? else {
                return Err(refused("this token is not known to the hub"));
            };
            if invitation.value.expires <= now {
                return Err(refused("this token has expired"));
            }
            let host = match invitation.value.used {
                Some(host) => self.joined_before(host, &invitation.value, &request).await?,
                None => {
                    let (batch, host) = self.joining(join, (&invitation, &request), doer, now).await?;
                    match self.store.state.commit(batch).await {
                        Ok(()) => host,
                        // Somebody else was first: what they wrote is there already.
                        Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => continue,
                        Err(error) => return Err(crate::problem::commit(&error)),
                    }
                }
            };
            return self.joined(&host, (&authority, &request), now);
        }
        Err(Problem::new(ProblemKind::Unavailable, "others keep changing the same things").hint("try again"))
    }

    async fn joining(
        &self,
        join: &Join,
        (invitation, request): (&Stored<Invitation>, &Request),
        doer: &Doer,
        now: Timestamp,
    ) -> Result<(Batch, Host), Problem> {
        let site = self.get::<Site>(SiteId::NOUN, invitation.value.site.0).await?;
        let key = format!("{}/{}", site.value.id, join.name.folded());
        if self.find::<Host>("name", &key).await?.is_some() {
            return Err(super::taken(HostId::NOUN, &join.name.to_string()));
        }
        let host = Host {
            id: HostId(self.draw(now)),
            site: site.value.id,
            name: join.name.clone(),
            state: HostState::Ready,
            capacity: join.capacity,
            settings: HostSettings::default(),
            driver: join.driver.name.clone(),
            driver_reason: join.driver.reason.clone(),
            address: Some(join.address),
            version: String::new(),
            created: now,
        };
        let mut batch = Batch::new();
        batch.insert(&host);
        super::manifest::first(&mut batch, host.id, host.site);
        let used = Invitation {
            used: Some(host.id),
            key_hash: Some(request.key_hash()),
            ..invitation.value.clone()
        };
        batch.update(invitation, &used);
        match site.value.gateway {
            Some(_) => batch.expect(&site),
            None => {
                let gateway = Some(host.id);
                batch.update(
                    &site,
                    &Site {
                        gateway,
                        ..site.value.clone()
                    },
                );
            }
        }
        batch.append(event(&host, doer, now));
        Ok((batch, host))
    }

    /// The host that has joined with this key before.
    async fn joined_before(&self, host: HostId, invitation: &Invitation, request: &Request) -> Result<Host, Problem> {
        if invitation.key_hash.as_ref() != Some(&request.key_hash()) {
            return Err(refused("this token was used before"));
        }
        Ok(self.get::<Host>(HostId::NOUN, host.0).await?.value)
    }

    fn joined(
        &self,
        host: &Host,
        (authority, request): (&Authority, &Request),
        now: Timestamp,
    ) -> Result<Joined, Problem> {
        let certificate_pem = authority.certify((host.id, host.address), request, now);
        let url = self.agents_url()?;
        Ok(Joined {
            host: host.id,
            site: host.site,
            certificate_pem: certificate_pem.map_err(|error| broken(&error))?,
            ca_pem: authority.pem().to_owned(),
            url: format!("{}/agent/v1", url.replacen("https://", "wss://", 1)),
        })
    }
}

/// The hub makes it by itself.
fn own_site(batch: &mut Batch, name: &Name, id: uuid::Uuid, now: Timestamp) -> SiteId {
    let site = Site {
        id: SiteId(id),
        name: name.clone(),
        description: "the computer on which the hub runs".to_owned(),
        operators: Default::default(),
        gateway: None,
        recovery: None,
        created: now,
    };
    batch.insert(&site);
    batch.append(Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: "site:create".to_owned(),
        noun: SiteId::NOUN.to_owned(),
        object: id,
        object_name: name.to_string(),
        project: None,
        organization: None,
        before: None,
        after: serde_json::to_value(&site).ok(),
    });
    site.id
}

/// What is kept of a token: with 256 random bits there is nothing to guess.
fn hash(token: &JoinToken) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.secret().as_bytes());
    hex(hash.as_ref())
}

fn invalid(field: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(ProblemKind::Invalid, error.to_string()).field(field)
}

fn refused(title: &str) -> Problem {
    Problem::new(ProblemKind::Forbidden, title)
        .field("token")
        .hint("ask those who run the site for another one: `renkei site invite`")
}

/// Whoever has the token did it.
fn event(host: &Host, doer: &Doer, now: Timestamp) -> Event {
    Event {
        id: 0,
        at: now,
        by: doer.clone(),
        action: "host:join".to_owned(),
        noun: HostId::NOUN.to_owned(),
        object: host.id.0,
        object_name: host.name.to_string(),
        project: None,
        organization: None,
        before: None,
        after: serde_json::to_value(host).ok(),
    }
}
