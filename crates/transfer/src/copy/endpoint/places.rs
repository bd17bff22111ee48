//! Finds what stands at the target, and the spots where sources land.

use std::sync::Arc;

use renkei_plan::journal::Durability;
use renkei_ssh::sftp::{Attrs, Sftp};
use rustix::fs::Mode;

use super::base::{Base, blocking};
use super::facts::Facts;
use super::landing::{Landed, Standing, join, last_name, parent, trimmed};
use super::sources::{home_relative, root_above};
use super::spot::Spot;
use crate::copy::server::Server;
use crate::copy::trouble::Trouble;
use crate::local::meta::Kind;
use crate::local::named::{self, Named};
use crate::local::root::{Links, Root, check_name};

/// As many links in a row as Linux follows.
const MOST_LINKS: usize = 40;

/// Where the target is.
#[derive(Clone)]
pub enum TargetSide {
    Near,
    Far(Arc<Server>),
}

/// A target as typed, found.
pub struct TargetFound {
    pub standing: Standing,
    /// The path to work with: `~` resolved, a link to a file followed.
    pub path: Vec<u8>,
}

/// A place for one source.
pub enum Place {
    /// A file or directory below a base.
    At(Spot),
    /// A device or FIFO of this machine, to be written through.
    Through(Vec<u8>),
}

