//! A hub with people in it: one of each kind, as the table of rights knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use renkei_policy::password::PasswordHash;
use renkei_policy::secret::Secret;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::token::Credential;
use renkei_store::noun::user::Account;
use renkei_store::{Batch, Store};
use renkei_types::event::{Doer, Event};
use renkei_types::freeze::Freeze;
use renkei_types::id::{
    HostId, ImageId, MemberId, OperationId, OrganizationId, PresetId, ProjectId, QuotaId, SiteId, TemplateId, TokenId,
    UserId, VmId,
};
use renkei_types::image::{Image, ImageState};
use renkei_types::member::Member;
use renkei_types::operation::{Generation, Object, Operation, OperationState};
use renkei_types::organization::Organization;
use renkei_types::preset::Preset;
use renkei_types::project::Project;
use renkei_types::quota::Amounts;
use renkei_types::role::Role;
use renkei_types::site::Site;
use renkei_types::template::Template;
use renkei_types::token::{Token, TokenKind};
use renkei_types::user::User;
use renkei_types::vm::Power;
use uuid::Uuid;

use crate::client::Client;
use crate::hosts;
use crate::hub::Running;
use crate::machines::{Machines, Place};
use crate::networks::Networks;

/// The password of `member`.
pub const PASSWORD: &str = "nine gates of rain";

/// See the module. Organization `university` has project `lab`, in which are `reader`, `member`, `operator`, `owner` and
/// `frozen`; `stranger` owns `elsewhere` in another organization; `warden` runs site `kashiwa`, where `lab` has a quota;
/// `admin` is administrator.
pub struct World {
    pub running: Running,
    pub organization: OrganizationId,
    pub project: ProjectId,
    pub site: SiteId,
    pub operation: OperationId,
    /// A host of `kashiwa`.
    pub host: HostId,
    /// A machine of `lab` on it that nobody knows of.
    pub unknown: VmId,
    /// A template of `lab`.
    pub template: TemplateId,
    /// An image of `lab` that no template needs.
    pub image: ImageId,
    pub preset: PresetId,
    /// Only there for those who ask for them with [`World::with_networks`].
    pub networks: Networks,
    /// Only there for those who ask for them with [`World::with_machine`].
    pub machines: Machines,
    /// A token of `member`, for a program.
    pub token: TokenId,
    pub users: BTreeMap<&'static str, UserId>,
    secrets: BTreeMap<&'static str, String>,
}

