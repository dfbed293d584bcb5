//! Bundles of several sizes in memory, and the published vectors that the outsider's script is held to as well.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ledger::bundle::{self, Files, Manifest, Opening, Stopped, Trust, check};
use ledger::{Checkpoint, Commitment, Hash, SigningKey, WitnessSigner, note, tree};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;

const ORIGIN: &str = "example.org/log";

struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let data = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(data[..data.len().min(limit as usize + 1)].to_vec())
    }
}

fn opening(n: u64, branch: u8) -> Opening {
    let payload = Commitment::new(&[branch; 32], &n.to_be_bytes());
    if n.is_multiple_of(3) {
        return Opening::Closed { header: payload, payload };
    }
    Opening::Open { stream: [b'R'; 17], seq: n, salt: [7; 32], header: format!("{{\"kind\":\"k{n}\"}}"), payload }
}

/// A log whose key is made from `seed`, with a checkpoint at every size of `at`.
fn bundle(size: u64, at: &[u64], seed: u8, branch: u8, witness: Option<(&WitnessSigner, u64)>) -> Memory {
    let key = SigningKey::from_seed(ORIGIN, [seed; 32]).unwrap();
    let openings: Vec<Opening> = (0..size).map(|n| opening(n, if n < 5 { 0 } else { branch })).collect();
    let mut hashes: HashMap<u64, Hash> = HashMap::new();
    for (n, o) in (0..).zip(&openings) {
        let new = tree::append(n, o.leaf(), &hashes).unwrap();
        hashes.extend(new);
    }
    let mut notes: Vec<String> = at
        .iter()
        .map(|s| Checkpoint { origin: ORIGIN.into(), size: *s, root: tree::root(*s, &hashes).unwrap() }.sign(&key).unwrap())
        .collect();
    if let (Some((signer, time)), Some(last)) = (witness, notes.last_mut()) {
        let text = ledger::Signed::parse(last).unwrap().text;
        last.push_str(&signer.cosign(&text, time).unwrap());
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    files.insert(bundle::README_PATH.into(), bundle::README.into());
    files.insert("checkpoint".into(), notes.last().unwrap().clone().into_bytes());
    for (part, notes) in bundle::parts(notes.len() as u64).zip(notes.chunks(256)) {
        files.insert(part.items(bundle::CHECKPOINTS), bundle::join(notes).unwrap());
    }
    for (part, chunk) in bundle::parts(size).zip(openings.chunks(256)) {
        files.insert(part.items(bundle::ENTRIES), bundle::join(chunk.iter().map(|o| o.leaf().0)).unwrap());
        files.insert(part.items(bundle::OPENINGS), bundle::join(chunk.iter().map(Opening::to_bytes)).unwrap());
    }
    for part in bundle::tiles(size) {
        let hash = |n: u64| hashes[&tree::stored_index(part.level * 8, n)];
        files.insert(part.tile(), (part.start()..part.start() + part.width).flat_map(hash).collect());
    }
    let closed = size.div_ceil(3);
    let manifest = Manifest {
        size,
        checkpoints: notes.len() as u64,
        opened: size - closed,
        closed,
        log_key: key.verifier_key(),
        witness_keys: witness.map(|(s, _)| s.key().clone()).into_iter().collect(),
        files: files.iter().map(|(p, d)| (bundle::sha256(d), d.len() as u64, p.clone())).collect(),
    };
    files.insert("manifest".into(), manifest.to_text().into_bytes());
    Memory(files)
}

fn wrong(bundle: &Memory, trust: &Trust) -> String {
    match check(bundle, trust) {
        Err(Stopped::Wrong(fault)) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bundles_of_every_shape_hold_whatever_the_key() {
    for (size, at) in [(0, &[0][..]), (1, &[0, 1]), (255, &[255]), (256, &[3, 256]), (257, &[1, 256, 257]), (700, &[300, 512, 700])] {
        let report = check(&bundle(size, at, 1, 0, None), &Trust::default()).unwrap();
        assert_eq!((report.size, report.checkpoints, report.opened + report.closed), (size, at.len() as u64, size));
    }
    // Base64 has '+' in it, which also parts a key's text.
    for seed in 0..64 {
        check(&bundle(3, &[3], seed, 0, None), &Trust::default()).unwrap();
    }
    let many: Vec<u64> = (0..=600).collect();
    assert_eq!(check(&bundle(600, &many, 1, 0, None), &Trust::default()).unwrap().checkpoints, 601);
}

#[test]
fn upper_tiles_are_recomputed_from_the_lower() {
    let mut changed = bundle(700, &[700], 1, 0, None);
    changed.0.get_mut("tile/1/000.p/2").unwrap()[40] ^= 1;
    assert_eq!(wrong(&changed, &Trust::default()), "tile/1/000.p/2 hash 1: it is not what the tile below makes");
    let mut changed = bundle(700, &[700], 1, 0, None);
    changed.0.get_mut("tile/0/001").unwrap().pop();
    assert_eq!(wrong(&changed, &Trust::default()), "tile/0/001: it is not 256 hashes long");
}

#[test]
fn a_witness_key_names_a_branch_that_it_did_not_see_and_a_state_that_is_too_old() {
    let witness = WitnessSigner::from_seed("witness.example/w", [9; 32]).unwrap();
    let trust = |since| Trust { witnesses: vec![witness.key().clone()], since, ..Trust::default() };
    let cosigned = bundle(9, &[4, 9], 1, 0, Some((&witness, 1_000)));
    assert_eq!(check(&cosigned, &trust(Some(1_000))).unwrap().cosigned, [("witness.example/w".to_owned(), 1_000)]);
    assert!(wrong(&cosigned, &trust(Some(1_001))).contains("before the time asked for"));
    assert!(wrong(&bundle(9, &[4, 9], 1, 1, None), &trust(None)).contains("witness.example/w did not cosign it"));
    let other = WitnessSigner::from_seed("witness.example/w", [8; 32]).unwrap();
    assert!(wrong(&bundle(9, &[4, 9], 1, 0, Some((&other, 1_000))), &trust(None)).contains("did not cosign it"));
}

#[test]
fn a_manifest_that_claims_more_than_it_lists_costs_nothing() {
    for (line, claim) in [("size 3", "size 281474976710656"), ("checkpoints 1\n", "checkpoints 281474976710656\n")] {
        let mut greedy = bundle(3, &[3], 1, 0, None);
        let text = String::from_utf8(greedy.0["manifest"].clone()).unwrap().replacen(line, claim, 1);
        greedy.0.insert("manifest".into(), text.into_bytes());
        assert!(wrong(&greedy, &Trust::default()).ends_with("it is more than the files listed could hold"));
    }
}

/// The same file that `verifier/test_verify.py` reads.
#[test]
fn the_published_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../verifier/vectors/published.json");
    let published: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let vector = &published["signed_note"];
    let key = ledger::VerifierKey::parse(&text(&vector["key"])).unwrap();
    assert!(note::open(&text(&vector["note"]), &key).unwrap().starts_with("If you think cryptography"));
    for tree in published["tlog_tiles"]["trees"].as_array().unwrap() {
        let paths = bundle::paths(tree["size"].as_u64().unwrap(), 1);
        for (level, counts) in tree["levels"].as_array().unwrap().iter().enumerate() {
            let of_level: Vec<&String> = paths.iter().filter(|p| p.starts_with(&format!("tile/{level}/"))).collect();
            let partial: Vec<&str> = of_level.iter().filter_map(|p| p.split_once(".p/").map(|(_, w)| w)).collect();
            assert_eq!((of_level.len() - partial.len()) as u64, counts[0].as_u64().unwrap());
            assert_eq!(partial.first().map_or(0, |w| w.parse().unwrap()), counts[1].as_u64().unwrap());
        }
    }
    let (index, path) = (&published["tlog_tiles"]["index"][0], &published["tlog_tiles"]["index"][1]);
    let part = bundle::Part { level: 0, n: index.as_u64().unwrap(), width: 256 };
    assert_eq!(part.tile(), format!("tile/0/{}", path.as_str().unwrap()));
}
