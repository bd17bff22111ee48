//! The implementation over SQLite and PostgreSQL: one text for both.
//!
//! This module is the thin layer that makes the two look alike: a statement with its values, a connection, a row.

mod chain;
mod group;
mod identity;
mod listen;
mod loading;
mod open;
mod query;
mod readers;
mod schema;
mod snapshot;
mod table;
mod writer;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Executor, Postgres, Row as _, Sqlite};
use uuid::Uuid;

pub(crate) use chain::{count, head, kept};
pub(crate) use identity::{clock, identity};
pub(crate) use loading::Loading;
pub(crate) use open::{Database, open_schema};
pub(crate) use query::{Found, Page, check, events, get, page, versions};
pub(crate) use readers::Readers;
pub(crate) use snapshot::Snapshot;
pub(crate) use table::{Cell, Table, Type, tables};
pub(crate) use writer::Order;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A value in the place of a `$n`.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Id(Uuid),
    Text(String),
    MaybeId(Option<Uuid>),
    MaybeText(Option<String>),
    Number(i64),
    MaybeNumber(Option<i64>),
    Bytes(Vec<u8>),
    MaybeBytes(Option<Vec<u8>>),
    Ids(Vec<Uuid>),
    Texts(Vec<String>),
}

/// A statement that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    dialect: Dialect,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub fn new(dialect: Dialect, text: &str) -> Self {
        let text = text.to_owned();
        let values = Vec::new();
        Self { dialect, text, values }
    }

    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A name of a table or column; `user` is a word of SQL.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.push("\"").push(name).push("\"")
    }

    pub fn value(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        let place = self.values.len();
        self.push(&format!("${place}"))
    }

    pub fn ids(&mut self, ids: Vec<Uuid>) -> &mut Self {
        match self.dialect {
            Dialect::Postgres => self.push(" = ANY(").value(Value::Ids(ids)).push(")"),
            Dialect::Sqlite => self.list(ids.iter().copied().map(Value::Id)),
        }
    }

    pub fn texts(&mut self, texts: Vec<String>) -> &mut Self {
        match self.dialect {
            Dialect::Postgres => self.push(" = ANY(").value(Value::Texts(texts)).push(")"),
            Dialect::Sqlite => self.list(texts.iter().cloned().map(Value::Text)),
        }
    }

    /// Filled up to a power of two: a statement is prepared once for each number of values.
    fn list(&mut self, values: impl ExactSizeIterator<Item = Value> + Clone) -> &mut Self {
        self.push(" IN (");
        let missing = values.len().next_power_of_two() - values.len();
        let last = values.clone().last();
        let values = values.chain(std::iter::repeat_n(last, missing).flatten());
        for (place, value) in values.enumerate() {
            self.push(if place == 0 { "" } else { ", " }).value(value);
        }
        self.push(")")
    }
}

