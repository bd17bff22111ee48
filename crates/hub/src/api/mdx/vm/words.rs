//! The dialect's words for machines, in both directions. What comes in is taken in any case and in the words of older clients;
//! what goes out is as the portal writes it.

use renkei_types::vm::{PackKind, ServiceLevel, Shape, Vm, VmState};

use super::super::answer::Refusal;

/// Where a machine stands. One that is being destroyed is shown as it was until it is gone: clients know no other word.
pub fn status(vm: &Vm) -> &'static str {
    let mut still = vm.clone();
    still.meant.tombstone = false;
    match still.state() {
        VmState::Deploying => "Deploying",
        VmState::Running => "PowerON",
        VmState::Suspended => "Suspended",
        VmState::Deallocated => "Deallocated",
        VmState::Lost => "NotFound",
        VmState::Stopped | VmState::Destroying => "PowerOFF",
    }
}

/// Whether the dialect lets it be destroyed: a machine that runs is asked to stop first.
pub fn may_be_destroyed(vm: &Vm) -> bool {
    matches!(
        vm.state(),
        VmState::Stopped | VmState::Deallocated | VmState::Lost | VmState::Destroying
    )
}

/// `spot`, `guarantee`, or as the portal shows them. Nothing is what the machine has, or `spot` for a new one.
pub fn service_level(word: Option<&str>) -> Result<Option<ServiceLevel>, Refusal> {
    let Some(word) = word.map(str::trim).filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    match word.to_lowercase().as_str() {
        "spot" | SPOT => Ok(Some(ServiceLevel::Spot)),
        "guarantee" | "guaranteed" | GUARANTEE => Ok(Some(ServiceLevel::Guarantee)),
        _ => {
            let title = format!("`{word}` is no service level: use `spot` or `guarantee`");
            Err(Refusal::field("service_level", title))
        }
    }
}

const SPOT: &str = "スポット仮想マシン";
const GUARANTEE: &str = "起動保証仮想マシン";

/// As the portal shows it.
pub fn level_shown(level: ServiceLevel) -> &'static str {
    match level {
        ServiceLevel::Spot => SPOT,
        ServiceLevel::Guarantee => GUARANTEE,
    }
}

/// `cpu` or `gpu`; `cpu` without.
pub fn pack_kind(word: Option<&str>) -> Result<PackKind, Refusal> {
    match word.map(str::trim).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "cpu" => Ok(PackKind::Cpu),
        "gpu" => Ok(PackKind::Gpu),
        word => Err(Refusal::field(
            "pack_type",
            format!("`{word}` is no kind of pack: use `cpu` or `gpu`"),
        )),
    }
}

/// `cpu` or `gpu`.
pub fn pack_shown(kind: PackKind) -> &'static str {
    match kind {
        PackKind::Cpu => "cpu",
        PackKind::Gpu => "gpu",
    }
}

/// `portgroup`, `pvrdma` or `sr-iov`; `portgroup` without.
pub fn storage_network(word: Option<&str>) -> Result<&'static str, Refusal> {
    match word.map(str::trim).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "portgroup" => Ok("portgroup"),
        "pvrdma" => Ok("pvrdma"),
        "sr-iov" | "sriov" => Ok("sr-iov"),
        word => {
            let title = format!("`{word}` is no storage network: use `portgroup`, `pvrdma` or `sr-iov`");
            Err(Refusal::field("storage_network", title))
        }
    }
}

/// `4.53 GB`: what packs say exactly, and otherwise 1,024 MiB a GB to two places.
pub fn memory(shape: &Shape) -> String {
    let hundredths = match shape.pack {
        Some(pack) => pack.memory_centigb(),
        None => shape.memory_mib.saturating_mul(100).saturating_add(512) / 1024,
    };
    format!("{}.{:02} GB", hundredths / 100, hundredths % 100)
}

/// `40 GB`.
pub fn capacity(gib: u64) -> String {
    format!("{gib} GB")
}

#[cfg(test)]
mod tests {
    use renkei_types::vm::{Disk, Pack};

    use super::*;

    fn shape(pack: Option<Pack>, memory_mib: u64) -> Shape {
        Shape {
            pack,
            vcpus: 1,
            memory_mib,
            gpus: 0,
            disks: vec![Disk { number: 1, gib: 40 }],
            service_level: ServiceLevel::Spot,
        }
    }

    #[test]
    fn memory_is_written_as_packs_count_it() {
        let packs = |kind, number| memory(&shape(Some(Pack { kind, number }), 0));
        assert_eq!(packs(PackKind::Cpu, 3), "4.53 GB");
        assert_eq!(packs(PackKind::Cpu, 16), "24.16 GB");
        assert_eq!(packs(PackKind::Gpu, 8), "460.80 GB");
        assert_eq!(memory(&shape(None, 2048)), "2.00 GB");
        assert_eq!(memory(&shape(None, 1536)), "1.50 GB");
    }

    #[test]
    fn old_words_and_none_are_taken() {
        for word in ["spot", "Spot", " SPOT ", "スポット仮想マシン"] {
            assert_eq!(service_level(Some(word)).unwrap(), Some(ServiceLevel::Spot));
        }
        for word in ["guarantee", "GUARANTEE", "起動保証仮想マシン"] {
            assert_eq!(service_level(Some(word)).unwrap(), Some(ServiceLevel::Guarantee));
        }
        assert_eq!(service_level(None).unwrap(), None);
        assert_eq!(service_level(Some("")).unwrap(), None);
        assert!(service_level(Some("gold")).is_err());
        assert_eq!(pack_kind(None).unwrap(), PackKind::Cpu);
        assert_eq!(pack_kind(Some("GPU")).unwrap(), PackKind::Gpu);
        assert!(pack_kind(Some("tpu")).is_err());
        assert_eq!(storage_network(None).unwrap(), "portgroup");
        assert_eq!(storage_network(Some("SR-IOV")).unwrap(), "sr-iov");
        assert!(storage_network(Some("tape")).is_err());
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for level in [ServiceLevel::Spot, ServiceLevel::Guarantee] {
            assert_eq!(service_level(Some(level_shown(level))).unwrap(), Some(level));
        }
        for kind in [PackKind::Cpu, PackKind::Gpu] {
            assert_eq!(pack_kind(Some(pack_shown(kind))).unwrap(), kind);
        }
    }
}
