//! Who an agent says that it is.

use jiff::Timestamp;
use renkei_store::{Batch, Stored};
use renkei_types::agent::{self, Hello};
use renkei_types::host::{Host, HostState};
use renkei_types::id::{HostId, SiteId};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::site::Site;
use uuid::Uuid;

use super::contact::{Card, TRIES};
use super::{Ended, Open, recovery};
use crate::app::App;

/// The version that both speak: the newest.
fn version(hello: &Hello) -> Result<u16, Ended> {
    let (oldest, newest) = hello.versions;
    let common = newest.min(agent::VERSION);
    if common >= oldest.max(agent::OLDEST) {
        return Ok(common);
    }
    let (ours, our_oldest) = (agent::VERSION, agent::OLDEST);
    let why = format!(
        "the agent speaks versions {oldest} to {newest} of the protocol, this hub {our_oldest} to {ours}: upgrade the older of the two"
    );
    Err(Ended::because(why))
}

/// Opens a connection, and gives the version that is spoken on it.
pub(super) async fn greet(
    app: &App,
    (hub, host): (Uuid, HostId),
    hello: &Hello,
    now: Timestamp,
) -> Result<(Open, u16), Ended> {
    let version = version(hello)?;
    if hello.host != host {
        let why = format!(
            "the agent says that it is host {}, its certificate is that of {host}",
            hello.host
        );
        return Err(Ended::because(why));
    }
    let mut card = Card::new((hub, host), hello, now);
    card.value.speaks = version;
    for _ in 0..TRIES {
        let rows = async {
            let row = app.get::<Host>(HostId::NOUN, host.0).await?;
            let site = app.get::<Site>(SiteId::NOUN, row.value.site.0).await?;
            Ok::<_, Problem>((row, site, app.manifest(host).await?))
        };
        let (row, site, manifest) = match rows.await {
            Err(problem) if problem.kind == ProblemKind::NotFound => return Err(stranger(hello)),
            rows => rows?,
        };
        let mut open = Open::new(host, (site, manifest), &hello.held);
        // A site that is put into recovery here is in it from now on, whatever an older read may say.
        recovery::prove(app, &mut open, &hello.held, now).await?;
        card.value.site = row.value.site;
        card.value.holding = open.holding();
        let mut batch = Batch::new();
        batch.expect(&open.site);
        match told(&row, hello) {
            Some(new) => batch.update(&row, &new),
            None => batch.expect(&row),
        }
        if card.take(app, batch, now).await? {
            open.card = card;
            return Ok((open, version));
        }
    }
    Err(Ended::because(
        "others keep changing what is known of this host: try again",
    ))
}

/// A host with a certificate of ours that no row knows. Nothing is done to what it has.
fn stranger(hello: &Hello) -> Ended {
    let host = hello.host;
    tracing::error!(%host, version = hello.held.version, "a host that this database does not know: deleted, or joined after the backup");
    Ended::because(format!(
        "this hub does not know host {host} any more: it was deleted, or it joined after the backup was made from which the hub's database \
         was restored; its machines go on as they are. To be known again it has to join once more: invite it with `renkei site invite`, \
         move `host.json` out of its data folder, and give the command `renkei join`; its machines are then listed by `renkei host \
         unknown`, to be adopted"
    ))
}

/// The host, if what the agent says of it is new.
fn told(row: &Stored<Host>, hello: &Hello) -> Option<Host> {
    let host = Host {
        capacity: hello.capacity,
        driver: hello.driver.name.clone(),
        driver_reason: hello.driver.reason.clone(),
        version: hello.agent.clone(),
        state: match row.value.state {
            HostState::Joining => HostState::Ready,
            state => state,
        },
        ..row.value.clone()
    };
    (host != row.value).then_some(host)
}
