//! Looks at everything that a hub needs, and says for each thing whether it is well and, if not, what to do next. Changes nothing.
//!
//! What is found out about the world and what follows from it are apart: the functions that judge get facts.

use std::error::Error;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use renkei_store::migration::{self, ALL, NoWay, Standing};
use renkei_store::read::EventQuery;
use renkei_store::{DatabaseUrl, Store};
use renkei_types::size::ByteSize;
use serde::Serialize;

use super::Identity;
use crate::app::App;
use crate::config::{HubConfig, TlsConfig};
use crate::{master_key, problem, tls};

/// A certificate that ends sooner is to be renewed.
const CERTIFICATE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Clocks may differ by so much: tokens and duties are made for it.
const CLOCK: SignedDuration = SignedDuration::from_secs(5);
/// A greater difference makes wrong answers.
const CLOCK_WRONG: SignedDuration = SignedDuration::from_secs(60);
/// Bytes of room below which somebody should look, and below which a hub may soon write nothing.
const ROOM: u64 = 1_000_000_000;
const NO_ROOM: u64 = 100_000_000;
/// Bits of a mode by which others than owner and group, and others than the owner, may do anything.
const ALL_OTHERS: u32 = 0o007;
const OTHERS: u32 = 0o077;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, and will not for ever.
    Warning,
    /// Does not work.
    Problem,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// About what.
    pub what: &'static str,
    /// How it is.
    pub health: Health,
    /// What it is.
    pub told: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, told: impl Into<String>) -> Self {
        Self {
            what,
            health: Health::Ok,
            told: told.into(),
            next: None,
        }
    }

    fn warning(self, next: impl Into<String>) -> Self {
        Self {
            health: Health::Warning,
            next: Some(next.into()),
            ..self
        }
    }

    fn problem(self, next: impl Into<String>) -> Self {
        Self {
            health: Health::Problem,
            next: Some(next.into()),
            ..self
        }
    }

    /// What an error says; its own hint is the next step, `next` if it has none.
    fn failed(what: &'static str, error: &(dyn Error + 'static), next: &str) -> Self {
        let told = problem::chain(error);
        let (told, hint) = match told.split_once("\nhint: ") {
            Some((told, hint)) => (told.to_owned(), hint.to_owned()),
            None => (told, next.to_owned()),
        };
        Self::ok(what, told).problem(hint)
    }
}

/// Everything about the hub of this configuration, in the order in which it is needed.
pub async fn examine(config: &HubConfig, now: Timestamp) -> Vec<Finding> {
    let url: DatabaseUrl = match config.database.parse() {
        Ok(url) => url,
        Err(error) => return vec![Finding::failed("configuration", &error, "mend `database`")],
    };
    let mut findings = Vec::new();
    if let DatabaseUrl::Sqlite(file) = &url {
        findings.extend(place(file));
    }
    findings.extend(database(config, &url, now).await);
    findings.extend(listening(config, now));
    findings
}

/// The worst of them.
pub fn worst(findings: &[Finding]) -> Health {
    findings
        .iter()
        .map(|finding| finding.health)
        .max()
        .unwrap_or(Health::Ok)
}

/// The folder of an SQLite file, and the file.
fn place(file: &Path) -> Vec<Finding> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let metadata = match folder.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            let told = format!("`{}`: {error}", folder.display());
            return vec![Finding::ok("data folder", told).problem("make it, and give it to the hub's user")];
        }
    };
    let mut findings = vec![folder_open_to(folder, metadata.mode())];
    if let Ok(found) = file.metadata() {
        findings.push(file_open_to(file, found.mode(), (found.uid(), metadata.uid())));
    }
    if let Ok(found) = rustix::fs::statvfs(folder) {
        let block = found.f_frsize;
        findings.push(room(folder, found.f_bavail * block, found.f_blocks * block));
    }
    findings
}

