//! `renkei serve`: the roles of this machine, as a file says, until SIGTERM or Ctrl-C.

use std::io::{self, IsTerminal as _};

use renkei_hub::ServeError;
use renkei_hub::app::first::NoFirst;
use renkei_hub::config::HubConfig;
use renkei_site::identity::{DataFolder, FolderError};
use renkei_site::pick::{PickError, pick};
use renkei_site::run::RunError;
use renkei_types::name::Name;
use rustix::process::Resource;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::VERSION;
use crate::exit;
use crate::printer::Output;
use crate::settings::{ServeSettings, SiteSettings, StopWithStdin};

/// Before the invitation of this computer by its own hub: address and token follow.
pub const INVITED: &str = "inviting this computer: ";
/// Before the address at which agents come in.
pub const TAKING_AGENTS: &str = "taking agents at ";

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    First(#[from] NoFirst),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot invite this computer: {0}")]
    Invite(String),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Pick(#[from] PickError),
    #[error(transparent)]
    Site(#[from] RunError),
}

/// Serves until it is told to stop.
pub fn run(settings: ServeSettings, output: Output) -> u8 {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(settings.log)
        .init();
    match serve(settings, output) {
        Ok(()) => exit::COMPLETE,
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

/// Each connection is an open file, and many systems let a program have 1,024 of them unless it asks for more.
fn allow_files() {
    let mut limits = rustix::process::getrlimit(Resource::Nofile);
    limits.current = limits.maximum;
    // With fewer, accepting fails now and then, is logged and tried again.
    let _ = rustix::process::setrlimit(Resource::Nofile, limits);
}

fn serve(settings: ServeSettings, output: Output) -> Result<(), Failed> {
    allow_files();
    let ServeSettings {
        hub: hub_config,
        invite,
        site: site_settings,
        stop_with_stdin: stdin,
        ..
    } = settings;
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::Runtime)?;
    let served = runtime.block_on(async {
        let stop = watch::Sender::new(false);
        let asked = stop.clone();
        tokio::spawn(async move {
            asked_to_stop(stdin).await;
            asked.send_replace(true);
        });
        let hub = async {
            let ended = match hub_config {
                Some(config) => hub(&config, invite, &stop, output).await,
                None => return Ok(()),
            };
            // One role alone is not what the file says.
            stop.send_replace(true);
            ended
        };
        let site = async {
            let ended = match site_settings {
                Some(settings) => site(settings, &stop, output).await,
                None => return Ok(()),
            };
            stop.send_replace(true);
            ended
        };
        let (hub, site) = tokio::join!(hub, site);
        hub.and(site)
    });
    // A thread may still wait for standard input; nothing that matters is under way any more.
    runtime.shutdown_background();
    served
}

async fn hub(
    config: &HubConfig,
    invite: Option<Name>,
    stop: &watch::Sender<bool>,
    output: Output,
) -> Result<(), Failed> {
    let hub = renkei_hub::open(config).await?;
    let first = hub.first_administrator().await?;
    let listening = renkei_hub::listen_as(hub.clone(), config).await?;
    tell(output, &format!("listening on {}", listening.url()));
    if let Some(url) = listening.agents_url() {
        tell(output, &format!("{TAKING_AGENTS}{url}"));
    }
    if let Some(name) = invite {
        let invited = hub.app.invite_own(&name, hub.app.now()).await;
        let (url, token) = invited.map_err(|problem| Failed::Invite(problem.title))?;
        tell(output, &format!("{INVITED}{url} {}", token.reveal()));
    }
    if let Some(password) = first {
        tell(
            output,
            &format!("first administrator: admin, one-time password: {password}"),
        );
    }
    let (stopped, stopping) = (stopped(stop), hub.clone());
    tokio::spawn(async move {
        stopped.await;
        stopping.stop();
    });
    listening.serve().await?;
    hub.close().await;
    Ok(())
}

/// The driver whose machines outlive the agent as processes.
const QEMU: &str = "qemu";

async fn site(settings: SiteSettings, stop: &watch::Sender<bool>, output: Output) -> Result<(), Failed> {
    let SiteSettings { config, url } = settings;
    let folder = DataFolder::new(&config.data)?;
    let driver = pick(&folder, &config.wish())?;
    let which = driver.which();
    tell(output, &format!("driver {}: {}", which.name, which.reason));
    let settings = renkei_site::run::Settings {
        folder,
        url,
        version: VERSION.to_owned(),
    };
    renkei_site::run::run(settings, driver, stopped(stop)).await?;
    if which.name == QEMU {
        tell(
            output,
            "machines that run go on without the agent; the next one finds them, and `renkei vm destroy` ends them",
        );
    }
    Ok(())
}

/// Returns once everything is to stop.
fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + use<> {
    let mut stop = stop.subscribe();
    async move {
        // Nobody is left who could say it.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// Whoever reads this may be gone; the hub serves all the same.
fn tell(output: Output, line: &str) {
    let _ = output.answer(format!("{line}\n").as_bytes());
}

async fn asked_to_stop(stdin: StopWithStdin) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = closed(), if stdin == StopWithStdin::Yes => {}
    }
}

/// Returns when nobody holds the other end of standard input any more.
async fn closed() {
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}