impl World {
    pub async fn new(running: Running) -> Self {
        let mut batch = Batch::new();
        let mut world = Self {
            running,
            organization: OrganizationId(Uuid::now_v7()),
            project: ProjectId(Uuid::now_v7()),
            site: SiteId(Uuid::now_v7()),
            operation: OperationId(Uuid::now_v7()),
            host: HostId(Uuid::now_v7()),
            unknown: VmId(Uuid::now_v7()),
            template: TemplateId(Uuid::now_v7()),
            image: ImageId(Uuid::now_v7()),
            preset: PresetId(Uuid::now_v7()),
            networks: Networks::new(),
            machines: Machines::new(),
            token: TokenId(Uuid::now_v7()),
            users: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        world.people(&mut batch);
        world.places(&mut batch);
        hosts::write(&world, &mut batch);
        world.catalog(&mut batch);
        world.happenings(&mut batch);
        world.store().state.commit(batch).await.unwrap();
        world
    }

    /// Also with what `lab` has of networks.
    pub async fn with_networks(running: Running) -> Self {
        let world = Self::new(running).await;
        let mut batch = Batch::new();
        world.networks.insert(&mut batch, (world.project, world.site));
        world.store().state.commit(batch).await.unwrap();
        world
    }

    /// Also with a machine, which runs or does not, and with room in the quota for more.
    pub async fn with_machine(running: Running, power: Power) -> Self {
        let world = Self::with_networks(running).await;
        let place = Place {
            project: world.project,
            site: world.site,
            segment: world.networks.segment,
            template: world.template,
        };
        let state = &world.store().state;
        let quota = state.all::<QuotaRow>(None, 1).await.unwrap().pop().unwrap();
        let limit = Amounts {
            vcpus: 100,
            memory_mib: 1 << 20,
            disk_gib: 10_000,
            ..quota.value.limit
        };
        let mut batch = Batch::new();
        let more = QuotaRow {
            limit,
            ..quota.value.clone()
        };
        batch.update(&quota, &more);
        world.machines.insert(&mut batch, &place, power);
        state.commit(batch).await.unwrap();
        world
    }

    pub fn store(&self) -> &Store {
        &self.running.hub.app.store
    }

    /// Somebody, with a token.
    pub fn by(&self, who: &str) -> Client {
        let client = self.running.client();
        match self.secrets.get(who) {
            Some(secret) => client.token(secret),
            None => client,
        }
    }

    pub fn secret(&self, who: &str) -> &str {
        &self.secrets[who]
    }

    pub fn user(&self, who: &str) -> UserId {
        self.users[who]
    }

    /// A path with its parameters filled in.
    pub fn path(&self, template: &str) -> String {
        let mut path = template.to_owned();
        for name in ["id", "site", "user", "name", "address", "vm"] {
            path = path.replace(&format!("{{{name}}}"), &self.parameter(template, name));
        }
        path
    }

    /// What stands for a parameter in a path: `lab`, its quota at `kashiwa`, or `member` and a token of `member`.
    pub fn parameter(&self, template: &str, name: &str) -> String {
        match (name, template.split('/').nth(3)) {
            ("site", _) | ("id", Some("sites")) => self.site.to_string(),
            ("user", _) | ("id", Some("users")) => self.user("member").to_string(),
            ("name", _) => "member".to_owned(),
            ("id", Some("organizations")) => self.organization.to_string(),
            ("id", Some("projects")) => self.project.to_string(),
            ("id", Some("tokens")) => self.token.to_string(),
            ("id", Some("operations")) => self.operation.to_string(),
            ("id", Some("hosts")) => self.host.to_string(),
            ("vm", Some("hosts")) => self.unknown.to_string(),
            ("id", Some("templates")) => self.template.to_string(),
            ("id", Some("images")) => self.image.to_string(),
            ("id", Some("presets")) => self.preset.to_string(),
            ("id", Some("vms")) => self.machines.vm.to_string(),
            ("id", Some("segments")) => self.networks.segment.to_string(),
            ("id", Some("leases")) => self.networks.lease.to_string(),
            ("id", Some("acls")) => self.networks.acl.to_string(),
            ("id", Some("dnats")) => self.networks.dnat.to_string(),
            ("id", Some("global-ips")) => self.networks.free.to_string(),
            ("address", _) => self.networks.taken.to_string(),
            _ => String::new(),
        }
    }

    fn people(&mut self, batch: &mut Batch) {
        for who in [
            "stranger", "reader", "member", "operator", "owner", "warden", "admin", "frozen",
        ] {
            let id = UserId(Uuid::now_v7());
            let mut user = user(id, who);
            user.administrator = who == "admin";
            user.freeze = (who == "frozen").then(|| frozen(id));
            batch.insert(&Account {
                user,
                password: (who == "member").then(password_hash),
                must_change: false,
                token_epoch: 0,
            });
            self.users.insert(who, id);
            let (token, secret) = credential(id, TokenKind::Session);
            self.secrets.insert(who, secret);
            batch.insert(&token);
        }
        let (mut expired, secret) = credential(self.user("owner"), TokenKind::Api);
        expired.token.expires = Timestamp::now() - SignedDuration::from_secs(1);
        self.secrets.insert("expired", secret);
        batch.insert(&expired);
        let (_, secret) = credential(self.user("owner"), TokenKind::Api);
        self.secrets.insert("revoked", secret);
        let (mut program, _) = credential(self.user("member"), TokenKind::Api);
        program.token.id = self.token;
        batch.insert(&program);
    }

    fn places(&self, batch: &mut Batch) {
        let elsewhere = OrganizationId(Uuid::now_v7());
        batch.insert(&organization(self.organization, "university"));
        batch.insert(&organization(elsewhere, "institute"));
        let other = project(ProjectId(Uuid::now_v7()), elsewhere, "elsewhere");
        batch.insert(&project(self.project, self.organization, "lab"));
        batch.insert(&other);
        let seats = [
            ("reader", Role::Reader),
            ("member", Role::Member),
            ("operator", Role::Operator),
            ("owner", Role::Owner),
            ("frozen", Role::Owner),
        ];
        for (who, role) in seats {
            batch.insert(&self.seat(self.project, who, role));
        }
        batch.insert(&self.seat(other.id, "stranger", Role::Owner));
        batch.insert(&Site {
            id: self.site,
            name: "kashiwa".parse().unwrap(),
            description: String::new(),
            operators: [self.user("warden")].into(),
            gateway: None,
            recovery: None,
            created: Timestamp::now(),
        });
        let limit = Amounts {
            vms: 4,
            segments: 4,
            global_ips: 4,
            ..Amounts::default()
        };
        batch.insert(&QuotaRow {
            called: "lab at kashiwa".to_owned(),
            id: QuotaId(Uuid::now_v7()),
            project: self.project,
            site: self.site,
            limit,
        });
    }

    fn catalog(&self, batch: &mut Batch) {
        batch.insert(&Template {
            id: self.template,
            name: "Own (lab)".parse().unwrap(),
            template_name: "lab-own".parse().unwrap(),
            project: Some(self.project),
            image: None,
            facts: Default::default(),
            created: Timestamp::now(),
        });
        batch.insert(&Image {
            id: self.image,
            name: "saved".parse().unwrap(),
            project: self.project,
            site: self.site,
            state: ImageState::Ready,
            vm: VmId(Uuid::now_v7()),
            digest: None,
            disk_gib: 40,
            created: Timestamp::now(),
        });
        batch.insert(&Preset {
            id: self.preset,
            name: "small".parse().unwrap(),
            description: String::new(),
            vcpus: 1,
            memory_mib: 2048,
            created: Timestamp::now(),
        });
    }

    fn happenings(&self, batch: &mut Batch) {
        batch.insert(&Operation {
            id: self.operation,
            verb: "project:create".to_owned(),
            object: Object {
                noun: "project".to_owned(),
                id: self.project.0,
                name: "lab".to_owned(),
            },
            project: Some(self.project),
            by: Some(self.user("owner")),
            generation: Generation(1),
            through: None,
            state: OperationState::Done,
            progress: 100,
            waiting: None,
            error: None,
            created: Timestamp::now(),
            deadline: None,
            ended: Some(Timestamp::now()),
        });
        batch.append(Event {
            id: 0,
            at: Timestamp::now(),
            by: Doer::default(),
            action: "project:create".to_owned(),
            noun: "project".to_owned(),
            object: self.project.0,
            object_name: "lab".to_owned(),
            project: Some(self.project),
            organization: Some(self.organization),
            before: None,
            after: None,
        });
    }

    fn seat(&self, project: ProjectId, who: &str, role: Role) -> Member {
        Member {
            id: MemberId(Uuid::now_v7()),
            project,
            user: self.user(who),
            user_name: who.parse().unwrap(),
            role,
            created: Timestamp::now(),
        }
    }
}

pub fn project(id: ProjectId, organization: OrganizationId, name: &str) -> Project {
    Project {
        id,
        organization,
        name: name.parse().unwrap(),
        kind: Default::default(),
        description: String::new(),
        contact: String::new(),
        institution: String::new(),
        expires: None,
        default_site: None,
        created: Timestamp::now(),
        freeze: None,
    }
}

pub fn user(id: UserId, name: &str) -> User {
    User {
        id,
        name: name.parse().unwrap(),
        full_name: String::new(),
        email: String::new(),
        administrator: false,
        enabled: true,
        created: Timestamp::now(),
        freeze: None,
    }
}

/// A token with its secret.
pub fn credential(user: UserId, kind: TokenKind) -> (Credential, String) {
    let secret = Secret::generate().unwrap();
    let hash = secret.hash();
    let hash: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let token = Token {
        id: TokenId(Uuid::now_v7()),
        user,
        name: "a token".parse().unwrap(),
        kind,
        scopes: BTreeSet::from(["*".parse().unwrap()]),
        project: None,
        created: Timestamp::now(),
        expires: Timestamp::now() + SignedDuration::from_hours(1),
        last_used: None,
        freeze: None,
    };
    let credential = Credential {
        token,
        secret_hash: hash,
    };
    (credential, secret.reveal())
}

fn organization(id: OrganizationId, name: &str) -> Organization {
    Organization {
        id,
        name: name.parse().unwrap(),
        description: String::new(),
        created: Timestamp::now(),
        freeze: None,
    }
}

fn frozen(by: UserId) -> Freeze {
    Freeze {
        reason: "an incident".to_owned(),
        by,
        since: Timestamp::now(),
        until: None,
    }
}

/// Made once: it takes time on purpose.
fn password_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| PasswordHash::new(PASSWORD).unwrap().to_phc())
        .clone()
}
