//! A table without sealing, log or projection, written as durably as the records: what their cost is measured
//! against (`countersign bench record`). Nothing else uses it.

use crate::Result;
use crate::db::{self, Pool};
use sqlx::sqlite::SqlitePoolOptions;
use std::path::Path;

/// A database with one table.
pub struct Bare {
    pool: Pool,
}

impl Bare {
    /// Makes it in a file, with the settings of the records.
    ///
    /// # Errors
    /// Database errors.
    pub async fn create(file: &Path) -> Result<Self> {
        let pool = Pool::Sqlite(SqlitePoolOptions::new().max_connections(1).connect_with(crate::place::sqlite_options(file, true)).await?);
        let mut tx = pool.write().await?;
        db::query("CREATE TABLE bare (position INTEGER NOT NULL PRIMARY KEY, header TEXT NOT NULL, payload BLOB NOT NULL) STRICT")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Self { pool })
    }

    /// Inserts one row in a transaction of its own; returned means durable.
    ///
    /// # Errors
    /// Database errors.
    pub async fn insert(&self, header: &str, payload: &[u8]) -> Result<()> {
        let mut tx = self.pool.write().await?;
        db::query("INSERT INTO bare (header, payload) VALUES ($1, $2)").bind(header).bind(payload).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
