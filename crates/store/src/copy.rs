//! Moving a store from a folder's SQLite files to PostgreSQL servers: every row of every table, while nobody
//! writes, compared byte by byte before it counts.
//!
//! # Order
//! (1) Both of the source's databases are locked for writing, so that it stands still. (2) Each table is copied in
//! the order of its references, within one transaction for each database, and read back: a SHA-256 over its rows in
//! the order of their keys must be the source's. (3) The keys' transaction ends, then the records'. (4) The source is
//! marked as moved: it is not opened any more. Killed before (3) ends, nothing counts and the next copy begins anew;
//! killed before (4), the next copy finds that everything is there and marks it. Secrets and blobs stay where they
//! are: both places are of one folder.

use crate::db::{self, Connection, Pool, QueryBuilder, Value};
use crate::place::Base;
use crate::{Database, MOVED, Place, Result, Servers, Store, StoreError};
use aws_lc_rs::digest::{Context, SHA256};

/// The tables that no store is without a row in.
const ANCHORS: [&str; 2] = ["house", "wrapped_key"];
/// Rows read, and written, at a time.
const PAGE: i64 = 50;

/// One table that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over them, on both sides, in the order of their keys; hexadecimal.
    pub digest: String,
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTables {
    /// The keys' tables, then the records'.
    pub tables: Vec<CopiedTable>,
    /// Everything was there already: a copy that was killed before its last step.
    pub before: bool,
}

/// A table as both databases have it.
struct Table {
    name: String,
    /// Columns in order, with their types as SQLite declares them.
    columns: Vec<(String, String)>,
    /// The columns of its primary key, in order.
    key: Vec<String>,
    /// Tables that must be filled before.
    after: Vec<String>,
}

impl Store {
    /// Copies the store in a folder to two empty databases, and unless `keep` marks the folder's own databases as
    /// moved. Nobody can write meanwhile; processes that have the folder open must be stopped before, since they
    /// would go on with what was left.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] if the databases hold anything else; [`StoreError::CopyDiffers`] if a table does not
    /// arrive as it was; what opening the folder can fail with; database errors. The source is as it was.
    pub async fn copy_to_servers(dir: &std::path::Path, servers: &Servers, keep: bool) -> Result<CopiedTables> {
        let source = Self::open(dir).await?;
        let place = Place { database: Database::Postgres(servers.clone()), ..Place::folder(dir) };
        let (records, keys) = (place.records(false).await?, place.keys(false).await?);
        let copied = source.copy_into(&records, &keys, keep).await;
        records.close().await;
        keys.close().await;
        source.close().await;
        copied
    }

    async fn copy_into(&self, records: &Base, keys: &Base, keep: bool) -> Result<CopiedTables> {
        // Records first, then keys, as everywhere. Their rows are read past these locks, which keep others out.
        let mut still = self.write().await?;
        let still_keys = self.keys().base().writer.write().await?;
        for target in [records, keys] {
            target.migrate().await?;
        }
        let mut tables = Vec::new();
        let mut to_keys = keys.writer.write().await?;
        let mut to_records = records.writer.write().await?;
        for waiting in [&mut to_keys, &mut to_records] {
            // Each waits for as long as the other is read and written.
            db::query("SELECT set_config('idle_in_transaction_session_timeout', '0', true)").execute(&mut **waiting).await?;
        }
        let before_keys = copy_database(&self.keys().base().reader, &mut to_keys, &mut tables).await?;
        let before_records = copy_database(self.reader(), &mut to_records, &mut tables).await?;
        if before_records && !before_keys {
            return Err(StoreError::NotEmpty);
        }
        to_keys.commit().await?;
        to_records.commit().await?;
        still_keys.rollback().await?;
        if !keep {
            db::query("INSERT INTO house (name, value) VALUES ($1, 'postgres')").bind(MOVED).execute(&mut *still).await?;
        }
        still.commit().await?;
        Ok(CopiedTables { tables, before: before_records })
    }
}

