//! Carries migrations out, and keeps where the database stands in the table `hub`.

use uuid::Uuid;

use super::{Dialect, Link, Value, number};
use crate::migration::{self, Migration, NoWay, Standing};
use crate::open::{Identity, OpenError};

/// One row. `events` is the last event's number; `run` is drawn anew for each database and for each of
/// its epochs.
const HUB: &str = "CREATE TABLE IF NOT EXISTS hub (\
    one BIGINT PRIMARY KEY CHECK (one = 1), schema BIGINT NOT NULL, finalised BIGINT NOT NULL, \
    epoch BIGINT NOT NULL, run UUID NOT NULL, events BIGINT NOT NULL)";

const FINALISE: &str = "UPDATE hub SET finalised = schema";

/// Whoever migrates a PostgreSQL database of ours holds this lock, whose number was drawn once. A large table takes its time.
const LOCK: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(7813256190421377)";
/// The same for whoever fills a database: reading a file may take its time, waiting for somebody's lock may not.
const LOCK_TO_FILL: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SELECT pg_advisory_xact_lock(7813256190421377)";

/// Goes forward to the last schema of `list`, all or nothing.
pub(super) async fn forward(link: &mut Link<'_>, list: &[Migration]) -> Result<Identity, OpenError> {
    // One look without a lock: hubs that start on a database that is as it should be do not wait for one another.
    if let Ok(Some((standing, identity))) = standing(link).await
        && migration::forward(list, standing)?.is_empty()
    {
        return Ok(identity);
    }
    begin(link).await?;
    let outcome = forward_within(link, list).await;
    end(link, outcome).await
}

async fn forward_within(link: &mut Link<'_>, list: &[Migration]) -> Result<Identity, OpenError> {
    link.run(HUB).await?;
    let (standing, identity) = match standing(link).await? {
        Some(found) => found,
        None => {
            let mut sql = link.sql("INSERT INTO hub (one, schema, finalised, epoch, run, events) VALUES (1, 0, 0, 1, ");
            sql.value(Value::Id(Uuid::now_v7())).push(", 0)");
            link.execute(sql).await?;
            standing(link).await?.ok_or(sqlx::Error::RowNotFound)?
        }
    };
    for step in migration::forward(list, standing)? {
        apply(link, step.up, step.schema).await?;
    }
    if standing.schema == 0 {
        // A new database has nothing to go back to.
        link.run(FINALISE).await?;
    }
    Ok(Identity {
        schema: migration::last(list),
        ..identity
    })
}

/// Goes back to the schema that was finalised, all or nothing; gives its number.
pub(super) async fn back(link: &mut Link<'_>, list: &[Migration]) -> Result<u32, OpenError> {
    begin(link).await?;
    let outcome = back_within(link, list).await;
    end(link, outcome).await
}

async fn back_within(link: &mut Link<'_>, list: &[Migration]) -> Result<u32, OpenError> {
    link.run(HUB).await?;
    let (standing, _) = standing(link).await?.ok_or(NoWay::Empty)?;
    for step in migration::back(list, standing)? {
        apply(link, step.down, step.schema - 1).await?;
    }
    Ok(standing.finalised)
}

/// From now on there is no way back from the schema that the database has; gives its number.
pub(super) async fn finalise(link: &mut Link<'_>, list: &[Migration]) -> Result<u32, OpenError> {
    begin(link).await?;
    let outcome = finalise_within(link, list).await;
    end(link, outcome).await
}

async fn finalise_within(link: &mut Link<'_>, list: &[Migration]) -> Result<u32, OpenError> {
    link.run(HUB).await?;
    let (standing, _) = standing(link).await?.ok_or(NoWay::Empty)?;
    migration::forward(list, standing)?;
    link.run(FINALISE).await?;
    Ok(standing.schema)
}

pub(super) async fn apply(link: &mut Link<'_>, statements: &str, schema: u32) -> Result<(), sqlx::Error> {
    link.run(&spelled(link.dialect(), statements)).await?;
    let mut sql = link.sql("UPDATE hub SET schema = ");
    sql.value(Value::Number(schema.into()));
    link.execute(sql).await.map(drop)
}

