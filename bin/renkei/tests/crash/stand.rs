//! Hubs over one database and the agent of one host, each a process that can be killed and started anew. The agent finds any of the
//! hubs behind one address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renkei_testkit::port::ReservedPort;
use renkei_testkit::process::run;
use renkei_testkit::renkei::{Outcome, Renkei, Running};
use renkei_testkit::{TcpProxy, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{Api, PATIENCE, Question};
use crate::reality::Reality;

/// How much of a process's log a failed test shows, lines.
const SHOWN: usize = 40;

/// The folder in which a disk of a hub's own is mounted.
const DISK: &str = "disk";
/// As the Debian package `faketime` has it: `clock_gettime` of the process and its threads is another one.
const OTHER_CLOCK: &str = "/usr/lib/*/faketime/libfaketimeMT.so.1";

/// See the module.
pub struct Stand {
    pub api: Api,
    pub ids: Ids,
    // Processes end before what they use is removed.
    pub hubs: Vec<Role>,
    pub agent: Role,
    /// Stands between the agent and the hubs.
    pub front: TcpProxy,
    renkei: Arc<Renkei>,
    folder: TempDir,
    _ports: Vec<Ports>,
}

/// What everything in these tests belongs to.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub site: String,
    pub project: String,
    pub segment: String,
    pub template: String,
}

/// Where a hub listens.
struct Ports {
    api: ReservedPort,
    agents: ReservedPort,
}

/// What a stand is made of.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many hubs.
    pub hubs: usize,
    /// Over this database; a file in the stand's folder without one.
    pub database: Option<String>,
    /// The file is on a disk of this size, bytes, that only the hub's process has.
    pub disk: Option<u64>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            hubs: 1,
            database: None,
            disk: None,
        }
    }
}

impl Stand {
    /// Starts so many hubs over a database (a file in the stand's folder without one), and what [`Stand::with`] says.
    pub fn start(hubs: usize, database: Option<&str>) -> Self {
        Self::with(&Setting {
            hubs,
            database: database.map(str::to_owned),
            disk: None,
        })
    }

    /// Starts hubs, makes a site, a project and a host, and starts the host's agent.
    pub fn with(setting: &Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let renkei = Arc::new(Renkei::built().unwrap());
        let ports: Vec<Ports> = (0..setting.hubs).map(|_| Ports::take()).collect();
        let front = TcpProxy::before(ports.iter().map(Ports::of_agents).collect()).unwrap();
        let place = folder.path().join(DISK);
        std::fs::create_dir(&place).unwrap();
        let home = setting.disk.map_or(folder.path(), |_| &place);
        let own = format!("sqlite:{}", home.join("hub.sqlite").display());
        make_key(&folder.path().join("master.key"));
        let hub = |(number, ports): (usize, &Ports)| {
            let config = folder.path().join(format!("hub-{number}.toml"));
            let text = ports.config(setting.database.as_deref().unwrap_or(&own), &front, folder.path());
            std::fs::write(&config, text).unwrap();
            let role = Role::new(&format!("hub {number}"), "taking agents at ", &renkei, config);
            setting.disk.into_iter().for_each(|bytes| role.on_a_disk(&place, bytes));
            role
        };
        let hubs: Vec<Role> = ports.iter().enumerate().map(hub).collect();
        hubs.iter().for_each(Role::start);
        let told: String = hubs.iter().map(Role::stdout).collect();
        let (_, password) = told.split_once("one-time password: ").expect("a password");
        let password = password.lines().next().unwrap();
        let listen = ports.iter().map(Ports::of_api).collect();
        let api = Api::administrator(listen, password);
        let ids = make_tenant(&api);
        let config = folder.path().join("site.toml");
        let site = folder.path().join("site");
        std::fs::write(
            &config,
            format!("[site]\ndata = \"{}\"\ndriver = \"fake\"\n", site.display()),
        )
        .unwrap();
        let stand = Self {
            agent: Role::new("agent", "driver fake", &renkei, config),
            api,
            ids,
            hubs,
            front,
            renkei,
            folder,
            _ports: ports,
        };
        stand.join();
        stand.agent.start();
        stand
    }

