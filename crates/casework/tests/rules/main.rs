//! The rules of the policy, tried from outside: clause by clause, cell by cell, and over every path.

mod access;
mod answer;
mod assess;
mod coverage;
mod erasure;
mod intake;
mod model;
mod sequences;
mod states;
mod support;
