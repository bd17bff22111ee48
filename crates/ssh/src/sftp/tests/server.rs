//! The client with OpenSSH's `sftp-server` as a child process.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::channel::ByteChannel;
use crate::sftp::{Attrs, BufPool, CopyRange, LostReason, OpenFlags, Sftp, SftpError, StatusCode, Times, WriteBuf};

/// Where Debian, Fedora and Arch keep it.
const SERVERS: [&str; 3] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
];

struct Server {
    sftp: Sftp,
    pid: Pid,
    dir: TempDir,
}

impl Server {
    async fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let program = SERVERS
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("an sftp-server");
        let child = tokio::process::Command::new(program)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        let sftp = Sftp::start(ByteChannel::over_child(child).unwrap(), Duration::from_secs(60));
        sftp.ready().await.unwrap();
        Server { sftp, pid, dir }
    }

    fn path(&self, name: &[u8]) -> std::path::PathBuf {
        self.dir.path().join(OsStr::from_bytes(name))
    }

    fn open_files(&self) -> usize {
        let fds = format!("/proc/{}/fd", self.pid.as_raw_nonzero());
        fs::read_dir(fds).unwrap().count()
    }
}

fn to_write() -> OpenFlags {
    OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE
}

#[tokio::test]
async fn the_server_tells_its_limits_and_extensions() {
    let server = Server::start().await;
    let limits = server.sftp.limits();
    assert_eq!(
        (limits.max_packet, limits.max_read, limits.max_write),
        (262_144, 261_120, 261_120)
    );
    assert!(limits.max_handles.is_some());
    let extensions = server.sftp.extensions().await.unwrap();
    assert!(extensions.posix_rename && extensions.fsync && extensions.hardlink && extensions.copy_data);
    assert!(extensions.statvfs && extensions.lsetstat && extensions.expand_path && extensions.limits);
}

#[tokio::test]
async fn a_file_is_written_with_all_its_requests_together_and_renamed() {
    let server = Server::start().await;
    let sftp = &server.sftp;
    let name = b"not utf-8 \xff\n";
    let handle = sftp.open(b"temp", to_write(), &Attrs::with_mode(0o600)).await.unwrap();
    let times = Some(Times {
        atime: 1_000_000_000,
        mtime: 1_234_567_890,
    });
    let write = sftp.write(&handle, 0, WriteBuf::from_slice(b"content"));
    let attrs = sftp.fsetstat(
        &handle,
        &Attrs {
            times,
            ..Attrs::with_mode(0o640)
        },
    );
    let close = sftp.close(&handle);
    assert_eq!(tokio::try_join!(write, attrs, close).unwrap(), ((), (), ()));
    sftp.posix_rename(b"temp", name).await.unwrap();
    assert_eq!(fs::read(server.path(name)).unwrap(), b"content");
    assert_eq!(fs::metadata(server.path(name)).unwrap().permissions().mode(), 0o100_640);
    let attrs = sftp.lstat(name).await.unwrap();
    assert!(attrs.is_file());
    assert_eq!(
        (attrs.size, attrs.mode(), attrs.mtime()),
        (Some(7), Some(0o640), Some(1_234_567_890))
    );
}

#[tokio::test]
async fn the_largest_writes_and_reads_that_the_server_allows_go_through() {
    let server = Server::start().await;
    let sftp = &server.sftp;
    let most = sftp.limits().max_write as usize;
    let pool = BufPool::new(most, 4);
    let content: Vec<u8> = (0..8 * most).map(|at| (at / 13) as u8).collect();
    let handle = sftp
        .open(b"large", to_write() | OpenFlags::READ, &Attrs::none())
        .await
        .unwrap();
    let mut writes = Vec::new();
    for (part, data) in content.chunks(most).enumerate() {
        let mut buf = pool.take();
        buf.data_mut().copy_from_slice(data);
        buf.set_len(data.len());
        writes.push(sftp.write(&handle, (part * most) as u64, buf));
    }
    for write in writes {
        write.await.unwrap();
    }
    assert!(fs::read(server.path(b"large")).unwrap() == content);
    assert_eq!(pool.idle(), 4, "buffers came back");
    let reads: Vec<_> = (0..8)
        .map(|part| sftp.read(&handle, (part * most) as u64, u32::MAX))
        .collect();
    for (read, expected) in reads.into_iter().zip(content.chunks(most)) {
        assert!(read.await.unwrap() == expected);
    }
    let over = sftp.write(&handle, 0, WriteBuf::with_capacity(0)).await;
    assert!(over.is_ok(), "the session goes on");
}

