//! Reading: rows of a noun, lists, events. Every list is cut by key, never by offset.

use renkei_types::event::Event;
use uuid::Uuid;

use super::{Dialect, Readers, Row, Sql, Value};
use crate::error::StateError;
use crate::noun::Kind;
use crate::read::EventQuery;

/// A row as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub id: Uuid,
    pub version: u64,
    pub body: String,
}

/// Which rows, and in which order. Its indexes have been checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page<'a> {
    /// Rows with these keys.
    pub equals: Vec<(&'static str, &'a str)>,
    /// Only these rows.
    pub ids: Option<&'a [Uuid]>,
    /// In the order of this index, without the rows that are not in it; of the id otherwise.
    pub order: Option<&'static str>,
    /// After this one; the key counts if there is an order.
    pub after: Option<(&'a str, Uuid)>,
    /// At most; for ever without.
    pub limit: u32,
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

pub(crate) async fn get(pool: &Readers, kind: &Kind, id: Uuid) -> Result<Option<Found>, StateError> {
    let mut sql = select(pool, kind);
    sql.push(" WHERE id = ").value(Value::Id(id));
    Ok(found(pool, sql).await?.pop())
}

/// The id and the version of every row, or of those with this key in an index.
pub(crate) async fn versions(
    pool: &Readers,
    kind: &Kind,
    of: Option<(&'static str, &str)>,
) -> Result<Vec<(Uuid, u64)>, StateError> {
    let mut sql = pool.sql("SELECT id, version FROM ");
    sql.name(kind.table);
    if let Some((index, key)) = of {
        // No key has a NUL, and PostgreSQL does not let us ask.
        if key.contains('\0') {
            return Ok(Vec::new());
        }
        sql.push(" WHERE ")
            .name(index)
            .push(" = ")
            .value(Value::Text(key.to_owned()));
    }
    let rows = pool.rows(sql).await?;
    let versions = rows.iter().map(|row| Ok((row.id(0)?, row.count(1)?)));
    Ok(versions.collect::<Result<_, sqlx::Error>>()?)
}

pub(crate) async fn page(pool: &Readers, kind: &Kind, page: Page<'_>) -> Result<Vec<Found>, StateError> {
    // No key has a NUL, and PostgreSQL does not let us ask.
    if page.equals.iter().any(|(_, key)| key.contains('\0')) || page.ids.is_some_and(<[Uuid]>::is_empty) {
        return Ok(Vec::new());
    }
    let mut sql = select(pool, kind);
    let mut glue = [" WHERE "].into_iter().chain(std::iter::repeat(" AND "));
    let mut and = || glue.next().unwrap_or_default();
    for (index, key) in page.equals {
        sql.push(and())
            .name(index)
            .push(" = ")
            .value(Value::Text(key.to_owned()));
    }
    if let Some(ids) = page.ids {
        sql.push(and()).push("id").ids(ids.to_vec());
    }
    if let Some(index) = page.order {
        sql.push(and()).name(index).push(" IS NOT NULL");
    }
    match (page.order, page.after) {
        (Some(index), Some((key, id))) => {
            // The text before a NUL is less than all that follow it.
            let key = key.split('\0').next().unwrap_or_default();
            sql.push(and()).push("(").name(index).push(", id) > (");
            sql.value(Value::Text(key.to_owned()))
                .push(", ")
                .value(Value::Id(id))
                .push(")");
        }
        (None, Some((_, id))) => drop(sql.push(and()).push("id > ").value(Value::Id(id))),
        (_, None) => {}
    }
    sql.push(" ORDER BY ");
    if let Some(index) = page.order {
        sql.name(index).push(", ");
    }
    sql.push("id LIMIT ").value(Value::Number(page.limit.into()));
    found(pool, sql).await
}

fn select(pool: &Readers, kind: &Kind) -> Sql {
    let mut sql = pool.sql("SELECT id, version, body FROM ");
    sql.name(kind.table);
    sql
}

async fn found(pool: &Readers, sql: Sql) -> Result<Vec<Found>, StateError> {
    let read = |row: &Row| -> Result<Found, sqlx::Error> {
        Ok(Found {
            id: row.id(0)?,
            version: row.count(1)?,
            body: row.text(2)?,
        })
    };
    let rows = pool.rows(sql).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

pub(crate) async fn events(pool: &Readers, query: &EventQuery) -> Result<Vec<Event>, StateError> {
    if query.noun.as_ref().is_some_and(|noun| noun.contains('\0')) {
        return Ok(Vec::new());
    }
    let mut sql = pool.sql("SELECT id, body FROM event WHERE id > ");
    sql.value(Value::Number(query.after.unwrap_or(0)));
    if let Some(before) = query.before {
        sql.push(" AND id < ").value(Value::Number(before));
    }
    if let Some(project) = query.project {
        sql.push(" AND project = ").value(Value::Id(project.0));
    }
    if let Some(object) = query.object {
        sql.push(" AND object = ").value(Value::Id(object));
    }
    if let Some(noun) = &query.noun {
        sql.push(" AND noun = ").value(Value::Text(noun.clone()));
    }
    if let Some(user) = query.user {
        sql.push(" AND \"user\" = ").value(Value::Id(user.0));
    }
    sql.push(if query.newest_first {
        " ORDER BY id DESC"
    } else {
        " ORDER BY id"
    });
    sql.push(" LIMIT ").value(Value::Number(query.limit.into()));
    let rows = pool.rows(sql).await?;
    rows.iter().map(|row| event(row.number(0)?, &row.text(1)?)).collect()
}

/// The body of an event does not hold its id, which was not known when it was written.
pub(crate) fn event(id: i64, body: &str) -> Result<Event, StateError> {
    let event: Event = serde_json::from_str(body).map_err(|error| StateError::Corrupt {
        table: "event",
        id: id.to_string(),
        source: error.into(),
    })?;
    Ok(Event { id, ..event })
}

/// Whether SQLite finds its file whole.
pub(crate) async fn check(pool: &Readers) -> Result<(), StateError> {
    if pool.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let rows = pool.rows(pool.sql("PRAGMA integrity_check(1)")).await?;
    match rows.first().map(|row| row.text(0)).transpose()? {
        Some(said) if said != "ok" => Err(StateError::Corrupt {
            table: "sqlite_schema",
            id: "file".to_owned(),
            source: said.into(),
        }),
        _ => Ok(()),
    }
}
