//! The misbehaving server: under a real sshd by the system's `sftp`, and by itself over bytes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use renkei_testkit::FaultServer;
use renkei_testkit::fault::{Extension, Fault, Plan, Request, Status, serve};

fn sftp(server: &FaultServer, commands: &str) -> Output {
    let sshd = server.sshd();
    let batch = sshd.folder().join("batch");
    std::fs::write(&batch, commands).unwrap();
    let mut command = Command::new("sftp");
    command
        .arg("-F")
        .arg(sshd.ssh_config())
        .arg("-b")
        .arg(batch)
        .arg("testhost")
        .stdin(Stdio::null());
    command.output().unwrap()
}

fn written(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7) as u8 | 1).collect()
}

#[test]
fn without_faults_it_does_all_that_sftp_asks() {
    let server = FaultServer::start(&Plan::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let source = written(folder.path(), "source", &content(1_000_000));
    let commands = format!(
        "mkdir {dir}\nput -fp {source} {dir}/a\nrename {dir}/a {dir}/b\nln {dir}/b {dir}/hard\nln -s b {dir}/soft\n\
         chmod 640 {dir}/b\nls -la {dir}\ndf {dir}\nget {dir}/soft {back}\nrm {dir}/hard\nmkdir {dir}/sub\nrmdir {dir}/sub\n\
         cd {dir}\npwd\n",
        dir = at("dir"),
        back = at("back"),
    );
    let output = sftp(&server, &commands);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read(at("back")).unwrap(), content(1_000_000));
    let mut names: Vec<_> = std::fs::read_dir(at("dir"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["b", "soft"]);
    assert_eq!(server.struck(), 0);
}

#[test]
fn the_nth_write_fails_over_all_connections_together() {
    let plan = Plan::new().refuse(Request::Write, 3, Status::PermissionDenied);
    let server = FaultServer::start(&plan).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = written(folder.path(), "source", b"short");
    let outcomes = [1, 2, 3, 4].map(|_| sftp(&server, &format!("put {source} {source}2\n")).status.success());
    assert_eq!(outcomes, [true, true, false, true]);
    assert_eq!(server.struck(), 1);
}

#[test]
fn a_full_disk_is_full() {
    let server = FaultServer::start(&Plan::new().with(Fault::FullAfter(100_000))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let small = written(folder.path(), "small", &content(50_000));
    let large = written(folder.path(), "large", &content(100_000));
    assert!(sftp(&server, &format!("put {small} {small}2\n")).status.success());
    assert!(!sftp(&server, &format!("put {large} {large}2\n")).status.success());
    server.set_plan(&Plan::new()).unwrap();
    assert!(sftp(&server, &format!("put {large} {large}2\n")).status.success());
}

#[test]
fn a_crash_loses_what_was_not_synced() {
    let server = FaultServer::start(&Plan::new().with(Fault::LoseUnsynced)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = written(folder.path(), "source", &content(100_000));
    let commands = format!("put {source} {source}-lost\nput -f {source} {source}-kept\n");
    assert!(sftp(&server, &commands).status.success());
    assert_eq!(server.crash().unwrap(), 100_000);
    assert_eq!(std::fs::read(format!("{source}-lost")).unwrap(), vec![0; 100_000]);
    assert_eq!(std::fs::read(format!("{source}-kept")).unwrap(), content(100_000));
    assert!(sftp(&server, "pwd\n").status.success(), "it is up again");
}

#[test]
fn a_hostile_name_reaches_the_client_and_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = FaultServer::start(&Plan::new().with(Fault::Name(b"evil".to_vec()))).unwrap();
    let commands = format!("get {dir}/evil {dir}/got\n", dir = folder.path().display());
    assert!(sftp(&server, &commands).status.success());
    assert_eq!(std::fs::read(folder.path().join("got")).unwrap(), b"hostile\n");
}

#[test]
fn it_dies_without_a_word() {
    let server = FaultServer::start(&Plan::new().with(Fault::DieAt(2))).unwrap();
    assert!(!sftp(&server, "ls /\n").status.success());
}

/// The packets that answer these, each without its length.
fn talk(plan: &Plan, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let input: Vec<u8> = requests.iter().flat_map(|request| string(request)).collect();
    let mut output = vec![];
    serve(input.as_slice(), &mut output, plan, folder.path()).unwrap();
    let mut rest = output.as_slice();
    let mut packets = vec![];
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let (packet, after) = after.split_at(length.min(after.len()));
        packets.push(packet.to_vec());
        rest = after;
    }
    packets
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

fn request(kind: u8, id: u32, arguments: &[Vec<u8>]) -> Vec<u8> {
    [vec![kind], id.to_be_bytes().to_vec(), arguments.concat()].concat()
}

fn opendir(id: u32, path: &str) -> Vec<u8> {
    request(11, id, &[string(path.as_bytes())])
}

fn readdir(id: u32, handle: u32) -> Vec<u8> {
    request(12, id, &[string(&handle.to_be_bytes())])
}

fn lstat(id: u32) -> Vec<u8> {
    request(7, id, &[string(b"/")])
}

fn ids(packets: &[Vec<u8>]) -> Vec<u32> {
    packets
        .iter()
        .map(|packet| u32::from_be_bytes(packet[1..5].try_into().unwrap()))
        .collect()
}

#[test]
fn replies_are_doubled_and_disordered_and_under_foreign_ids() {
    let requests: Vec<_> = (1..=20).map(lstat).collect();
    assert_eq!(ids(&talk(&Plan::new(), &requests)), (1..=20).collect::<Vec<_>>());
    assert_eq!(
        ids(&talk(&Plan::new().with(Fault::Twice), &requests[..2])),
        [1, 1, 2, 2]
    );
    assert_eq!(
        ids(&talk(&Plan::new().with(Fault::ForeignId(2)), &requests[..3])),
        [1, 1_000_002, 3]
    );
    assert_eq!(ids(&talk(&Plan::new().with(Fault::MuteFrom(3)), &requests)), [1, 2]);
    let mut disordered = ids(&talk(&Plan::new().with(Fault::Reorder(1)), &requests));
    assert_ne!(disordered, (1..=20).collect::<Vec<_>>());
    disordered.sort_unstable();
    assert_eq!(disordered, (1..=20).collect::<Vec<_>>());
}

#[test]
fn listings_lie() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("trap")).unwrap();
    let path = folder.path().display().to_string();
    let plan = Plan::new()
        .with(Fault::Name(b"a/b\0c".to_vec()))
        .with(Fault::LinkBefore {
            name: b"trap".to_vec(),
            target: b"/outside".to_vec(),
        })
        .with(Fault::EndlessListings);
    let readlink = request(19, 99, &[string(format!("{path}/trap").as_bytes())]);
    let mut requests = vec![opendir(1, &path), readlink];
    requests.extend((2..10).map(|id| readdir(id, 1)));
    let packets = talk(&plan, &requests);
    let has = |packet: &[u8], text: &[u8]| packet.windows(text.len()).filter(|window| *window == text).count();
    assert_eq!(has(&packets[1], b"/outside"), 2, "the name and its long form");
    assert_eq!(has(&packets[2], b"a/b\0c"), 2, "the name and its long form");
    assert_eq!(has(&packets[2], b"trap"), 4, "a link, then the directory");
    assert!(
        packets[3..]
            .iter()
            .all(|packet| packet[0] == 104 && has(packet, b"endless-") == 200)
    );
    let claimed = talk(&Plan::new().with(Fault::HugeCount), &[opendir(1, &path), readdir(2, 1)]);
    assert_eq!(claimed[1][5..9], [0xff; 4]);
}

