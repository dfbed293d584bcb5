//! One-to-one accuracy: are these two images of one person? After the protocol of Labeled Faces in the Wild.

use super::{AccuracyError, Person, Verification, grid, open_set::Draw, statistics::mean_and_error};
use std::fmt::Write as _;

/// Folds that are drawn where none are given.
const FOLDS: usize = 10;
/// The most lines that a complaint names.
const LINES_NAMED: usize = 5;

/// One pair of images, each as (person, image), both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// One image.
    pub a: (usize, usize),
    /// The other.
    pub b: (usize, usize),
}

impl Pair {
    /// Whether both are of one person.
    pub fn is_genuine(&self) -> bool {
        self.a.0 == self.b.0
    }
}

/// Pairs in folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    folds: Vec<Vec<Pair>>,
    given: bool,
}

impl Pairs {
    /// Reads the form of LFW's `pairs.txt`: a line with the number of folds and of pairs of each kind in a fold, then for
    /// each fold its genuine pairs (`NAME 1 4`) and its impostor pairs (`NAME 1 OTHER 3`). Images count from 1. `find`
    /// gives the place of a person's image.
    ///
    /// # Errors
    /// [`AccuracyError::Pairs`] with the first line that is not of that form, or those that name an image that is not there.
    pub fn parse(text: &str, find: impl Fn(&str, u32) -> Option<(usize, usize)>) -> Result<Self, AccuracyError> {
        let wrong = |line: usize, reason: &str| AccuracyError::Pairs { line, reason: reason.into() };
        let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, l)| !l.trim().is_empty());
        let head = lines.next().map(|(_, line)| line.split_whitespace().map(str::parse::<usize>).collect::<Result<Vec<_>, _>>());
        let (folds, each) = match head {
            Some(Ok(numbers)) => match numbers[..] {
                [folds, each] if (2..=1_000).contains(&folds) && (1..=1_000_000).contains(&each) => (folds, each),
                _ => return Err(wrong(1, "it must give the number of folds (2 or more) and of pairs of each kind in a fold")),
            },
            _ => return Err(wrong(1, "it must give two numbers: folds, and pairs of each kind in a fold")),
        };
        let mut all: Vec<Pair> = vec![];
        let mut missing: Vec<usize> = vec![];
        let mut last = 1;
        for (line, text) in lines {
            last = line;
            let number = |word: &str| word.parse::<u32>().map_err(|_| wrong(line, "an image's number is not a number"));
            let words: Vec<&str> = text.split_whitespace().collect();
            let (a, b) = match words[..] {
                [name, a, b] => ((name, number(a)?), (name, number(b)?)),
                [name, a, other, b] => ((name, number(a)?), (other, number(b)?)),
                _ => return Err(wrong(line, "a pair is a name and two numbers, or name, number, name, number")),
            };
            if (words.len() == 3) != (all.len() % (2 * each) < each) {
                return Err(wrong(line, "each fold holds its pairs of one person first, then as many of two"));
            }
            match (find(a.0, a.1), find(b.0, b.1)) {
                (Some(a), Some(b)) => all.push(Pair { a, b }),
                _ => {
                    missing.push(line);
                    all.push(Pair { a: (0, 0), b: (0, 0) });
                }
            }
            if all.len() > 2 * each * folds {
                return Err(wrong(line, "there are more pairs than the first line says"));
            }
        }
        if let Some(first) = missing.first() {
            let mut reason = format!("{} of {} pairs name an image that is not in the folder; lines", missing.len(), all.len());
            for line in missing.iter().take(LINES_NAMED) {
                let _ = write!(reason, " {line}"); // writing to a string does not fail
            }
            let more = if missing.len() > LINES_NAMED { " and on" } else { "" };
            return Err(wrong(*first, &format!("{reason}{more}")));
        }
        if all.len() != 2 * each * folds {
            return Err(wrong(last, &format!("there are {} pairs, the first line says {}", all.len(), 2 * each * folds)));
        }
        Ok(Self { folds: all.chunks(2 * each).map(<[Pair]>::to_vec).collect(), given: true })
    }

    /// Draws pairs from the sample into folds that share nobody: each image of a person with their next one, and as many
    /// pairs of two people. None if there are too few people for two folds.
    pub fn drawn(people: &[Person], seed: u64) -> Option<Self> {
        let (mut twice, mut once): (Vec<usize>, Vec<usize>) =
            (0..people.len()).filter(|p| !people[*p].images.is_empty()).partition(|p| people[*p].images.len() >= 2);
        let folds = FOLDS.min(twice.len()).min((twice.len() + once.len()) / 2);
        if folds < 2 {
            return None;
        }
        let mut draw = Draw::new(seed);
        draw.shuffle(&mut twice);
        draw.shuffle(&mut once);
        let mut members = vec![vec![]; folds];
        for (n, person) in twice.into_iter().chain(once).enumerate() {
            members[n % folds].push(person);
        }
        let of = |members: Vec<usize>| {
            let mut pairs: Vec<Pair> = vec![];
            for person in &members {
                pairs.extend((1..people[*person].images.len()).map(|i| Pair { a: (*person, i - 1), b: (*person, i) }));
            }
            for _ in 0..pairs.len() {
                let one = draw.below(members.len());
                let other = (one + 1 + draw.below(members.len() - 1)) % members.len();
                let mut image = |at: usize| (members[at], draw.below(people[members[at]].images.len()));
                pairs.push(Pair { a: image(one), b: image(other) });
            }
            pairs
        };
        Some(Self { folds: members.into_iter().map(of).collect(), given: false })
    }

    /// Counts right answers on each fold with the threshold that was best on the others.
    ///
    /// # Errors
    /// [`AccuracyError::Face`] if two templates are of different models.
    pub(super) fn accuracy(&self, people: &[Person]) -> Result<Verification, AccuracyError> {
        let acquired = |(person, image): (usize, usize)| people.get(person)?.images.get(image)?.as_ref();
        let template = |of: (usize, usize)| acquired(of).map(|a| &a.template);
        let score = |pair: &Pair| -> Result<(Option<f64>, bool), AccuracyError> {
            let score = match (template(pair.a), template(pair.b)) {
                (Some(a), Some(b)) => Some(grid(a.compare(b)?.value)),
                _ => None,
            };
            Ok((score, pair.is_genuine()))
        };
        let scored = self.folds.iter().map(|fold| fold.iter().map(score).collect()).collect::<Result<Vec<Vec<_>>, _>>()?;
        let folds: Vec<f64> = (0..scored.len())
            .map(|left_out| {
                let others = scored.iter().enumerate().filter(|(n, _)| *n != left_out).flat_map(|(_, fold)| fold);
                let threshold = best_threshold(others.copied());
                let fold = &scored[left_out];
                let right = fold.iter().filter(|(score, same)| score.is_some_and(|s| s >= threshold) == *same);
                right.count() as f64 / fold.len().max(1) as f64
            })
            .collect();
        let (accuracy, standard_error) = mean_and_error(&folds);
        let all = || scored.iter().flatten();
        Ok(Verification {
            accuracy,
            standard_error,
            folds,
            pairs: all().count() as u64,
            not_acquired: all().filter(|(score, _)| score.is_none()).count() as u64,
            given: self.given,
        })
    }
}

