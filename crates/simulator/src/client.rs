//! Whoever asks hubs for something, and what they remember of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use renkei_host::Verb;
use renkei_hub::app::vm::verb::Act;
use renkei_hub::app::{Answer, App, Asked, Mode, manifest};
use renkei_policy::Caller;
use renkei_policy::actor::{Actor, Credential};
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::user::Account;
use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, Store, Stored};
use renkei_types::acl::{Acl, Allowed, NewAcl};
use renkei_types::action::Scope;
use renkei_types::agent::{DiskSource, MachineIntent, Part};
use renkei_types::event::Doer;
use renkei_types::freeze::NewFreeze;
use renkei_types::host::{Host, HostPatch, HostSettings, HostState};
use renkei_types::id::{
    HostId, OrganizationId, ProjectId, QuotaId, SegmentId, SiteId, TemplateId, TokenId, UserId, VmId,
};
use renkei_types::name::{Name, UserName};
use renkei_types::network::{Ports, Protocol};
use renkei_types::operation::Generation;
use renkei_types::organization::Organization;
use renkei_types::problem::Problem;
use renkei_types::project::{Project, ProjectType};
use renkei_types::quota::Amounts;
use renkei_types::recovery::Difference;
use renkei_types::segment::{NewSegment, Segment, SegmentPatch};
use renkei_types::site::Site;
use renkei_types::template::{Template, TemplateFacts};
use renkei_types::token::TokenKind;
use renkei_types::user::User;
use renkei_types::vm::{CloneVm, NewAdapter, NewVm, Power, ServiceLevel, Size, Stop, VmPatch};
use uuid::Uuid;

use crate::dice::Dice;

const ADMIN: UserId = UserId(Uuid::from_u128(0xa));
const PROJECT: ProjectId = ProjectId(Uuid::from_u128(0xb));
pub const SITE: SiteId = SiteId(Uuid::from_u128(0xc));
const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(0xd));
const TEMPLATE: TemplateId = TemplateId(Uuid::from_u128(0xe));
const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(0xf));

const RANGE: &str = "10.15.0.0/21";

/// See the module.
#[derive(Debug)]
pub struct Client {
    dice: Dice,
    /// Machines, by the names that they were asked for with.
    names: BTreeMap<VmId, String>,
    count: u64,
    hosts: Vec<HostId>,
    /// How often each machine was asked to start anew.
    pub reboots: BTreeMap<VmId, u64>,
    /// What was written onto disks.
    pub written: BTreeMap<VmId, String>,
    /// Machines of which no hub knows.
    pub planted: Vec<(HostId, VmId)>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            dice: Dice::new(0),
            names: BTreeMap::new(),
            count: 0,
            hosts: Vec::new(),
            reboots: BTreeMap::new(),
            written: BTreeMap::new(),
            planted: Vec::new(),
        }
    }
}

impl Client {
    /// Prepares a database with a project, a site and its hosts.
    pub async fn begin(store: &Store, seed: u64, (hosts, now): (&[HostId], Timestamp)) -> Self {
        let mut batch = Batch::new();
        tenant(&mut batch, now);
        batch.insert(&Site {
            id: SITE,
            name: name("site"),
            description: String::new(),
            operators: BTreeSet::new(),
            gateway: hosts.first().copied(),
            recovery: None,
            created: now,
        });
        batch.insert(&QuotaRow {
            id: QuotaId(Uuid::from_u128(0x10)),
            called: "lab at site".to_owned(),
            project: PROJECT,
            site: SITE,
            limit: Amounts {
                vms: 9,
                vcpus: 40,
                memory_mib: 64 * 1024,
                disk_gib: 500,
                global_ips: 2,
                segments: 2,
            },
        });
        for (number, host) in hosts.iter().enumerate() {
            batch.insert(&Host {
                id: *host,
                site: SITE,
                name: name(&format!("host{number}")),
                state: HostState::Ready,
                capacity: crate::host::CAPACITY,
                settings: HostSettings::default(),
                driver: "fake".to_owned(),
                driver_reason: String::new(),
                version: String::new(),
                address: None,
                created: now,
            });
            manifest::first(&mut batch, *host, SITE);
        }
        // The simulated database has not begun to fail.
        let _ = store.state.commit(batch).await;
        Self {
            dice: Dice::new(seed),
            hosts: hosts.to_vec(),
            ..Self::default()
        }
    }

