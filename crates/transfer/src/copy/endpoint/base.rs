//! A directory at either side, and what can be asked and done below it without moving content.
//!
//! Two forms with the same operations: below a [`Root`] of this machine, or below a path at a server. Paths are relative
//! to the base; the empty path is the base itself.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join_all;
use renkei_ssh::sftp::{Attrs, Sftp, StatusCode};
use renkei_types::printable::Printable;
use tokio::sync::mpsc;

use super::facts::{Facts, Keep};
use super::landing::join;
use super::seen::Seen;
use crate::copy::server::Server;
use crate::copy::trouble::Trouble;
use crate::local::error::FileError;
use crate::local::root::{Root, check_name};
use crate::local::tree::{Made as NearMade, NewHardLink, NewLink};

/// Names of one listing at a time.
pub type Names = Vec<(Vec<u8>, Facts)>;

/// How many names a server may send for one directory. Real directories are smaller; an endless one ends here.
const MOST_NAMES: usize = 16_000_000;
/// How often it may send for one directory what brings it nowhere: names that are refused, and answers without names. An
/// honest server has none of the former, and one of the latter at most.
const MOST_USELESS: usize = 10_000;
/// READDIR requests in flight on one directory, at most.
const MOST_READDIRS: usize = 32;

/// A base directory.
#[derive(Clone)]
pub enum Base {
    /// On this machine.
    Near(Arc<Root>),
    /// At a server, by path as the server resolves it.
    Far {
        /// Whose.
        server: Arc<Server>,
        /// Its path; empty is the login directory.
        dir: Arc<[u8]>,
    },
}

/// What came of making a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is new and so empty.
    New,
    /// It was there.
    Existed,
}

impl From<NearMade> for Made {
    fn from(made: NearMade) -> Self {
        match made {
            NearMade::New => Self::New,
            NearMade::Existed => Self::Existed,
        }
    }
}

/// Runs blocking work of this machine.
pub async fn blocking<T, F>(work: F) -> Result<T, Trouble>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, FileError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Trouble::Near),
        // The pool is gone (the program ends) or the work panicked; neither is the file's fault.
        Err(_) => Err(Trouble::Ended),
    }
}

impl Base {
    /// The whole path of `rel`, for the server or for messages.
    pub fn path_of(&self, rel: &[u8]) -> Vec<u8> {
        match self {
            Self::Near(root) => root.path_of(rel),
            Self::Far { dir, .. } => far_path(dir, rel),
        }
    }

    /// Attributes of `rel`; none if nothing is there. Links are not followed (unless the root of this machine does).
    pub async fn lstat(&self, rel: &[u8]) -> Result<Option<Facts>, Trouble> {
        self.attributes(rel, Follow::No).await
    }

    /// Attributes of what `rel` leads to.
    pub async fn stat(&self, rel: &[u8]) -> Result<Option<Facts>, Trouble> {
        self.attributes(rel, Follow::Yes).await
    }

