//! Which tables a schema has, with the kinds of their columns: told by SQLite after all migrations up to it, in memory. So the
//! migrations are the one place that says it, and whatever else lies in a database is not ours.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use super::{Link, Row, Value, schema};
use crate::migration::Migration;
use crate::open::Identity;

/// Tables that are not what the hub knows, but how the database is kept.
const INNER: [&str; 2] = ["hub", "batch"];

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// The column that is the key.
    pub key: String,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub kind: Type,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Id,
    Number,
    Text,
    Bytes,
}

/// A value in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Id(Option<Uuid>),
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// The tables of a schema, in the order of their names.
pub(crate) async fn tables(list: &[Migration], schema: u32) -> Result<Vec<Table>, sqlx::Error> {
    let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut link = Link::Sqlite(&mut connection);
    let identity = Identity {
        schema,
        ..Identity::default()
    };
    schema::make(&mut link, list, identity, 0).await?;
    let sql =
        link.sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
    let mut tables = Vec::new();
    for row in link.rows(sql).await? {
        let name = row.text(0)?;
        if !INNER.contains(&name.as_str()) {
            tables.push(table(&mut link, name).await?);
        }
    }
    connection.close().await?;
    Ok(tables)
}

async fn table(link: &mut Link<'_>, name: String) -> Result<Table, sqlx::Error> {
    let mut sql = link.sql("SELECT name, type, pk FROM pragma_table_info(");
    sql.value(Value::Text(name.clone())).push(") ORDER BY cid");
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    for row in link.rows(sql).await? {
        let column = row.text(0)?;
        let kind = match row.text(1)?.as_str() {
            "UUID" => Type::Id,
            "BIGINT" | "INTEGER" => Type::Number,
            "TEXT" => Type::Text,
            "BLOB" => Type::Bytes,
            other => return Err(unlike(&name, &format!("`{column}` is of kind {other}"))),
        };
        if row.number(2)? > 0 {
            keys.push(column.clone());
        }
        columns.push(Column { name: column, kind });
    }
    match <[String; 1]>::try_from(keys) {
        Ok([key]) => Ok(Table { name, columns, key }),
        Err(keys) => Err(unlike(&name, &format!("it has {} keys", keys.len()))),
    }
}

/// A mistake of whoever wrote the migration.
fn unlike(table: &str, what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!("no backup knows tables like `{table}`: {what}"))
}

impl Cell {
    pub fn read(kind: Type, row: &Row, place: usize) -> Result<Self, sqlx::Error> {
        Ok(match kind {
            Type::Id => Self::Id(row.maybe_id(place)?),
            Type::Number => Self::Number(row.maybe_number(place)?),
            Type::Text => Self::Text(row.maybe_text(place)?),
            Type::Bytes => Self::Bytes(row.maybe_bytes(place)?),
        })
    }

    /// Bytes of memory, nearly.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len(),
            Self::Bytes(Some(bytes)) => bytes.len(),
            _ => 16,
        }
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Id(id) => Self::MaybeId(id),
            Cell::Number(number) => Self::MaybeNumber(number),
            Cell::Text(text) => Self::MaybeText(text),
            Cell::Bytes(bytes) => Self::MaybeBytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::{ALL, last};

    #[tokio::test]
    async fn every_schema_that_was_released_can_be_backed_up() {
        for schema in 1..=last(ALL) {
            let tables = tables(ALL, schema).await.unwrap();
            let event = tables.iter().find(|table| table.name == "event").unwrap();
            assert_eq!((event.key.as_str(), event.columns[0].kind), ("id", Type::Number));
            assert!(tables.iter().all(|table| table.name != "hub"));
        }
    }
}
