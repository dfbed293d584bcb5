//! The ids of the rules. Their words, strength and source are data: `policy/v1.toml`.

use crate::ids::UnknownWord;
use serde::{Deserialize, Serialize};

/// A clause of the policy, as numbered in `policy/v1.toml`. Refusals and decisions cite these.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Clause>)]
pub enum Clause {
    /// See `policy/v1.toml`.
    R1,
    /// See `policy/v1.toml`.
    R2,
    /// See `policy/v1.toml`.
    R3,
    /// See `policy/v1.toml`.
    S1,
    /// See `policy/v1.toml`.
    S2,
    /// See `policy/v1.toml`.
    S3,
    /// See `policy/v1.toml`.
    S4,
    /// See `policy/v1.toml`.
    S5,
    /// See `policy/v1.toml`.
    S6,
    /// See `policy/v1.toml`.
    S7,
    /// See `policy/v1.toml`.
    S8,
    /// See `policy/v1.toml`.
    S9,
    /// See `policy/v1.toml`.
    S10,
    /// See `policy/v1.toml`.
    S11,
    /// See `policy/v1.toml`.
    S12,
    /// See `policy/v1.toml`.
    A1,
    /// See `policy/v1.toml`.
    A2,
    /// See `policy/v1.toml`.
    A3,
    /// See `policy/v1.toml`.
    A4,
    /// See `policy/v1.toml`.
    A5,
    /// See `policy/v1.toml`.
    A6,
    /// See `policy/v1.toml`.
    A7,
    /// See `policy/v1.toml`.
    A8,
    /// See `policy/v1.toml`.
    A9,
    /// See `policy/v1.toml`.
    A10,
    /// See `policy/v1.toml`.
    M1,
    /// See `policy/v1.toml`.
    M2,
    /// See `policy/v1.toml`.
    M3,
    /// See `policy/v1.toml`.
    O1,
    /// See `policy/v1.toml`.
    O2,
    /// See `policy/v1.toml`.
    O3,
    /// See `policy/v1.toml`.
    O4,
    /// See `policy/v1.toml`.
    O5,
    /// See `policy/v1.toml`.
    O6,
    /// See `policy/v1.toml`.
    O7,
    /// See `policy/v1.toml`.
    O8,
    /// See `policy/v1.toml`.
    O9,
    /// See `policy/v1.toml`.
    O10,
    /// See `policy/v1.toml`.
    V0,
    /// See `policy/v1.toml`.
    V1,
    /// See `policy/v1.toml`.
    V2,
    /// See `policy/v1.toml`.
    V3,
    /// See `policy/v1.toml`.
    L1,
    /// See `policy/v1.toml`.
    L2,
    /// See `policy/v1.toml`.
    L3,
    /// See `policy/v1.toml`.
    L4,
    /// See `policy/v1.toml`.
    W1,
    /// See `policy/v1.toml`.
    W2,
    /// See `policy/v1.toml`.
    W3,
    /// See `policy/v1.toml`.
    W4,
    /// See `policy/v1.toml`.
    W5,
    /// See `policy/v1.toml`.
    D1,
    /// See `policy/v1.toml`.
    D2,
    /// See `policy/v1.toml`.
    D3,
    /// See `policy/v1.toml`.
    D4,
    /// See `policy/v1.toml`.
    D5,
    /// See `policy/v1.toml`.
    T1,
    /// See `policy/v1.toml`.
    P1,
    /// See `policy/v1.toml`.
    P2,
    /// See `policy/v1.toml`.
    C1,
    /// See `policy/v1.toml`.
    F1,
    /// See `policy/v1.toml`.
    F2,
    /// See `policy/v1.toml`.
    F3,
    /// See `policy/v1.toml`.
    G1,
}

/// How strongly the source puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Enforced: the system refuses what breaks it.
    Must,
    /// Asked for and recorded.
    Should,
    /// Permitted, never required.
    May,
}