    /// The agent's folder.
    pub fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// The file with the configuration of the first hub.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("hub-0.toml")
    }

    /// Where the disk of the hub's process is, if it has one of its own.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join(DISK)
    }

    /// The status of `/healthz` or `/readyz`.
    pub fn health(&self, path: &str) -> u16 {
        let reply = self.api.try_once(&Question::health(path));
        reply.unwrap_or_else(|error| panic!("{path}: {error}")).status
    }

    /// What there really is.
    pub fn reality(&self) -> Reality {
        Reality::of(&self.site())
    }

    /// The program with these words, on this machine.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.renkei.command();
        command.args(words);
        command.env("RENKEI_HUB", format!("http://{}", self.api.hub()));
        command.env("RENKEI_TOKEN", self.api.token());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str]) -> Outcome {
        Running::start(self.command(words)).unwrap().finish().unwrap()
    }

    /// What it prints when it succeeds.
    pub fn told(&self, words: &[&str]) -> String {
        let outcome = self.run(words);
        assert_eq!(outcome.code(), Some(0), "{words:?}: {}", outcome.text());
        outcome.stdout
    }

    /// The one JSON value that it prints.
    pub fn json(&self, words: &[&str]) -> Value {
        let told = self.told(&[words, &["--json"]].concat());
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{words:?}: {error}: {told}"))
    }

    /// Waits until this is so of what stands at a path.
    pub fn wait_for(&self, what: &str, path: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let waited = wait::until_some(what, PATIENCE, || {
            last = self.api.get(path);
            condition(&last).then(|| last.clone())
        });
        waited.unwrap_or_else(|error| panic!("{error}: {path}: {last}"))
    }

    fn join(&self) {
        let site = self.site();
        std::fs::create_dir(&site).unwrap();
        close(&site);
        self.reality().make(&self.ids.project);
        let invited = Question::verb(format!("sites/{}/invitations", self.ids.site));
        let invited = self.api.done(&invited);
        let word = |name: &str| invited[name].as_str().unwrap().to_owned();
        let site = site.to_str().unwrap();
        self.told(&["join", &word("url"), &word("token"), "--name", "node-1", "--data", site]);
    }
}

impl Ports {
    fn take() -> Self {
        Self {
            api: ReservedPort::take().unwrap(),
            agents: ReservedPort::take().unwrap(),
        }
    }

    fn of_api(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.api.number()).into()
    }

    fn of_agents(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.agents.number()).into()
    }

    fn config(&self, database: &str, front: &TcpProxy, folder: &Path) -> String {
        format!(
            "[hub]\nlisten = \"{}\"\ndatabase = \"{database}\"\nmaster_key = \"{}/master.key\"\n\
             [hub.agents]\nlisten = \"{}\"\nurl = \"https://{}\"\n",
            self.of_api(),
            folder.display(),
            self.of_agents(),
            front.address(),
        )
    }
}

fn close(folder: &Path) {
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder, closed).unwrap();
}

/// As docs/operators/renkei.toml says.
fn make_key(path: &Path) {
    let words = format!("umask 077; head -c 32 /dev/urandom | base64 > '{}'", path.display());
    run(Command::new("sh").args(["-c", &words])).unwrap();
}

fn make_tenant(api: &Api) -> Ids {
    let id = |question: &Question| api.done(question)["id"].as_str().unwrap().to_owned();
    let me = &api.get("whoami")["user"]["id"];
    let organization = id(&Question::post("organizations", json!({"name": "cs"})));
    let site = id(&Question::post("sites", json!({"name": "osaka"})));
    let project = json!({"organization": organization, "name": "web", "default_site": site, "owner": me});
    let project = id(&Question::post("projects", project));
    let limit = json!({
        "vms": 60, "vcpus": 240, "memory_mib": 200_000, "disk_gib": 5000, "global_ips": 8, "segments": 20,
    });
    api.done(&Question::put(
        format!("projects/{project}/quotas/{site}"),
        json!({"limit": limit}),
    ));
    let segment = json!({"name": "default", "v4": "10.15.0.0/24"});
    let segment = id(&Question::post(format!("projects/{project}/segments"), segment));
    let template = api.list("templates")[0]["id"].as_str().unwrap().to_owned();
    Ids {
        site,
        project,
        segment,
        template,
    }
}