fn folder_open_to(folder: &Path, mode: u32) -> Finding {
    let mode = mode & 0o7777;
    let finding = Finding::ok("data folder", format!("`{}` has mode {mode:04o}", folder.display()));
    match mode & ALL_OTHERS {
        0 => finding,
        _ => finding.warning(format!(
            "nobody else needs to look into it: chmod 700 {}",
            folder.display()
        )),
    }
}

/// A file that belongs to another than its folder was made by a command that ran as the wrong user.
fn file_open_to(file: &Path, mode: u32, (owner, folder_owner): (u32, u32)) -> Finding {
    let mode = mode & 0o7777;
    let finding = Finding::ok("database file", format!("`{}` has mode {mode:04o}", file.display()));
    if mode & OTHERS != 0 {
        return finding.problem(format!("it holds hashes of passwords: chmod 600 {}", file.display()));
    }
    if owner != folder_owner {
        let told = format!(
            "{}, and belongs to user {owner}, its folder to user {folder_owner}",
            finding.told
        );
        let finding = Finding { told, ..finding };
        return finding.warning("if the hub runs as the folder's owner: chown both to it");
    }
    finding
}

fn room(folder: &Path, free: u64, all: u64) -> Finding {
    let told = format!(
        "{} of {} are free at `{}`",
        ByteSize(free),
        ByteSize(all),
        folder.display()
    );
    let finding = Finding::ok("disk", told);
    match free {
        ..NO_ROOM => finding.problem("free space now: a hub on a full disk changes nothing"),
        NO_ROOM..ROOM => finding.warning("free space, or give the data folder a larger disk"),
        _ => finding,
    }
}

/// The database, and what is in it.
async fn database(config: &HubConfig, url: &DatabaseUrl, now: Timestamp) -> Vec<Finding> {
    let looked = match Store::look(url).await {
        Ok(looked) => looked,
        Err(error) => {
            let next = match url {
                DatabaseUrl::Sqlite(_) => {
                    "start the hub, which makes it, or `renkei admin restore`; run this as the hub's user"
                }
                DatabaseUrl::Postgres(_) => {
                    "see that the server runs, and that user, password and name in `database` are right"
                }
            };
            return vec![Finding::failed("database", &error, next)];
        }
    };
    let mut findings = vec![standing(url, looked)];
    if findings.iter().any(|finding| finding.health == Health::Problem)
        || looked.is_none_or(|(standing, _)| standing.schema != migration::last(ALL))
    {
        findings.extend(key(config, url, None).await);
        return findings;
    }
    let store = match Store::open(url).await {
        Ok(store) => store,
        Err(error) => {
            findings.push(Finding::failed("database", &error, "see the database's own log"));
            return findings;
        }
    };
    findings.push(match store.check().await {
        Ok(()) => Finding::ok("integrity", "the database finds its files whole"),
        Err(error) => Finding::failed("integrity", &error, "stop the hub, keep the file, and restore a backup"),
    });
    findings.push(audit(&store).await);
    findings.push(clock(&store, now).await);
    findings.extend(key(config, url, Some(store)).await);
    findings
}

fn standing(url: &DatabaseUrl, looked: Option<(Standing, Identity)>) -> Finding {
    let known = migration::last(ALL);
    let Some((standing, identity)) = looked.filter(|(standing, _)| standing.schema > 0) else {
        let finding = Finding::ok("database", format!("{url} is empty"));
        return finding.warning("start the hub, which fills it, or `renkei admin restore`");
    };
    let Identity {
        schema: found,
        epoch,
        run,
    } = identity;
    let finding = Finding::ok(
        "database",
        format!("{url} has schema {found}, epoch {epoch}, run {run}"),
    );
    match found {
        _ if found > known => Finding::failed("database", &NoWay::Newer { found, known }, "run the newer version"),
        _ if found < known => finding.warning(format!(
            "the next start of a hub migrates it to schema {known}: back it up before"
        )),
        _ if standing.finalised < found => Finding {
            next: Some(format!(
                "it can go back to schema {}: `renkei admin migrate --rollback`, or `--finalise` when all is well",
                standing.finalised
            )),
            ..finding
        },
        _ => finding,
    }
}

