//! Batches that waited together, in one transaction.
//!
//! All rows that they name are read first (on PostgreSQL locked, in the order of table and id, so that two hubs never wait for one
//! another in a circle), each batch is judged on what was read and on what the batches before it change, and what was accepted is
//! written with a few statements for each table. So a refused batch costs no rollback, and a hundred batches cost little more round
//! trips than one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{Dialect, Link, Sql, Value, identity, number};
use crate::batch::{Act, Batch, NewEvent};
use crate::error::CommitError;
use crate::judge::{Look, judge};
use crate::noun::Kind;

/// Why a group was not written. Nothing of it was.
#[derive(Debug)]
pub(super) enum Failed {
    /// Another hub changed a row or took a key meanwhile: the same group again will see it.
    Collided,
    /// The database has this schema, and we know another.
    Schema(u32),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        if is_collision(&error) {
            Self::Collided
        } else {
            Self::Database(error)
        }
    }
}

/// PostgreSQL's codes for a unique violation, a deadlock and a serialisation failure; SQLite's for the first.
fn is_collision(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() || matches!(error.code().as_deref(), Some("40P01" | "40001")))
}

/// Judges and writes `batches` in an open transaction of a program that knows `schema`; an answer for each.
pub(super) async fn write(
    link: &mut Link<'_>,
    batches: &[&Batch],
    schema: u32,
) -> Result<Vec<Result<(), CommitError>>, Failed> {
    let mut view = View::load(link, batches).await?;
    let mut answers = Vec::with_capacity(batches.len());
    let mut writes = Writes::default();
    for batch in batches {
        let answer = judge(&view, batch);
        if answer.is_ok() {
            view.follow(batch);
            writes.add(batch);
        }
        answers.push(answer);
    }
    writes.carry_out(link).await?;
    write_events(link, &writes.events, schema).await?;
    Ok(answers)
}

/// Version and keys of a row.
type Head = (u64, Vec<Option<String>>);

/// What was read, and then what it has become.
#[derive(Default)]
struct View {
    rows: HashMap<(&'static str, Uuid), Head>,
    owners: HashMap<(&'static str, usize), HashMap<String, Uuid>>,
}

impl Look for View {
    fn row(&self, table: &'static str, id: Uuid) -> Option<(u64, &[Option<String>])> {
        let (version, keys) = self.rows.get(&(table, id))?;
        Some((*version, keys))
    }

    fn owner(&self, table: &'static str, position: usize, key: &str) -> Option<Uuid> {
        self.owners.get(&(table, position))?.get(key).copied()
    }
}

impl View {
    async fn load(link: &mut Link<'_>, batches: &[&Batch]) -> Result<Self, Failed> {
        let mut rows: BTreeMap<&'static str, (Kind, BTreeSet<Uuid>)> = BTreeMap::new();
        let mut keys: BTreeMap<(&'static str, usize), (&'static str, BTreeSet<String>)> = BTreeMap::new();
        for entry in batches.iter().flat_map(|batch| &batch.entries) {
            let table = entry.kind.table;
            rows.entry(table)
                .or_insert((entry.kind, BTreeSet::new()))
                .1
                .insert(entry.id);
            let Some(content) = entry.act.content() else { continue };
            for (position, (key, index)) in content.keys.iter().zip(entry.kind.indexes).enumerate() {
                if let (Some(key), true) = (key, index.unique) {
                    let wanted = keys.entry((table, position)).or_insert((index.name, BTreeSet::new()));
                    wanted.1.insert(key.clone());
                }
            }
        }
        let mut view = Self::default();
        for (table, (kind, ids)) in rows {
            let ids: Vec<Uuid> = ids.into_iter().collect();
            for ids in ids.chunks(CHUNK) {
                view.load_rows(link, kind, ids.to_vec()).await?;
            }
            debug_assert_eq!(table, kind.table);
        }
        for ((table, position), (index, keys)) in keys {
            let keys: Vec<String> = keys.into_iter().collect();
            let owners = view.owners.entry((table, position)).or_default();
            for keys in keys.chunks(CHUNK) {
                let mut sql = link.sql("SELECT id, ");
                sql.name(index).push(" FROM ").name(table).push(" WHERE ").name(index);
                sql.texts(keys.to_vec());
                for row in link.rows(sql).await? {
                    owners.insert(row.text(1)?, row.id(0)?);
                }
            }
        }
        Ok(view)
    }

    async fn load_rows(&mut self, link: &mut Link<'_>, kind: Kind, ids: Vec<Uuid>) -> Result<(), Failed> {
        let mut sql = link.sql("SELECT id, version");
        for index in kind.indexes {
            sql.push(", ").name(index.name);
        }
        sql.push(" FROM ")
            .name(kind.table)
            .push(" WHERE id")
            .ids(ids)
            .push(" ORDER BY id");
        if link.dialect() == Dialect::Postgres {
            sql.push(" FOR UPDATE");
        }
        for row in link.rows(sql).await? {
            let keys = (2..2 + kind.indexes.len()).map(|place| row.maybe_text(place));
            let keys = keys.collect::<Result<_, _>>()?;
            self.rows.insert((kind.table, row.id(0)?), (row.count(1)?, keys));
        }
        Ok(())
    }

    /// The batch was accepted: later ones see it.
    fn follow(&mut self, batch: &Batch) {
        for entry in &batch.entries {
            let (table, id) = (entry.kind.table, entry.id);
            let old = self.rows.get(&(table, id)).cloned();
            if matches!(entry.act, Act::Update(..) | Act::Delete(_))
                && let Some((_, keys)) = &old
            {
                for (position, key) in keys.iter().enumerate() {
                    if let (Some(owners), Some(key)) = (self.owners.get_mut(&(table, position)), key) {
                        owners.remove(key);
                    }
                }
            }
            match &entry.act {
                Act::Expect(_) => {}
                Act::Delete(_) => drop(self.rows.remove(&(table, id))),
                Act::Touch(version) => {
                    let keys = old.map(|(_, keys)| keys).unwrap_or_default();
                    self.rows.insert((table, id), (version + 1, keys));
                }
                Act::Insert(content) | Act::Update(_, content) => {
                    let version = entry.act.version().unwrap_or(0) + 1;
                    self.rows.insert((table, id), (version, content.keys.clone()));
                    for (position, (key, index)) in content.keys.iter().zip(entry.kind.indexes).enumerate() {
                        if let (Some(key), true) = (key, index.unique) {
                            let owners = self.owners.entry((table, position)).or_default();
                            owners.insert(key.clone(), id);
                        }
                    }
                }
            }
        }
    }
}

/// Values in one list, and rows in one statement. A statement's text depends on how many there are and is prepared once, so lists
/// of rows are cut at powers of two.
const CHUNK: usize = 500;
const ROWS: [usize; 6] = [32, 16, 8, 4, 2, 1];

/// What was accepted, in order, for each table.
#[derive(Default)]
struct Writes<'a> {
    tables: BTreeMap<&'static str, (Option<Kind>, Vec<Write<'a>>)>,
    events: Vec<&'a NewEvent>,
}