/// The threshold with the most right answers: half-way between two neighbouring scores; where several are best, the
/// middle one. Pairs without a score are right or wrong whatever it is.
fn best_threshold(pairs: impl Iterator<Item = (Option<f64>, bool)>) -> f64 {
    let mut scored: Vec<(f64, bool)> = pairs.filter_map(|(score, same)| Some((score?, same))).collect();
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut right = scored.iter().filter(|(_, same)| *same).count();
    let Some((first, _)) = scored.first() else { return 0.0 };
    let (mut best, mut thresholds) = (right, vec![*first]);
    for (n, (score, same)) in scored.iter().enumerate() {
        // Now the threshold stands just above this score.
        if *same {
            right -= 1
        } else {
            right += 1
        }
        let next = scored.get(n + 1).map_or(score + 1.0, |s| s.0);
        if next == *score {
            continue;
        }
        if right > best {
            (best, thresholds) = (right, vec![]);
        }
        if right == best {
            thresholds.push(f64::midpoint(*score, next));
        }
    }
    thresholds[thresholds.len() / 2]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::{ModelId, Template};

    fn person(angles: &[f64]) -> Person {
        let template = |angle: &f64| {
            Template::normalised(ModelId::new("plane"), vec![angle.to_radians().cos() as f32, angle.to_radians().sin() as f32])
                .ok()
                .map(Into::into)
        };
        Person { groups: vec![], images: angles.iter().map(template).collect() }
    }

    const TEXT: &str = "2\t1\nAnn_Lee 1 2\nAnn_Lee\t1\tBo\t1\nBo 1 2\nBo 2 Ann_Lee 2\n";

    fn find(name: &str, image: u32) -> Option<(usize, usize)> {
        let person = ["Ann_Lee", "Bo"].iter().position(|n| *n == name)?;
        (1..=2).contains(&image).then_some((person, image as usize - 1))
    }

    #[test]
    fn pairs_are_read_and_counted() {
        let pairs = Pairs::parse(TEXT, find).unwrap();
        assert_eq!(pairs.folds.len(), 2);
        assert_eq!(pairs.folds[0][1], Pair { a: (0, 0), b: (1, 0) });
        // One's images are 10° apart, the two people 60° and more.
        let apart = [person(&[0.0, 10.0]), person(&[70.0, 80.0])];
        let all_right = pairs.accuracy(&apart).unwrap();
        assert_eq!((all_right.accuracy, all_right.standard_error, all_right.pairs, all_right.given), (1.0, 0.0, 4, true));
        // Fold by fold (cosines 0.98 and 0.34, then 0.5 and −0.5) the other's threshold (0, then 0.66) is right once.
        let half_right = pairs.accuracy(&[person(&[0.0, 10.0]), person(&[70.0, 130.0])]).unwrap();
        assert_eq!((half_right.folds, half_right.accuracy), (vec![0.5, 0.5], 0.5));
        // Without a template a pair counts as two people: right for one of them, wrong for the other.
        let mut missing = apart.clone();
        missing[0].images[1] = None;
        let found = pairs.accuracy(&missing).unwrap();
        assert_eq!((found.folds.clone(), found.not_acquired), (vec![0.5, 1.0], 2), "{found:?}");
    }

    #[test]
    fn what_is_wrong_with_pairs_is_said_with_its_line() {
        let said = |text: &str| Pairs::parse(text, find).unwrap_err().to_string();
        assert!(said("").contains("line 1"));
        assert!(said("1 1\n").contains("2 or more"));
        assert!(said("2 1\nAnn_Lee 1 x\n").contains("line 2"));
        assert!(said("2 1\nAnn_Lee 1\n").contains("a name and two numbers"));
        assert!(said("2 1\nAnn_Lee 1 Bo 1\n").contains("of one person first"));
        assert!(said("2 1\nAnn_Lee 1 2\nAnn_Lee 1 Bo 1\n").contains("there are 2 pairs, the first line says 4"));
        assert!(said(&format!("{TEXT}Bo 1 2\n")).contains("more pairs"));
        let missing = said(&TEXT.replace("Bo 1 2", "Bo 1 3"));
        assert!(missing.contains("1 of 4 pairs name an image that is not in the folder; lines 4"), "{missing}");
        assert!(!missing.contains("Bo"), "{missing}");
    }

    #[test]
    fn drawn_folds_share_nobody() {
        let people: Vec<Person> = (0..37).map(|n| person(&vec![f64::from(n); 1 + n as usize % 3])).collect();
        let pairs = Pairs::drawn(&people, 7).unwrap();
        assert_eq!(pairs.folds.len(), 10);
        assert_eq!(pairs, Pairs::drawn(&people, 7).unwrap());
        assert_ne!(pairs, Pairs::drawn(&people, 8).unwrap());
        let mut seen = std::collections::BTreeMap::new();
        for (n, fold) in pairs.folds.iter().enumerate() {
            let genuine = fold.iter().filter(|p| p.is_genuine()).count();
            assert!(genuine > 0 && 2 * genuine == fold.len());
            for (person, image) in fold.iter().flat_map(|p| [p.a, p.b]) {
                assert!(image < people[person].images.len());
                assert_eq!(*seen.entry(person).or_insert(n), n, "in two folds");
            }
        }
        assert!(Pairs::drawn(&people[..2], 7).is_none());
    }

    #[test]
    fn the_threshold_stands_in_the_widest_clear_place() {
        let pairs = [(Some(0.1), false), (Some(0.2), false), (Some(0.8), true), (None, true)];
        assert_eq!(best_threshold(pairs.into_iter()), 0.5);
        assert_eq!(best_threshold([].into_iter()), 0.0);
        let mixed = [(0.1, false), (0.3, true), (0.4, false), (0.9, true)].map(|(s, t)| (Some(s), t));
        assert!([0.2, 0.65].contains(&best_threshold(mixed.into_iter())));
    }
}
