use std::path::Path;

use renkei_transfer::Chunks;

use super::*;

fn understand(words: &[&str]) -> Result<(Request, Output), UsageError> {
    let line = std::iter::once("mscp").chain(words.iter().copied());
    let typed = Mscp::try_parse_from(line).unwrap();
    let recall = Recall::new(Program::Mscp, Path::new("/"), &[]);
    match settings(typed, &recall)? {
        Settings::Copy { request, output } => Ok((*request, output)),
        other => panic!("not a copy: {other:?}"),
    }
}

fn request(words: &[&str]) -> Request {
    let words = [words, &["a", "h:b"]].concat();
    understand(&words).unwrap().0
}

fn error(words: &[&str]) -> UsageError {
    understand(words).unwrap_err()
}

#[test]
fn the_default_number_of_connections_is_mscps() {
    let numbers = [1, 2, 4, 8, 16, 64, 128].map(connections);
    assert_eq!(numbers, [1, 2, 3, 5, 6, 9, 10]);
}

#[test]
fn defaults_are_mscps() {
    let tuning = request(&[]).tuning;
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(tuning.connections, Some(connections(cores)));
    assert_eq!(tuning.startups, Some(8));
    assert_eq!(tuning.interval, Duration::ZERO);
    assert_eq!(tuning.min_chunk, Some(16 << 20));
    assert_eq!((tuning.chunks, tuning.limit, tuning.cpus), (None, None, None));
}

#[test]
fn numbers_arrive_in_their_units() {
    let words = "-n 4 -m f0 -u 3 -I 2 -s 1m -S 2M -a 16 -b 8k -L 80m";
    let tuning = request(&words.split(' ').collect::<Vec<_>>()).tuning;
    assert_eq!((tuning.connections, tuning.cpus), (Some(4), Some(0xf0)));
    assert_eq!((tuning.startups, tuning.interval), (Some(3), Duration::from_secs(2)));
    assert_eq!(tuning.min_chunk, Some(1 << 20));
    assert_eq!(tuning.chunks, Chunks::new(1 << 20, Some(2 << 20), 4));
    assert_eq!((tuning.ahead, tuning.request_size), (Some(16), Some(8192)));
    assert_eq!(tuning.limit, Some(10_000_000), "80 Mbit/s in bytes");
}

#[test]
fn a_largest_chunk_below_the_smallest_is_a_usage_error() {
    let chunks = |words: &[&str]| matches!(error(words), UsageError::Chunks { .. });
    assert!(chunks(&["-s", "2m", "-S", "1m", "a", "h:b"]));
    assert!(chunks(&["-S", "1m", "a", "h:b"]), "the default of -s is 16m");
}

#[test]
fn options_of_the_connection_arrive() {
    let words = "-l u -P 2222 -F cfg -i k1 -i k2 -J j1,j2 -c aes128-ctr -M hmac-sha2-256 -C yes -g bbr -N -6";
    let ssh = request(&words.split(' ').collect::<Vec<_>>()).ssh;
    assert_eq!((ssh.login.as_deref(), ssh.port), (Some("u"), Some(2222)));
    assert_eq!(ssh.config_file.as_deref(), Some(Path::new("cfg")));
    assert_eq!(ssh.identities, [Path::new("k1"), Path::new("k2")]);
    assert_eq!(
        (ssh.jump.as_deref(), ssh.cipher.as_deref()),
        (Some("j1,j2"), Some("aes128-ctr"))
    );
    assert_eq!(
        (ssh.mac.as_deref(), ssh.compression.as_deref()),
        (Some("hmac-sha2-256"), Some("yes"))
    );
    assert_eq!((ssh.congestion.as_deref(), ssh.nagle), (Some("bbr"), true));
    assert_eq!(ssh.family, renkei_transfer::ssh::Family::V6);
}

#[test]
fn unknown_ssh_options_are_ignored_and_all_are_passed_on() {
    let ssh = request(&["-o", "Foo=bar", "-o", "Port=2222"]).ssh;
    assert_eq!(ssh.options, ["IgnoreUnknown=*", "Foo=bar", "Port=2222"]);
}

#[test]
fn exactly_one_side_is_remote() {
    for words in [["a", "b"], ["h:a", "h:b"], ["h:a", "g:b"]] {
        assert!(matches!(error(&words), UsageError::OneSideRemote), "{words:?}");
    }
    for words in [["a", "h:x", "h:b"], ["a", "h:x", "b"]] {
        assert!(matches!(error(&words), UsageError::OneSideRemote), "{words:?}");
    }
    assert!(understand(&["h:a", "b"]).is_ok());
    assert!(understand(&["a", "b", "u@[::1]:c"]).is_ok());
}

#[test]
fn remote_sources_are_on_one_host() {
    assert!(matches!(error(&["h:a", "g:b", "c"]), UsageError::SeveralHosts(..)));
    assert!(matches!(error(&["u@h:a", "h:b", "c"]), UsageError::SeveralHosts(..)));
    assert!(understand(&["u@h:a", "u@h:b", "c"]).is_ok());
}

#[test]
fn one_path_is_not_enough() {
    assert!(matches!(error(&["h:a"]), UsageError::NoTarget));
}

#[test]
fn quiet_wins_over_verbose() {
    let (_, output) = understand(&["-vv", "-q", "a", "h:b"]).unwrap();
    assert_eq!(output.form, Form::Silent);
}

#[test]
fn checkpoints_are_named() {
    let request = request(&["-W", "new", "-R", "old", "-D"]);
    let checkpoint = request.checkpoint.unwrap();
    assert_eq!(checkpoint.write.as_deref(), Some(Path::new("new")));
    assert_eq!(checkpoint.read.as_deref(), Some(Path::new("old")));
    assert!(request.dry_run);
}

#[test]
fn a_checkpoint_gives_back_sources_and_target() {
    let words = ["-n", "2", "-W", "c", "a", "b", "h:t"].map(OsString::from);
    let recall = Recall::new(Program::Mscp, Path::new("/"), &words);
    assert_eq!(recalled_checkpoint(&recall).unwrap(), ["a", "b", "h:t"]);
    let other = Recall::new(Program::Renkei, Path::new("/"), &["cp".into(), "a".into(), "b".into()]);
    assert!(matches!(
        recalled_checkpoint(&other),
        Err(RecallError::Program(Program::Renkei))
    ));
}

#[test]
fn the_last_of_an_option_given_twice_counts() {
    let request = request(&["-n", "2", "-n", "3", "-P", "1", "-P", "2"]);
    assert_eq!(request.tuning.connections, Some(3));
    assert_eq!(request.ssh.port, Some(2));
}
