//! Hostile bytes for each of this crate's parsers (docs/FUZZING.md). Checksums are made right again, since a checksum
//! is no secret: what is tried is what stands behind it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{
    Attributes, Filters, Gallery as _, LocalGallery, ModelId, NewReference, Probe, SearchLimits, Settings, YearBand,
    disk::Disk,
    log,
    manifest::{LogEntry, Manifest, SegmentEntry},
    segment::{self, FILES},
    table::Table,
};
use std::{fs, path::PathBuf};

const DIMENSION: usize = 8;

const MODEL: &str = "test";

const ROWS_MAX: u8 = 40;

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        // In memory where there is such a place: each file is synced.
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = place.join(format!("countersign-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model() -> ModelId {
    ModelId::new(MODEL).unwrap()
}

fn reference(n: u8) -> NewReference {
    let mut template = vec![0.0; DIMENSION];
    template[usize::from(n) % DIMENSION] = 0.8;
    template[usize::from(n / 8 + n + 1) % DIMENSION] = -0.6;
    let attributes =
        Attributes { synthetic: n.is_multiple_of(5), sex_marker: n % 3, year_of_birth: 1950 + u16::from(n), enrolled_at: i64::from(n) };
    NewReference { id: [n; 16], template, attributes }
}

/// A manifest is refused, or says nothing that does not hold together.
pub fn index(bytes: &[u8]) {
    let folder = std::path::Path::new("nowhere");
    let _ = Manifest::parse(folder, bytes);
    if let Ok(read) = Manifest::parse(folder, &[&crate::manifest::first_line(bytes), bytes].concat()) {
        assert!(read.dimension > 0 && read.segments.iter().all(|s| s.rows > 0 && s.erased.len() <= s.rows as usize));
        assert!(read.segments.iter().all(|s| s.number < read.next_number));
    }
}

/// A gallery whose files hold anything at all behind right checksums: refused, or every question about it has an answer.
pub fn gallery(bytes: &[u8]) {
    let _ = log::records(bytes, DIMENSION).count();
    let Some((rows, mut rest)) = bytes.split_first() else {
        return;
    };
    let rows = u32::from(rows % ROWS_MAX) + 1;
    let folder = Folder::new();
    let disk = Disk::default();
    let mut digests = [0; FILES.len()];
    for ((digest, path), layout) in digests.iter_mut().zip(segment::paths(&folder.0, 1)).zip(segment::layouts(rows, DIMENSION)) {
        let (body, left) = rest.split_at(rest.len().min(layout.rows as usize * layout.row_bytes));
        rest = left;
        *digest = Table::write(&disk, &path, layout, |row, out| {
            let from = row as usize * layout.row_bytes;
            let row: Vec<u8> = (from..from + layout.row_bytes).map(|at| body.get(at).copied().unwrap_or_default()).collect();
            out.extend(row);
        })
        .unwrap();
    }
    let records = [&log::header(2, DIMENSION)[..], rest].concat();
    fs::write(log::path(&folder.0, 2), &records).unwrap();
    let manifest = Manifest {
        model_id: MODEL.into(),
        dimension: DIMENSION,
        rotation_key: 5,
        epoch: 7,
        next_number: 3,
        log: LogEntry { number: 2, length: records.len() as u64, crc: crc32fast::hash(&records) },
        segments: vec![SegmentEntry { number: 1, rows, digests, erased: vec![] }],
    };
    assert!(manifest.commit(&disk, &folder.0).is_ok());
    let Ok(gallery) = LocalGallery::open_for_search(&folder.0, &model(), Settings::default()) else {
        return;
    };
    let _ = gallery.check_all();
    let filters =
        Filters { years_of_birth: Some(YearBand { from: 1950, to: 1990, or_unknown: true }), sex_markers: vec![1], ..Filters::default() };
    for filters in [Filters::default(), filters] {
        let _ = gallery.count(&filters);
        let limits = SearchLimits { k: 5, threshold: None, filters };
        let probe = Probe::new(model(), reference(3).template).unwrap();
        if let Ok(list) = gallery.search(&probe, &limits) {
            assert!(list.entries.len() <= 5);
        }
    }
    for id in [[0; 16], [3; 16], [201; 16], [255; 16]] {
        let _ = (gallery.contains(&id), gallery.attributes(&id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::Rotation;
    use crate::{
        codes,
        table::{Kind, Layout},
    };

    #[test]
    fn manifests() {
        let segments =
            [(1, vec![]), (2, vec![0, 3])].map(|(number, erased)| SegmentEntry { number, rows: 9, digests: [1, 2, 3, 4, 5], erased });
        let seed = Manifest {
            model_id: MODEL.into(),
            dimension: DIMENSION,
            rotation_key: 5,
            epoch: 7,
            next_number: 4,
            log: LogEntry { number: 3, length: 64, crc: 9 },
            segments: segments.into(),
        };
        hostile::tried("index", vec![serde_json::to_vec(&seed).unwrap()], index, hostile::CHANGES);
    }

    /// The bodies of a segment's tables and the records of a log, as [`gallery`] takes them apart.
    fn seeds() -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation::new(5, DIMENSION);
        [1, 5, 17]
            .map(|rows| {
                let references: Vec<NewReference> = (0..rows).map(reference).collect();
                let mut out: Vec<segment::Row<'_>> =
                    references.iter().map(|r| segment::Row { id: r.id, template: &r.template, attributes: r.attributes }).collect();
                let number = 100 + u64::from(rows);
                segment::Segment::write(&Disk::default(), folder.path(), number, DIMENSION, &rotation, &mut out).unwrap();
                let mut seed = vec![rows - 1];
                for (path, layout) in segment::paths(folder.path(), number).iter().zip(segment::layouts(u32::from(rows), DIMENSION)) {
                    let file = fs::read(path).unwrap();
                    seed.extend(&file[64..64 + layout.rows as usize * layout.row_bytes]);
                }
                log::put_enrol(&reference(200), &mut seed);
                log::put_erase_row(1, 0, &mut seed);
                log::put_enrol(&reference(201), &mut seed);
                log::put_erase_logged(&[200; 16], &mut seed);
                seed
            })
            .into()
    }

    #[test]
    fn galleries() {
        let layouts: [Layout; 5] = segment::layouts(1, DIMENSION);
        assert_eq!(layouts.map(|l| l.kind), [Kind::Templates, Kind::References, Kind::Coarse, Kind::Sixth, Kind::Fine]);
        assert_eq!(layouts[2].row_bytes, codes::coarse_bytes(DIMENSION));
        hostile::tried("gallery", seeds(), gallery, 400);
    }
}