/// The three words that the databases spell differently.
fn spelled(dialect: Dialect, statements: &str) -> String {
    let (key, serial, bytes) = match dialect {
        // INTEGER PRIMARY KEY is the row's own number, 64 bits; texts are compared by bytes unless told otherwise.
        Dialect::Sqlite => ("TEXT", "INTEGER PRIMARY KEY", "BLOB"),
        Dialect::Postgres => ("TEXT COLLATE \"C\"", "BIGINT PRIMARY KEY", "BYTEA"),
    };
    statements
        .replace("{key}", key)
        .replace("{serial}", serial)
        .replace("{bytes}", bytes)
}

/// Takes everything away, in the transaction that fills the database anew.
pub(super) async fn clear(link: &mut Link<'_>, list: &[Migration], standing: Standing) -> Result<(), OpenError> {
    let bare = Standing {
        finalised: 0,
        ..standing
    };
    if bare.schema > 0 {
        for step in migration::back(list, bare)? {
            apply(link, step.down, step.schema - 1).await?;
        }
    }
    Ok(link.run("DELETE FROM hub").await?)
}

/// Makes empty tables of `identity.schema`, from which there is no way back.
pub(super) async fn make(
    link: &mut Link<'_>,
    list: &[Migration],
    identity: Identity,
    events: u64,
) -> Result<(), sqlx::Error> {
    link.run(HUB).await?;
    let mut sql = link.sql("INSERT INTO hub (one, schema, finalised, epoch, run, events) VALUES (1, 0, 0, ");
    sql.value(Value::Number(identity.epoch.into())).push(", ");
    sql.value(Value::Id(identity.run)).push(", ");
    sql.value(Value::Number(number(events))).push(")");
    link.execute(sql).await?;
    for step in list.iter().filter(|step| step.schema <= identity.schema) {
        apply(link, step.up, step.schema).await?;
    }
    link.run(FINALISE).await
}

/// Begins a transaction in which a database is filled.
pub(super) async fn begin_to_fill(link: &mut Link<'_>) -> Result<(), sqlx::Error> {
    link.begin().await?;
    match link.dialect() {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => link.run(LOCK_TO_FILL).await,
    }
}

async fn begin(link: &mut Link<'_>) -> Result<(), sqlx::Error> {
    link.begin().await?;
    match link.dialect() {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => link.run(LOCK).await,
    }
}

async fn end<T>(link: &mut Link<'_>, outcome: Result<T, OpenError>) -> Result<T, OpenError> {
    match outcome {
        Ok(value) => {
            link.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The first error tells more than one about the end of the transaction.
            let _ = link.roll_back().await;
            Err(error)
        }
    }
}

/// Where a database stands that may be none of ours, and the number of its last event.
pub(super) async fn standing_of_any(link: &mut Link<'_>) -> Result<Option<(Standing, Identity, u64)>, sqlx::Error> {
    let known = match link.dialect() {
        Dialect::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'hub'",
        Dialect::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'hub'",
    };
    let rows = link.rows(link.sql(known)).await?;
    if rows.first().ok_or(sqlx::Error::RowNotFound)?.number(0)? == 0 {
        return Ok(None);
    }
    let Some((standing, identity)) = standing(link).await? else {
        return Ok(None);
    };
    let rows = link.rows(link.sql("SELECT events FROM hub")).await?;
    let events = rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?;
    Ok(Some((standing, identity, events)))
}

async fn standing(link: &mut Link<'_>) -> Result<Option<(Standing, Identity)>, sqlx::Error> {
    let sql = link.sql("SELECT schema, finalised, epoch, run FROM hub");
    let rows = link.rows(sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let standing = Standing {
        schema: row.small(0)?,
        finalised: row.small(1)?,
    };
    let identity = Identity {
        schema: standing.schema,
        epoch: row.small(2)?,
        run: row.id(3)?,
    };
    Ok(Some((standing, identity)))
}
