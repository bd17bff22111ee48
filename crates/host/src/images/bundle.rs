//! What a machine's first disk is made from, and the small records that say so. No I/O.

use renkei_types::template::TemplateFacts;
use renkei_types::tree_hash::Root;
use serde::{Deserialize, Serialize};

/// The name of a file in the folder: the BLAKE3 root of its content, as `b3sum` prints it.
pub type Digest = Root;

/// What a machine's first disk is made from, and how it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// A qcow2 file without a backing file: the base of overlays.
    pub disk: Digest,
    /// How large the guest sees it, bytes. A machine's disk is never smaller.
    pub virtual_bytes: u64,
    /// What is booted directly; from the disk's own boot loader without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// What is in it, for the catalog.
    pub facts: TemplateFacts,
}

/// What is booted directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// A Linux kernel (bzImage).
    pub kernel: Digest,
    /// Its initial file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<Digest>,
    /// What the kernel is told. Never anything about one machine: that is in the seed.
    pub command_line: String,
}

/// A record as it lies in the folder. It says whose it is, so that a file under the wrong name is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The template's name or the image's id.
    pub of: String,
    /// What it is.
    pub bundle: Bundle,
}

impl Bundle {
    /// All files that it needs.
    pub fn files(&self) -> impl Iterator<Item = Digest> + '_ {
        let boot = self
            .boot
            .iter()
            .flat_map(|boot| Some(boot.kernel).into_iter().chain(boot.initrd));
        Some(self.disk).into_iter().chain(boot)
    }
}

/// File names have at most 255 bytes on Linux; `.json` and the temporary name's prefix fit beside this.
const LONGEST: usize = 180;

/// The file name of a template's record. Templates may be called anything, so all but letters, digits, `-`, `_` and inner dots is
/// written as `%` and two hexadecimal digits a byte, and what gets too long by its BLAKE3 root.
pub(super) fn file_name(template: &str) -> String {
    let mut name = String::new();
    for (at, byte) in template.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > LONGEST || name.is_empty() {
        name = format!("%{}", renkei_types::tree_hash::hash_whole(template.as_bytes()));
    }
    name + ".json"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_stays_readable() {
        assert_eq!(file_name("renkei-small_1.0"), "renkei-small_1.0.json");
    }

    #[test]
    fn no_name_leads_out_of_the_folder_or_hides() {
        assert_eq!(file_name("../a/b"), "%2E.%2Fa%2Fb.json");
        assert_eq!(file_name(".new-1"), "%2Enew-1.json");
        assert_eq!(file_name("a b%"), "a%20b%25.json");
    }

    #[test]
    fn names_of_any_length_have_file_names_of_their_own() {
        let (a, b) = (file_name(&"あ".repeat(200)), file_name(&"あ".repeat(201)));
        assert!(a.len() < 100 && b.len() < 100, "{a} {b}");
        assert_ne!(a, b);
        assert_ne!(file_name(""), file_name("%"));
    }
}
