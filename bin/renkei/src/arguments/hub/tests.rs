use clap::{CommandFactory as _, Parser as _};

use crate::arguments::{Command, Renkei};

use super::*;

fn understood(words: &str) -> Result<HubCommand, clap::Error> {
    let words = ["renkei"].into_iter().chain(words.split(' '));
    match Renkei::try_parse_from(words)?.command {
        Command::Hub(command) => Ok(command),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_are_sound() {
    Renkei::command().debug_assert();
}

#[test]
fn the_hub_and_the_form_may_stand_before_and_behind_the_verb() {
    for words in ["org --hub https://h --json list", "org list --hub https://h --json"] {
        let Ok(HubCommand::Org(noun)) = understood(words) else {
            panic!("{words}")
        };
        assert_eq!(noun.at.hub.as_deref(), Some("https://h"), "{words}");
        assert!(noun.at.json, "{words}");
    }
}

#[test]
fn a_change_of_nothing_is_refused() {
    for words in [
        "org change a",
        "project change a",
        "user change a",
        "site change a",
        "quota set hakusan -p lab",
        "host change rack-1",
        "template change ours",
        "template create ours",
        "preset change small",
    ] {
        let error = understood(words).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument, "{words}");
    }
}

#[test]
fn a_change_of_anything_is_understood() {
    for words in [
        "org change a --name b",
        "org change a --description x --plan",
        "project change a --contact x@example.org",
        "project change a --expires 30d --type dedicated",
        "user change ada --enabled false",
        "user change ada --administrator true",
        "site change a --add-operator ada --remove-operator bob",
        "quota set hakusan -p lab --memory 64G --disk 1T --vms 0",
        "host change rack-1 --state draining --keep-memory 4G --plan",
        "host fenced rack-1 --yes",
        "host adopt rack-1 stray --name other --plan",
        "template create ours -p lab --image saved --min-disk 40G",
        "template change ours --os-version 24.04 --gpu-required false",
        "preset create tiny --vcpus 1 --memory 512M",
        "member set ada --role owner --project lab",
        "member add ada -r reader -p lab",
        "token create ci --scope *:read --scope project:write --expires 30d",
        "operation wait 0192d3c4-0000-7000-8000-000000000001 --timeout 5m",
        "audit list --noun project --limit 10 --before 7",
    ] {
        understood(words).unwrap_or_else(|error| panic!("{words}: {error}"));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_asked() {
    for words in [
        "org create a/b",
        "user create Ada",
        "user create ada --no-password --password-stdin",
        "member set ada --role king --project lab",
        "token create ci",
        "token create ci --scope projects:read",
        "quota set hakusan -p lab --memory 64",
        "org delete a --yes --plan",
        "operation show lab",
        "audit list --limit 0",
        "login --password-stdin",
        "org freeze a",
    ] {
        assert!(understood(words).is_err(), "{words}");
    }
}

#[test]
fn no_option_takes_a_secret() {
    fn walk(command: &clap::Command, path: &str) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let takes = argument.get_action().takes_values();
            // An invitation works once; who would rather not show it gives it on standard input.
            let invitation = path.ends_with(" join") && id == "token";
            assert!(
                invitation || !(takes && (id.contains("password") || id.contains("secret") || id == "token")),
                "{path} {id}"
            );
        }
        for sub in command.get_subcommands() {
            walk(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    walk(&Renkei::command(), "renkei");
}