impl TargetSide {
    /// The server, if it is one.
    pub fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Near => None,
            Self::Far(server) => Some(server),
        }
    }

    /// How what is acknowledged becomes durable here.
    pub async fn durability(&self) -> Durability {
        let Some(line) = self.server().and_then(|server| server.first()) else {
            return Durability::Sync;
        };
        match line.sftp.extensions().await {
            Ok(offered) if !offered.fsync => Durability::Age,
            _ => Durability::Sync,
        }
    }

    /// What stands at the target as typed.
    pub async fn find(&self, typed: &[u8]) -> Result<TargetFound, Trouble> {
        match self {
            Self::Near => {
                let path = if typed.is_empty() {
                    b".".to_vec()
                } else {
                    typed.to_vec()
                };
                let looked = path.clone();
                let standing = match blocking(move || named::find(&looked, Links::Refuse)).await? {
                    Named::Missing { .. } => Standing::Nothing,
                    Named::Dir(_) => Standing::Directory,
                    Named::File { .. } => Standing::File,
                    Named::Special { .. } => Standing::Special,
                };
                Ok(TargetFound { standing, path })
            }
            Self::Far(server) => {
                let path = home_relative(typed)?;
                let base = self.far_base(server, b"");
                // Both are asked at once; where the target is a directory the second answer is not looked at.
                let bare = trimmed(&path);
                let (facts, end) = tokio::join!(base.stat(&path), follow_links(server, &bare));
                let facts = facts?;
                let path = match facts {
                    Some(facts) if facts.is_dir() => path,
                    _ if path.ends_with(b"/") => [end?.as_slice(), b"/"].concat(),
                    _ => end?,
                };
                let standing = match facts.map(|facts| facts.kind) {
                    None => Standing::Nothing,
                    Some(Kind::Dir) => Standing::Directory,
                    Some(Kind::File) => Standing::File,
                    Some(Kind::Link | Kind::Other(_)) => Standing::Special,
                };
                Ok(TargetFound { standing, path })
            }
        }
    }

    fn far_base(&self, server: &Arc<Server>, dir: &[u8]) -> Base {
        Base::Far {
            server: Arc::clone(server),
            dir: Arc::from(dir),
        }
    }

    /// Makes the directory that the target has to be, with the mode that any new directory of the user has.
    pub async fn make_dir(&self, path: &[u8]) -> Result<(), Trouble> {
        let whole = path.to_vec();
        match self {
            Self::Near => {
                let name = last_name(path).map(<[u8]>::to_vec).unwrap_or_default();
                blocking(move || match rustix::fs::mkdir(&*whole, Mode::from_raw_mode(0o777)) {
                    Ok(()) => Ok(()),
                    // It may have come into being meanwhile; else this gives the reason.
                    Err(_) => root_above(&whole)?.make_dir(&name).map(drop),
                })
                .await
            }
            Self::Far(server) => {
                let make = |sftp: Sftp| {
                    let path = whole.clone();
                    async move {
                        sftp.mkdir(&path, &Attrs::none())
                            .await
                            .map_err(Trouble::far("make", &path))
                    }
                };
                match server.run(make).await {
                    Err(trouble) if trouble.is_lost() => Err(trouble),
                    Err(_) => self.far_base(server, b"").make_dir(path).await.map(drop),
                    Ok(()) => Ok(()),
                }
            }
        }
    }

    /// The spot of a source that lands at `landed`.
    pub async fn place(&self, landed: &Landed, is_dir: bool) -> Result<Place, Trouble> {
        let name = last_name(&landed.path);
        if landed.named_by_source {
            let name = name.unwrap_or_default();
            check_name(name).map_err(|bad| Trouble::Hostile {
                what: format!("a source name: {bad}"),
            })?;
        }
        match self {
            Self::Near => self.place_near(landed).await,
            Self::Far(server) => {
                let path = trimmed(&landed.path);
                // The name of a source may be that of a link, which is not followed.
                if is_dir && !landed.named_by_source {
                    let dir = if path == b"." { Vec::new() } else { path };
                    return Ok(Place::At(Spot {
                        base: self.far_base(server, &dir),
                        rel: Vec::new(),
                    }));
                }
                let Some(name) = name else {
                    return Err(Trouble::Other {
                        path,
                        reason: "it has no name of its own".into(),
                    });
                };
                let dir = if path.contains(&b'/') {
                    parent(&path)
                } else {
                    Vec::new()
                };
                Ok(Place::At(Spot {
                    base: self.far_base(server, &dir),
                    rel: name.to_vec(),
                }))
            }
        }
    }

    async fn place_near(&self, landed: &Landed) -> Result<Place, Trouble> {
        let path = landed.path.clone();
        if landed.named_by_source {
            // The name may come from a server: a link of that name is replaced, never followed.
            let name = last_name(&path).unwrap_or_default().to_vec();
            let above = blocking(move || match root_above(&path) {
                // Only a dry run comes here before the directory is made.
                Err(error) if error.is_missing() => {
                    let dir = parent(&path);
                    let rel = join(last_name(&dir).unwrap_or_default(), &name);
                    Ok((root_above(&dir)?, rel))
                }
                root => Ok((root?, name)),
            });
            let (root, rel) = above.await?;
            return Ok(at(root, rel));
        }
        Ok(match blocking(move || named::find(&path, Links::Refuse)).await? {
            Named::Missing { root, name } | Named::File { root, name, .. } => at(root, name),
            Named::Dir(root) => at(root, Vec::new()),
            Named::Special { path, .. } => Place::Through(path),
        })
    }
}

fn at(root: Root, rel: Vec<u8>) -> Place {
    Place::At(Spot {
        base: Base::Near(Arc::new(root)),
        rel,
    })
}

/// Follows links to where the last one leads, whether or not anything is there.
async fn follow_links(server: &Arc<Server>, path: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut path = path.to_vec();
    for _ in 0..MOST_LINKS {
        let step = |sftp: Sftp| {
            let path = path.clone();
            async move {
                match sftp.readlink(&path).await {
                    Ok(text) => Ok(Some(text.to_vec())),
                    Err(error) if error.is_transient() => Err(Trouble::far("look at", &path)(error)),
                    // Not a link, or nothing there.
                    Err(_) => Ok(None),
                }
            }
        };
        let Some(text) = server.run(step).await? else {
            return Ok(path);
        };
        path = if text.starts_with(b"/") {
            text
        } else if path.contains(&b'/') {
            join(&parent(&path), &text)
        } else {
            text
        };
    }
    Err(Trouble::Other {
        path,
        reason: "too many links, one after the other".into(),
    })
}

/// What stands at a spot, for `--update` and its kin with single files.
pub async fn standing(spot: &Spot) -> Result<Option<Facts>, Trouble> {
    spot.base.lstat(&spot.rel).await
}