#[test]
fn files_are_longer_than_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "file", b"abc");
    let open = request(3, 1, &[string(path.as_bytes()), vec![0, 0, 0, 1], vec![0; 4]]);
    let read = request(
        5,
        2,
        &[string(&1_u32.to_be_bytes()), vec![0; 8], 10_u32.to_be_bytes().to_vec()],
    );
    let fstat = request(8, 3, &[string(&1_u32.to_be_bytes())]);
    let data = |plan: &Plan| {
        let packets = talk(plan, &[open.clone(), read.clone(), fstat.clone()]);
        let size = u64::from_be_bytes(packets[2][9..17].try_into().unwrap());
        (packets[1][9..].to_vec(), size)
    };
    assert_eq!(data(&Plan::new()), (b"abc".to_vec(), 3));
    assert_eq!(data(&Plan::new().with(Fault::ShortReads(2))), (b"ab".to_vec(), 3));
    assert_eq!(
        data(&Plan::new().with(Fault::EndlessFiles)),
        (b"abceeeeeee".to_vec(), 3)
    );
    assert_eq!(data(&Plan::new().with(Fault::LongData(9))).0.len(), 12);
    assert_eq!(data(&Plan::new().with(Fault::SizeOff(-1))), (b"abc".to_vec(), 2));
}

#[test]
fn what_is_left_out_is_neither_announced_nor_served() {
    let init = vec![1, 0, 0, 0, 3];
    let limits = request(200, 1, &[string(b"limits@openssh.com")]);
    let all = talk(&Plan::new(), &[init.clone(), limits.clone()]);
    assert_eq!((all[0][0], all[1][0]), (2, 201));
    assert_eq!(all[1][5..13], 262_144_u64.to_be_bytes());
    let none = Extension::ALL
        .into_iter()
        .fold(Plan::new(), |plan, extension| plan.with(Fault::Without(extension)));
    let none = talk(&none, &[init, limits]);
    assert_eq!(none[0], [2, 0, 0, 0, 3]);
    assert_eq!((none[1][0], none[1][8]), (101, Status::OpUnsupported as u8));
}

#[test]
fn a_message_and_a_length_can_be_hostile() {
    let plan = Plan::new().with(Fault::StatusText(b"\x1b[2J".to_vec()));
    let missing = request(7, 1, &[string(b"/no/such")]);
    assert!(
        talk(&plan, std::slice::from_ref(&missing))[0]
            .windows(4)
            .any(|window| window == b"\x1b[2J")
    );
    assert_eq!(talk(&Plan::new().with(Fault::WrongType(1)), &[missing])[0][0], 201);
}