/// Copies every table; `true` if all of them were there already, row by row.
async fn copy_database(from: &Pool, to: &mut Connection, done: &mut Vec<CopiedTable>) -> Result<bool> {
    let tables = tables(from).await?;
    let mut full = false;
    for table in &tables {
        check_columns(table, to).await?;
        let rows: i64 = count(table).build_query_scalar().fetch_one(&mut *to).await?;
        // A store has its facts and its keys from its first moment on; elsewhere a layout may begin with a row.
        full |= rows > i64::from(!ANCHORS.contains(&table.name.as_str()));
    }
    if full {
        for table in &tables {
            let (source, there) = (digest(table, from, None).await?, digest_there(table, to).await?);
            if source.digest != there.digest {
                return Err(StoreError::NotEmpty);
            }
            done.push(source);
        }
        return Ok(true);
    }
    for table in tables.iter().rev() {
        let mut sql = QueryBuilder::new("DELETE FROM ");
        sql.push_name(&table.name);
        sql.build().execute(&mut *to).await?;
    }
    for table in &tables {
        let source = digest(table, from, Some(&mut *to)).await?;
        let there = digest_there(table, to).await?;
        if source != there {
            return Err(StoreError::CopyDiffers { table: table.name.clone() });
        }
        done.push(source);
    }
    // Numbers that were given are not given again, even where their rows are gone.
    let given: Vec<(String, i64)> = match db::query_as("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetch_all(from).await {
        Ok(given) => given,
        // No table of this database numbers its rows: then SQLite has no such table.
        Err(sqlx::Error::Database(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for (name, last) in given {
        let Some(key) = tables.iter().find(|t| t.name == name).and_then(|t| t.key.first().cloned()) else { continue };
        if last > 0 {
            db::query("SELECT setval(pg_get_serial_sequence($1, $2), $3)").bind(name).bind(key).bind(last).execute(&mut *to).await?;
        }
    }
    Ok(false)
}

/// Every table of a SQLite database, referred-to ones first.
async fn tables(from: &Pool) -> Result<Vec<Table>> {
    let names: Vec<String> = db::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
           AND name NOT LIKE '\\_sqlx\\_%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(from)
    .await?;
    let mut waiting = Vec::new();
    for name in names {
        let info: Vec<(String, String, i64)> =
            db::query_as("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid").bind(&name).fetch_all(from).await?;
        let mut key: Vec<_> = info.iter().filter(|(_, _, pk)| *pk > 0).map(|(column, _, pk)| (*pk, column.clone())).collect();
        key.sort_unstable();
        let after = db::query_scalar("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)").bind(&name).fetch_all(from).await?;
        let columns = info.into_iter().map(|(column, kind, _)| (column, kind)).collect();
        waiting.push(Table { name, columns, key: key.into_iter().map(|(_, column)| column).collect(), after });
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let ready = |t: &Table| t.after.iter().all(|name| *name == t.name || ordered.iter().any(|o| o.name == *name));
        let at = waiting.iter().position(ready).ok_or(StoreError::Invalid("the tables refer to each other in a circle"))?;
        ordered.push(waiting.remove(at));
    }
    Ok(ordered)
}

/// The server's table has the same columns.
async fn check_columns(table: &Table, to: &mut Connection) -> Result<()> {
    let mut there: Vec<String> =
        db::query_scalar("SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1")
            .bind(&table.name)
            .fetch_all(to)
            .await?;
    let mut here: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    there.sort_unstable();
    here.sort_unstable();
    if there == here && !table.key.is_empty() { Ok(()) } else { Err(StoreError::CopyDiffers { table: table.name.clone() }) }
}

fn count(table: &Table) -> QueryBuilder {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM ");
    sql.push_name(&table.name);
    sql
}

/// One page of a table in the order of its key, after the row whose key is `after`.
fn page(table: &Table, after: &[Value]) -> QueryBuilder {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push_names(table.columns.iter().map(|(name, _)| name)).push(" FROM ").push_name(&table.name);
    if !after.is_empty() {
        sql.push(" WHERE (").push_names(&table.key).push(") > (").push_list(after.iter().cloned()).push(")");
    }
    sql.push(" ORDER BY ").push_names(&table.key).push(" LIMIT ").push_bind(PAGE);
    sql
}

/// Reads a whole table of the source, writes it to `to` if given, and sums it up.
async fn digest(table: &Table, from: &Pool, mut to: Option<&mut Connection>) -> Result<CopiedTable> {
    let mut sum = Sum::new(table);
    let mut after = Vec::new();
    loop {
        let rows = page(table, &after).build().fetch_all(from).await?;
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| sum.add(row)).collect::<Result<_>>()?;
        let Some(last) = rows.last() else { return Ok(sum.end()) };
        after = sum.key(last);
        if let Some(to) = to.as_deref_mut() {
            let mut sql = QueryBuilder::new("INSERT INTO ");
            sql.push_name(&table.name).push(" (").push_names(table.columns.iter().map(|(name, _)| name)).push(") VALUES ");
            for (n, row) in rows.into_iter().enumerate() {
                sql.push(if n == 0 { "(" } else { ", (" }).push_list(row).push(")");
            }
            sql.build().execute(to).await?;
        }
    }
}

/// Sums up the server's table.
async fn digest_there(table: &Table, to: &mut Connection) -> Result<CopiedTable> {
    let mut sum = Sum::new(table);
    let mut after = Vec::new();
    loop {
        let rows = page(table, &after).build().fetch_all(&mut *to).await?;
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| sum.add(row)).collect::<Result<_>>()?;
        let Some(last) = rows.last() else { return Ok(sum.end()) };
        after = sum.key(last);
    }
}

struct Sum<'t> {
    table: &'t Table,
    rows: u64,
    context: Context,
}

impl<'t> Sum<'t> {
    fn new(table: &'t Table) -> Self {
        Self { table, rows: 0, context: Context::new(&SHA256) }
    }

    /// Takes a row in: for each value its kind, its length and its bytes.
    fn add(&mut self, row: &db::Row) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(self.table.columns.len());
        for (place, (_, kind)) in self.table.columns.iter().enumerate() {
            let value = match kind.as_str() {
                "INTEGER" => Value::Int(row.try_get(place)?),
                "TEXT" => Value::Text(row.try_get(place)?),
                "BLOB" => Value::Bytes(row.try_get(place)?),
                _ => return Err(StoreError::CopyDiffers { table: self.table.name.clone() }),
            };
            let (kind, bytes) = match &value {
                Value::Int(Some(n)) => (b'I', n.to_be_bytes().to_vec()),
                Value::Text(Some(text)) => (b'T', text.as_bytes().to_vec()),
                Value::Bytes(Some(bytes)) => (b'B', bytes.clone()),
                Value::Int(None) | Value::Text(None) | Value::Bytes(None) => (b'N', Vec::new()),
            };
            self.context.update(&[kind]);
            self.context.update(&(bytes.len() as u64).to_be_bytes());
            self.context.update(&bytes);
            values.push(value);
        }
        self.rows += 1;
        Ok(values)
    }

    fn key(&self, row: &[Value]) -> Vec<Value> {
        let place = |name: &String| self.table.columns.iter().position(|(column, _)| column == name);
        self.table.key.iter().filter_map(|name| row.get(place(name)?).cloned()).collect()
    }

    fn end(self) -> CopiedTable {
        let digest = hex::encode(self.context.finish());
        CopiedTable { name: self.table.name.clone(), rows: self.rows, digest }
    }
}