macro_rules! arguments {
    ($name:ident, $arguments:ty, $lists:expr) => {
        fn $name(values: Vec<Value>) -> Result<$arguments, sqlx::Error> {
            use sqlx::Arguments;
            let mut arguments = <$arguments>::default();
            for value in values {
                match value {
                    Value::Id(id) => Arguments::add(&mut arguments, id),
                    Value::Text(text) => Arguments::add(&mut arguments, text),
                    Value::MaybeId(id) => Arguments::add(&mut arguments, id),
                    Value::MaybeText(text) => Arguments::add(&mut arguments, text),
                    Value::Number(number) => Arguments::add(&mut arguments, number),
                    Value::MaybeNumber(number) => Arguments::add(&mut arguments, number),
                    Value::Bytes(bytes) => Arguments::add(&mut arguments, bytes),
                    Value::MaybeBytes(bytes) => Arguments::add(&mut arguments, bytes),
                    list => $lists(&mut arguments, list),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            Ok(arguments)
        }
    };
}

type Added = Result<(), sqlx::error::BoxDynError>;

arguments!(sqlite_arguments, SqliteArguments, |_: &mut SqliteArguments,
                                               list: Value|
 -> Added {
    Err(format!("SQLite has no arrays: {list:?}").into())
});
arguments!(postgres_arguments, PgArguments, |arguments: &mut PgArguments,
                                             list: Value|
 -> Added {
    match list {
        Value::Ids(ids) => sqlx::Arguments::add(arguments, ids),
        Value::Texts(texts) => sqlx::Arguments::add(arguments, texts),
        other => Err(format!("not a list: {other:?}").into()),
    }
});

/// A connection, borrowed.
pub(crate) enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Link<'_> {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub fn sql(&self, text: &str) -> Sql {
        Sql::new(self.dialect(), text)
    }

    pub async fn rows(&mut self, sql: Sql) -> Result<Vec<Row>, sqlx::Error> {
        let Sql { text, values, .. } = sql;
        let text = AssertSqlSafe(text);
        Ok(match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_with::<Sqlite, _>(text, sqlite_arguments(values)?);
                let rows = connection.fetch_all(query).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with::<Postgres, _>(text, postgres_arguments(values)?);
                let rows = connection.fetch_all(query).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Hands rows out as they come, so that they are never all in memory; gives how many there were.
    pub async fn each<E: From<sqlx::Error>>(
        &mut self,
        sql: Sql,
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<u64, E> {
        let Sql { text, values, .. } = sql;
        let text = AssertSqlSafe(text);
        let mut count = 0;
        match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_with::<Sqlite, _>(text, sqlite_arguments(values)?);
                let mut rows = connection.fetch(query);
                while let Some(row) = rows.try_next().await? {
                    take(Row::Sqlite(row))?;
                    count += 1;
                }
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with::<Postgres, _>(text, postgres_arguments(values)?);
                let mut rows = connection.fetch(query);
                while let Some(row) = rows.try_next().await? {
                    take(Row::Postgres(row))?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Gives how many rows it changed.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64, sqlx::Error> {
        let Sql { text, values, .. } = sql;
        let text = AssertSqlSafe(text);
        Ok(match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_with::<Sqlite, _>(text, sqlite_arguments(values)?);
                connection.execute(query).await?.rows_affected()
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with::<Postgres, _>(text, postgres_arguments(values)?);
                connection.execute(query).await?.rows_affected()
            }
        })
    }

    /// Statements without values, separated by `;`.
    pub async fn run(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let raw = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        match self {
            Self::Sqlite(connection) => connection.execute(raw).await.map(drop),
            Self::Postgres(connection) => connection.execute(raw).await.map(drop),
        }
    }

    /// Begins a transaction that will write.
    pub async fn begin(&mut self) -> Result<(), sqlx::Error> {
        // SQLite: the right to write is taken now, so that a read in the transaction is never outdated by another writer.
        let text = match self.dialect() {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        };
        self.run(text).await
    }

    pub async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT").await
    }

    /// Ends a transaction that has failed. If that fails too, the connection is of no use and goes.
    pub async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        self.run("ROLLBACK").await
    }
}

/// A row of an answer; columns are counted from 0.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! columns {
    ($($name:ident -> $type:ty;)*) => {$(
        pub fn $name(&self, place: usize) -> Result<$type, sqlx::Error> {
            match self {
                Self::Sqlite(row) => row.try_get(place),
                Self::Postgres(row) => row.try_get(place),
            }
        }
    )*};
}

impl Row {
    columns! {
        id -> Uuid;
        maybe_id -> Option<Uuid>;
        text -> String;
        maybe_text -> Option<String>;
        number -> i64;
        maybe_number -> Option<i64>;
        bytes -> Vec<u8>;
        maybe_bytes -> Option<Vec<u8>>;
    }

    /// A number that is never negative.
    pub fn count(&self, place: usize) -> Result<u64, sqlx::Error> {
        u64::try_from(self.number(place)?).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    /// A number of a schema or epoch.
    pub fn small(&self, place: usize) -> Result<u32, sqlx::Error> {
        u32::try_from(self.number(place)?).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}

/// A count as the databases keep it. None of ours comes near the end.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
