//! Small files within one server: the server copies them by itself (`copy-data`), and only names and attributes cross the
//! network.

use renkei_ssh::sftp::{Attrs, CopyRange, OpenFlags, Sftp};

use super::batch::Stored;
use super::item::{Ends, Item};
use crate::copy::endpoint::base::{Base, far_path, sibling};
use crate::copy::endpoint::publish;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;
use crate::request::Existing;

/// OPEN both; then COPY-DATA, FSETSTAT, FSTAT and CLOSE together; then, when all were answered OK, the rename.
pub async fn copy(shared: &Shared, ends: &Ends, item: &Item) -> Result<Stored, Trouble> {
    let sftp = ends.target()?;
    let Base::Far { dir, .. } = &item.target.base else {
        return Err(Trouble::Ended);
    };
    let (source, path) = (item.source.path(), item.target.path());
    let temp = far_path(dir, &sibling(&item.target.rel, &item.temp(&shared.temps)));
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let from = sftp.open(&source, OpenFlags::READ, &Attrs::none());
    let to = sftp.open(&temp, flags, &Attrs::with_mode(0o600));
    let (from, to) = (from.await, to.await);
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(error), to) => {
            if let Ok(to) = to {
                let _ = sftp.close(&to).await;
                remove(sftp, &temp).await;
            }
            return Err(Trouble::far("open", &source)(error));
        }
        (Ok(from), Err(error)) => {
            let _ = sftp.close(&from).await;
            return Err(Trouble::far("make a file beside", &path)(error));
        }
    };
    let content = sftp.copy_data(CopyRange {
        from: &from,
        from_offset: 0,
        len: 0,
        to: &to,
        to_offset: 0,
    });
    let set = sftp.fsetstat(&to, &shared.keep.far(&item.facts));
    let look = sftp.fstat(&to);
    let (closed, closed_source) = (sftp.close(&to), sftp.close(&from));
    let (content, set, look, closed, _) = (content.await, set.await, look.await, closed.await, closed_source.await);
    let done = async {
        content.map_err(Trouble::far("copy", &path))?;
        set.map_err(Trouble::far("set attributes of", &path))?;
        let look = look.map_err(Trouble::far("look at", &path))?;
        closed.map_err(Trouble::far("close", &path))?;
        match shared.request.existing {
            Existing::Keep => publish::claim(sftp, &temp, &path).await?,
            _ => publish::replace(sftp, &temp, &path, &|aside| shared.log.aside(item, aside)).await?,
        }
        Ok(Stored {
            size: look.size.unwrap_or(item.facts.size),
            mtime: look.mtime().map(i64::from),
        })
    }
    .await;
    if done.as_ref().is_err_and(|trouble: &Trouble| !trouble.is_lost()) {
        remove(sftp, &temp).await;
    }
    done
}

async fn remove(sftp: &Sftp, temp: &[u8]) {
    // The failure that led here is what is told.
    let _ = sftp.remove(temp).await;
}
