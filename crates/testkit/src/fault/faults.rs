//! A plan at work on one connection: what is refused, what is said in place of the truth.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answer::{Answer, Entry, Manner};
use super::files::{ENTRIES_AT_ONCE, Files, invented_attributes, one_name};
use super::op::{Attributes, Op, Request};
use super::plan::{Extension, Fault, Plan, Status};
use super::shared;

/// What an invented file contains: eight bytes.
const INVENTED: &[u8] = b"hostile\n";
/// How invented empty files are called, before their number.
const SYNTHETIC: &str = "synthetic-";
const LINK: u32 = 0o120_777;
const REGULAR: u32 = 0o100_000;
const KIND: u32 = 0o170_000;

/// The limits of a stock OpenSSH server (sftp-common.h; sftp-server.c, `process_extended_limits`).
const STOCK: Limits = Limits {
    packet: 262_144,
    read: 261_120,
    write: 261_120,
    handles: 1019,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub packet: u64,
    pub read: u64,
    pub write: u64,
    pub handles: u64,
}

/// What becomes of the reply to a request, beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Normal,
    /// The server ends in place of it.
    Death,
    Silence,
}

#[derive(Debug)]
pub(super) struct Faults {
    plan: Plan,
    folder: PathBuf,
    /// Requests so far, the present one included.
    requests: u64,
    /// Listings that have begun, by handle.
    begun: HashSet<u32>,
    /// Paths that were called links once.
    called_links: HashSet<Vec<u8>>,
    invented: u64,
    /// Names invented for each listing, by handle.
    synthetic: HashMap<u32, u64>,
}

