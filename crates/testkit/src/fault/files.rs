//! The honest part: requests carried out on the real file system, as OpenSSH's sftp-server does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, ReadDir};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{self as unix, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, RenameFlags, StatVfs, Timespec, Timestamps};
use rustix::io::Errno;

use super::answer::{Answer, Entry};
use super::op::{Attributes, Existing, Op};
use super::plan::Status;

const READ: u32 = 0x01;
const WRITE: u32 = 0x02;
const APPEND: u32 = 0x04;
const CREATE: u32 = 0x08;
const TRUNCATE: u32 = 0x10;
const EXCLUSIVE: u32 = 0x20;

/// Entries in one answer to READDIR, as in OpenSSH.
pub(super) const ENTRIES_AT_ONCE: usize = 100;

#[derive(Debug)]
enum Open {
    File(File),
    /// A listing, and whether `.` and `..` are still to come.
    Listing(ReadDir, bool),
    /// A file that exists only in the listings of this server.
    Invented(Vec<u8>),
}

/// What one client has open.
#[derive(Debug)]
pub(super) struct Files {
    open: HashMap<u32, (Open, Vec<u8>)>,
    given: u32,
    most_open: u64,
}

impl Files {
    pub(super) fn new(most_open: u64) -> Self {
        Self {
            open: HashMap::new(),
            given: 0,
            most_open,
        }
    }

    /// The path under which a handle was opened.
    pub(super) fn path_of(&self, handle: u32) -> Option<&[u8]> {
        self.open.get(&handle).map(|(_, path)| path.as_slice())
    }

    /// A handle on a file that does not exist.
    pub(super) fn invent(&mut self, path: &[u8], content: &[u8]) -> Result<Answer, Status> {
        self.give(Open::Invented(content.to_vec()), path)
    }

    /// Carries out one request.
    pub(super) fn perform(&mut self, op: &Op) -> Result<Answer, Status> {
        let done = |result: io::Result<()>| result.map(|()| Answer::Status(Status::Ok)).map_err(|e| status(&e));
        match op {
            Op::Open {
                path,
                flags,
                attributes,
            } => {
                let file = open(path, *flags, attributes).map_err(|e| status(&e))?;
                self.give(Open::File(file), path)
            }
            Op::Opendir { path } => {
                let listing = fs::read_dir(os(path)).map_err(|e| status(&e))?;
                self.give(Open::Listing(listing, true), path)
            }
            Op::Close { handle } => {
                self.open.remove(handle).ok_or(Status::Failure)?;
                Ok(Answer::Status(Status::Ok))
            }
            Op::Read { handle, offset, length } => self.read(*handle, *offset, *length),
            Op::Readdir { handle } => self.list(*handle),
            Op::Write { handle, offset, data } => done(self.file(*handle)?.write_all_at(data, *offset)),
            Op::Fsync { handle } => done(self.file(*handle)?.sync_all()),
            Op::Fstat { handle } => match self.open.get(handle) {
                Some((Open::Invented(content), _)) => Ok(Answer::Attributes(invented_attributes(content))),
                _ => attributes(self.file(*handle)?.metadata()),
            },
            Op::Fsetstat { handle, attributes } => done(set_on_file(self.file(*handle)?, attributes)),
            Op::Fstatvfs { handle } => space(rustix::fs::fstatvfs(self.file(*handle)?)),
            Op::CopyData {
                from,
                from_offset,
                length,
                to,
                to_offset,
            } => {
                let (from, to) = (self.file(*from)?, self.file(*to)?);
                done(copy((from, *from_offset), (to, *to_offset), *length))
            }
            Op::Stat { path } => attributes(fs::metadata(os(path))),
            Op::Lstat { path } => attributes(fs::symlink_metadata(os(path))),
            Op::Setstat { path, attributes } => done(set(os(path), attributes)),
            Op::Lsetstat { path, attributes } => done(set_on_link(os(path), attributes)),
            Op::Remove { path } => done(fs::remove_file(os(path))),
            Op::Rmdir { path } => done(fs::remove_dir(os(path))),
            Op::Mkdir { path, attributes } => done(make_directory(os(path), attributes)),
            Op::Realpath { path } => real_path(path),
            Op::Rename { from, to, existing } => done(rename(os(from), os(to), *existing)),
            Op::Readlink { path } => {
                let target = fs::read_link(os(path)).map_err(|e| status(&e))?;
                Ok(one_name(target.as_os_str().as_bytes()))
            }
            Op::Symlink { target, link } => done(unix::symlink(os(target), os(link))),
            Op::Hardlink { old, new } => done(fs::hard_link(os(old), os(new))),
            Op::Statvfs { path } => space(rustix::fs::statvfs(os(path))),
            // The server answers these itself.
            Op::Limits | Op::Unknown => Err(Status::OpUnsupported),
        }
    }