    async fn attributes(&self, rel: &[u8], follow: Follow) -> Result<Option<Facts>, Trouble> {
        match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                blocking(move || root.find(&rel))
                    .await
                    .map(|meta| meta.as_ref().map(Facts::from))
            }
            Self::Far { server, dir } => {
                let path = far_path(dir, rel);
                server.run(|sftp| far_attributes(sftp, path.clone(), follow)).await
            }
        }
    }

    /// Reads a directory in batches. The receiver ends after an error or with the directory.
    pub async fn list(&self, rel: &[u8]) -> mpsc::Receiver<Result<Names, Trouble>> {
        let (sender, receiver) = mpsc::channel(4);
        match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                tokio::task::spawn_blocking(move || list_near(&root, &rel, &sender));
            }
            Self::Far { server, dir } => {
                let (server, path) = (Arc::clone(server), far_path(dir, rel));
                tokio::spawn(async move {
                    if let Err(trouble) = list_far(&server, &path, &sender).await {
                        let _ = sender.send(Err(trouble)).await;
                    }
                });
            }
        }
        receiver
    }

    /// The text of a link.
    pub async fn read_link(&self, rel: &[u8]) -> Result<Vec<u8>, Trouble> {
        match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                blocking(move || root.read_link(&rel)).await
            }
            Self::Far { server, dir } => {
                let path = far_path(dir, rel);
                let read = |sftp: Sftp| {
                    let path = path.clone();
                    async move { sftp.readlink(&path).await.map_err(Trouble::far("read the link", &path)) }
                };
                server.run(read).await.map(|text| text.to_vec())
            }
        }
    }

    /// Makes a directory, private until its mode is set at the end; one that is there is made writable for its owner.
    pub async fn make_dir(&self, rel: &[u8]) -> Result<Made, Trouble> {
        match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                blocking(move || root.make_dir(&rel)).await.map(Made::from)
            }
            Self::Far { server, dir } => {
                let path = far_path(dir, rel);
                // The base is the user's own path, and a link in that is followed as any program would.
                let follow = if rel.is_empty() { Follow::Yes } else { Follow::No };
                server.run(|sftp| make_dir_far(sftp, path.clone(), follow)).await
            }
        }
    }

    /// Gives a directory its final attributes.
    pub async fn finish_dir(&self, rel: &[u8], facts: &Facts, keep: Keep) -> Result<(), Trouble> {
        match self {
            Self::Near(root) => {
                let (root, rel, attributes) = (Arc::clone(root), rel.to_vec(), keep.near(facts));
                blocking(move || root.finish_dir(&rel, &attributes)).await
            }
            Self::Far { server, dir } => {
                let (path, attrs) = (far_path(dir, rel), keep.far(facts));
                let set = |sftp: Sftp| {
                    let path = path.clone();
                    async move {
                        sftp.setstat(&path, &attrs)
                            .await
                            .map_err(Trouble::far("set attributes of", &path))
                    }
                };
                server.run(set).await
            }
        }
    }

    /// Makes a symbolic link under a temporary name and renames it into place.
    pub async fn make_link(&self, rel: &[u8], text: &[u8], temp: &[u8]) -> Result<(), Trouble> {
        match self {
            Self::Near(root) => {
                let (root, rel, text, temp) = (Arc::clone(root), rel.to_vec(), text.to_vec(), temp.to_vec());
                blocking(move || {
                    root.make_link(&NewLink {
                        rel: &rel,
                        target: &text,
                        temp: &temp,
                        times: None,
                    })
                })
                .await
            }
            Self::Far { server, dir } => {
                let (path, temp) = (far_path(dir, rel), far_path(dir, &sibling(rel, temp)));
                let make = |sftp: Sftp| {
                    let (path, temp, text) = (path.clone(), temp.clone(), text.to_vec());
                    async move {
                        match sftp.symlink(&text, &temp).await {
                            Ok(()) => {}
                            // Left by an attempt whose answer was lost with its connection.
                            Err(error) if error.code() == Some(StatusCode::Failure) => {
                                let _ = sftp.remove(&temp).await;
                                sftp.symlink(&text, &temp)
                                    .await
                                    .map_err(Trouble::far("make the link", &path))?;
                            }
                            Err(error) => return Err(Trouble::far("make the link", &path)(error)),
                        }
                        super::publish::replace(&sftp, &temp, &path, &|_| {}).await
                    }
                };
                server.run(make).await
            }
        }
    }

    /// Makes `rel` another name of the file `first`, in place of what is there.
    pub async fn make_hard_link(&self, first: &[u8], rel: &[u8], temp: &[u8]) -> Result<(), Trouble> {
        match self {
            Self::Near(root) => {
                let (root, first, rel, temp) = (Arc::clone(root), first.to_vec(), rel.to_vec(), temp.to_vec());
                blocking(move || {
                    root.make_hard_link(&NewHardLink {
                        rel: &rel,
                        existing: &first,
                        temp: &temp,
                    })
                })
                .await
            }
            Self::Far { server, dir } => {
                let (from, path, temp) = (
                    far_path(dir, first),
                    far_path(dir, rel),
                    far_path(dir, &sibling(rel, temp)),
                );
                let make = |sftp: Sftp| {
                    let (from, path, temp) = (from.clone(), path.clone(), temp.clone());
                    async move {
                        let offered = sftp.extensions().await;
                        if !offered.map_err(Trouble::far("make the hard link", &path))?.hardlink {
                            let reason = "the server makes no hard links".to_owned();
                            return Err(Trouble::Other { path, reason });
                        }
                        let _ = sftp.remove(&temp).await;
                        sftp.hardlink(&from, &temp)
                            .await
                            .map_err(Trouble::far("make the hard link", &path))?;
                        let replaced = super::publish::replace(&sftp, &temp, &path, &|_| {}).await;
                        // rename(2) does nothing if both names are the same file already.
                        let _ = sftp.remove(&temp).await;
                        replaced
                    }
                };
                server.run(make).await
            }
        }
    }

    /// Removes a file or link; that it is gone already is fine.
    pub async fn remove_file(&self, rel: &[u8]) -> Result<(), Trouble> {
        let removed = match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                blocking(move || root.remove_file(&rel)).await
            }
            Self::Far { server, dir } => {
                let path = far_path(dir, rel);
                let remove = |sftp: Sftp| {
                    let path = path.clone();
                    async move { sftp.remove(&path).await.map_err(Trouble::far("remove", &path)) }
                };
                server.run(remove).await
            }
        };
        gone_is_fine(removed)
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, rel: &[u8]) -> Result<(), Trouble> {
        let removed = match self {
            Self::Near(root) => {
                let (root, rel) = (Arc::clone(root), rel.to_vec());
                blocking(move || root.remove_dir(&rel)).await
            }
            Self::Far { server, dir } => {
                let path = far_path(dir, rel);
                let remove = |sftp: Sftp| {
                    let path = path.clone();
                    async move { sftp.rmdir(&path).await.map_err(Trouble::far("remove", &path)) }
                };
                server.run(remove).await
            }
        };
        gone_is_fine(removed)
    }
}

