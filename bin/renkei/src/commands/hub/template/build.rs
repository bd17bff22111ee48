//! `renkei template build`: builds on this computer, then makes it known to the hub.

use std::io;
use std::path::{Path, PathBuf};

use renkei_site::template::{BuildError, Bundle, SMALL, build_small, images_in};
use renkei_types::name::Name;
use renkei_types::template::{NewTemplate, Template, TemplateFacts, TemplatePatch};
use serde_json::json;

use super::HERE;
use crate::arguments::hub::template::{Build, Built};
use crate::commands::hub::Hub;
use crate::commands::hub::client::{Change, Outcome};
use crate::commands::hub::failure::Failure;
use crate::exit;
use crate::settings::{SITE_FOLDER, host_folders};

/// Why a template is not built.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    /// There is nowhere to put it.
    #[error(
        "there is no host on this computer{}\nhint: `renkei up` or `renkei join` makes one; \
         `--data DIR` is for `renkei up --data DIR`, `--images DIR` for any folder",
        .0.as_ref().map(|folder| format!(": `{}` is not there", folder.display())).unwrap_or_default()
    )]
    NoHost(Option<PathBuf>),
    /// There is more than one place to put it.
    #[error("this computer has more than one host\nhint: choose one with `--images`: {}", shown(.0))]
    Hosts(Vec<PathBuf>),
    /// The work failed.
    #[error("cannot build the template `{}`{}", SMALL, hint(.0))]
    Work(#[from] BuildError),
}

fn shown(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    folders.join(" or ")
}

/// What to do about it, on a line of its own.
fn hint(error: &BuildError) -> String {
    let next = match error {
        BuildError::NoProgram { package, .. } => format!("`apt-get install {package}`"),
        BuildError::NoPackage { .. } => {
            "build it on a computer with Debian's package sources; its image folder can be copied".to_owned()
        }
        BuildError::NoNetwork { .. } => "when they can be reached, the same command again".to_owned(),
        BuildError::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "the same command as root, or as whoever runs the host".to_owned()
        }
        BuildError::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            "it takes about 200 MB in TMPDIR while it is built, and 25 MB in the image folder".to_owned()
        }
        _ => return String::new(),
    };
    format!("\nhint: {next}")
}

/// Builds it, tells what was done, and makes it known.
pub async fn build(hub: &Hub, build: &Build) -> Result<u8, Failure> {
    let folder = folder(build, &host_folders(), Path::is_dir)?;
    let Built::Small = build.what;
    let mut tell = |part: &str| {
        if !hub.is_json() {
            hub.output.note(part);
        }
    };
    let bundle = build_small(&folder, &mut tell).map_err(NotBuilt::from)?;
    if !hub.is_json() {
        hub.print_line(&format!("built template `{SMALL}` into `{}`", folder.display()))?;
    }
    let known = match build.no_register {
        true => None,
        false => register(hub, &bundle.facts).await?,
    };
    if hub.is_json() {
        return hub.print_json(&json!({
            "template_name": SMALL,
            "images": folder.display().to_string(),
            "bundle": bundle,
            "registered": known,
        }));
    }
    told(hub, known.as_ref(), &bundle)
}

/// How it stands with the catalog, and what to do next.
fn told(hub: &Hub, known: Option<&Template>, bundle: &Bundle) -> Result<u8, Failure> {
    match known {
        Some(template) => {
            hub.print_line(&format!("{} knows it, id {}", hub.client.hub(), template.id))?;
            hub.output.note(&format!("hint: `renkei vm deploy NAME -p PROJECT --template {SMALL} --key ~/.ssh/id_ed25519.pub`"));
        }
        None => hub.output.note(&format!(
            "note: no hub was told of it\nhint: an administrator makes it known with the same command when signed in, or with\n{}",
            by_hand(&bundle.facts)
        )),
    }
    Ok(exit::COMPLETE)
}

/// The command that makes it known from anywhere.
fn by_hand(facts: &TemplateFacts) -> String {
    format!(
        "renkei template create {SMALL} --public --os-name '{}' --os-version '{}' --login-username {} --min-disk {}G --min-memory {}M",
        facts.os_name, facts.os_version, facts.login_username, facts.min_disk_gib, facts.min_memory_mib
    )
}

