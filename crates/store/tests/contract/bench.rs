//! A database of one kind for one test, open at two hubs.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use renkei_store::{Batch, DatabaseUrl, Noun, Store, Stored};
use renkei_testkit::Postgres;
use renkei_types::event::{Doer, Event};
use renkei_types::id::{OrganizationId, ProjectId};
use renkei_types::project::Project;
use tempfile::TempDir;
use uuid::Uuid;

pub type Opening = Pin<Box<dyn Future<Output = Bench>>>;

/// Two hubs over one database.
pub struct Bench {
    pub a: Store,
    pub b: Store,
}

/// A folder for a database file.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn url(&self) -> DatabaseUrl {
        DatabaseUrl::Sqlite(self.0.path().join("hub.db"))
    }
}

impl Bench {
    pub fn memory() -> Opening {
        let a = Store::memory();
        let b = a.clone();
        Box::pin(std::future::ready(Self { a, b }))
    }

    pub fn sqlite(files: &Files) -> Opening {
        Self::open(files.url())
    }

    pub fn postgres(server: &Postgres) -> Opening {
        let name = server.create().unwrap();
        Self::open(server.url(&name).parse().unwrap())
    }

    pub fn open(url: DatabaseUrl) -> Opening {
        Box::pin(async move {
            Self {
                a: Store::open(&url).await.unwrap(),
                b: Store::open(&url).await.unwrap(),
            }
        })
    }
}

/// Opens and runs a case, both in one runtime.
pub fn run<F: Future<Output = ()>>(bench: Opening, case: impl FnOnce(Bench) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { case(bench.await).await });
}

/// A project with this name in an organization of its own.
pub fn project(name: &str) -> Project {
    Project {
        id: ProjectId(Uuid::now_v7()),
        organization: OrganizationId(Uuid::now_v7()),
        name: name.parse().unwrap(),
        kind: Default::default(),
        description: String::new(),
        contact: String::new(),
        institution: String::new(),
        expires: None,
        default_site: None,
        created: Timestamp::from_second(1_700_000_000).unwrap(),
        freeze: None,
    }
}

pub fn event(noun: &str, object: Uuid) -> Event {
    Event {
        id: 0,
        at: Timestamp::from_second(1_700_000_000).unwrap(),
        by: Doer::default(),
        action: format!("{noun}:write"),
        noun: noun.to_owned(),
        object,
        object_name: "x".to_owned(),
        project: None,
        organization: None,
        before: None,
        after: Some(serde_json::json!({"n": 1})),
    }
}

/// Inserts rows in one batch.
pub async fn insert<N: Noun>(store: &Store, rows: &[N]) {
    let mut batch = Batch::new();
    rows.iter().for_each(|row| batch.insert(row));
    store.state.commit(batch).await.unwrap();
}

/// The row, which is there.
pub async fn row<N: Noun>(store: &Store, id: Uuid) -> Stored<N> {
    store.state.get(id).await.unwrap().unwrap()
}