enum Write<'a> {
    Put(Put<'a>),
    Touch(Uuid),
    Delete(Uuid),
}

#[derive(Clone, Copy)]
struct Put<'a> {
    id: Uuid,
    version: u64,
    keys: &'a [Option<String>],
    body: &'a str,
}

impl<'a> Writes<'a> {
    fn add(&mut self, batch: &'a Batch) {
        for entry in &batch.entries {
            let id = entry.id;
            let write = match &entry.act {
                Act::Expect(_) => continue,
                Act::Touch(_) => Write::Touch(id),
                Act::Delete(_) => Write::Delete(id),
                Act::Insert(content) | Act::Update(_, content) => Write::Put(Put {
                    id,
                    version: entry.act.version().unwrap_or(0) + 1,
                    keys: &content.keys,
                    body: &content.body,
                }),
            };
            let (kind, writes) = self.tables.entry(entry.kind.table).or_default();
            *kind = Some(entry.kind);
            writes.push(write);
        }
        self.events.extend(&batch.events);
    }

    /// The order within a table is kept, because a key may go from one row to the next.
    async fn carry_out(&self, link: &mut Link<'_>) -> Result<(), Failed> {
        for (kind, writes) in self.tables.values() {
            let Some(kind) = kind else { continue };
            let mut rest = writes.as_slice();
            while let Some(first) = rest.first() {
                let alike = |write: &&Write<'_>| std::mem::discriminant(*write) == std::mem::discriminant(first);
                let (run, later) = rest.split_at(rest.iter().take_while(alike).count());
                rest = later;
                write_run(link, kind, run).await?;
            }
        }
        Ok(())
    }
}