#[tokio::test]
async fn a_read_at_the_end_is_short_and_behind_it_empty() {
    let server = Server::start().await;
    fs::write(server.path(b"ten"), b"0123456789").unwrap();
    let handle = server.sftp.open(b"ten", OpenFlags::READ, &Attrs::none()).await.unwrap();
    assert_eq!(server.sftp.read(&handle, 4, 100_000).await.unwrap(), "456789");
    assert_eq!(server.sftp.read(&handle, 10, 100_000).await.unwrap(), "");
    assert_eq!(server.sftp.read(&handle, 1 << 40, 10).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reads_in_flight_get_each_its_own_bytes() {
    let server = Server::start().await;
    let content: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 3) as u8).collect();
    fs::write(server.path(b"file"), &content).unwrap();
    let handle = server
        .sftp
        .open(b"file", OpenFlags::READ, &Attrs::none())
        .await
        .unwrap();
    let reads: Vec<_> = (0..1000).map(|at| server.sftp.read(&handle, at * 997, 1500)).collect();
    for (at, read) in reads.into_iter().enumerate() {
        let expected = &content[at * 997..(at * 997 + 1500).min(content.len())];
        assert!(read.await.unwrap() == expected, "read {at}");
    }
}

#[tokio::test]
async fn a_directory_of_five_thousand_is_listed_whole() {
    let server = Server::start().await;
    fs::create_dir(server.path(b"many")).unwrap();
    let mut expected: BTreeSet<Vec<u8>> = BTreeSet::from([b".".to_vec(), b"..".to_vec()]);
    for at in 0..5000 {
        let name = format!("file {at} {}", "x".repeat(at % 200)).into_bytes();
        fs::write(server.path(b"many").join(OsStr::from_bytes(&name)), b"1").unwrap();
        expected.insert(name);
    }
    let handle = server.sftp.opendir(b"many").await.unwrap();
    let mut found = BTreeSet::new();
    while let Some(entries) = server.sftp.readdir(&handle).await.unwrap() {
        for entry in entries {
            assert!(entry.attrs.is_dir() || entry.attrs.size == Some(1));
            assert!(entry.longname.ends_with(&entry.name));
            assert!(found.insert(entry.name.to_vec()), "no name twice");
        }
    }
    assert!(found == expected);
    server.sftp.close(&handle).await.unwrap();
}

#[tokio::test]
async fn directories_and_links_are_made_read_and_removed() {
    let server = Server::start().await;
    let sftp = &server.sftp;
    sftp.mkdir(b"dir", &Attrs::with_mode(0o750)).await.unwrap();
    let again = sftp.mkdir(b"dir", &Attrs::none()).await.unwrap_err();
    assert_eq!(again.code(), Some(StatusCode::Failure));
    sftp.symlink(b"dir", b"link").await.unwrap();
    assert_eq!(fs::read_link(server.path(b"link")).unwrap(), Path::new("dir"));
    assert_eq!(sftp.readlink(b"link").await.unwrap(), "dir");
    assert!(sftp.lstat(b"link").await.unwrap().is_symlink());
    assert!(sftp.stat(b"link").await.unwrap().is_dir());
    let here = server.dir.path().canonicalize().unwrap();
    assert_eq!(sftp.realpath(b".").await.unwrap(), here.as_os_str().as_bytes());
    sftp.setstat(b"dir", &Attrs::with_mode(0o700)).await.unwrap();
    assert_eq!(sftp.stat(b"dir").await.unwrap().mode(), Some(0o700));
    sftp.rename(b"link", b"moved").await.unwrap();
    sftp.remove(b"moved").await.unwrap();
    sftp.rmdir(b"dir").await.unwrap();
    let gone = sftp.stat(b"dir").await.unwrap_err();
    assert_eq!(
        (gone.code(), gone.to_string()),
        (Some(StatusCode::NoSuchFile), "no such file".to_owned())
    );
    assert!(!gone.is_transient() && !gone.is_fatal());
}