    fn give(&mut self, open: Open, path: &[u8]) -> Result<Answer, Status> {
        if self.open.len() as u64 >= self.most_open {
            return Err(Status::Failure);
        }
        // A number is never given twice, so that a late request cannot meet another file.
        self.given += 1;
        self.open.insert(self.given, (open, path.to_vec()));
        Ok(Answer::Handle(self.given))
    }

    fn file(&self, handle: u32) -> Result<&File, Status> {
        match self.open.get(&handle) {
            Some((Open::File(file), _)) => Ok(file),
            _ => Err(Status::Failure),
        }
    }

    fn read(&self, handle: u32, offset: u64, length: u32) -> Result<Answer, Status> {
        let mut data = vec![0; length as usize];
        let got = match self.open.get(&handle) {
            Some((Open::Invented(content), _)) => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|offset| content.get(offset..))
                    .unwrap_or_default();
                let got = rest.len().min(data.len());
                data[..got].copy_from_slice(&rest[..got]);
                got
            }
            _ => self
                .file(handle)?
                .read_at(&mut data, offset)
                .map_err(|error| status(&error))?,
        };
        if got == 0 && length > 0 {
            return Err(Status::Eof);
        }
        data.truncate(got);
        Ok(Answer::Data(data))
    }

    fn list(&mut self, handle: u32) -> Result<Answer, Status> {
        let Some((Open::Listing(listing, dots), path)) = self.open.get_mut(&handle) else {
            return Err(Status::Failure);
        };
        let mut entries = vec![];
        let mut add = |name: &[u8], path: &Path| {
            // What vanished meanwhile is not listed.
            if let Ok(data) = fs::symlink_metadata(path) {
                entries.push(Entry {
                    name: name.to_vec(),
                    attributes: (&data).into(),
                });
            }
        };
        if std::mem::take(dots) {
            let directory = os(path);
            add(b".", directory);
            add(b"..", &directory.join(".."));
        }
        for entry in listing.take(ENTRIES_AT_ONCE) {
            let entry = entry.map_err(|error| status(&error))?;
            add(entry.file_name().as_bytes(), &entry.path());
        }
        if entries.is_empty() {
            Err(Status::Eof)
        } else {
            Ok(Answer::Names(entries))
        }
    }
}

/// What an invented file says of itself.
pub(super) fn invented_attributes(content: &[u8]) -> Attributes {
    Attributes {
        size: Some(content.len() as u64),
        owner: None,
        mode: Some(0o100_644),
        times: Some((1, 1)),
    }
}

/// An answer with one name and no attributes, as REALPATH and READLINK have it.
pub(super) fn one_name(name: &[u8]) -> Answer {
    Answer::Names(vec![Entry {
        name: name.to_vec(),
        attributes: Attributes::default(),
    }])
}

fn os(path: &[u8]) -> &Path {
    // An empty path means the directory that the server starts in.
    if path.is_empty() {
        Path::new(".")
    } else {
        Path::new(OsStr::from_bytes(path))
    }
}

/// As `errno_to_portable` in OpenSSH's sftp-server.c.
fn status(error: &io::Error) -> Status {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP) => Status::NoSuchFile,
        Some(Errno::PERM | Errno::ACCESS | Errno::FAULT) => Status::PermissionDenied,
        Some(Errno::NAMETOOLONG | Errno::INVAL) => Status::BadMessage,
        Some(Errno::NOSYS) => Status::OpUnsupported,
        // A NUL in a path, which std finds.
        None if error.kind() == ErrorKind::InvalidInput => Status::NoSuchFile,
        _ => Status::Failure,
    }
}

