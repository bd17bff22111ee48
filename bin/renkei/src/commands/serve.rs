//! `renkei serve`: the roles of this machine, as a file says, until SIGTERM or Ctrl-C.

use std::io::{self, IsTerminal as _};

use renkei_hub::ServeError;
use renkei_hub::app::first::NoFirst;
use rustix::process::Resource;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;
use crate::printer::Output;
use crate::settings::{ServeSettings, StopWithStdin};

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    First(#[from] NoFirst),
    #[error(transparent)]
    Serve(#[from] ServeError),
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
    let runtime = tokio::runtime::Runtime::new().map_err(Failed::Runtime)?;
    let served = runtime.block_on(async {
        let hub = renkei_hub::open(&settings.hub).await?;
        let first = hub.first_administrator().await?;
        let listening = renkei_hub::listen_as(hub.clone(), &settings.hub).await?;
        tell(output, &format!("listening on {}", listening.url()));
        if let Some(url) = listening.agents_url() {
            tell(output, &format!("taking agents at {url}"));
        }
        if let Some(password) = first {
            tell(
                output,
                &format!("first administrator: admin, one-time password: {password}"),
            );
        }
        let stdin = settings.stop_with_stdin;
        tokio::spawn(async move {
            asked_to_stop(stdin).await;
            hub.stop();
        });
        Ok(listening.serve().await?)
    });
    // A thread may still wait for standard input; nothing that matters is under way any more.
    runtime.shutdown_background();
    served
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
