//! A restore that is killed: this test starts itself again as the one that restores.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use renkei_store::backup::{Target, Terms, restore, write};
use renkei_store::migration::ALL;
use renkei_store::noun::duty::Duty;
use renkei_store::{Batch, DatabaseUrl, Store};
use renkei_testkit::Postgres;
use renkei_testkit::process::{signal, spawn_tied};
use renkei_testkit::seed::Rng;
use rustix::process::Signal;
use uuid::Uuid;

/// Names the backup to the child, and the database.
const FILE: &str = "RENKEI_TEST_BACKUP";
const DATABASE: &str = "RENKEI_TEST_DATABASE";
const ROWS: usize = 4000;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

async fn source(folder: &Path) -> std::path::PathBuf {
    let url = DatabaseUrl::Sqlite(folder.join("source"));
    let store = Store::open(&url).await.unwrap();
    let mut batch = Batch::new();
    for number in 0..ROWS {
        batch.insert(&Duty {
            id: Uuid::now_v7(),
            name: format!("{number}"),
            holder: Uuid::nil(),
            until: jiff::Timestamp::UNIX_EPOCH,
        });
    }
    store.state.commit(batch).await.unwrap();
    let file = folder.join("backup");
    let mut to = File::create(&file).unwrap();
    write(&url, &mut to, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    file
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_or_all_of_it() {
    if let (Some(file), Ok(url)) = (std::env::var_os(FILE), std::env::var(DATABASE)) {
        return restore_once(Path::new(&file), &url.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = block_on(source(folder.path()));
    let server = Postgres::start().unwrap();
    let mut rng = Rng::for_purpose("kill a restore");
    let (mut none, mut all) = (0, 0);
    for round in 0..crate::cuts().div_ceil(4) {
        let url = match round % 2 {
            0 => format!("sqlite:{}", folder.path().join(format!("target {round}")).display()),
            _ => server.url(&server.create().unwrap()),
        };
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "restored::a_restore_that_is_killed_leaves_nothing_or_all_of_it",
            "--nocapture",
        ]);
        child.env(FILE, &file).env(DATABASE, &url);
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn_tied(child).unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        said.find(|line| line.as_ref().unwrap().contains("begun"))
            .unwrap()
            .unwrap();
        std::thread::sleep(Duration::from_micros(rng.within(0..400_000)));
        signal(child.id(), Signal::KILL);
        let done = said.any(|line| line.unwrap().contains("done"));
        child.wait().unwrap();
        let rows = block_on(async {
            // A hub takes it for a new database, or for a whole one.
            let store = Store::open(&url.parse().unwrap()).await.unwrap();
            store.check().await.unwrap();
            store.state.all::<Duty>(None, u32::MAX).await.unwrap().len()
        });
        assert!(rows == ROWS || rows == 0 && !done, "{url}: {rows} rows");
        *(if rows == 0 { &mut none } else { &mut all }) += 1;
    }
    println!("{none} with nothing, {all} whole");
}

#[expect(clippy::print_stdout, reason = "the other process reads it")]
fn restore_once(file: &Path, url: &DatabaseUrl) {
    let mut from = File::open(file).unwrap();
    let terms = Terms {
        target: Target::Empty,
        now: jiff::Timestamp::UNIX_EPOCH,
        list: ALL,
    };
    println!("begun");
    block_on(restore(url, &mut from, &terms)).unwrap();
    println!("done");
}
