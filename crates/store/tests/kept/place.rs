//! Both databases, and a way into them beside the store.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;

use renkei_store::{DatabaseUrl, Store};
use renkei_testkit::Postgres;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

/// An empty database.
pub struct Place {
    pub url: DatabaseUrl,
}

/// Runs `case` on an empty SQLite file and on an empty PostgreSQL database.
pub fn on_both<F: Future<Output = ()>>(case: impl Fn(Place) -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("hub.db"));
    runtime.block_on(case(Place { url }));
    let server = Postgres::start().unwrap();
    let name = server.create().unwrap();
    let url = server.url(&name).parse().unwrap();
    runtime.block_on(case(Place { url }));
}

impl Place {
    /// Runs statements beside the store.
    pub async fn run(&self, statements: &str) -> Result<(), sqlx::Error> {
        let raw = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match &self.url {
            DatabaseUrl::Sqlite(path) => {
                let url = format!("sqlite:{}", path.display());
                raw.execute(&mut SqliteConnection::connect(&url).await?).await.map(drop)
            }
            DatabaseUrl::Postgres(url) => raw.execute(&mut PgConnection::connect(url).await?).await.map(drop),
        }
    }

    /// The number that a statement gives.
    pub async fn number(&self, statement: &str) -> Result<i64, sqlx::Error> {
        let raw = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match &self.url {
            DatabaseUrl::Sqlite(path) => {
                let url = format!("sqlite:{}", path.display());
                raw.fetch_one(&mut SqliteConnection::connect(&url).await?)
                    .await?
                    .try_get(0)
            }
            DatabaseUrl::Postgres(url) => raw.fetch_one(&mut PgConnection::connect(url).await?).await?.try_get(0),
        }
    }
}

#[test]
fn nobody_else_on_the_machine_may_read_a_database() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("hub.db"));
    let _store = runtime.block_on(Store::open(&url)).unwrap();
    let modes: Vec<u32> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert!(modes.len() > 1, "the log is a file of its own");
    assert!(modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
}
