//! Building templates for the machines of a host, into its image folder.

use std::path::{Path, PathBuf};

use renkei_host::images::Images;
use renkei_host::small;

pub use renkei_host::images::Bundle;
pub use renkei_host::small::{NAME as SMALL, SmallError as BuildError};

use crate::pick::IMAGES;

/// The image folder of the agent with this data folder.
pub fn images_in(data: &Path) -> PathBuf {
    data.join(IMAGES)
}

/// Builds the small guest into an image folder, as the template [`SMALL`]. `tell` gets a line of text before each part of the work.
///
/// # Errors
/// As [`small::build`].
pub fn build_small(folder: &Path, tell: &mut dyn FnMut(&str)) -> Result<Bundle, BuildError> {
    small::build(&Images::open(folder)?, tell)
}
