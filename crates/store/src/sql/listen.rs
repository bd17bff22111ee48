//! Hears from PostgreSQL that another hub has committed something.
//!
//! A notification is only a wake-up: one that is lost costs the time until the next look, and nothing else.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;

/// At the latest then whoever waits is woken, notified or not.
const LOOK: Duration = Duration::from_secs(5);
/// From one try to reach the server to the next.
const RETRY: Duration = Duration::from_secs(1);

/// Rings until nobody listens any more.
pub(super) fn start(options: PgConnectOptions, bell: watch::Sender<u64>) {
    tokio::spawn(async move {
        tokio::select! {
            () = bell.closed() => {}
            () = ring(options, &bell) => {}
        }
    });
}

async fn ring(options: PgConnectOptions, bell: &watch::Sender<u64>) {
    loop {
        // Whatever happened while nobody listened is looked at when the connection stands; why it broke, the writer will tell
        // whoever commits.
        let _ = hear(&options, bell).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear(options: &PgConnectOptions, bell: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("renkei").await?;
    loop {
        bell.send_modify(|count| *count += 1);
        if let Ok(notification) = tokio::time::timeout(LOOK, listener.recv()).await {
            notification?;
        }
    }
}
