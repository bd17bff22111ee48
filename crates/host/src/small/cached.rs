//! The small guest for tests: built once for each state of the builder and of Debian's packages, shared by all processes.

use std::fs::{self, File};
use std::path::Path;

use renkei_types::tree_hash::{Root, hash_whole};

use super::{NAME, SmallError, apt, from};
use crate::images::{Bundle, Images, ImagesError};

/// All that decides what is built.
const SOURCES: [&str; 16] = [
    include_str!("apt.rs"),
    include_str!("elf.rs"),
    include_str!("mod.rs"),
    include_str!("modules.rs"),
    include_str!("newc.rs"),
    include_str!("system.rs"),
    include_str!("tool.rs"),
    include_str!("guest/dhcp"),
    include_str!("guest/init"),
    include_str!("guest/inittab"),
    include_str!("guest/network"),
    include_str!("guest/power"),
    include_str!("guest/sshd"),
    include_str!("guest/start"),
    include_str!("guest/stop"),
    include_str!("guest/yaml.awk"),
];

/// An image folder, somewhere beneath the folder, that has the template [`NAME`], and what it is. Built if it is not there yet; of
/// several processes one builds, and the others wait for it. Only to be read: it is everybody's.
///
/// # Errors
/// As [`super::build`].
pub fn cached(folder: &Path) -> Result<(Images, Bundle), SmallError> {
    fs::create_dir_all(folder).map_err(SmallError::file("make", folder))?;
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(SmallError::file("open", &path))?;
    lock.lock().map_err(SmallError::file("lock", &path))?;
    let packages = apt::find(folder)?;
    let images = Images::open(&folder.join(key(&packages.versions).to_string()))?;
    match images.template(NAME) {
        Ok(Some(bundle)) => return Ok((images, bundle)),
        // Somebody has cleared a part of it away: then it is built again.
        Ok(None) | Err(ImagesError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let bundle = from(&packages, &images, &mut |_| {})?;
    Ok((images, bundle))
}

fn key(versions: &[String]) -> Root {
    let text: Vec<&str> = versions.iter().map(String::as_str).chain(SOURCES).collect();
    hash_whole(text.join("\0").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_key() {
        assert_ne!(key(&["a_1".to_owned()]), key(&["a_2".to_owned()]));
    }
}
