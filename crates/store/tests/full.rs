//! SQLite on a disk that fills up.

use renkei_store::error::{CommitError, Retry};
use renkei_store::noun::duty::Duty;
use renkei_store::{Batch, DatabaseUrl, Store};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use uuid::Uuid;

fn duty(number: usize) -> Duty {
    Duty {
        id: Uuid::now_v7(),
        name: format!("{number:0500}"),
        holder: Uuid::nil(),
        until: jiff::Timestamp::UNIX_EPOCH,
    }
}

async fn insert(store: &Store, duty: &Duty) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    batch.insert(duty);
    store.state.commit(batch).await
}

/// Fills the disk, and looks whether what was told is so.
async fn fill(url: DatabaseUrl) {
    let store = Store::open(&url).await.unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let duty = duty(kept.len());
        match insert(&store, &duty).await {
            Ok(()) => kept.push(duty),
            Err(error) => break error,
        }
        assert!(kept.len() < 100_000, "the disk is never full");
    };
    assert!(matches!(error, CommitError::Full), "{error:?}");
    assert_eq!(error.retry(), Retry::Later);
    assert!(kept.len() > 100, "{}", kept.len());
    let expected: Vec<Uuid> = kept.iter().map(|duty| duty.id).collect();
    let found = async |store: &Store| {
        let rows = store.state.all::<Duty>(None, u32::MAX).await.unwrap();
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(found(&store).await, expected);
    // Another program sees the same, and there is no fault in the file.
    assert_eq!(found(&Store::open(&url).await.unwrap()).await, expected);
    store.check().await.unwrap();
}

/// The file system is mounted for one thread, and those that it starts, and goes with them.
#[test]
fn a_full_disk_is_told_and_the_file_stays_sound() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let flags = rustix::thread::UnshareFlags::NEWNS;
        // SAFETY: only the mounts are unshared, no descriptors.
        unsafe { rustix::thread::unshare_unsafe(flags) }.expect("mounting needs root");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), c"size=8m").unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill(DatabaseUrl::Sqlite(folder.path().join("hub.db"))));
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap());
}