fn open(path: &[u8], flags: u32, attributes: &Attributes) -> io::Result<File> {
    let has = |flag| flags & flag != 0;
    let mut options = OpenOptions::new();
    options
        .read(has(READ))
        .write(has(WRITE) && !has(APPEND))
        .append(has(APPEND));
    options
        .create(has(CREATE))
        .truncate(has(TRUNCATE) && !has(APPEND))
        .create_new(has(CREATE) && has(EXCLUSIVE));
    options.mode(attributes.mode.unwrap_or(0o666) & 0o7777);
    options.open(os(path))
}

fn attributes(data: io::Result<fs::Metadata>) -> Result<Answer, Status> {
    data.map(|data| Answer::Attributes((&data).into()))
        .map_err(|error| status(&error))
}

fn set_on_file(file: &File, attributes: &Attributes) -> io::Result<()> {
    if let Some(size) = attributes.size {
        file.set_len(size)?;
    }
    if let Some((user, group)) = attributes.owner {
        unix::fchown(file, Some(user), Some(group))?;
    }
    if let Some(mode) = attributes.mode {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = attributes.times {
        rustix::fs::futimens(file, &timestamps(times))?;
    }
    Ok(())
}

fn set(path: &Path, attributes: &Attributes) -> io::Result<()> {
    if let Some(size) = attributes.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some((user, group)) = attributes.owner {
        unix::chown(path, Some(user), Some(group))?;
    }
    if let Some(mode) = attributes.mode {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = attributes.times {
        rustix::fs::utimensat(CWD, path, &timestamps(times), AtFlags::empty())?;
    }
    Ok(())
}

fn set_on_link(path: &Path, attributes: &Attributes) -> io::Result<()> {
    if attributes.size.is_some() {
        return Err(Errno::INVAL.into());
    }
    if let Some((user, group)) = attributes.owner {
        unix::lchown(path, Some(user), Some(group))?;
    }
    if let Some(mode) = attributes.mode {
        rustix::fs::chmodat(CWD, path, (mode & 0o7777).into(), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if let Some(times) = attributes.times {
        rustix::fs::utimensat(CWD, path, &timestamps(times), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn timestamps((access, modification): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec {
        tv_sec: seconds.into(),
        tv_nsec: 0,
    };
    Timestamps {
        last_access: at(access),
        last_modification: at(modification),
    }
}

fn make_directory(path: &Path, attributes: &Attributes) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .mode(attributes.mode.unwrap_or(0o777) & 0o7777)
        .create(path)
}

fn rename(from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
    match existing {
        Existing::Replace => fs::rename(from, to),
        Existing::Refuse => Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?),
    }
}

/// As realpath(3), except that the last component need not exist.
fn real_path(path: &[u8]) -> Result<Answer, Status> {
    let path = os(path);
    let real = fs::canonicalize(path).or_else(|error| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if error.kind() == ErrorKind::NotFound => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            fs::canonicalize(parent).map(|parent| parent.join(name))
        }
        _ => Err(error),
    });
    real.map(|real| one_name(real.as_os_str().as_bytes()))
        .map_err(|error| status(&error))
}

fn space(space: rustix::io::Result<StatVfs>) -> Result<Answer, Status> {
    let space = space.map_err(|error| status(&error.into()))?;
    Ok(Answer::Extended(vec![
        space.f_bsize,
        space.f_frsize,
        space.f_blocks,
        space.f_bfree,
        space.f_bavail,
        space.f_files,
        space.f_ffree,
        space.f_favail,
        space.f_fsid,
        space.f_flag.bits(),
        space.f_namemax,
    ]))
}

/// `copy-data`: a length of zero means to the end (draft-ietf-secsh-filexfer-extensions-00, section 7).
fn copy(from: (&File, u64), to: (&File, u64), length: u64) -> io::Result<()> {
    let end = if length == 0 { u64::MAX } else { length };
    let mut done = 0;
    let mut buffer = vec![0; 1 << 16];
    while done < end {
        let most = (end - done).min(buffer.len() as u64) as usize;
        let got = from.0.read_at(&mut buffer[..most], from.1 + done)?;
        if got == 0 {
            break;
        }
        to.0.write_all_at(&buffer[..got], to.1 + done)?;
        done += got as u64;
    }
    Ok(())
}
