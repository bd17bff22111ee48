//! The image folder of a site, on one host: what machines' disks are made from.
//!
//! ```text
//! files/<64 hexadecimal digits>     a content under its BLAKE3 root; never written again, so that overlays can stand on it
//! templates/<name>.json             which contents a template of the catalog is
//! images/<id>.json                  which contents an image is
//! ```
//!
//! Several processes may use a folder at once. A file comes under its name whole or not at all, also when the computer loses its
//! power: it is written under a name that begins with `.new-`, synced, renamed, and the folder is synced. What a crash has left under
//! such a name goes with the next [`Images::open`]; nothing else is ever removed, and what others have put here is left alone.
//!
//! Not here: fetching from other hosts, evicting, and what is in a disk.

mod bundle;
mod error;
mod whole;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use renkei_types::id::ImageId;

pub use bundle::{Boot, Bundle, Digest};
pub use error::ImagesError;

use bundle::Record;

/// The image folder. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct Images {
    files: PathBuf,
    templates: PathBuf,
    images: PathBuf,
}

impl Images {
    /// The folder, made if it is not there. Others may read in it: machines run as users of their own.
    ///
    /// # Errors
    /// If it cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, ImagesError> {
        let images = Self {
            files: folder.join("files"),
            templates: folder.join("templates"),
            images: folder.join("images"),
        };
        for folder in [&images.files, &images.templates, &images.images] {
            fs::create_dir_all(folder).map_err(ImagesError::file("make", folder))?;
            whole::sweep(folder)?;
        }
        Ok(images)
    }

    /// Takes a copy of a file in, and says under which digest. What is there already is not written again.
    ///
    /// # Errors
    /// If it cannot be read or kept. Then nothing new is there.
    pub fn add(&self, file: &Path) -> Result<Digest, ImagesError> {
        let source = File::open(file).map_err(ImagesError::file("read", file))?;
        whole::copy_in(&source, file, &self.files)
    }

    /// Where the content with this digest is, if it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.files.join(digest.to_string())
    }

    /// Whether the content with this digest is there.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// What the template with this name is made of; nothing if it is not here.
    ///
    /// # Errors
    /// If its record cannot be read, or a file is missing that it needs.
    pub fn template(&self, name: &str) -> Result<Option<Bundle>, ImagesError> {
        self.read(&self.templates.join(bundle::file_name(name)), name)
    }

    /// Says what the template with this name is made of, in place of what was said before.
    ///
    /// # Errors
    /// If a file of it is not here, or the record cannot be written. Then what was said before still holds.
    pub fn put_template(&self, name: &str, bundle: &Bundle) -> Result<(), ImagesError> {
        self.write(&self.templates.join(bundle::file_name(name)), name, bundle)
    }

    /// What an image is made of; nothing if it is not here.
    ///
    /// # Errors
    /// If its record cannot be read, or a file is missing that it needs.
    pub fn image(&self, id: ImageId) -> Result<Option<Bundle>, ImagesError> {
        let of = id.to_string();
        self.read(&self.images.join(bundle::file_name(&of)), &of)
    }

    /// Says what an image is made of, in place of what was said before.
    ///
    /// # Errors
    /// If a file of it is not here, or the record cannot be written. Then what was said before still holds.
    pub fn put_image(&self, id: ImageId, bundle: &Bundle) -> Result<(), ImagesError> {
        let of = id.to_string();
        self.write(&self.images.join(bundle::file_name(&of)), &of, bundle)
    }

    fn read(&self, path: &Path, of: &str) -> Result<Option<Bundle>, ImagesError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ImagesError::file("read", path)(source)),
        };
        let record: Record = serde_json::from_slice(&text).map_err(|source| ImagesError::Parse {
            path: path.to_owned(),
            source,
        })?;
        if record.of != of {
            return Err(ImagesError::Other {
                path: path.to_owned(),
                of: of.to_owned(),
                says: record.of,
            });
        }
        self.complete(of, &record.bundle)?;
        Ok(Some(record.bundle))
    }

    fn write(&self, path: &Path, of: &str, bundle: &Bundle) -> Result<(), ImagesError> {
        self.complete(of, bundle)?;
        let record = Record {
            of: of.to_owned(),
            bundle: bundle.clone(),
        };
        let text = serde_json::to_vec_pretty(&record).map_err(io::Error::from);
        let text = text.map_err(ImagesError::file("write", path))?;
        whole::put(path, &text)
    }

    fn complete(&self, of: &str, bundle: &Bundle) -> Result<(), ImagesError> {
        match bundle.files().find(|digest| !self.has(digest)) {
            None => Ok(()),
            Some(digest) => Err(ImagesError::Missing {
                of: of.to_owned(),
                digest,
                path: self.path(&digest),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