/// Makes it known to everybody, or brings what is known of it up to date; nothing if nobody is signed in.
async fn register(hub: &Hub, facts: &TemplateFacts) -> Result<Option<Template>, Failure> {
    let object = match hub.id(HERE, SMALL).await {
        Err(Failure::NotSignedIn(_)) => return Ok(None),
        Err(Failure::Missing { .. }) => {
            let name: Name = named();
            let new = NewTemplate {
                name: name.clone(),
                template_name: name,
                project: None,
                image: None,
                facts: facts.clone(),
            };
            changed(hub, &Change::create(HERE.path(), &new)).await?
        }
        Err(other) => return Err(other),
        Ok(id) => {
            let answer = hub.client.get(&HERE.one(id), &[]).await?;
            let was: Template = hub.client.read(answer.body.clone())?;
            if was.facts == *facts {
                answer.body
            } else {
                let patch = TemplatePatch {
                    name: None,
                    facts: Some(facts.clone()),
                };
                changed(hub, &Change::patch(HERE.one(id), &patch).seen(answer.version)).await?
            }
        }
    };
    hub.client.read(object).map(Some)
}

fn named() -> Name {
    SMALL
        .to_owned()
        .try_into()
        .unwrap_or_else(|_| unreachable!("it is a name"))
}

async fn changed(hub: &Hub, change: &Change) -> Result<serde_json::Value, Failure> {
    match hub.client.change(change).await? {
        Outcome::Planned(object) | Outcome::Done(object) => Ok(object),
    }
}

/// The image folder that is meant. The folder of a host is never made here: only the host gives it the right owner and mode.
fn folder(build: &Build, hosts: &[PathBuf], there: impl Fn(&Path) -> bool) -> Result<PathBuf, NotBuilt> {
    if let Some(images) = &build.images {
        return Ok(images.clone());
    }
    if let Some(data) = &build.data {
        let host = data.join(SITE_FOLDER);
        return match there(&host) {
            true => Ok(images_in(&host)),
            false => Err(NotBuilt::NoHost(Some(host))),
        };
    }
    let found: Vec<&PathBuf> = hosts.iter().filter(|host| there(host)).collect();
    match found[..] {
        [] => Err(NotBuilt::NoHost(None)),
        [host] => Ok(images_in(host)),
        _ => Err(NotBuilt::Hosts(found.into_iter().map(|host| images_in(host)).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(images: Option<&str>, data: Option<&str>) -> Build {
        Build {
            what: Built::Small,
            images: images.map(PathBuf::from),
            data: data.map(PathBuf::from),
            no_register: false,
        }
    }

    fn hosts() -> [PathBuf; 2] {
        ["/joined", "/up/site"].map(PathBuf::from)
    }

    #[test]
    fn it_goes_to_the_host_of_this_computer() {
        let only = |path: &Path| path == Path::new("/up/site");
        assert_eq!(
            folder(&asked(None, None), &hosts(), only).unwrap(),
            Path::new("/up/site/images")
        );
        assert_eq!(
            folder(&asked(None, Some("/up")), &[], only).unwrap(),
            Path::new("/up/site/images")
        );
        assert_eq!(
            folder(&asked(Some("/any"), None), &[], |_| false).unwrap(),
            Path::new("/any")
        );
    }

    #[test]
    fn without_a_host_or_with_two_it_says_what_to_do() {
        let error = |build: &Build, there: fn(&Path) -> bool| folder(build, &hosts(), there).unwrap_err().to_string();
        let text = error(&asked(None, None), |_| false);
        assert!(
            text.starts_with("there is no host on this computer\nhint: `renkei up`"),
            "{text}"
        );
        let text = error(&asked(None, Some("/elsewhere")), |_| false);
        assert!(text.contains("`/elsewhere/site` is not there"), "{text}");
        let text = error(&asked(None, None), |_| true);
        assert!(text.contains("/joined/images or /up/site/images"), "{text}");
    }

    #[test]
    fn what_is_missing_is_told_with_the_way_to_get_it() {
        let error = NotBuilt::from(BuildError::NoProgram {
            program: "qemu-img",
            package: "qemu-utils",
        });
        assert!(
            error.to_string().ends_with("\nhint: `apt-get install qemu-utils`"),
            "{error}"
        );
    }

    #[test]
    fn by_hand_it_is_one_command() {
        let facts = TemplateFacts {
            os_name: "Renkei small".to_owned(),
            os_version: "0.1.0".to_owned(),
            login_username: "root".to_owned(),
            min_memory_mib: 128,
            ..TemplateFacts::default()
        };
        assert_eq!(
            by_hand(&facts),
            "renkei template create renkei-small --public --os-name 'Renkei small' --os-version '0.1.0' \
             --login-username root --min-disk 1G --min-memory 128M"
        );
    }
}