/// A process that serves, again and again.
pub struct Role {
    pub name: String,
    /// It has said this once it serves.
    ready: &'static str,
    renkei: Arc<Renkei>,
    config: PathBuf,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    running: Option<Running>,
    /// What those before it have said.
    log: String,
    /// What starts it: the words before its own.
    wrapper: Vec<String>,
}

impl Role {
    fn new(name: &str, ready: &'static str, renkei: &Arc<Renkei>, config: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            ready,
            renkei: renkei.clone(),
            config,
            life: Mutex::default(),
        }
    }

    /// From the next start on it has a disk of its own at `place`, gone with it.
    fn on_a_disk(&self, place: &Path, bytes: u64) {
        let words = "mount -t tmpfs -o mode=700,size=\"$0\" none \"$1\" && shift && exec \"$@\"";
        let place = place.display().to_string();
        let wrapper = ["unshare", "--mount", "sh", "-c", words, &bytes.to_string(), &place];
        self.life().wrapper = wrapper.map(str::to_owned).into();
    }

    /// From the next start on its clock is so many seconds off; as it is without.
    pub fn by_clock(&self, off: Option<&str>) {
        let words = format!(
            "exec env LD_PRELOAD=\"$(ls {OTHER_CLOCK})\" FAKETIME=\"$0\" FAKETIME_DONT_FAKE_MONOTONIC=1 \"$@\""
        );
        let wrapper = off.map(|off| ["sh", "-c", &words, off].map(str::to_owned).into());
        self.life().wrapper = wrapper.unwrap_or_default();
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.life().running.as_ref().expect("it runs").pid()
    }

    /// Starts it, and waits until it serves.
    pub fn start(&self) {
        self.begin();
        let serves = wait::until_some("it to serve", PATIENCE, || {
            let mut life = self.life();
            let running = life.running.as_mut().expect("it was started");
            match running.stdout().contains(self.ready) {
                true => Some(true),
                false => running.has_ended().then_some(false),
            }
        });
        assert!(serves.unwrap(), "{} does not serve:\n{}", self.name, self.log());
    }

    /// Starts it.
    pub fn begin(&self) {
        let mut life = self.life();
        assert!(life.running.is_none(), "{} runs already", self.name);
        let mut words = life.wrapper.clone();
        words.push(self.renkei.program().display().to_string());
        let mut command = self.renkei.prepare(Command::new(&words[0]));
        command.args(&words[1..]).args(["serve", "--config"]).arg(&self.config);
        life.running = Some(Running::start(command).unwrap());
    }

    /// Kills it.
    pub fn kill(&self) {
        self.end(Running::kill);
    }

    /// Lets it end in order.
    pub fn stop(&self) {
        let outcome = self.end(Running::interrupt);
        assert!(outcome.status.success(), "{}: {}", self.name, outcome.text());
    }

    fn end(&self, how: impl FnOnce(&Running)) -> Outcome {
        let running = self.life().running.take().expect("it runs");
        how(&running);
        let outcome = running.finish().unwrap();
        self.life().log += &outcome.stderr;
        outcome
    }

    /// What the one that runs has printed.
    pub fn stdout(&self) -> String {
        self.life().running.as_ref().map(Running::stdout).unwrap_or_default()
    }

    /// What all of them have logged.
    pub fn log(&self) -> String {
        let life = self.life();
        let now = life.running.as_ref().map(Running::stderr).unwrap_or_default();
        format!("{}{now}", life.log)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Role {
    /// A test that fails shows what its processes have said.
    #[expect(clippy::print_stderr, reason = "for whoever reads why a test has failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(SHOWN);
            eprintln!("--- {}\n{}", self.name, lines[from..].join("\n"));
        }
    }
}
