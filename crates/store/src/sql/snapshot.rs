//! A database as it is at one moment, whatever is written meanwhile.

use super::open::{Own, Way};
use super::table::{Cell, Table, tables};
use super::{Dialect, schema};
use crate::backup::BackupError;
use crate::error::Cause;
use crate::migration::{self, Migration, NoWay};
use crate::open::{DatabaseUrl, Identity, OpenError};

/// See the module.
pub(crate) struct Snapshot {
    own: Own,
    tables: Vec<Table>,
    identity: Identity,
    events: u64,
}

impl Snapshot {
    /// Of a database that is there, in a schema of `list`.
    pub async fn begin(url: &DatabaseUrl, list: &[Migration]) -> Result<Self, BackupError> {
        let opened = Way::to(url)?.connect().await;
        let mut own = opened.map_err(|error| OpenError::Database(error.into()))?;
        let mut link = own.link();
        match link.dialect() {
            Dialect::Sqlite => link.run("BEGIN").await?,
            // The file may be slow, and there may be much.
            Dialect::Postgres => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0; \
                    SET LOCAL idle_in_transaction_session_timeout = 0";
                link.run(begin).await?;
            }
        }
        let (standing, identity, events) = schema::standing_of_any(&mut link).await?.ok_or(NoWay::Empty)?;
        if standing.schema == 0 {
            return Err(NoWay::Empty.into());
        }
        migration::forward(list, standing)?;
        let tables = tables(list, standing.schema).await?;
        Ok(Self {
            own,
            tables,
            identity,
            events,
        })
    }

    /// Who it is, and the number of its last event.
    pub fn standing(&self) -> (Identity, u64) {
        (self.identity, self.events)
    }

    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Hands out the rows of a table in the order of its key; gives how many there were.
    pub async fn each(
        &mut self,
        table: &Table,
        mut take: impl FnMut(Vec<Cell>) -> Result<(), BackupError>,
    ) -> Result<u64, BackupError> {
        let mut link = self.own.link();
        let mut sql = link.sql("SELECT ");
        for (place, column) in table.columns.iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " }).name(&column.name);
        }
        sql.push(" FROM ").name(&table.name).push(" ORDER BY ").name(&table.key);
        link.each(sql, |row| {
            let columns = table.columns.iter().enumerate();
            let cells = columns.map(|(place, column)| Cell::read(column.kind, &row, place));
            take(cells.collect::<Result<_, _>>().map_err(|error| corrupt(table, error))?)
        })
        .await
    }
}

fn corrupt(table: &Table, error: sqlx::Error) -> BackupError {
    let cause: Cause = format!("a row of `{}` cannot be understood: {error}", table.name).into();
    BackupError::Database(cause)
}
