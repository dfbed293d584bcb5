//! A witness of a transparency log, and the client that asks one: [C2SP tlog-witness](https://c2sp.org/tlog-witness)
//! over HTTP/1.1.
//!
//! The witness is a process of its own, kept by somebody else, with its own key and its own small folder. It knows
//! the logs' public keys and the last checkpoint of each that it cosigned, and nothing else: this crate depends on
//! `ledger` alone, so it cannot read a data directory. It cosigns a checkpoint only if that continues the last one,
//! and remembers it on disk before it answers.
//!
//! | file | what |
//! | --- | --- |
//! | `witness.key` (0600) | name and Ed25519 seed |
//! | `logs/<hash of origin>` | a log's key, and the last checkpoint cosigned for it |
//! | `lock` | held while a process uses the folder |
//!
//! There is no TLS: what is said is public and signed both ways. Put a proxy in front where the network asks for it.

mod client;
mod serve;
mod state;

pub use client::{ClientError, MAX_ANSWER_BYTES, Said, add_checkpoint, endpoint};
pub use serve::{CONNECTION_MAX, CONNECTIONS_MAX, serve};
pub use state::{Answer, Witness, WitnessError};
