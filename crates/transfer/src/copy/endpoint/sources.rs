//! What the sources as typed stand for: globs expanded, links followed, each with its attributes.

use std::collections::HashMap;
use std::sync::Arc;

use renkei_types::printable::Printable;

use super::base::{Base, blocking, far_path};
use super::facts::Facts;
use super::landing::{Arriving, join, last_name, parent};
use super::spot::Spot;
use crate::copy::server::Server;
use crate::copy::trouble::Trouble;
use crate::glob::{self, Pattern};
use crate::local::root::{Links, Root, check_name};
use crate::local::{expand, named};

/// One source after globs.
pub struct Found {
    pub arriving: Arriving,
    pub spot: Spot,
    pub facts: Facts,
    /// Whose; none for this machine.
    pub server: Option<Arc<Server>>,
}

/// Looks up a source on this machine.
pub async fn near(typed: usize, path: &[u8], follow: Links) -> Result<Vec<Found>, Trouble> {
    let pattern = path.to_vec();
    let paths = blocking(move || expand::expand(&pattern)).await?;
    let mut found = Vec::new();
    for path in paths {
        let looked = path.clone();
        let named = blocking(move || named::find(&looked, follow)).await?;
        let (spot, facts) = match named {
            named::Named::Missing { .. } => {
                return Err(Trouble::Other {
                    path,
                    reason: "there is no such file or directory".into(),
                });
            }
            named::Named::Dir(root) => {
                let facts = {
                    let root = Arc::new(root);
                    let stat = Arc::clone(&root);
                    let meta = blocking(move || stat.stat(b"")).await?;
                    (root, Facts::from(&meta))
                };
                (
                    Spot {
                        base: Base::Near(facts.0),
                        rel: Vec::new(),
                    },
                    facts.1,
                )
            }
            named::Named::File { root, name, meta } => (
                Spot {
                    base: Base::Near(Arc::new(root)),
                    rel: name,
                },
                Facts::from(&meta),
            ),
            named::Named::Special { special, .. } => {
                let reason = format!("a {} cannot be copied", special.name());
                return Err(Trouble::Other { path, reason });
            }
        };
        found.push(Found {
            arriving: arriving(typed, &path, &facts)?,
            spot,
            facts,
            server: None,
        });
    }
    Ok(found)
}

/// Looks up a source at a server.
pub async fn far(typed: usize, server: &Arc<Server>, path: &[u8]) -> Result<Vec<Found>, Trouble> {
    let path = home_relative(path)?;
    let literal = Base::Far {
        server: Arc::clone(server),
        dir: Arc::from(&b""[..]),
    };
    // A file that has the very name, wildcards and all, is what is meant.
    if let Some(facts) = literal.stat(&path).await? {
        return Ok(vec![one_far(typed, server, path, facts)?]);
    }
    if !glob::is_wild(&path) {
        let plain = if glob::is_pattern(&path) {
            glob::unescape(&path)
        } else {
            path.clone()
        };
        return match literal.stat(&plain).await? {
            Some(facts) if plain != path => Ok(vec![one_far(typed, server, plain, facts)?]),
            _ => Err(Trouble::Other {
                path,
                reason: "there is no such file or directory at the far side".into(),
            }),
        };
    }
    let mut found = Vec::new();
    for path in expand_far(&literal, &path).await? {
        if let Some(facts) = literal.stat(&path).await? {
            found.push(one_far(typed, server, path, facts)?);
        }
    }
    if found.is_empty() {
        return Err(Trouble::Other {
            path,
            reason: "nothing at the far side matches".into(),
        });
    }
    Ok(found)
}

fn one_far(typed: usize, server: &Arc<Server>, path: Vec<u8>, facts: Facts) -> Result<Found, Trouble> {
    if !matches!(
        facts.kind,
        crate::local::meta::Kind::File | crate::local::meta::Kind::Dir
    ) {
        let reason = format!("a {} cannot be copied", facts.kind.name());
        return Err(Trouble::Other { path, reason });
    }
    let arriving = arriving(typed, &path, &facts)?;
    let spot = if facts.is_dir() {
        let dir = far_path(&path, b"");
        Spot {
            base: Base::Far {
                server: Arc::clone(server),
                dir: dir.into(),
            },
            rel: Vec::new(),
        }
    } else {
        // Links were followed by the server; the file is opened by the name that was typed.
        let dir = if path.contains(&b'/') {
            parent(&path)
        } else {
            Vec::new()
        };
        let rel = last_name(&path).unwrap_or(&path).to_vec();
        Spot {
            base: Base::Far {
                server: Arc::clone(server),
                dir: dir.into(),
            },
            rel,
        }
    };
    Ok(Found {
        arriving,
        spot,
        facts,
        server: Some(Arc::clone(server)),
    })
}