#[derive(Clone, Copy)]
enum Follow {
    Yes,
    No,
}

/// The path of `rel` as the server is told.
pub fn far_path(dir: &[u8], rel: &[u8]) -> Vec<u8> {
    let path = if rel.is_empty() { dir.to_vec() } else { join(dir, rel) };
    if path.is_empty() { b".".to_vec() } else { path }
}

/// `name` in the directory of `rel`.
pub fn sibling(rel: &[u8], name: &[u8]) -> Vec<u8> {
    match rel.iter().rposition(|&byte| byte == b'/') {
        Some(at) => [&rel[..=at], name].concat(),
        None => name.to_vec(),
    }
}

fn gone_is_fine(result: Result<(), Trouble>) -> Result<(), Trouble> {
    match result {
        Err(trouble) if trouble.is_missing() => Ok(()),
        other => other,
    }
}

async fn far_attributes(sftp: Sftp, path: Vec<u8>, follow: Follow) -> Result<Option<Facts>, Trouble> {
    let reply = match follow {
        Follow::Yes => sftp.stat(&path),
        Follow::No => sftp.lstat(&path),
    };
    match reply.await {
        Ok(attrs) => match Facts::from_attrs(&attrs) {
            Some(facts) => Ok(Some(facts)),
            None => Err(Trouble::Hostile {
                what: "attributes without a type".into(),
            }),
        },
        Err(error) if error.code() == Some(StatusCode::NoSuchFile) => Ok(None),
        Err(error) => Err(Trouble::far("look at", &path)(error)),
    }
}

async fn make_dir_far(sftp: Sftp, path: Vec<u8>, follow: Follow) -> Result<Made, Trouble> {
    let Err(refused) = sftp.mkdir(&path, &Attrs::with_mode(0o700)).await else {
        return Ok(Made::New);
    };
    if refused.is_transient() {
        return Err(Trouble::far("make the directory", &path)(refused));
    }
    // SFTP version 3 has no "exists": look what is there. A link to a directory that somebody put there is not ours to
    // write through.
    let there = match follow {
        Follow::Yes => sftp.stat(&path),
        Follow::No => sftp.lstat(&path),
    };
    match there.await {
        Ok(attrs) if attrs.is_dir() => {
            let mode = attrs.mode().unwrap_or(0o700);
            if mode & 0o700 != 0o700 {
                let _ = sftp.setstat(&path, &Attrs::with_mode(mode & 0o7777 | 0o700)).await;
            }
            Ok(Made::Existed)
        }
        Ok(_) => Err(Trouble::Other {
            path,
            reason: "something that is not a directory is in the way".into(),
        }),
        Err(error) if error.is_transient() => Err(Trouble::far("look at", &path)(error)),
        Err(_) => Err(Trouble::far("make the directory", &path)(refused)),
    }
}

