//! Who the database is: the row of the table `hub`, read at any moment, and its epoch raised.

use uuid::Uuid;

use super::{Dialect, Link, Readers, Row, Value};
use crate::error::StateError;
use crate::open::Identity;

const IDENTITY: &str = "SELECT schema, epoch, run FROM hub";

/// Who it is now.
pub(crate) async fn identity(pool: &Readers) -> Result<Identity, sqlx::Error> {
    read(&pool.rows(pool.sql(IDENTITY)).await?)
}

/// Milliseconds since 1970 by the database's clock: SQLite has that of this machine.
pub(crate) async fn clock(pool: &Readers) -> Result<i64, sqlx::Error> {
    let text = match pool.dialect() {
        Dialect::Sqlite => "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        Dialect::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    };
    let rows = pool.rows(pool.sql(text)).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.number(0)
}

/// Ends the run `seen`, if it has not ended yet: one statement, which is done or not.
pub(super) async fn raise(link: &mut Link<'_>, seen: Uuid, heard: u32) -> Result<Identity, StateError> {
    // The next one must be a number that we can read again.
    let heard = i64::from(heard.min(u32::MAX - 1));
    let mut sql = link.sql("UPDATE hub SET run = ");
    sql.value(Value::Id(Uuid::now_v7()))
        .push(", epoch = 1 + CASE WHEN epoch < ")
        .value(Value::Number(heard))
        .push(" THEN ")
        .value(Value::Number(heard))
        .push(" ELSE epoch END WHERE run = ")
        .value(Value::Id(seen));
    link.execute(sql).await?;
    let sql = link.sql(IDENTITY);
    Ok(read(&link.rows(sql).await?)?)
}

/// The schema that the database has now.
pub(super) async fn schema(link: &mut Link<'_>) -> Result<u32, sqlx::Error> {
    let sql = link.sql(IDENTITY);
    Ok(read(&link.rows(sql).await?)?.schema)
}

fn read(rows: &[Row]) -> Result<Identity, sqlx::Error> {
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(Identity {
        schema: row.small(0)?,
        epoch: row.small(1)?,
        run: row.id(2)?,
    })
}
