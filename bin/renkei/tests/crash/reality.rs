//! What there really is at the host: the file of the driver that pretends.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Has been there since before the hub, and is nobody's to destroy.
pub const STRANGER: &str = "0190a1b2-0000-7000-8000-00000000abcd";

/// The folder of the driver, in the agent's.
pub struct Reality {
    folder: PathBuf,
}

impl Reality {
    pub fn of(agent: &Path) -> Self {
        Self {
            folder: agent.join("fake"),
        }
    }

    /// Makes the host: what it has, how long steps take, and a machine that no hub knows of.
    pub fn make(&self, owner: &str) {
        std::fs::create_dir_all(&self.folder).unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&self.folder, closed).unwrap();
        let script = json!({
            "capacity": {"vcpus": 64, "memory_mib": 262_144, "disk_gib": 100_000, "gpus": 0},
            "rules": [
                {"step": "create", "does": {"takes": 150}},
                {"does": {"takes": 40}},
            ],
        });
        std::fs::write(self.folder.join("fake.json"), script.to_string()).unwrap();
        let stranger = json!({
            "machine": {
                "id": STRANGER,
                "record": {"project": owner, "name": "stranger"},
                "whole": true,
                "power": "on",
                "halted": false,
                "form": {"vcpus": 1, "memory_mib": 512, "disks": [], "adapters": []},
                "addresses": {},
            },
            "disk": "precious",
            "work": null,
        });
        let world = json!({
            "machines": {STRANGER: stranger},
            "images": {},
            "segments": {},
            "disks": 0,
            "used": {},
            "carried_out": {},
        });
        std::fs::write(self.folder.join("machines.json"), world.to_string()).unwrap();
    }

    fn world(&self) -> Value {
        let text = std::fs::read(self.folder.join("machines.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn part(&self, name: &str) -> Map<String, Value> {
        self.world()[name].as_object().cloned().expect("an object")
    }

    /// All machines, by id.
    pub fn machines(&self) -> Map<String, Value> {
        self.part("machines")
    }

    /// What is so of networks: id and generation.
    pub fn segments(&self) -> Map<String, Value> {
        self.part("segments")
    }

    /// How often each step was carried out with each machine that ever was.
    pub fn carried_out(&self) -> Map<String, Value> {
        self.part("carried_out")
    }
}