    /// Asks for something; gives what, and what came of it.
    pub async fn ask(&mut self, app: &App, now: Timestamp) -> String {
        let asked = asked(now);
        let vms = self.known(app).await;
        let vm = self.dice.pick(&vms).cloned();
        let Some(vm) = vm.filter(|_| !self.dice.chance(250)) else {
            return self.deploy(app, &asked).await;
        };
        let (id, called) = (vm.value.vm.id, self.called(vm.value.vm.id));
        let act = match self.dice.below(21) {
            0..=2 => Act::PowerOn(None),
            3 => Act::PowerOn(Some(self.level())),
            4 | 5 => Act::Shutdown,
            6 => Act::PowerOff,
            7 | 8 => {
                // It may be done even if the answer says that it is not known.
                *self.reboots.entry(id).or_default() += 1;
                Act::Reboot
            }
            9 => Act::Suspend,
            10 => Act::Resume,
            11 => Act::Destroy,
            12 => return self.reconfigure(app, &asked, id).await,
            13 => return self.clone_of(app, &asked, id).await,
            14 => return self.cancel(app, &asked, &vm.value).await,
            15..=17 => return self.network(app, &asked).await,
            18 => return self.freeze(app, &asked, &vm.value).await,
            _ => return self.operate(app).await,
        };
        let told = app.act(&asked, id, act).await;
        format!("{} of {called}: {}", act.verb().as_str(), outcome(&told))
    }

    async fn deploy(&mut self, app: &App, asked: &Asked) -> String {
        self.count += 1;
        let count = self.count;
        let names = match self.dice.below(4) {
            0 => format!("vm{count}-[1-3]"),
            _ => format!("vm{count}"),
        };
        let new = NewVm {
            project: PROJECT,
            name: names.clone(),
            template: TEMPLATE,
            size: Some(self.size()),
            disk_gib: None,
            adapters: vec![NewAdapter {
                segment: SEGMENT,
                address: None,
            }],
            key: String::new(),
            user_data: None,
            service_level: self.level(),
            power_on: !self.dice.chance(200),
            storage_network: None,
        };
        let told = app.deploy(asked, new).await;
        format!("deploy {names}: {}", outcome(&told))
    }

    async fn reconfigure(&mut self, app: &App, asked: &Asked, id: VmId) -> String {
        let patch = VmPatch {
            size: Some(self.size()),
            ..VmPatch::default()
        };
        let told = app.change_vm(asked, id, patch).await;
        format!("reconfigure {}: {}", self.called(id), outcome(&told))
    }

    async fn clone_of(&mut self, app: &App, asked: &Asked, id: VmId) -> String {
        self.count += 1;
        let new = CloneVm {
            name: format!("vm{}", self.count),
            size: None,
            adapters: None,
            service_level: None,
        };
        let what = format!("clone {} as {}", self.called(id), new.name);
        let told = app.clone_vm(asked, id, new).await;
        format!("{what}: {}", outcome(&told))
    }

    async fn cancel(&self, app: &App, asked: &Asked, row: &VmRow) -> String {
        let Some(open) = row.vm.operation else {
            return "nothing to cancel".to_owned();
        };
        let told = app.cancel_operation(asked, open).await;
        format!("cancel what is open of {}: {}", self.called(row.vm.id), outcome(&told))
    }

