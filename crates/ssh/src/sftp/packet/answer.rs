//! What a server answers.

use bytes::{BufMut, BytesMut};

use super::{ATTRS, DATA, EXTENDED_REPLY, Frame, HANDLE, NAME, STATUS};
use crate::sftp::attrs::Attrs;
use crate::sftp::error::StatusCode;
use crate::sftp::wire::{Cursor, Malformed, put_string};

/// An answer, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the protocol")]
pub enum Answer<'a> {
    Status {
        code: StatusCode,
        message: &'a [u8],
    },
    Handle(&'a [u8]),
    Data(&'a [u8]),
    Name(Vec<Name<'a>>),
    Attrs(Attrs),
    /// Body of an extended reply, whose form depends on the request.
    Extended(&'a [u8]),
}

/// One name of a NAME packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name within its directory, or a whole path in answers that have one.
    pub name: &'a [u8],
    /// A line like one of `ls -l`; of no fixed form.
    pub longname: &'a [u8],
    /// Its attributes.
    pub attrs: Attrs,
}

/// Least bytes of a [`Name`]: two empty strings and attribute flags.
const NAME_LEAST: usize = 12;

impl<'a> Answer<'a> {
    /// Appends the packet, with its length field, that answers request `id`.
    pub fn encode(&self, id: u32, out: &mut BytesMut) {
        let frame = Frame::begin(out, self.packet_type(), id);
        match self {
            Answer::Status { code, message } => {
                out.put_u32(code.as_u32());
                put_string(out, message);
                put_string(out, b"");
            }
            Answer::Handle(string) | Answer::Data(string) => put_string(out, string),
            Answer::Name(names) => {
                out.put_u32(u32::try_from(names.len()).unwrap_or(u32::MAX));
                for Name { name, longname, attrs } in names {
                    put_string(out, name);
                    put_string(out, longname);
                    attrs.encode(out);
                }
            }
            Answer::Attrs(attrs) => attrs.encode(out),
            Answer::Extended(body) => out.put_slice(body),
        }
        frame.end(out);
    }

    /// Reads an answer packet without its length field; gives the id and what it says.
    ///
    /// # Errors
    /// If a field is cut off, more names are claimed than fit, or the type is none of an answer.
    pub fn decode(packet: &'a [u8]) -> Result<(u32, Answer<'a>), Malformed> {
        let mut c = Cursor::new(packet);
        let packet_type = c.u8("type")?;
        if !matches!(packet_type, STATUS | HANDLE | DATA | NAME | ATTRS | EXTENDED_REPLY) {
            return Err(Malformed::UnknownType(packet_type));
        }
        let id = c.u32("id")?;
        let answer = match packet_type {
            STATUS => {
                let code = StatusCode::from_u32(c.u32("status code")?);
                // Servers of earlier drafts send no message.
                let message = if c.remaining() == 0 {
                    &[]
                } else {
                    c.string("status message")?
                };
                Answer::Status { code, message }
            }
            HANDLE => Answer::Handle(c.string("handle")?),
            DATA => Answer::Data(c.string("data")?),
            NAME => Answer::Name(decode_names(&mut c)?),
            ATTRS => Answer::Attrs(Attrs::decode(&mut c)?),
            _ => Answer::Extended(c.rest()),
        };
        Ok((id, answer))
    }

    pub(in crate::sftp) fn packet_type(&self) -> u8 {
        match self {
            Answer::Status { .. } => STATUS,
            Answer::Handle(_) => HANDLE,
            Answer::Data(_) => DATA,
            Answer::Name(_) => NAME,
            Answer::Attrs(_) => ATTRS,
            Answer::Extended(_) => EXTENDED_REPLY,
        }
    }
}

fn decode_names<'a>(c: &mut Cursor<'a>) -> Result<Vec<Name<'a>>, Malformed> {
    let count = c.u32("name count")? as usize;
    if count > c.remaining() / NAME_LEAST {
        return Err(Malformed::Excess {
            what: "a name count",
            value: count as u64,
        });
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(Name {
            name: c.string("name")?,
            longname: c.string("long name")?,
            attrs: Attrs::decode(c)?,
        });
    }
    Ok(names)
}