#[tokio::test]
async fn extensions_do_what_they_say() {
    let server = Server::start().await;
    let sftp = &server.sftp;
    fs::write(server.path(b"a"), b"0123456789").unwrap();
    sftp.hardlink(b"a", b"b").await.unwrap();
    assert_eq!(fs::read(server.path(b"b")).unwrap(), b"0123456789");
    let from = sftp.open(b"a", OpenFlags::READ, &Attrs::none()).await.unwrap();
    let to = sftp.open(b"c", to_write(), &Attrs::none()).await.unwrap();
    let range = CopyRange {
        from: &from,
        from_offset: 2,
        len: 5,
        to: &to,
        to_offset: 1,
    };
    tokio::try_join!(sftp.copy_data(range), sftp.fsync(&to)).unwrap();
    assert_eq!(fs::read(server.path(b"c")).unwrap(), b"\x0023456");
    assert_eq!(sftp.fstat(&to).await.unwrap().size, Some(6));
    let space = sftp.statvfs(b".").await.unwrap();
    assert!(space.bytes_available() > 0 && space.name_max >= 255);
    sftp.symlink(b"nowhere", b"link").await.unwrap();
    let times = Some(Times { atime: 5, mtime: 6 });
    sftp.lsetstat(b"link", &Attrs { times, ..Attrs::none() }).await.unwrap();
    assert_eq!(sftp.lstat(b"link").await.unwrap().times, times);
    assert!(sftp.expand_path(b"~").await.unwrap().starts_with(b"/"));
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_no_reply_waiting() {
    let server = Server::start().await;
    kill_process(server.pid, Signal::STOP).unwrap();
    let replies: Vec<_> = (0..500).map(|_| server.sftp.stat(b".")).collect();
    kill_process(server.pid, Signal::KILL).unwrap();
    for reply in replies {
        let error = reply.await.unwrap_err();
        assert!(matches!(error, SftpError::Lost(LostReason::Ended { .. })), "{error}");
    }
    assert!(server.sftp.closed().await.to_string().contains("signal"));
}

#[tokio::test]
async fn handles_that_nobody_waits_for_are_closed_at_the_server() {
    let server = Server::start().await;
    let sftp = &server.sftp;
    fs::write(server.path(b"a"), b"").unwrap();
    let before = server.open_files();
    for _ in 0..50 {
        drop(sftp.open(b"a", OpenFlags::READ, &Attrs::none()));
        drop(sftp.opendir(b"."));
    }
    // The server works in order: with the first answer all handles have come and their closing is queued, with the second
    // it is done.
    sftp.realpath(b".").await.unwrap();
    sftp.realpath(b".").await.unwrap();
    assert_eq!(server.open_files(), before);
    assert_eq!(sftp.requests_sent(), 102, "those of the caller");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_that_drop_replies_at_any_point_leave_nothing_behind() {
    let server = Server::start().await;
    fs::write(server.path(b"a"), [7; 20_000]).unwrap();
    let before = server.open_files();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u32 {
        let sftp = server.sftp.clone();
        tasks.spawn(async move {
            for round in 0..100 {
                let open = sftp.open(b"a", OpenFlags::READ, &Attrs::none());
                let other = sftp.stat(b"a");
                match (round + task) % 4 {
                    0 => drop(open),
                    1 => {
                        other.await.unwrap();
                        drop(open);
                    }
                    _ => {
                        let handle = open.await.unwrap();
                        let (read, close) = (sftp.read(&handle, 0, 30_000), sftp.close(&handle));
                        assert_eq!(read.await.unwrap().len(), 20_000);
                        close.await.unwrap();
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    server.sftp.realpath(b".").await.unwrap();
    server.sftp.realpath(b".").await.unwrap();
    assert_eq!(server.open_files(), before);
    assert!(!server.sftp.is_closed());
}