    /// Something about networks and what may enter them.
    async fn network(&mut self, app: &App, asked: &Asked) -> String {
        self.count += 1;
        let segments = app.store.state.all::<Segment>(None, 100).await.unwrap_or_default();
        let segment = self.dice.pick(&segments).map(|segment| segment.value.clone());
        let Some(segment) = segment else {
            return "no networks".to_owned();
        };
        let (id, called) = (segment.id, segment.name.to_string());
        match self.dice.below(6) {
            0 => {
                let new = NewSegment {
                    name: name(&format!("net{}", self.count)),
                    sites: Vec::new(),
                    default: false,
                    v4: "10.16.0.0/24".parse().ok(),
                    v6: None,
                    mtu: None,
                    dns: Vec::new(),
                    ntp: Vec::new(),
                    strict: false,
                };
                let told = app.create_segment(asked, PROJECT, new).await;
                format!("make net{}: {}", self.count, outcome(&told))
            }
            1 => {
                let patch = SegmentPatch {
                    strict: Some(!segment.strict),
                    ..SegmentPatch::default()
                };
                let told = app.change_segment(asked, id, patch).await;
                format!("change {called}: {}", outcome(&told))
            }
            2 => format!("delete {called}: {}", outcome(&app.delete_segment(asked, id).await)),
            3 | 4 => {
                let new = NewAcl {
                    allowed: Allowed {
                        protocol: Protocol::Tcp,
                        source: "0.0.0.0/0".parse().expect("a range"),
                        source_ports: Ports::default(),
                        destination: segment.v4,
                        destination_ports: Ports::default(),
                    },
                    note: String::new(),
                    expires: None,
                };
                let told = app.create_acl(asked, id, new).await;
                format!("let something into {called}: {}", outcome(&told))
            }
            _ => {
                let rules = app.store.state.all::<Acl>(None, 100).await.unwrap_or_default();
                let Some(rule) = self.dice.pick(&rules) else {
                    return "no rules".to_owned();
                };
                let told = app.delete_acl(asked, rule.value.id).await;
                format!("delete a rule: {}", outcome(&told))
            }
        }
    }

    /// The security team freezes a machine, or lets it be.
    async fn freeze(&self, app: &App, asked: &Asked, row: &VmRow) -> String {
        let freeze = row.vm.freeze.is_none().then(|| NewFreeze {
            reason: "it sends too much".to_owned(),
            until: None,
        });
        let what = if freeze.is_some() { "freeze" } else { "unfreeze" };
        let told = app.freeze_vm(asked, row.vm.id, freeze).await;
        format!("{what} {}: {}", self.called(row.vm.id), outcome(&told))
    }

    /// An operator says that a host is off for good.
    pub async fn fence(app: &App, host: HostId, now: Timestamp) -> String {
        let patch = HostPatch {
            state: Some(HostState::Fenced),
            ..HostPatch::default()
        };
        outcome(&app.change_host(&asked(now), host, patch).await)
    }

    /// An operator's work on a host.
    async fn operate(&mut self, app: &App) -> String {
        let Some(host) = self.dice.pick(&self.hosts).copied() else {
            return String::new();
        };
        let states = [
            HostState::Ready,
            HostState::Ready,
            HostState::Draining,
            HostState::Disabled,
        ];
        let state = self.dice.pick(&states).copied().unwrap_or(HostState::Ready);
        let told = set_state(app, host, state).await;
        format!("host {}: {state}: {told}", host.0.as_u128())
    }

    /// Every host takes machines again.
    pub async fn open_hosts(&self, app: &App) {
        for host in self.hosts.iter().copied() {
            // It is asked again at the next look.
            set_state(app, host, HostState::Ready).await;
        }
    }

    /// An administrator looks at what differs, and lets the site go on. Gives the difference if it does.
    pub async fn recovered(&self, app: &App, now: Timestamp) -> (String, Option<Difference>) {
        let difference = app.difference(&asked(now), SITE).await.ok();
        let told = app.recovered(&asked(now), SITE).await;
        (outcome(&told), difference.filter(|_| told.is_ok()))
    }

    /// Machines as they are known, and their names noted.
    async fn known(&mut self, app: &App) -> Vec<Stored<VmRow>> {
        let vms = app.store.state.all::<VmRow>(None, 500).await.unwrap_or_default();
        for vm in &vms {
            self.names.insert(vm.value.vm.id, vm.value.vm.name.to_string());
        }
        vms
    }

    /// What a machine is called.
    pub fn called(&self, vm: VmId) -> String {
        self.names
            .get(&vm)
            .cloned()
            .unwrap_or_else(|| format!("{:.8}", vm.0.simple()))
    }

    /// The name of some machine.
    pub fn some_name(&self, dice: &mut Dice) -> Option<String> {
        let names: Vec<&String> = self.names.values().collect();
        dice.pick(&names).map(|name| (*name).clone())
    }

    /// A step was begun with a machine.
    pub fn stepped(&mut self, vm: VmId, verb: Verb) {
        // A disk that is made anew, by order, has nothing on it any more.
        if matches!(verb, Verb::Destroy) {
            self.written.remove(&vm);
        }
    }

    /// The database was set back: what was written after the copy was made may belong to machines of which nobody knows.
    pub fn set_back(&mut self) {
        self.written.clear();
    }

