//! The chain over the events, as tables.

use renkei_types::event::ChainHead;

use super::writer::millis;
use super::{Dialect, Link, Readers, Value, number};
use crate::audit::{self, Hash, Kept};
use crate::error::StateError;
use std::time::Duration;

/// Drawn once: whoever lengthens the chain in PostgreSQL holds this lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(2094417760225834)";

/// Lengthens the chain by at most `limit` events, in a transaction of its own; gives by how many.
pub(super) async fn chain(link: &mut Link<'_>, limit: u32) -> Result<u64, StateError> {
    link.begin().await?;
    if link.dialect() == Dialect::Postgres {
        link.run(LOCK).await?;
    }
    let (mut last, mut hash) = match link
        .rows(link.sql("SELECT id, hash FROM link ORDER BY id DESC LIMIT 1"))
        .await?
        .first()
    {
        Some(row) => (row.number(0)?, audit::hash(row.number(0)?, &row.bytes(1)?)?),
        None => (0, audit::START),
    };
    let mut sql = link.sql("SELECT id, body FROM event WHERE id > ");
    sql.value(Value::Number(last))
        .push(" ORDER BY id LIMIT ")
        .value(Value::Number(limit.into()));
    let mut links: Vec<(i64, Hash)> = Vec::new();
    for row in link.rows(sql).await? {
        let id = row.number(0)?;
        audit::follows(last, id)?;
        hash = audit::next(&hash, id, &row.text(1)?);
        links.push((id, hash));
        last = id;
    }
    let at = millis(Duration::ZERO);
    for some in links.chunks(100) {
        let mut sql = link.sql("INSERT INTO link (id, hash, at) VALUES ");
        for (place, (id, hash)) in some.iter().enumerate() {
            sql.push(if place == 0 { "(" } else { ", (" })
                .value(Value::Number(*id))
                .push(", ");
            sql.value(Value::Bytes(hash.to_vec()))
                .push(", ")
                .value(Value::Number(at))
                .push(")");
        }
        link.execute(sql).await?;
    }
    link.commit().await?;
    Ok(links.len() as u64)
}

/// The last link.
pub(crate) async fn head(pool: &Readers) -> Result<ChainHead, StateError> {
    let rows = pool
        .rows(pool.sql("SELECT id, hash, at FROM link ORDER BY id DESC LIMIT 1"))
        .await?;
    match rows.first() {
        Some(row) => {
            let hash = audit::hash(row.number(0)?, &row.bytes(1)?)?;
            Ok(audit::head(row.count(0)?, &hash, row.number(2)?))
        }
        None => Ok(audit::head(0, &audit::START, 0)),
    }
}

/// How many events there must be.
pub(crate) async fn count(pool: &Readers) -> Result<u64, StateError> {
    let rows = pool.rows(pool.sql("SELECT events FROM hub")).await?;
    Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?)
}

/// Events after `after` in order, with everything that is kept of them.
pub(crate) async fn kept(pool: &Readers, after: i64, limit: u64) -> Result<Vec<Kept>, StateError> {
    let mut sql = pool.sql(
        "SELECT event.id, noun, object, project, \"user\", body, hash FROM event LEFT JOIN link ON link.id = event.id \
         WHERE event.id > ",
    );
    sql.value(Value::Number(after))
        .push(" ORDER BY event.id LIMIT ")
        .value(Value::Number(number(limit)));
    let rows = pool.rows(sql).await?;
    let kept = rows.iter().map(|row| -> Result<Kept, StateError> {
        Ok(Kept {
            id: row.number(0)?,
            noun: row.text(1)?,
            object: row.id(2)?,
            project: row.maybe_id(3)?,
            user: row.maybe_id(4)?,
            body: row.text(5)?,
            hash: row.maybe_bytes(6)?,
        })
    });
    kept.collect()
}
