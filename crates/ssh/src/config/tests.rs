use super::*;

fn lookup(pairs: &[(&str, &str)]) -> Lookup {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Lookup {
        pairs: owned(pairs),
        defaults: owned(&[("ciphers", "the,default"), ("macs", "other,default")]),
    }
}

fn made(pairs: &[(&str, &str)]) -> Settings {
    let mut all = vec![("user", "me")];
    all.extend(pairs);
    lookup(&all)
        .settings(&Destination::host("alias"), &Options::default(), &mut Vec::new())
        .unwrap_or_else(|_| panic!("{pairs:?} is refused"))
}

fn refused(pairs: &[(&str, &str)]) -> bool {
    let mut all = vec![("user", "me")];
    all.extend(pairs);
    lookup(&all)
        .settings(&Destination::host("alias"), &Options::default(), &mut Vec::new())
        .is_err()
}

#[test]
fn a_host_without_configuration_has_sshs_defaults() {
    let settings = made(&[]);
    assert_eq!((settings.hostname.as_str(), settings.port), ("alias", 22));
    assert_eq!(settings.strict, StrictHostKeyChecking::Ask);
    assert_eq!(settings.proxy, Proxy::Direct);
    assert_eq!(
        settings.methods,
        [Method::PublicKey, Method::KeyboardInteractive, Method::Password]
    );
    assert_eq!(settings.identity_files.len(), 3);
    assert_eq!(settings.connect_timeout, CONNECT_TIMEOUT);
    assert_eq!(
        (settings.alive_interval, settings.alive_count),
        (ALIVE_INTERVAL, ALIVE_COUNT)
    );
    assert!(settings.notes.is_empty());
}

#[test]
fn host_key_checking_takes_all_its_words() {
    use StrictHostKeyChecking::{AcceptNew, Ask, No, Yes};
    // `ssh -G` prints true and false where the file says yes and no.
    for (word, expected) in [
        ("yes", Yes),
        ("true", Yes),
        ("no", No),
        ("false", No),
        ("off", No),
        ("ask", Ask),
        ("accept-new", AcceptNew),
    ] {
        assert_eq!(made(&[("stricthostkeychecking", word)]).strict, expected, "{word}");
    }
}

#[test]
fn files_are_lists_with_home_and_quotes() {
    let settings = made(&[
        ("userknownhostsfile", "\"/a b\" /c none"),
        ("globalknownhostsfile", "none"),
    ]);
    assert_eq!(settings.user_known_hosts, [PathBuf::from("/a b"), PathBuf::from("/c")]);
    assert!(settings.global_known_hosts.is_empty());
    assert!(made(&[("identityfile", "none")]).identity_files.is_empty());
}

#[test]
fn methods_keep_the_preferred_order_and_leave_out_what_is_off() {
    let settings = made(&[
        (
            "preferredauthentications",
            "password,gssapi-with-mic,publickey,password",
        ),
        ("pubkeyauthentication", "true"),
    ]);
    assert_eq!(settings.methods, [Method::Password, Method::PublicKey]);
    for off in ["no", "false"] {
        let settings = made(&[("pubkeyauthentication", off), ("kbdinteractiveauthentication", "no")]);
        assert_eq!(settings.methods, [Method::Password]);
    }
}

#[test]
fn a_jump_host_goes_before_a_proxy_command() {
    let both = made(&[("proxyjump", "gate"), ("proxycommand", "nc %h %p")]);
    assert_eq!(both.proxy, Proxy::Jump("gate".into()));
    let command = made(&[
        ("proxyjump", "none"),
        ("proxycommand", "nc %h %p"),
        ("hostname", "h"),
        ("port", "2222"),
    ]);
    assert_eq!(command.proxy, Proxy::Command("nc %h %p".into()));
    assert_eq!(command.proxy_command("nc %h %p"), "nc h 2222");
    assert_eq!(made(&[("proxycommand", "none")]).proxy, Proxy::Direct);
}

#[test]
fn ciphers_that_are_sshs_default_do_not_count_as_chosen() {
    assert!(!refused(&[("ciphers", "the,default")]));
    assert!(refused(&[("ciphers", "3des-cbc")]));
}

#[test]
fn values_that_cannot_be_used_are_refused() {
    for bad in [
        ("port", "70000"),
        ("numberofpasswordprompts", "x"),
        ("serveraliveinterval", "soon"),
    ] {
        assert!(refused(&[bad]), "{bad:?}");
    }
}

#[test]
fn silence_and_new_keys_follow_the_configuration() {
    let settings = made(&[
        ("serveraliveinterval", "7"),
        ("serveralivecountmax", "2"),
        ("rekeylimit", "2G 1h"),
    ]);
    assert_eq!((settings.alive_interval.as_secs(), settings.alive_count), (7, 2));
    assert_eq!(settings.rekey_bytes, Some(2 << 30));
    assert_eq!(settings.rekey_after.map(|after| after.as_secs()), Some(3600));
    let settings = made(&[("rekeylimit", "0 0"), ("serveraliveinterval", "0")]);
    assert_eq!((settings.rekey_bytes, settings.rekey_after), (None, None));
}

#[test]
fn keywords_without_effect_are_named() {
    let mut notes = Vec::new();
    let lookup = lookup(&[
        ("user", "me"),
        ("knownhostscommand", "/bin/keys %H"),
        ("pkcs11provider", "none"),
    ]);
    assert!(
        lookup
            .settings(&Destination::host("h"), &Options::default(), &mut notes)
            .is_ok()
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("knownhostscommand"));
}

#[tokio::test]
async fn the_systems_ssh_is_asked_with_the_same_options() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(
        &file,
        "Match originalhost alias user cli\n  HostName 192.0.2.1\n  Port 2200\n",
    )
    .unwrap();
    let options = Options {
        config_file: Some(file),
        options: vec!["StrictHostKeyChecking=accept-new".into()],
        login: Some("cli".into()),
        jump: Some("a,b@c:22".into()),
        family: Family::V4,
        ..Options::default()
    };
    let settings = settings(&Destination::host("alias"), &options).await.unwrap();
    assert_eq!((settings.user.as_str(), settings.port), ("cli", 2200));
    assert_eq!(settings.hostname, "192.0.2.1");
    assert_eq!(settings.strict, StrictHostKeyChecking::AcceptNew);
    assert_eq!(settings.proxy, Proxy::Jump("a,b@c:22".into()));
    assert_eq!(settings.family, Family::V4);
    assert_eq!(settings.algorithms.user_keys, None);
}

#[tokio::test]
async fn user_and_port_of_the_destination_go_before_the_options() {
    let options = Options {
        config_file: Some("none".into()),
        login: Some("option".into()),
        port: Some(1),
        ..Options::default()
    };
    let settings = settings(&"typed@host:2".parse().unwrap(), &options).await.unwrap();
    assert_eq!((settings.user.as_str(), settings.port), ("typed", 2));
}
