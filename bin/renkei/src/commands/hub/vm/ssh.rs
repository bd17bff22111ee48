//! `renkei vm ssh`: finds a machine and becomes the user's own `ssh` to it.

mod way;

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use renkei_types::id::VmId;
use renkei_types::vm::{Vm, VmState};
use serde_json::json;

use self::way::{Inner, Known, NoWay, Way, way};
use super::HERE;
use crate::arguments::hub::vm::Ssh;
use crate::commands::hub::Hub;
use crate::commands::hub::failure::Failure;
use crate::commands::hub::names::Names;
use crate::commands::hub::resolve::Collection::{Projects, Segments, Sites};

/// The program.
const SSH: &str = "ssh";

/// Why nobody can log in to a machine.
#[derive(Debug, thiserror::Error)]
pub enum NoLogin {
    /// It is off.
    #[error("vm `{name}` is {state}\nhint: {next}")]
    Off {
        /// Which.
        name: String,
        /// Where it stands.
        state: VmState,
        /// What to do.
        next: String,
    },
    /// It has no address.
    #[error("vm `{0}` has no address\nhint: `renkei vm show {0}` tells its networks")]
    NoAddress(String),
    /// No rule lets anybody in.
    #[error("an outside address leads to vm `{name}`, and nothing may enter there by port {port}\nhint: {next}")]
    Closed {
        /// Which.
        name: String,
        /// Which port.
        port: u16,
        /// What to do.
        next: String,
    },
    /// The program does not start.
    #[error("cannot start `{SSH}`{}", missing(.0))]
    Start(#[source] io::Error),
}

fn missing(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "\nhint: it is in Debian's package `openssh-client`",
        _ => "",
    }
}

/// Logs in; comes back only if that is not to be, or if it is only to be shown.
pub async fn ssh(hub: &Hub, ssh: &Ssh) -> Result<u8, Failure> {
    let id = hub.one(HERE, &ssh.one).await?;
    let vm: Vm = hub.client.read(hub.client.get(&HERE.one(id), &[]).await?.body)?;
    let project = Projects.one(vm.project.0);
    if vm.state() != VmState::Running {
        return Err(off(&vm).into());
    }
    let (dnats, acls) = (format!("{project}/dnats"), format!("{project}/acls"));
    let known = Known {
        adapters: &vm.meant.adapters,
        seen: &vm.seen.addresses,
        dnats: &hub.client.read::<Vec<_>>(hub.client.all(&dnats, &[]).await?.into())?,
        acls: &hub.client.read::<Vec<_>>(hub.client.all(&acls, &[]).await?.into())?,
    };
    let address = match way(&known, ssh.port, hub.now) {
        Ok(Way::Mapped(address)) => address,
        Ok(Way::Own(inner)) => {
            let next = mapping(&vm, (inner, ssh.port), &names(hub, &vm, inner).await);
            hub.output.note(&format!(
                "note: no outside address leads to vm `{}`; trying its own, {}, which only its network may reach\nhint: {next}",
                vm.name, inner.address
            ));
            inner.address
        }
        Err(NoWay::NoAddress) => return Err(NoLogin::NoAddress(vm.name.to_string()).into()),
        Err(NoWay::Closed(inner)) => {
            let closed = NoLogin::Closed {
                name: vm.name.to_string(),
                port: ssh.port,
                next: rule(&vm, (inner, ssh.port), &names(hub, &vm, inner).await),
            };
            return Err(closed.into());
        }
    };
    let words = words(ssh, (vm.id, &vm.login_username), address);
    if hub.is_json() {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        return hub.print_json(&json!({ "vm": vm.id, "address": address, "command": words }));
    }
    let (program, arguments) = words
        .split_first()
        .map_or((OsStr::new(SSH), &[][..]), |(first, rest)| (first, rest));
    // On success there is nobody any more to whom this could return.
    Err(NoLogin::Start(Command::new(program).args(arguments).exec()).into())
}