/// Writes of one sort.
async fn write_run(link: &mut Link<'_>, kind: &Kind, run: &[Write<'_>]) -> Result<(), Failed> {
    let puts: Vec<Put<'_>> = run.iter().filter_map(Write::put).collect();
    for rows in powers(&puts) {
        check(link.execute(put(link.dialect(), kind, rows)).await?, rows.len())?;
    }
    let ids: Vec<Uuid> = run.iter().filter_map(Write::id).collect();
    for ids in ids.chunks(CHUNK) {
        let mut sql = link.sql(match run.first() {
            Some(Write::Delete(_)) => "DELETE FROM ",
            _ => "UPDATE ",
        });
        sql.name(kind.table);
        if let Some(Write::Touch(_)) = run.first() {
            sql.push(" SET version = version + 1");
        }
        sql.push(" WHERE id").ids(ids.to_vec());
        check(link.execute(sql).await?, ids.len())?;
    }
    Ok(())
}

/// Fewer rows than meant: another hub was there between the look and the write.
fn check(changed: u64, meant: usize) -> Result<(), Failed> {
    if changed == meant as u64 {
        Ok(())
    } else {
        Err(Failed::Collided)
    }
}

impl<'a> Write<'a> {
    fn put(&self) -> Option<Put<'a>> {
        match self {
            Self::Put(put) => Some(*put),
            _ => None,
        }
    }

    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Put(_) => None,
            Self::Touch(id) | Self::Delete(id) => Some(*id),
        }
    }
}

/// New rows and new versions of rows are one statement. A row that is there is replaced only by the version that follows its own:
/// this holds whatever was judged before.
fn put(dialect: Dialect, kind: &Kind, rows: &[Put<'_>]) -> Sql {
    let mut sql = Sql::new(dialect, "INSERT INTO ");
    sql.name(kind.table).push(" (id, version");
    for index in kind.indexes {
        sql.push(", ").name(index.name);
    }
    sql.push(", body) VALUES ");
    for (place, row) in rows.iter().enumerate() {
        sql.push(if place == 0 { "(" } else { ", (" });
        sql.value(Value::Id(row.id))
            .push(", ")
            .value(Value::Number(number(row.version)));
        for key in row.keys {
            sql.push(", ").value(Value::MaybeText(key.clone()));
        }
        sql.push(", ").value(Value::Text(row.body.to_owned())).push(")");
    }
    sql.push(" ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body");
    for index in kind.indexes {
        sql.push(", ").name(index.name).push(" = excluded.").name(index.name);
    }
    sql.push(" WHERE ")
        .name(kind.table)
        .push(".version = excluded.version - 1");
    sql
}

/// Events come last: their counter is the one row that all batches of all hubs change, and whoever has it holds nobody up for longer
/// than COMMIT takes. A migration changes the same row, so whoever has it knows the schema for sure.
pub(super) async fn write_events(link: &mut Link<'_>, events: &[&NewEvent], schema: u32) -> Result<(), Failed> {
    if events.is_empty() {
        return Ok(());
    }
    let mut sql = link.sql("UPDATE hub SET events = events + ");
    sql.value(Value::Number(number(events.len() as u64)))
        .push(" WHERE schema = ")
        .value(Value::Number(schema.into()))
        .push(" RETURNING events");
    let rows = link.rows(sql).await?;
    let Some(row) = rows.first() else {
        return Err(Failed::Schema(identity::schema(link).await?));
    };
    let last = row.number(0)?;
    let first = last - number(events.len() as u64) + 1;
    let numbered: Vec<(i64, &NewEvent)> = (first..).zip(events.iter().copied()).collect();
    for rows in powers(&numbered) {
        let mut sql = link.sql("INSERT INTO event (id, noun, object, project, \"user\", body) VALUES ");
        for (place, (id, new)) in rows.iter().enumerate() {
            let event = &new.event;
            sql.push(if place == 0 { "(" } else { ", (" });
            sql.value(Value::Number(*id))
                .push(", ")
                .value(Value::Text(event.noun.clone()))
                .push(", ");
            sql.value(Value::Id(event.object)).push(", ");
            sql.value(Value::MaybeId(event.project.map(|project| project.0)))
                .push(", ");
            sql.value(Value::MaybeId(event.by.user.map(|user| user.0))).push(", ");
            sql.value(Value::Text(new.body.clone())).push(")");
        }
        link.execute(sql).await?;
    }
    Ok(())
}

/// Cuts `rows` into pieces whose lengths are powers of two.
fn powers<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS.into_iter().find(|length| *length <= rows.len())?;
        let (piece, rest) = rows.split_at(length);
        rows = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_lose_nothing() {
        let rows: Vec<u32> = (0..77).collect();
        let lengths: Vec<usize> = powers(&rows).map(<[u32]>::len).collect();
        assert_eq!(lengths, [32, 32, 8, 4, 1]);
        assert_eq!(powers(&rows).flatten().count(), 77);
    }
}
