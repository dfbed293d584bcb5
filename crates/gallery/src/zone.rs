//! Zones: what a stretch of rows has in common, so that a filter passes over all of it, or admits all
//! of it, without looking at each row.

use crate::{Attributes, Error, Filters};

/// Rows of a zone: 64 rows of the coarse table.
pub(crate) const ZONE_ROWS: usize = 1_024;

/// The attributes that occur in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    /// Some row is synthetic; some is not.
    synthetic: [bool; 2],
    /// The sex markers that occur, one bit each.
    sex_markers: [u64; 4],
    /// First and last year of birth that is known, if any.
    years: Option<(u16, u16)>,
    /// Some year of birth is not known.
    year_unknown: bool,
    /// First and last time of enrolment.
    enrolled: (i64, i64),
}

/// How a zone stands to a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admits {
    None,
    Some,
    All,
}

impl Zone {
    /// The zone of some rows (at least one).
    pub(crate) fn of(rows: impl Iterator<Item = Result<Attributes, Error>>) -> Result<Self, Error> {
        let mut zone =
            Zone { synthetic: [false; 2], sex_markers: [0; 4], years: None, year_unknown: false, enrolled: (i64::MAX, i64::MIN) };
        for a in rows {
            let a = a?;
            zone.synthetic[usize::from(a.synthetic)] = true;
            zone.sex_markers[usize::from(a.sex_marker / 64)] |= 1 << (a.sex_marker % 64);
            match a.year_of_birth {
                0 => zone.year_unknown = true,
                y => zone.years = Some(zone.years.map_or((y, y), |(from, to)| (from.min(y), to.max(y)))),
            }
            zone.enrolled = (zone.enrolled.0.min(a.enrolled_at), zone.enrolled.1.max(a.enrolled_at));
        }
        Ok(zone)
    }

    /// Whether the filters admit none, some or all of the rows.
    pub(crate) fn admits(&self, filters: &Filters) -> Admits {
        let mut asked = [0_u64; 4];
        for marker in &filters.sex_markers {
            asked[usize::from(marker / 64)] |= 1 << (marker % 64);
        }
        let any = filters.sex_markers.is_empty();
        let sex = judge(
            any || self.sex_markers.iter().zip(&asked).any(|(has, asked)| has & asked != 0),
            any || self.sex_markers.iter().zip(&asked).all(|(has, asked)| has & !asked == 0),
        );
        let year = filters.years_of_birth.map_or(Admits::All, |band| {
            let inside = |(from, to): (u16, u16)| (from <= band.to && to >= band.from, from >= band.from && to <= band.to);
            let (some, all) = self.years.map_or((false, true), inside);
            judge(some || (self.year_unknown && band.or_unknown), all && (!self.year_unknown || band.or_unknown))
        });
        let enrolled = filters.enrolled_before.map_or(Admits::All, |t| judge(self.enrolled.0 < t, self.enrolled.1 < t));
        let synthetic = filters.synthetic.map_or(Admits::All, |s| judge(self.synthetic[usize::from(s)], !self.synthetic[usize::from(!s)]));
        let all = [sex, year, enrolled, synthetic];
        if all.contains(&Admits::None) {
            Admits::None
        } else if all.iter().all(|a| *a == Admits::All) {
            Admits::All
        } else {
            Admits::Some
        }
    }
}

fn judge(some: bool, all: bool) -> Admits {
    match (some, all) {
        (_, true) => Admits::All,
        (true, false) => Admits::Some,
        (false, false) => Admits::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::YearBand;
    use proptest::prelude::*;

    fn attributes() -> impl Strategy<Value = Attributes> {
        (any::<bool>(), prop_oneof![0_u8..3, Just(200)], prop_oneof![Just(0_u16), 1980_u16..1984], -2_i64..3).prop_map(
            |(synthetic, sex_marker, year_of_birth, enrolled_at)| Attributes { synthetic, sex_marker, year_of_birth, enrolled_at },
        )
    }

    fn filters() -> impl Strategy<Value = Filters> {
        let band = (1979_u16..1985, 0_u16..4, any::<bool>()).prop_map(|(from, n, or_unknown)| YearBand { from, to: from + n, or_unknown });
        (
            prop::collection::vec(prop_oneof![0_u8..3, Just(200)], 0..3),
            prop::option::of(band),
            prop::option::of(-2_i64..4),
            prop::option::of(any::<bool>()),
        )
            .prop_map(|(sex_markers, years_of_birth, enrolled_before, synthetic)| Filters {
                sex_markers,
                years_of_birth,
                enrolled_before,
                synthetic,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 30 } else { 3_000 }))]
        #[test]
        fn a_zone_never_says_none_or_all_wrongly(rows in prop::collection::vec(attributes(), 1..6), filters in filters()) {
            let zone = Zone::of(rows.iter().copied().map(Ok)).unwrap();
            let admitted = rows.iter().filter(|a| filters.admit(a)).count();
            match zone.admits(&filters) {
                Admits::None => prop_assert_eq!(admitted, 0),
                Admits::All => prop_assert_eq!(admitted, rows.len()),
                Admits::Some => {}
            }
        }
    }
}
