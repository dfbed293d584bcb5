//! The databases under the store: one SQL text, sent to whichever of them holds this store.
//!
//! SQL here is what SQLite and PostgreSQL both take: `$1`, `RETURNING`, `ON CONFLICT`, times as integers,
//! flags as 0 and 1, an alias on every subquery, no type that only one of them has. What is bound is a
//! number, a text or bytes, or the absence of one of these ([`Value`]); what comes back is read as the same
//! ([`Row`]). What only one database can be told stands in [`pool`], and nowhere else. sqlx's own `Any` driver
//! is not used: it knows fewer types than either database.
//!
//! ```text
//! db::query("SELECT seq FROM event WHERE stream = $1").bind(stream.as_slice()).fetch_all(self.reader()).await?
//! ```

mod pool;
mod value;

pub(crate) use pool::{Connection, Pool, Transaction};
pub(crate) use value::{Column, FromRow, Row, Value};

use pool::On;
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr, SqlStr, Sqlite};

type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

/// A statement and what is bound to it.
pub(crate) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// A statement; its values are bound in the order of their numbers.
pub(crate) fn query(sql: impl SqlSafeStr) -> Query {
    Query { sql: sql.into_sql_str(), values: Vec::new() }
}

/// A statement whose rows have one column, read as `T`.
pub(crate) fn query_scalar<T: for<'r> Column<'r>>(sql: impl SqlSafeStr) -> Typed<T> {
    Typed { query: query(sql), read: |row| row.try_get(0) }
}

/// A statement whose rows are read as a tuple.
pub(crate) fn query_as<T: FromRow>(sql: impl SqlSafeStr) -> Typed<T> {
    Typed { query: query(sql), read: T::from_row }
}

/// Whether what failed may well succeed when it is begun again: the connection was lost or ended by the server,
/// or the server broke off one of two transactions that were in each other's way.
pub(crate) fn passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        // Class 08: connection; 57P01–57P03: the server stops or starts; 25P03: idle too long; 40: rolled back.
        sqlx::Error::Database(told) => told.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("40") || ["57P01", "57P02", "57P03", "25P03"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

/// What a statement did.
pub(crate) struct Done {
    rows: u64,
}

impl Done {
    /// Rows that it wrote or deleted.
    pub(crate) fn rows_affected(&self) -> u64 {
        self.rows
    }
}

impl Query {
    /// Binds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
        let mut query = sqlx::query(self.sql);
        for value in self.values {
            query = match value {
                Value::Int(n) => query.bind(n),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }

    fn postgres(self) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
        let mut query = sqlx::query(self.sql);
        for value in self.values {
            query = match value {
                Value::Int(n) => query.bind(n),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }

    /// Carries it out.
    pub(crate) async fn execute<'c>(self, on: impl Into<On<'c>>) -> Result<Done> {
        let rows = match on.into() {
            On::SqlitePool(pool) => self.sqlite().execute(pool).await?.rows_affected(),
            On::Sqlite(connection) => self.sqlite().execute(connection).await?.rows_affected(),
            On::PostgresPool(pool) => self.postgres().execute(pool).await?.rows_affected(),
            On::Postgres(connection) => self.postgres().execute(connection).await?.rows_affected(),
        };
        Ok(Done { rows })
    }

    /// Every row.
    pub(crate) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<Row>> {
        match on.into() {
            On::SqlitePool(pool) => value::sqlite_rows(&self.sqlite().fetch_all(pool).await?),
            On::Sqlite(connection) => value::sqlite_rows(&self.sqlite().fetch_all(connection).await?),
            On::PostgresPool(pool) => value::postgres_rows(&self.postgres().fetch_all(pool).await?),
            On::Postgres(connection) => value::postgres_rows(&self.postgres().fetch_all(connection).await?),
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<Row>> {
        let rows = match on.into() {
            On::SqlitePool(pool) => value::sqlite_rows(self.sqlite().fetch_optional(pool).await?.as_slice()),
            On::Sqlite(connection) => value::sqlite_rows(self.sqlite().fetch_optional(connection).await?.as_slice()),
            On::PostgresPool(pool) => value::postgres_rows(self.postgres().fetch_optional(pool).await?.as_slice()),
            On::Postgres(connection) => value::postgres_rows(self.postgres().fetch_optional(connection).await?.as_slice()),
        };
        Ok(rows?.pop())
    }

    /// The first row; [`sqlx::Error::RowNotFound`] if there is none.
    pub(crate) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<Row> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

/// A statement whose rows are read as `T`.
pub(crate) struct Typed<T> {
    query: Query,
    read: fn(&Row) -> Result<T>,
}

impl<T> Typed<T> {
    /// Binds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// Every row.
    pub(crate) async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<T>> {
        self.query.fetch_all(on).await?.iter().map(self.read).collect()
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<T>> {
        self.query.fetch_optional(on).await?.as_ref().map(self.read).transpose()
    }

    /// The first row; [`sqlx::Error::RowNotFound`] if there is none.
    pub(crate) async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<T> {
        (self.read)(&self.query.fetch_one(on).await?)
    }
}

/// A statement put together piece by piece: words from here, values from the caller.
pub(crate) struct QueryBuilder {
    sql: String,
    values: Vec<Value>,
}

impl QueryBuilder {
    /// Begins with these words.
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds words.
    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a name out of the database's own catalogue.
    pub(crate) fn push_name(&mut self, name: &str) -> &mut Self {
        self.sql.push('"');
        self.sql.push_str(&name.replace('"', "\"\""));
        self.sql.push('"');
        self
    }

    /// Adds such names with commas between them.
    pub(crate) fn push_names<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> &mut Self {
        for (n, name) in names.into_iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.push_name(name);
        }
        self
    }

    /// Binds the next value, here.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
        self
    }

    /// Binds values with commas between them.
    pub(crate) fn push_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.push_bind(value);
        }
        self
    }

    /// The statement. Its words are literals of this crate, quoted names of the catalogue and numbers of parameters:
    /// nothing in it came from outside.
    pub(crate) fn build(self) -> Query {
        Query { sql: AssertSqlSafe(self.sql).into_sql_str(), values: self.values }
    }

    /// The statement, whose rows have one column.
    pub(crate) fn build_query_scalar<T: for<'r> Column<'r>>(self) -> Typed<T> {
        Typed { query: self.build(), read: |row| row.try_get(0) }
    }
}
