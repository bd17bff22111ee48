//! The server's loop: a packet in, its packets out.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::mem;
use std::path::Path;

use anyhow::{Result, bail};

use super::answer::{Answer, version};
use super::faults::{Fate, Faults};
use super::files::Files;
use super::op::Op;
use super::plan::{Fault, Plan, Status};
use super::unsynced::Record;
use crate::seed::Rng;

const INIT: u8 = 1;
/// More replies are not held back for another order.
const MOST_HELD: usize = 64;

/// Serves one client until it goes away, or the plan says that the server dies. What the servers of several connections
/// share lies in `folder`.
///
/// # Errors
/// If the client breaks the protocol or goes beyond the limits, and if input or output fail.
pub fn serve(input: impl Read, output: impl Write, plan: &Plan, folder: &Path) -> Result<()> {
    let faults = Faults::new(plan.clone(), folder);
    let record = if faults.has(&Fault::LoseUnsynced) {
        Some(Record::open(folder)?)
    } else {
        None
    };
    let order = faults.seed_of_order().map(Rng::new);
    let files = Files::new(faults.limits().handles);
    let output = Output {
        sink: BufWriter::with_capacity(1 << 18, output),
        held: vec![],
        order,
        begun: false,
    };
    Server {
        faults,
        files,
        record,
        output,
    }
    .run(BufReader::with_capacity(1 << 18, input))
}

struct Server<W: Write> {
    faults: Faults,
    files: Files,
    record: Option<Record>,
    output: Output<W>,
}

impl<W: Write> Server<W> {
    fn run(mut self, mut input: BufReader<impl Read>) -> Result<()> {
        loop {
            // Nothing more to read at once: time to say what there is.
            if input.buffer().is_empty() {
                self.output.flush()?;
                if input.fill_buf()?.is_empty() {
                    return Ok(());
                }
            }
            let Some(packet) = self.packet(&mut input)? else {
                return Ok(());
            };
            if packet.first() == Some(&INIT) {
                self.output.send(version(&self.faults.extensions()))?;
                continue;
            }
            match self.faults.begin()? {
                Fate::Death => {
                    self.output.flush()?;
                    return Ok(());
                }
                Fate::Silence => continue,
                Fate::Normal => {}
            }
            let Some((id, mut op)) = Op::parse(&packet) else {
                bail!("the client sent a packet that cannot be read")
            };
            if let Op::Read { length, .. } = &mut op {
                *length = (*length).min(self.faults.longest_read());
            }
            let mut answer = self.answer(&op)?;
            self.faults.twist(&op, &self.files, &mut answer);
            for packet in self.faults.packets(id, &answer) {
                self.output.send(packet)?;
            }
        }
    }

    /// One packet without its length; none if the client has gone.
    fn packet(&self, input: &mut impl Read) -> Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let length = u32::from_be_bytes(length);
        let most = self.faults.limits().packet;
        if u64::from(length) > most {
            bail!("the client sent a packet of {length} bytes, the limit is {most}");
        }
        let mut packet = vec![0; length as usize];
        input.read_exact(&mut packet)?;
        Ok(Some(packet))
    }

    fn answer(&mut self, op: &Op) -> Result<Answer> {
        if let Some(status) = self.faults.refuses(op)? {
            if matches!(op, Op::Close { .. }) {
                // A handle is gone after CLOSE, whatever the answer says.
                let _ = self.files.perform(op);
            }
            return Ok(Answer::Status(status));
        }
        if let Some(invented) = self.faults.invents(op, &mut self.files) {
            return Ok(invented.unwrap_or_else(Answer::Status));
        }
        let limits = self.faults.limits();
        match op {
            Op::Limits => {
                return Ok(Answer::Extended(vec![
                    limits.packet,
                    limits.read,
                    limits.write,
                    limits.handles,
                ]));
            }
            Op::Write { data, .. } if data.len() as u64 > limits.write => {
                bail!(
                    "the client wrote {} bytes at once, the limit is {}",
                    data.len(),
                    limits.write
                );
            }
            _ => {}
        }
        let answer = self.files.perform(op).unwrap_or_else(Answer::Status);
        if matches!(answer, Answer::Status(Status::Ok)) {
            self.note(op)?;
        }
        Ok(answer)
    }

    fn note(&mut self, op: &Op) -> Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        match op {
            Op::Write { handle, offset, data } => {
                if let Some(path) = self.files.path_of(*handle) {
                    record.written(path, *offset, data.len())?;
                }
            }
            Op::Fsync { handle } => {
                if let Some(path) = self.files.path_of(*handle) {
                    record.synced(path)?;
                }
            }
            Op::Rename { from, to, .. } => record.renamed(from, to)?,
            Op::Remove { path } => record.removed(path)?,
            _ => {}
        }
        Ok(())
    }
}

struct Output<W: Write> {
    sink: BufWriter<W>,
    held: Vec<Vec<u8>>,
    order: Option<Rng>,
    /// The version is answered first, whatever the order of the rest: no server has a session to answer in before.
    begun: bool,
}

impl<W: Write> Output<W> {
    fn send(&mut self, packet: Vec<u8>) -> Result<()> {
        if self.order.is_none() || !mem::replace(&mut self.begun, true) {
            self.sink.write_all(&packet)?;
            return Ok(());
        }
        self.held.push(packet);
        if self.held.len() >= MOST_HELD {
            self.release()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.release()?;
        Ok(self.sink.flush()?)
    }

    fn release(&mut self) -> Result<()> {
        while let (Some(rng), false) = (&mut self.order, self.held.is_empty()) {
            let at = rng.within(0..self.held.len() as u64) as usize;
            self.sink.write_all(&self.held.swap_remove(at))?;
        }
        Ok(())
    }
}
