//! Which kernel modules are loaded, and in which order: each after those that it says it needs.

use std::collections::BTreeMap;

/// A module's file, by the module's name.
pub(super) type Modules = BTreeMap<String, Vec<u8>>;

/// A module that is wanted or needed is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub String);

/// The wanted modules and those that they need, in the order in which they can be loaded.
pub(super) fn order(
    wanted: &[&str],
    mut get: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Result<(Vec<String>, Modules), Unknown> {
    let (mut order, mut modules) = (vec![], Modules::new());
    // A module is pushed a second time under those that it needs, and loaded when it comes up again.
    let mut open: Vec<String> = wanted.iter().rev().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop() {
        if order.contains(&name) {
            continue;
        }
        if modules.contains_key(&name) {
            order.push(name);
            continue;
        }
        let file = get(&name).ok_or_else(|| Unknown(name.clone()))?;
        let needed = needed(&file);
        modules.insert(name.clone(), file);
        open.push(name);
        open.extend(needed);
    }
    Ok((order, modules))
}

/// What a module says that it needs: the text `depends=a,b` of its section `.modinfo`.
fn needed(file: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = file.windows(KEY.len()).position(|window| window == KEY) else {
        return vec![];
    };
    let rest = file.get(at + KEY.len()..).unwrap_or_default();
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(text);
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The name of the module in a file: `virtio-rng.ko.xz` is `virtio_rng`.
pub(super) fn name(file: &str) -> Option<String> {
    let stem = file.strip_suffix(".xz").unwrap_or(file).strip_suffix(".ko")?;
    Some(stem.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Option<Vec<u8>> {
        let needs = match name {
            "blk" => "pci,ring",
            "pci" => "ring,core",
            "ring" => "core",
            "core" => "",
            "lost" => "absent",
            _ => return None,
        };
        Some(format!("x\0license=GPL\0depends={needs}\0name={name}\0").into_bytes())
    }

    #[test]
    fn each_comes_after_what_it_needs_and_once() {
        let (order, modules) = order(&["blk", "core"], file).unwrap();
        assert_eq!(order, ["core", "ring", "pci", "blk"]);
        assert_eq!(modules.len(), 4);
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(order(&["lost"], file).unwrap_err(), Unknown("absent".to_owned()));
    }

    #[test]
    fn names_are_those_that_modules_use() {
        assert_eq!(name("virtio-rng.ko.xz").as_deref(), Some("virtio_rng"));
        assert_eq!(name("isofs.ko").as_deref(), Some("isofs"));
        assert_eq!(name("modules.order"), None);
    }
}
