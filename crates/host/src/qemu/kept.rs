//! What lies beside a machine's disks: everything that is needed to start it again, without any database.

use std::io;
use std::path::{Path, PathBuf};

use renkei_types::agent::MachineIntent;
use renkei_types::id::{ImageId, VmId};
use serde::{Deserialize, Serialize};

use super::accel::Accel;
use crate::driver::DriverError;
use crate::images::{Boot, Digest};
use crate::machine::{Form, Record};
use crate::whole::write_whole;

/// The file's name.
const KEPT: &str = "machine.json";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Which machine: a folder that was renamed is noticed.
    pub id: VmId,
    /// Whose, and its name.
    pub record: Record,
    /// What it is made of.
    pub form: Form,
    /// Whether its disks are complete.
    pub whole: bool,
    /// Whether the guest itself ended.
    pub halted: bool,
    /// What its first disk is an overlay of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// What is booted in place of the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// An OpenSSH public key, for the seed.
    pub key: String,
    /// cloud-init's user data, for the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Who its QEMU is.
    pub user: u32,
    /// Set while it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Asleep>,
    /// The latest image that was made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<(ImageId, String)>,
}

/// On what a suspended machine fell asleep: it wakes up on nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asleep {
    /// The chipset with its version.
    pub chipset: String,
    /// What carried its processors out.
    pub accel: Accel,
}

impl Kept {
    /// Of a machine of which nothing is there yet.
    pub fn new(intent: &MachineIntent, user: u32) -> Self {
        Self {
            id: intent.id,
            record: Record::of(intent),
            form: Form::of(intent),
            whole: false,
            halted: false,
            base: None,
            boot: None,
            key: intent.key.clone(),
            user_data: intent.user_data.clone(),
            user,
            asleep: None,
            saved: None,
        }
    }

    /// Reads it; nothing if there is none in the folder.
    pub fn read(folder: &Path) -> Result<Option<Self>, DriverError> {
        let path = folder.join(KEPT);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                let path = path.display();
                DriverError::permanent(format!(
                    "`{path}` is damaged, or another version has written it: {error}"
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), DriverError> {
        let path = folder.join(KEPT);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        text.and_then(|text| write_whole(&path, &text))
            .map_err(failed("write", &path))
    }
}

/// What the system said about a file. A full disk can be emptied, so a retry may help.
pub(super) fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DriverError {
    let path: PathBuf = path.to_owned();
    move |error| DriverError::transient(format!("cannot {verb} `{}`: {error}", path.display()))
}