async fn audit(store: &Store) -> Finding {
    match store.audit.verify(|_| ()).await {
        Ok(verified) => {
            let told = format!(
                "the chain holds, of length {}; {} later events are not chained yet",
                verified.length, verified.unchained
            );
            Finding::ok("audit", told)
        }
        Err(error) => Finding::failed(
            "audit",
            &error,
            "somebody has changed the past: keep this database, and compare it with a backup and a head that you kept",
        ),
    }
}

async fn clock(store: &Store, now: Timestamp) -> Finding {
    let newest = EventQuery {
        limit: 1,
        newest_first: true,
        ..EventQuery::default()
    };
    let read = async {
        let events = store.read.events(&newest).await?;
        let told = store.clock().await?;
        Ok::<_, renkei_store::StateError>((told, events.first().map(|event| event.at)))
    };
    match read.await {
        Ok((told, newest)) => clocks(now, told, newest),
        Err(error) => Finding::failed("clock", &error, "see the database's own log"),
    }
}

/// This machine's clock beside the database's and the newest event.
fn clocks(ours: Timestamp, theirs: Timestamp, newest: Option<Timestamp>) -> Finding {
    let apart = ours.duration_since(theirs).abs();
    let finding = Finding::ok("clock", format!("{:.1} s from the database's", apart.as_secs_f64()));
    let next = "let both machines take the time from the same servers (NTP)";
    if let Some(ahead) = newest
        .map(|at| at.duration_since(ours))
        .filter(|ahead| *ahead > CLOCK_WRONG)
    {
        let told = format!(
            "{}; the newest event is {} s in the future",
            finding.told,
            ahead.as_secs()
        );
        return Finding { told, ..finding }
            .warning("some clock was or is wrong: look at this machine's and the other hubs'");
    }
    match apart {
        _ if apart > CLOCK_WRONG => finding.problem(next),
        _ if apart > CLOCK => finding.warning(next),
        _ => finding,
    }
}

/// The master key of the hub of this configuration, and whether it opens what its database holds.
pub async fn master_key(config: &HubConfig) -> Vec<Finding> {
    let Ok(url) = config.database.parse() else {
        return Vec::new();
    };
    key(config, &url, Store::open(&url).await.ok()).await
}

/// The master key, and whether it opens what was sealed.
async fn key(config: &HubConfig, url: &DatabaseUrl, store: Option<Store>) -> Vec<Finding> {
    const WHAT: &str = "master key";
    let key = match master_key::look(config.master_key.as_deref(), url) {
        Ok(Some(key)) => key,
        Ok(None) => {
            let finding = Finding::ok(WHAT, "there is none yet");
            return vec![
                finding.warning("the hub makes one at its first start; if it has had one before, put that back"),
            ];
        }
        Err(error) => return vec![Finding::failed(WHAT, &error, "put the hub's master key back")],
    };
    let finding = Finding::ok(
        WHAT,
        format!("there, readable by its owner only, id {}", key.ids().join(", ")),
    );
    let Some(store) = store else { return vec![finding] };
    match App::with_key(store, key).check_master_key().await {
        Ok(Ok(())) => vec![finding],
        Ok(Err(error)) => vec![Finding::failed(WHAT, &error, "put that master key back")],
        Err(problem) => vec![
            finding,
            Finding::ok(WHAT, problem.title).problem("see the database's own log"),
        ],
    }
}

/// Where the API listens, and its certificate.
fn listening(config: &HubConfig, now: Timestamp) -> Vec<Finding> {
    let Some(files) = &config.tls else {
        let listen = config.listen;
        return match listen.ip().is_loopback() {
            true => Vec::new(),
            false => vec![
                Finding::ok("tls", format!("the hub is to listen on {listen} without a certificate"))
                    .problem("add [hub.tls], or listen on 127.0.0.1"),
            ],
        };
    };
    vec![certificate(files, now)]
}

