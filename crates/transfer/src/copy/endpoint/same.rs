//! Source and target on the same side: is one the other, or inside it?

use std::sync::Arc;

use renkei_ssh::sftp::Sftp;

use super::base::{Base, blocking};
use super::landing::{join, last_name, parent};
use super::spot::Spot;
use crate::copy::trouble::Trouble;

/// Refuses to copy a file onto itself or a directory into itself. Only paths are compared: a hard link to the source is
/// found by its inode elsewhere.
pub async fn refuse(source: &Spot, target: &Spot, is_dir: bool) -> Result<(), Trouble> {
    let (from, to) = match (&source.base, &target.base) {
        (Base::Near(_), Base::Near(_)) => {
            let (from, to) = (source.path(), target.path());
            blocking(move || Ok((real_near(&from), real_near(&to)))).await?
        }
        (Base::Far { server: a, .. }, Base::Far { server: b, .. }) if Arc::ptr_eq(a, b) => {
            let real = |path: Vec<u8>| async move { a.run(|sftp| real_far(sftp, path.clone())).await };
            let (from, to) = tokio::join!(real(source.path()), real(target.path()));
            (from?, to?)
        }
        _ => return Ok(()),
    };
    let (Some(from), Some(to)) = (from, to) else {
        return Ok(());
    };
    if from == to {
        return Err(Trouble::Other {
            path: target.path(),
            reason: "source and target are the same".into(),
        });
    }
    let inside = is_dir && to.starts_with(&join(&from, b""));
    if inside {
        let reason = "a directory cannot be copied into itself".into();
        return Err(Trouble::Other {
            path: target.path(),
            reason,
        });
    }
    Ok(())
}

/// Whether a link to a directory leads to the directory that it stands in or to one above. Servers tell no inode numbers,
/// so there the paths are compared.
pub async fn leads_above(link: &Spot, dir: &Spot) -> Result<bool, Trouble> {
    let Base::Far { server, .. } = &link.base else {
        return Ok(false);
    };
    let real = |path: Vec<u8>| async move { server.run(|sftp| real_far(sftp, path.clone())).await };
    let (to, from) = tokio::join!(real(link.path()), real(dir.path()));
    let (Some(to), Some(from)) = (to?, from?) else {
        return Ok(false);
    };
    Ok(to == from || from.starts_with(&join(&to, b"")))
}

/// The path without links; of what is not there yet, by its directory.
fn real_near(path: &[u8]) -> Option<Vec<u8>> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let real = |path: &[u8]| {
        let path = std::fs::canonicalize(std::ffi::OsStr::from_bytes(path)).ok()?;
        Some(path.into_os_string().into_vec())
    };
    real(path).or_else(|| Some(join(&real(&parent(path))?, last_name(path)?)))
}

async fn real_far(sftp: Sftp, path: Vec<u8>) -> Result<Option<Vec<u8>>, Trouble> {
    match sftp.realpath(&path).await {
        Ok(real) => return Ok(Some(real.to_vec())),
        Err(error) if error.is_transient() => return Err(Trouble::far("resolve", &path)(error)),
        Err(_) => {}
    }
    match sftp.realpath(&parent(&path)).await {
        Ok(real) => Ok(last_name(&path).map(|name| join(&real, name))),
        Err(error) if error.is_transient() => Err(Trouble::far("resolve", &path)(error)),
        Err(_) => Ok(None),
    }
}