/// The whole command. What was asked for comes first, because ssh takes the first value of each option.
fn words(ssh: &Ssh, (vm, user): (VmId, &str), address: IpAddr) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![SSH.into()];
    let mut add = |option: &str, value: &OsStr| words.extend([option.into(), value.to_owned()]);
    for option in &ssh.option {
        add("-o", option.as_ref());
    }
    // Addresses come to other machines, and outside addresses are mapped anew: the key is known by the machine.
    add("-o", format!("HostKeyAlias={vm}").as_ref());
    if let Some(identity) = &ssh.identity {
        add("-i", identity.as_os_str());
    }
    add("-p", ssh.port.to_string().as_ref());
    let user = ssh.login.as_deref().unwrap_or(user);
    if !user.is_empty() {
        add("-l", user.as_ref());
    }
    words.push("--".into());
    words.push(address.to_string().into());
    words.extend(ssh.command.iter().cloned());
    words
}

fn off(vm: &Vm) -> NoLogin {
    let (name, state) = (vm.name.to_string(), vm.state());
    let next = match state {
        VmState::Suspended => format!("`renkei vm resume {name}` lets it go on"),
        VmState::Stopped | VmState::Deallocated => format!("`renkei vm power-on {name}` starts it"),
        _ => format!("`renkei vm show {name}` says how far it is"),
    };
    NoLogin::Off { name, state, next }
}

/// What project, site and segment are called.
async fn names(hub: &Hub, vm: &Vm, inner: Inner) -> Names {
    let mentions = [
        (Projects, vm.project.0),
        (Sites, vm.site.0),
        (Segments, inner.segment.0),
    ];
    Names::of(&hub.client, mentions).await
}

/// How a mapping and a rule are made.
fn mapping(vm: &Vm, (inner, port): (Inner, u16), names: &Names) -> String {
    let (project, site, segment) = (vm.project.0, vm.site.0, inner.segment.0);
    format!(
        "with a free one of `renkei global-ip list --site {}`: `renkei dnat create GLOBAL_IP {} -p {} -s {}`, then {}",
        names.get(site),
        inner.address,
        names.get(project),
        names.get(segment),
        rule(vm, (inner, port), names)
    )
}

/// How a rule is made.
fn rule(vm: &Vm, (inner, port): (Inner, u16), names: &Names) -> String {
    format!(
        "`renkei acl create {} -p {} --from YOUR_ADDRESS --to {} --ports {port}`",
        names.get(inner.segment.0),
        names.get(vm.project.0),
        inner.address
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use uuid::Uuid;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        ssh: Ssh,
    }

    fn command(typed: &[&str]) -> Vec<OsString> {
        let typed = Typed::try_parse_from([&["ssh"], typed].concat()).unwrap();
        words(
            &typed.ssh,
            (VmId(Uuid::nil()), "mdxuser"),
            "203.0.113.7".parse().unwrap(),
        )
    }

    const ALIAS: &str = "HostKeyAlias=00000000-0000-0000-0000-000000000000";

    #[test]
    fn the_machine_is_known_by_its_id_and_its_user_is_the_templates() {
        let plain = ["ssh", "-o", ALIAS, "-p", "22", "-l", "mdxuser", "--", "203.0.113.7"];
        assert_eq!(command(&["a"]), plain);
    }

    #[test]
    fn what_was_asked_for_comes_before_what_is_added_and_a_command_last() {
        let typed = [
            "a", "-l", "root", "--port", "2222", "-i", "key", "-o", "User=x", "--", "ls", "-l",
        ];
        assert_eq!(
            command(&typed),
            [
                "ssh",
                "-o",
                "User=x",
                "-o",
                ALIAS,
                "-i",
                "key",
                "-p",
                "2222",
                "-l",
                "root",
                "--",
                "203.0.113.7",
                "ls",
                "-l"
            ]
        );
    }
}