impl Faults {
    pub(super) fn new(plan: Plan, folder: &Path) -> Self {
        Self {
            plan,
            folder: folder.to_owned(),
            requests: 0,
            begun: HashSet::new(),
            called_links: HashSet::new(),
            invented: 0,
            synthetic: HashMap::new(),
        }
    }

    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.plan.faults.contains(fault)
    }

    pub(super) fn extensions(&self) -> Vec<Extension> {
        Extension::ALL
            .into_iter()
            .filter(|extension| !self.has(&Fault::Without(*extension)))
            .collect()
    }

    pub(super) fn limits(&self) -> Limits {
        let planned = self.plan.faults.iter().find_map(|fault| match *fault {
            Fault::Limits {
                packet,
                read,
                write,
                handles,
            } => Some(Limits {
                packet,
                read,
                write,
                handles,
            }),
            _ => None,
        });
        planned.unwrap_or(STOCK)
    }

    pub(super) fn seed_of_order(&self) -> Option<u64> {
        self.plan.faults.iter().find_map(|fault| match fault {
            Fault::Reorder(seed) => Some(*seed),
            _ => None,
        })
    }

    pub(super) fn longest_read(&self) -> u32 {
        let planned = self.plan.faults.iter().filter_map(|fault| match fault {
            Fault::ShortReads(most) => Some(*most),
            _ => None,
        });
        planned.chain([self.limits().read as u32]).min().unwrap_or(u32::MAX)
    }

    /// To be called at each request.
    pub(super) fn begin(&mut self) -> io::Result<Fate> {
        self.requests += 1;
        let mut fate = Fate::Normal;
        for fault in &self.plan.faults {
            match fault {
                Fault::Delay(micros) => std::thread::sleep(Duration::from_micros(*micros)),
                Fault::DieAt(nth) if *nth == self.requests => {
                    shared::strike(&self.folder)?;
                    return Ok(Fate::Death);
                }
                Fault::MuteFrom(nth) if *nth <= self.requests => fate = Fate::Silence,
                _ => {}
            }
        }
        Ok(fate)
    }

    /// The status that the request gets in place of being carried out.
    pub(super) fn refuses(&self, op: &Op) -> io::Result<Option<Status>> {
        let bytes = match op {
            Op::Write { data, .. } => data.len() as u64,
            _ => 0,
        };
        for (number, fault) in self.plan.faults.iter().enumerate() {
            let refused = match fault {
                Fault::Refuse {
                    request,
                    nth,
                    times,
                    status,
                } if *request == op.kind() => {
                    let count = shared::add(&self.folder, number, 1)? + 1;
                    (*nth..nth.saturating_add(*times)).contains(&count).then_some(*status)
                }
                Fault::FullAfter(most) if bytes > 0 => {
                    (shared::add(&self.folder, number, bytes)? + bytes > *most).then_some(Status::Failure)
                }
                Fault::Without(extension) => is_of(op, *extension).then_some(Status::OpUnsupported),
                _ => None,
            };
            if let Some(status) = refused {
                shared::strike(&self.folder)?;
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// The answer to requests about what does not exist.
    pub(super) fn invents(&mut self, op: &Op, files: &mut Files) -> Option<Result<Answer, Status>> {
        for fault in &self.plan.faults {
            match (fault, op) {
                (Fault::Name(name), Op::Open { path, .. }) if ends_in(path, name) => {
                    return Some(files.invent(path, INVENTED));
                }
                (Fault::Synthetic(_), Op::Open { path, .. }) if is_synthetic(path) => {
                    return Some(files.invent(path, b""));
                }
                (Fault::Name(name), Op::Stat { path } | Op::Lstat { path })
                    if ends_in(path, name) && !matches!(name.as_slice(), b"" | b"." | b"..") =>
                {
                    return Some(Ok(Answer::Attributes(invented_attributes(INVENTED))));
                }
                (Fault::LinkBefore { name, target }, Op::Readlink { path }) if ends_in(path, name) => {
                    return Some(Ok(one_name(target)));
                }
                (Fault::LinkBefore { name, .. }, Op::Lstat { path })
                    if ends_in(path, name) && self.called_links.insert(path.to_vec()) =>
                {
                    return Some(Ok(Answer::Attributes(link_attributes())));
                }
                _ => {}
            }
        }
        None
    }

    /// Makes the truth into what is told.
    pub(super) fn twist(&mut self, op: &Op, files: &Files, answer: &mut Answer) {
        let begins = matches!(op, Op::Readdir { handle } if self.begun.insert(*handle));
        for fault in &self.plan.faults {
            match (fault, op) {
                (Fault::Name(name), Op::Readdir { .. }) if begins => {
                    let entry = Entry {
                        name: name.clone(),
                        attributes: invented_attributes(INVENTED),
                    };
                    add_entry(answer, usize::MAX, entry);
                }
                (Fault::LinkBefore { name, .. }, Op::Readdir { handle })
                    if begins && files.path_of(*handle).is_some_and(|path| contains(path, name)) =>
                {
                    add_entry(
                        answer,
                        0,
                        Entry {
                            name: name.clone(),
                            attributes: link_attributes(),
                        },
                    );
                }
                (Fault::EndlessListings, Op::Readdir { .. }) if at_end(answer) => {
                    let first = self.invented;
                    self.invented += ENTRIES_AT_ONCE as u64;
                    let name = |number| format!("endless-{number}").into_bytes();
                    *answer = empty_files((first..self.invented).map(name));
                }
                (Fault::EndlessName(name), Op::Readdir { .. }) if at_end(answer) => {
                    *answer = empty_files(std::iter::repeat_n(name.clone(), ENTRIES_AT_ONCE));
                }
                (Fault::Synthetic(files), Op::Readdir { handle }) if at_end(answer) => {
                    let told = self.synthetic.entry(*handle).or_default();
                    let end = files.min(&(*told + ENTRIES_AT_ONCE as u64)).to_owned();
                    if *told < end {
                        let name = |number| format!("{SYNTHETIC}{number:09}").into_bytes();
                        *answer = empty_files((*told..end).map(name));
                        *told = end;
                    }
                }
                (Fault::EndlessFiles, Op::Read { length, .. }) => {
                    if matches!(answer, Answer::Status(Status::Eof)) {
                        *answer = Answer::Data(vec![]);
                    }
                    if let Answer::Data(data) = answer {
                        data.resize(*length as usize, b'e');
                    }
                }
                (Fault::LongData(more), _) => {
                    if let Answer::Data(data) = answer {
                        data.resize(data.len() + *more as usize, b'l');
                    }
                }
                (Fault::SizeOff(bytes), _) => match answer {
                    Answer::Attributes(attributes) => shift_size(attributes, *bytes),
                    Answer::Names(entries) => {
                        entries
                            .iter_mut()
                            .for_each(|entry| shift_size(&mut entry.attributes, *bytes));
                    }
                    _ => {}
                },
                (Fault::WrongType(nth), _) if *nth == self.requests => {
                    *answer = match op.kind() {
                        Request::Limits | Request::Statvfs => Answer::Handle(7),
                        _ => Answer::Extended(vec![7]),
                    };
                }
                _ => {}
            }
        }
    }

    /// The packets that go out for one answer.
    pub(super) fn packets(&self, id: u32, answer: &Answer) -> Vec<Vec<u8>> {
        let mut manner = Manner::default();
        let (mut id, mut copies, mut huge) = (id, 1, false);
        for fault in &self.plan.faults {
            match fault {
                Fault::StatusText(text) => manner.status_text = Some(text.clone()),
                Fault::HugeCount => manner.claimed_count = Some(u32::MAX),
                Fault::ForeignId(nth) if *nth == self.requests => id = id.wrapping_add(1_000_000),
                Fault::HugePacket(nth) if *nth == self.requests => huge = true,
                Fault::Twice => copies = 2,
                _ => {}
            }
        }
        let mut packet = answer.encode(id, &manner);
        if huge {
            packet[..4].copy_from_slice(&(1_u32 << 30).to_be_bytes());
        }
        vec![packet; copies]
    }
}

fn is_of(op: &Op, extension: Extension) -> bool {
    use super::op::Existing;
    match extension {
        Extension::PosixRename => matches!(
            op,
            Op::Rename {
                existing: Existing::Replace,
                ..
            }
        ),
        Extension::Statvfs => op.kind() == Request::Statvfs,
        Extension::Hardlink => op.kind() == Request::Hardlink,
        Extension::Fsync => op.kind() == Request::Fsync,
        Extension::Lsetstat => op.kind() == Request::Lsetstat,
        Extension::Limits => op.kind() == Request::Limits,
        Extension::CopyData => op.kind() == Request::CopyData,
    }
}

fn ends_in(path: &[u8], name: &[u8]) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|front| front.ends_with(b"/"))
}