fn arriving(typed: usize, path: &[u8], facts: &Facts) -> Result<Arriving, Trouble> {
    let name = match last_name(path) {
        Some(name) => name.to_vec(),
        // `.`, `..` and `/` have no name of their own: their contents are meant, as with scp.
        None if facts.is_dir() => b".".to_vec(),
        None => {
            return Err(Trouble::Other {
                path: path.to_vec(),
                reason: "it has no name".into(),
            });
        }
    };
    Ok(Arriving {
        name,
        is_dir: facts.is_dir(),
        typed,
    })
}

/// `~` and `~/x` are the login directory and below it; other users' are not known to SFTP.
pub fn home_relative(path: &[u8]) -> Result<Vec<u8>, Trouble> {
    match path {
        b"" | b"~" | b"~/" => Ok(b".".to_vec()),
        [b'~', b'/', rest @ ..] => {
            let rest: &[u8] = &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..];
            Ok(if rest.is_empty() { b".".to_vec() } else { rest.to_vec() })
        }
        [b'~', ..] => Err(Trouble::Other {
            path: path.to_vec(),
            reason:
                "another user's home directory is not known; give its path, or `./~…` for a name that begins with ~"
                    .into(),
        }),
        _ => Ok(path.to_vec()),
    }
}

/// Expands a glob at a server, one component after the other. The server only lists; what matches is decided here, so an
/// answer that was not asked for is not taken.
async fn expand_far(base: &Base, pattern: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    let absolute = pattern.starts_with(b"/");
    let mut paths: Vec<Vec<u8>> = vec![if absolute { b"/".to_vec() } else { Vec::new() }];
    let parts: Vec<&[u8]> = pattern
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        if !glob::is_wild(part) {
            let plain = glob::unescape(part);
            paths = paths.into_iter().map(|path| join(&path, &plain)).collect();
            continue;
        }
        let matcher = Pattern::new(part).map_err(|error| Trouble::Other {
            path: pattern.to_vec(),
            reason: error.to_string(),
        })?;
        let mut next = Vec::new();
        for path in paths {
            let mut listing = base.list(&path).await;
            while let Some(names) = listing.recv().await {
                let names = match names {
                    Ok(names) => names,
                    Err(trouble) if trouble.is_lost() => return Err(trouble),
                    // A directory that cannot be listed matches nothing, as in a shell.
                    Err(_) => continue,
                };
                for (name, facts) in names {
                    let enterable = last || facts.is_dir() || facts.kind == crate::local::meta::Kind::Link;
                    if enterable && check_name(&name).is_ok() && matcher.is_shell_match(&name) {
                        next.push(join(&path, &name));
                    }
                }
            }
        }
        next.sort();
        paths = next;
    }
    Ok(paths)
}

/// Two sources that would land on the same name: the second would silently replace the first.
pub fn check_distinct(places: &[(Vec<u8>, bool)]) -> Result<(), Trouble> {
    let mut seen: HashMap<&[u8], bool> = HashMap::new();
    for (path, is_dir) in places {
        match seen.insert(path, *is_dir) {
            // Directories that land on one place are merged, as scp does with a glob.
            Some(true) if *is_dir => {}
            Some(_) => {
                return Err(Trouble::Other {
                    path: path.clone(),
                    reason: format!(
                        "two sources are called `{}`",
                        Printable(last_name(path).unwrap_or(path))
                    ),
                });
            }
            None => {}
        }
    }
    Ok(())
}

/// Opens the directory above a path of this machine.
pub fn root_above(path: &[u8]) -> Result<Root, crate::local::error::FileError> {
    Root::open(&parent(path), Links::Refuse)
}