fn list_near(root: &Root, rel: &[u8], sender: &mpsc::Sender<Result<Names, Trouble>>) {
    let list = || -> Result<(), FileError> {
        let mut listing = root.list(rel)?;
        loop {
            let entries = listing.next_batch(512)?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut names = Vec::with_capacity(entries.len());
            for entry in entries {
                match listing.stat(&entry.name) {
                    Ok(meta) => names.push((entry.name, Facts::from(&meta))),
                    // Where links are followed, one that leads nowhere. Else it was removed since; nothing to copy.
                    Err(error) if error.is_missing() => {
                        if root.read_link(&join(rel, &entry.name)).is_ok() {
                            names.push((entry.name, Facts::of_link()));
                        }
                    }
                    Err(error) => {
                        if sender.blocking_send(Err(Trouble::Near(error))).is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            if sender.blocking_send(Ok(names)).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = list() {
        let _ = sender.blocking_send(Err(Trouble::Near(error)));
    }
}

/// Lists a directory, and again from the start on another session where one is lost, leaving out what was sent.
async fn list_far(server: &Server, path: &[u8], sender: &mpsc::Sender<Result<Names, Trouble>>) -> Result<(), Trouble> {
    let mut seen = Seen::new();
    let mut pass = Pass::First;
    loop {
        let sftp = server.any().await?;
        match list_once(&sftp, path, (&mut seen, pass), sender).await {
            Err(trouble) if trouble.is_lost() && !matches!(trouble, Trouble::Ended) => server.leave(&sftp),
            result => return result,
        }
        pass = Pass::Again;
    }
}

/// Whether names that were seen before come as they should.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Again,
}

/// One pass over a directory, with several READDIRs in flight: one after the other would cost a round trip for each
/// hundred names.
async fn list_once(
    sftp: &Sftp,
    path: &[u8],
    (seen, pass): (&mut Seen, Pass),
    sender: &mpsc::Sender<Result<Names, Trouble>>,
) -> Result<(), Trouble> {
    let handle = sftp.opendir(path).await.map_err(Trouble::far("list", path))?;
    let mut flights = VecDeque::new();
    let mut depth = 4;
    let mut ended = false;
    let mut useless = 0;
    // Names that came without their type.
    let mut incomplete = Vec::new();
    let result = loop {
        while !ended && flights.len() < depth {
            flights.push_back(sftp.readdir(&handle));
        }
        let Some(reply) = flights.pop_front() else { break Ok(()) };
        let entries = match reply.await {
            Ok(Some(entries)) => entries,
            Ok(None) => {
                ended = true;
                continue;
            }
            Err(error) => break Err(Trouble::far("list", path)(error)),
        };
        depth = (depth * 2).min(MOST_READDIRS);
        let mut names = Vec::with_capacity(entries.len());
        let mut refused = None;
        useless += usize::from(entries.is_empty());
        for entry in entries {
            let name = entry.name.to_vec();
            if name == b"." || name == b".." {
                useless += 1;
                continue;
            }
            if let Err(bad) = check_name(&name) {
                useless += 1;
                refused = Some(format!(
                    "the name `{}` in `{}`: {bad}",
                    Printable(&name),
                    Printable(path)
                ));
                continue;
            }
            if !seen.insert(&name) {
                if pass == Pass::First {
                    useless += 1;
                    refused = Some(format!(
                        "the name `{}` twice in `{}`",
                        Printable(&name),
                        Printable(path)
                    ));
                }
                continue;
            }
            match Facts::from_attrs(&entry.attrs) {
                Some(facts) => names.push((name, facts)),
                None => incomplete.push(name),
            }
        }
        let looked = incomplete.drain(..).map(|name| async move {
            let facts = far_attributes(sftp.clone(), join(path, &name), Follow::No).await;
            facts.map(|facts| facts.map(|facts| (name, facts)))
        });
        match try_join_all(looked).await {
            Ok(looked) => names.extend(looked.into_iter().flatten()),
            Err(trouble) => break Err(trouble),
        }
        if let Some(what) = refused {
            // Told, and the honest rest of the listing goes on.
            let _ = sender.send(Err(Trouble::Hostile { what })).await;
        }
        if sender.send(Ok(names)).await.is_err() {
            break Ok(());
        }
        if seen.len() > MOST_NAMES || useless > MOST_USELESS {
            break Err(Trouble::Hostile {
                what: format!("an endless listing of `{}`", Printable(path)),
            });
        }
    };
    drop(flights);
    let _ = sftp.close(&handle).await;
    result
}