fn is_synthetic(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| name.starts_with(SYNTHETIC.as_bytes()))
}

fn at_end(answer: &Answer) -> bool {
    matches!(answer, Answer::Status(Status::Eof))
}

fn empty_files(names: impl Iterator<Item = Vec<u8>>) -> Answer {
    let entry = |name| Entry {
        name,
        attributes: invented_attributes(b""),
    };
    Answer::Names(names.map(entry).collect())
}

fn contains(directory: &[u8], name: &[u8]) -> bool {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(directory))
        .join(OsStr::from_bytes(name))
        .symlink_metadata()
        .is_ok()
}

fn link_attributes() -> Attributes {
    Attributes {
        size: Some(1),
        owner: None,
        mode: Some(LINK),
        times: Some((1, 1)),
    }
}

fn add_entry(answer: &mut Answer, at: usize, entry: Entry) {
    match answer {
        Answer::Names(entries) => entries.insert(at.min(entries.len()), entry),
        other => *other = Answer::Names(vec![entry]),
    }
}

fn shift_size(attributes: &mut Attributes, bytes: i64) {
    if attributes.mode.is_some_and(|mode| mode & KIND == REGULAR)
        && let Some(size) = &mut attributes.size
    {
        *size = size.saturating_add_signed(bytes);
    }
}