    /// What makes a machine of which no hub knows.
    pub fn plant(&mut self, dice: &mut Dice) -> MachineIntent {
        let number = dice.below(u64::MAX);
        MachineIntent {
            id: VmId(Uuid::from_u128(u128::from(number) << 64 | 0xfeed)),
            generation: Generation(1 + number % 5),
            part: Part::Run,
            make: true,
            project: PROJECT,
            name: format!("planted-{number:x}"),
            power: Power::On,
            stop: Stop::Shutdown,
            reboots: 0,
            resets: 0,
            vcpus: 1,
            memory_mib: 512,
            disks: vec![renkei_types::vm::Disk { number: 1, gib: 1 }],
            adapters: Vec::new(),
            source: DiskSource::Template {
                name: "none".to_owned(),
                image: None,
            },
            key: String::new(),
            user_data: None,
            save: None,
        }
    }

    fn size(&mut self) -> Size {
        let vcpus = 1 + u32::try_from(self.dice.below(6)).unwrap_or(0);
        Size::Custom {
            vcpus,
            memory_mib: 512 * u64::from(vcpus),
        }
    }

    fn level(&mut self) -> ServiceLevel {
        match self.dice.chance(300) {
            true => ServiceLevel::Guarantee,
            false => ServiceLevel::Spot,
        }
    }
}

fn tenant(batch: &mut Batch, now: Timestamp) {
    batch.insert(&Organization {
        id: ORGANIZATION,
        name: name("university"),
        description: String::new(),
        created: now,
        freeze: None,
    });
    batch.insert(&Account {
        user: User {
            id: ADMIN,
            name: user(),
            full_name: String::new(),
            email: String::new(),
            administrator: true,
            enabled: true,
            created: now,
            freeze: None,
        },
        password: None,
        must_change: false,
        token_epoch: 0,
    });
    batch.insert(&project(now));
    batch.insert(&segment(now));
    batch.insert(&Template {
        id: TEMPLATE,
        name: name("plain"),
        template_name: name("plain"),
        project: None,
        image: None,
        facts: TemplateFacts::default(),
        created: now,
    });
}

fn asked(now: Timestamp) -> Asked {
    let actor = Actor {
        user: ADMIN,
        name: user(),
        administrator: true,
        freeze: None,
        memberships: BTreeMap::new(),
        operates: BTreeSet::new(),
        credential: Credential {
            token: TokenId(Uuid::nil()),
            kind: TokenKind::Session,
            scopes: BTreeSet::from([Scope::everything()]),
            project: None,
            expires: Timestamp::MAX,
            freeze: None,
        },
    };
    Asked {
        caller: Caller::Known(Box::new(actor)),
        doer: Doer::default(),
        now,
        mode: Mode::Apply,
        seen: None,
        once: None,
    }
}

fn outcome<T>(told: &Result<Answer<T>, Problem>) -> String {
    match told {
        Ok(_) => "yes".to_owned(),
        Err(problem) => problem.title.clone(),
    }
}

fn project(now: Timestamp) -> Project {
    Project {
        id: PROJECT,
        organization: ORGANIZATION,
        name: name("lab"),
        description: String::new(),
        kind: ProjectType::default(),
        contact: String::new(),
        institution: String::new(),
        default_site: Some(SITE),
        created: now,
        expires: None,
        freeze: None,
    }
}

fn segment(now: Timestamp) -> Segment {
    Segment {
        id: SEGMENT,
        project: PROJECT,
        sites: vec![SITE],
        name: name("net"),
        default: true,
        vni: 7,
        v4: RANGE.parse().expect("a range"),
        v6: None,
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        generation: Generation(1),
        seen: Generation(1),
        tombstone: false,
        created: now,
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a plain name")
}

fn user() -> UserName {
    "admin".parse().expect("a plain name")
}

/// An operator says what a host is to be.
async fn set_state(app: &App, host: HostId, state: HostState) -> String {
    let Ok(Some(old)) = app.store.state.get::<Host>(host.0).await else {
        return "no".to_owned();
    };
    let mut batch = Batch::new();
    let new = Host {
        state,
        ..old.value.clone()
    };
    if new != old.value {
        batch.update(&old, &new);
    }
    match app.store.state.commit(batch).await {
        Ok(()) => "yes".to_owned(),
        Err(error) => error.to_string(),
    }
}