fn certificate(files: &TlsConfig, now: Timestamp) -> Finding {
    const WHAT: &str = "tls";
    let name = files.certificate.display();
    if let Err(error) = tls::acceptor(files) {
        return Finding::failed(WHAT, &error, "put a certificate and its key there");
    }
    let first = tls::certificates(&files.certificate)
        .ok()
        .and_then(|all| all.into_iter().next());
    let Some((from, until)) = first.and_then(|first| crate::certificate::validity(&first)) else {
        return Finding::ok(WHAT, format!("until when `{name}` holds is not understood"))
            .warning("look at it with openssl x509");
    };
    let finding = Finding::ok(WHAT, format!("`{name}` holds until {until}"));
    match until.duration_since(now) {
        _ if from > now => {
            Finding::ok(WHAT, format!("`{name}` holds only from {from}")).problem("look at this machine's clock")
        }
        left if left.is_negative() => Finding::ok(WHAT, format!("`{name}` has ended at {until}")).problem("renew it"),
        left if left < CERTIFICATE => finding.warning("renew it"),
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn clocks_that_differ_are_told() {
        assert_eq!(clocks(at(100), at(103), Some(at(90))).health, Health::Ok);
        assert_eq!(clocks(at(100), at(110), None).health, Health::Warning);
        assert_eq!(clocks(at(3700), at(100), None).health, Health::Problem);
        let ahead = clocks(at(100), at(100), Some(at(3700)));
        assert!(
            ahead.health == Health::Warning && ahead.told.contains("3600 s in the future"),
            "{ahead:?}"
        );
    }

    #[test]
    fn a_disk_is_full_before_it_is() {
        let room = |free| room(Path::new("/d"), free, 50_000_000_000).health;
        assert_eq!(room(20_000_000_000), Health::Ok);
        assert_eq!(room(900_000_000), Health::Warning);
        assert_eq!(room(90_000_000), Health::Problem);
    }

    #[test]
    fn what_others_may_read_is_told() {
        let (folder, file) = (Path::new("/d"), Path::new("/d/hub.sqlite"));
        assert_eq!(folder_open_to(folder, 0o40750).health, Health::Ok);
        assert_eq!(folder_open_to(folder, 0o40755).health, Health::Warning);
        assert_eq!(file_open_to(file, 0o100_600, (5, 5)).health, Health::Ok);
        assert_eq!(file_open_to(file, 0o100_640, (5, 5)).health, Health::Problem);
        let other = file_open_to(file, 0o100_600, (0, 5));
        assert!(
            other.health == Health::Warning && other.told.contains("user 0"),
            "{other:?}"
        );
    }

    #[test]
    fn a_certificate_is_to_be_renewed_before_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsConfig {
            certificate: folder.path().join("hub.pem"),
            key: folder.path().join("hub.key"),
        };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["hub.example".to_owned()]).unwrap();
        let made = params.self_signed(&key).unwrap();
        let (from, until) = crate::certificate::validity(made.der()).unwrap();
        std::fs::write(&files.certificate, made.pem()).unwrap();
        let secret = key.serialize_pem();
        std::fs::write(&files.key, secret).unwrap();
        let look = |now| certificate(&files, now).health;
        assert_eq!(look(from), Health::Problem, "its key is open to all");
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&files.key, owner).unwrap();
        assert_eq!(look(from), Health::Ok);
        assert_eq!(look(from - SignedDuration::from_secs(1)), Health::Problem);
        assert_eq!(
            look(until - CERTIFICATE + SignedDuration::from_secs(1)),
            Health::Warning
        );
        assert_eq!(look(until + SignedDuration::from_secs(1)), Health::Problem);
    }
}
