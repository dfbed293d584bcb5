//! Finding requests by a personal value without keeping the value: keyed HMACs, erased with the class
//! they belong to. Whoever asks must be cleared for the answer; that is the caller's to check.

use crate::db::{self, Connection, QueryBuilder};
use crate::events::Alone;
use crate::rows::{self, class_text};
use crate::secrets::Secrets;
use crate::{Result, Store};
use casework::ids::RequestId;
use casework::record::RetentionClass;
use std::collections::BTreeSet;

/// One value under which a request can be found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupEntry {
    /// What the value is, kebab-case, e.g. `crime-reference`, `probe-digest`.
    pub kind: String,
    /// The value, normalised by the caller; only its HMAC is stored.
    pub value: Vec<u8>,
    /// Erased with this class of the request.
    pub class: RetentionClass,
}

impl Store {
    /// A keyed hash of some bytes under the store's look-up key: an id made from it tells nobody without
    /// the key what it was made from.
    #[must_use]
    pub fn keyed_hash(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        self.secrets().mac(kind, value)
    }

    /// The requests that were indexed under `value`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn lookup(&self, kind: &str, value: &[u8]) -> Result<Vec<RequestId>> {
        let mac = self.secrets().mac(kind, value);
        let found: Vec<Vec<u8>> = db::query_scalar("SELECT request FROM lookup WHERE kind = $1 AND mac = $2 ORDER BY request")
            .bind(kind)
            .bind(mac.as_slice())
            .fetch_all(self.reader())
            .await?;
        found.iter().map(|id| rows::uuid(id).map(RequestId)).collect()
    }
}

/// Whether another request is found under the value in one of the states.
pub(crate) async fn taken(tx: &mut Connection, secrets: &Secrets, request: RequestId, alone: &Alone) -> Result<bool> {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM lookup l CROSS JOIN request_row r WHERE l.kind = ");
    sql.push_bind(alone.kind.clone()).push(" AND l.mac = ").push_bind(secrets.mac(&alone.kind, &alone.value).to_vec());
    sql.push(" AND r.request = l.request AND l.request <> ").push_bind(request.as_bytes().to_vec()).push(" AND r.state IN (");
    sql.push_list(&alone.states).push(")");
    let found: i64 = sql.build_query_scalar().fetch_one(tx).await?;
    Ok(found > 0)
}

/// Puts a request's values. What it had before under the same kinds is forgotten: it is not found under an
/// investigation that its form does not name any more.
pub(crate) async fn put(tx: &mut Connection, secrets: &Secrets, request: RequestId, entries: &[LookupEntry]) -> Result<()> {
    for kind in entries.iter().map(|e| &e.kind).collect::<BTreeSet<_>>() {
        db::query("DELETE FROM lookup WHERE request = $1 AND kind = $2")
            .bind(request.as_bytes().as_slice())
            .bind(kind)
            .execute(&mut *tx)
            .await?;
    }
    for entry in entries {
        db::query(
            "INSERT INTO lookup (kind, mac, request, class) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(&entry.kind)
        .bind(secrets.mac(&entry.kind, &entry.value).as_slice())
        .bind(request.as_bytes().as_slice())
        .bind(class_text(entry.class))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
