use super::super::{COLUMNS_MAX, LABELS_MAX, SEARCHES_MAX};
use super::*;
use crate::ModelId;
use proptest::prelude::*;

fn unit(values: &[f32]) -> Template {
    Template::normalised(ModelId::new("test"), values.to_vec()).unwrap()
}

/// A direction in the plane, degrees.
fn at(angle: f64) -> Template {
    unit(&[angle.to_radians().cos() as f32, angle.to_radians().sin() as f32])
}

fn person(angles: &[f64]) -> Person {
    Person { groups: vec![], images: angles.iter().map(|a| Some(at(*a).into())).collect() }
}

fn protocol() -> Protocol {
    Protocol { seed: 1, gallery_fraction: 1.0, columns: vec![], threads: NonZeroUsize::MIN }
}

fn about() -> About {
    About {
        measured_on: jiff::civil::date(2026, 11, 20),
        demonstration: false,
        pack: "test".into(),
        pack_digest: "00".into(),
        model: "test".into(),
        pack_threshold: 0.9,
        image_specification: None,
        refusals: vec![],
        several_faces: 0,
    }
}

/// Enrolled at 0°, 90° and 180°; three mated probes 10°, 30° and 100° away (the last nearer to the first person than to
/// their own reference), four strangers at 45°, 80°, 200° and 271°.
fn sample() -> Vec<Person> {
    let mut all = vec![person(&[0.0, 10.0]), person(&[90.0, 120.0]), person(&[180.0, 80.0])];
    all.extend([45.0, 80.0, 200.0, 271.0].map(|a| person(&[a])));
    all
}

fn cos(degrees: f64) -> f64 {
    degrees.to_radians().cos()
}

#[test]
fn a_sample_counted_by_hand() {
    let e = evaluate(about(), &sample(), &[], None, &protocol()).unwrap();
    assert_eq!((e.people, e.images, e.enrolled, e.mated, e.nonmated), (7, 10, 3, 3, 4));
    assert_eq!((e.mated_people, e.nonmated_people, e.failed_to_enrol), (3, 4, 0));
    let mut ranks: Vec<Option<u32>> = e.searches.iter().filter(|s| s.mated).map(|s| s.rank).collect();
    ranks.sort_unstable();
    // At 80°, the third person's probe is 10° from the second, 80° from the first and 100° from their own.
    assert_eq!(ranks, [Some(1), Some(1), Some(3)]);
    assert_eq!((e.rank1, e.rank10), (2.0 / 3.0, 1.0));
    // Best scores of the strangers: 45°, 10°, 20° and 89° away. Mates: 10°, 30°, 100°.
    for (threshold, alarms, misses) in [
        (cos(101.0), 4, 0),
        (cos(95.0), 4, 1),
        (cos(50.0), 3, 1),
        (cos(40.0), 2, 1),
        (cos(25.0), 2, 2),
        (cos(15.0), 1, 2),
        (cos(5.0), 0, 3),
    ] {
        let r = e.rates_at(threshold);
        assert_eq!((r.false_positives, r.misses, r.mated, r.nonmated), (alarms, misses, 3, 4), "{threshold}");
        assert_eq!((r.fpir, r.fnir), (alarms as f64 / 4.0, misses as f64 / 3.0));
        assert!(r.fpir_interval[0] <= r.fpir && r.fpir <= r.fpir_interval[1]);
    }
    assert_eq!((e.at_no_false_alarm.false_positives, e.at_no_false_alarm.misses), (0, 3));
    assert!((e.threshold_at(0.25) - cos(20.0)).abs() < 1e-6 && e.rates_at(e.threshold_at(0.25)).false_positives == 1);
    assert!((e.threshold_at(0.5) - cos(45.0)).abs() < 1e-6 && e.rates_at(e.threshold_at(0.5)).false_positives == 2);
    // The trade-off: a step at each of the seven scores and one above them all, the two of 10° not quite the same double.
    let points = e.trade_off();
    assert!((7..=8).contains(&points.len()), "{points:?}");
    assert_eq!((points[0].fpir, points[0].fnir), (1.0, 0.0));
    let last = points.last().unwrap();
    assert_eq!((last.fpir, last.fnir), (0.0, 1.0));
    let bins = e.histogram(4);
    assert_eq!((bins.iter().map(|b| b.mates).sum::<u64>(), bins.iter().map(|b| b.others).sum::<u64>()), (3, 4));
}

#[test]
fn what_a_small_sample_cannot_support_has_no_number() {
    let e = evaluate(about(), &sample(), &[], None, &protocol()).unwrap();
    for point in &e.identification {
        assert!(!point.measurable && !e.supports(point.fpir));
        assert_eq!((point.threshold, point.fnir, point.interval, point.measured_fpir), (None, None, None, None));
        assert!(point.says.starts_with("Not measurable: 4 searches") && point.says.contains("up to 75 %"), "{}", point.says);
    }
    assert!(e.identification[2].says.contains("3,000 searches or more"), "{}", e.identification[2].says);
    // 300 strangers support 1 %, and not 0.3 %.
    let mut people = sample();
    people.extend((0..296).map(|n| person(&[200.0 + f64::from(n) / 10.0])));
    let e = evaluate(about(), &people, &[], None, &protocol()).unwrap();
    assert_eq!(e.nonmated, 300);
    assert_eq!(e.identification.iter().map(|p| p.measurable).collect::<Vec<_>>(), [true, false, false]);
    let point = &e.identification[0];
    assert!(point.measured_fpir.unwrap() <= 0.01 && point.says.starts_with("Of 1,000 people who are not in the gallery, 10 (2.1 to 28.9"));
    assert_eq!(e.groups_threshold, point.threshold.unwrap());
}

#[test]
fn what_was_not_acquired_or_enrolled_is_missed_and_counted() {
    let mut people = sample();
    people[0].images[1] = None; // a probe without a face
    people[1].images[0] = None; // a reference without a face
    people[3].images[0] = None; // a stranger without a face
    let e = evaluate(about(), &people, &[], None, &protocol()).unwrap();
    assert_eq!((e.enrolled, e.failed_to_enrol, e.mated, e.mated_not_acquired), (2, 1, 3, 1));
    assert_eq!((e.nonmated, e.nonmated_not_acquired), (3, 1));
    assert_eq!(e.rates_at(-1.0).misses, 2);
    assert_eq!(e.rank10, 1.0 / 3.0);
}

#[test]
fn fillers_are_references_like_others() {
    let people = sample();
    let fillers: Vec<Template> = (0..12).map(|n| at(181.0 + f64::from(n))).collect();
    let e = evaluate(about(), &people, &fillers, None, &protocol()).unwrap();
    assert_eq!((e.enrolled, e.fillers), (15, 12));
    // The third person is found on place 3 of 3; of fifteen, twelve fillers are further away than their reference is.
    assert_eq!(e.rank10, 1.0);
    // Twelve between them and their reference push it off the list, so that no threshold finds it.
    let between: Vec<Template> = (0..12).map(|n| at(151.0 + f64::from(n))).collect();
    let e = evaluate(about(), &people, &between, None, &protocol()).unwrap();
    assert_eq!((e.rank10, e.rates_at(-1.0).misses), (2.0 / 3.0, 1));
}

#[test]
fn groups_are_compared_with_the_rest_of_their_column() {
    let mut people: Vec<Person> = (0..40).map(|n| person(&[f64::from(n), f64::from(n) + 0.1])).collect();
    // Strangers: the first twenty look like somebody enrolled, the others like nobody.
    people.extend((0..20).map(|n| person(&[f64::from(n)])));
    people.extend((0..20).map(|n| person(&[200.0 + f64::from(n)])));
    for (n, p) in people.iter_mut().enumerate() {
        let half = if n < 40 { n % 2 } else { (n - 40) / 20 };
        p.groups = vec![Some(["left", "right"][half].into()), (n % 4 != 0).then(|| "only".into())];
    }
    let p = Protocol { columns: vec!["side".into(), "known".into()], ..protocol() };
    let e = evaluate(About { pack_threshold: 0.95, ..about() }, &people, &[], None, &p).unwrap();
    assert_eq!(e.groups_threshold, 0.95, "40 strangers support no target, so the pack's threshold is used");
    let [left, right, only] = &e.groups[..] else { panic!("{:?}", e.groups) };
    assert_eq!((left.column.as_str(), left.group.as_str(), left.people), ("side", "left", 40));
    assert_eq!((left.rates.false_positives, left.rates.nonmated), (20, 20));
    assert_eq!((right.rates.false_positives, right.rates.nonmated), (0, 20));
    let (l, r) = (left.fpir_ratio.as_ref().unwrap(), right.fpir_ratio.as_ref().unwrap());
    assert_eq!((l.ratio, r.ratio), (None, Some(0.0)), "nothing can be divided by no error");
    // 20 of 20 against 0 of 20: two tables of C(40, 20) = 137,846,528,820 are as unlikely.
    assert!((l.p - 2.0 / 137_846_528_820.0).abs() < 1e-15 && l.p == r.p && l.is_significant());
    // Two sides are one comparison, and the third group has none: four p-values in the family.
    assert!((l.p_corrected / l.p - 4.0).abs() < 1e-9, "{l:?}");
    assert!(left.fnir_ratio.as_ref().is_some_and(|r| !r.is_significant() && r.p == 1.0));
    assert!(only.fpir_ratio.is_none() && only.fnir_ratio.is_none(), "there is no rest to compare with");
}

/// A3b: what a specification blocks is not searched for, and that is no way to fewer misses.
#[test]
fn a3_a_blocked_probe_is_not_searched_for_and_counts_as_a_miss() {
    let block = |people: &mut [Person], who: usize, image: usize| people[who].images[image].as_mut().unwrap().searchable = false;
    let under = || About { image_specification: Some("ab".into()), ..about() };
    let open = evaluate(about(), &sample(), &[], None, &protocol()).unwrap();
    assert_eq!((open.mated_blocked, open.nonmated_blocked), (0, 0));
    let mut people = sample();
    // The first person's probe, 10° away; a stranger, 10° from the second person; the third person's reference.
    for (who, image) in [(0, 1), (4, 0), (2, 0)] {
        block(&mut people, who, image);
    }
    let e = evaluate(under(), &people, &[], None, &protocol()).unwrap();
    assert_eq!((e.mated, e.mated_not_acquired, e.mated_blocked), (3, 1, 1));
    assert_eq!((e.nonmated, e.nonmated_not_acquired, e.nonmated_blocked), (3, 1, 1));
    assert_eq!((e.enrolled, e.failed_to_enrol, e.refused), (3, 0, 0), "a reference is not judged");
    let at = |e: &Evaluation, angle: f64| (e.rates_at(cos(angle)).misses, e.rates_at(cos(angle)).false_positives);
    assert_eq!((at(&open, 40.0), at(&e, 40.0)), ((1, 2), (2, 1)));
    assert_eq!(Evaluation::read(&serde_json::to_vec(&e).unwrap()).unwrap(), e);
    // It says of itself what is so.
    let refused = |edit: fn(&mut Evaluation), said: &str| {
        let mut wrong = e.clone();
        edit(&mut wrong);
        let why = Evaluation::read(&serde_json::to_vec(&wrong).unwrap()).unwrap_err().to_string();
        assert!(why.contains(said), "{why}");
    };
    refused(|e| e.mated_blocked = 2, "more probes were blocked than");
    refused(|e| e.nonmated_blocked = 2, "more probes were blocked than");
    refused(|e| e.image_specification = None, "names no image specification");
    for who in [3, 5, 6] {
        block(&mut people, who, 0);
    }
    let nothing = evaluate(under(), &people, &[], None, &protocol()).unwrap_err().to_string();
    assert!(nothing.contains("the image specification blocks every image"), "{nothing}");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let said = |people: &[Person], p: &Protocol| evaluate(about(), people, &[], None, p).unwrap_err().to_string();
    assert!(said(&[], &protocol()).contains("nobody has two images"));
    assert!(said(&[person(&[1.0]), person(&[2.0])], &protocol()).contains("nobody has two images"));
    assert!(said(&[person(&[1.0, 2.0])], &protocol()).contains("everybody is in the gallery"));
    assert!(said(&sample(), &Protocol { gallery_fraction: 0.0, ..protocol() }).contains("above 0"));
    assert!(said(&sample(), &Protocol { gallery_fraction: f64::NAN, ..protocol() }).contains("above 0"));
    assert!(said(&sample(), &Protocol { columns: vec!["sex".into()], ..protocol() }).contains("group columns"));
    let mut mixed = sample();
    mixed[2].images[0] = Template::normalised(ModelId::new("other"), vec![1.0, 0.0]).ok().map(Into::into);
    assert!(said(&mixed, &protocol()).contains("cannot be compared"));
}

#[test]
fn an_evaluation_is_read_back_as_it_was_written_and_not_otherwise() {
    let e = evaluate(about(), &sample(), &[], None, &protocol()).unwrap();
    let json = serde_json::to_value(&e).unwrap();
    let read = Evaluation::read(json.to_string().as_bytes()).unwrap();
    assert_eq!(read.searches, e.searches);
    let said = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = json.clone();
        change(&mut changed);
        Evaluation::read(changed.to_string().as_bytes()).unwrap_err().to_string()
    };
    assert!(said(&|j| j["format"] = 1.into()).contains("format is 1"));
    assert!(said(&|j| j["name"] = "x".into()).contains("unknown field"));
    assert!(said(&|j| j["searches"].as_array_mut().unwrap().truncate(5)).contains("not those of its searches"));
    assert!(said(&|j| j["searches"][0]["mate"] = 0.123_456_789_012_3.into()).contains("nine decimals"));
}

#[test]
fn an_evaluation_with_more_groups_than_are_read_or_other_groups_than_its_searches_is_refused() {
    let mut people = sample();
    for (n, p) in people.iter_mut().enumerate() {
        p.groups = vec![Some(format!("g{}", n % 2))];
    }
    let e = evaluate(about(), &people, &[], None, &Protocol { columns: vec!["c".into()], ..protocol() }).unwrap();
    assert!(e.by_group(0.9).iter().map(|g| (g.column, g.group, g.people)).eq([("c", "g0", 4), ("c", "g1", 3)]));
    let said = |change: &dyn Fn(&mut Evaluation)| {
        let mut changed = e.clone();
        change(&mut changed);
        Evaluation::read(&serde_json::to_vec(&changed).unwrap()).map_err(|e| e.to_string())
    };
    said(&|_| ()).unwrap();
    let refused = |change: &dyn Fn(&mut Evaluation), part: &str| {
        let why = said(change).unwrap_err();
        assert!(why.contains(part), "{part} is not in {why}");
    };
    // Groups that are not those of the searches: another count, people, name, or none.
    refused(&|e| e.groups[0].rates.misses += 1, "groups are not those");
    refused(&|e| e.groups[0].people = 8, "more people than the sample");
    refused(&|e| e.groups[0].group = "g2".into(), "groups are not those");
    refused(&|e| e.groups.clear(), "groups are not those");
    refused(&|e| e.searches[0].groups.clear(), "one entry for each column");
    // The limits: the last that is read is not refused for its number.
    let columns = |e: &mut Evaluation, n: usize| {
        e.columns = (0..n).map(|c| format!("c{c}")).collect();
        e.searches.iter_mut().for_each(|s| s.groups = vec![None; n]);
        e.groups.clear();
    };
    said(&|e| columns(e, COLUMNS_MAX)).unwrap();
    refused(&|e| columns(e, COLUMNS_MAX + 1), "4 at most");
    refused(&|e| (columns(e, 2), e.columns[1] = "c0".into()).1, "one name");
    let labels = |e: &mut Evaluation, n: usize| {
        let (search, group) = (e.searches.iter().find(|s| s.mated).cloned().unwrap(), e.groups[0].clone());
        columns(e, 1);
        let searches = (0..n).map(|l| Search { groups: vec![Some(format!("{l:02}"))], ..search.clone() });
        e.searches.extend(searches);
        let (mated, misses) = (n as u64, if search.is_miss(e.at_pack_threshold.threshold) { n as u64 } else { 0 });
        (e.mated, e.at_pack_threshold.mated) = (e.mated + mated, e.at_pack_threshold.mated + mated);
        e.at_pack_threshold.misses += misses;
        for l in 0..n {
            let rates = Rates::of(std::iter::once(&search), e.groups_threshold);
            e.groups.push(Group { column: "c0".into(), group: format!("{l:02}"), people: 1, rates, ..group.clone() });
        }
    };
    said(&|e| labels(e, LABELS_MAX)).unwrap();
    refused(&|e| labels(e, LABELS_MAX + 1), "32 at most");
    refused(&|e| e.searches[0].groups = vec![Some("é".repeat(61))], "longer than 60");
    refused(&|e| (columns(e, 1), e.columns[0] = "x".repeat(61)).1, "longer than 60");
    let many = |e: &mut Evaluation| {
        let one = Search { mated: false, acquired: false, mate: None, other: None, rank: None, quality: None, groups: vec![None] };
        e.searches.resize(SEARCHES_MAX + 1, one);
    };
    refused(&many, "200000 at most");
}

#[test]
fn part_of_those_with_two_images_are_enrolled_as_the_seed_says() {
    let people: Vec<Person> = (0..20).map(|n| person(&[f64::from(n), f64::from(n) + 1.0])).collect();
    let with = |seed, gallery_fraction| evaluate(about(), &people, &[], None, &Protocol { seed, gallery_fraction, ..protocol() }).unwrap();
    let e = with(1, 0.5);
    assert_eq!((e.enrolled, e.mated, e.nonmated, e.nonmated_people), (10, 10, 20, 10));
    assert_eq!(e, with(1, 0.5));
    assert_ne!(e.searches, with(2, 0.5).searches);
    assert_eq!(with(1, 1e-9).enrolled, 1);
}

#[test]
fn leaving_out_the_worst_probes_leaves_the_misses_of_the_others() {
    let mut people = sample();
    // The probes 10°, 30° and 100° from their mates: the last is missed, and of the worst quality; a stranger's counts for nothing.
    for (person, quality) in [(0, 80), (1, 60), (2, 20)] {
        people[person].images[1].as_mut().unwrap().quality = Some(quality);
    }
    people[3].images[0].as_mut().unwrap().quality = Some(0);
    let e = evaluate(about(), &people, &[], None, &protocol()).unwrap();
    let rates = |e: &Evaluation| e.error_versus_discard(cos(40.0), &[0.0, 1.0 / 3.0]).iter().map(|k| k.rate).collect::<Vec<_>>();
    assert_eq!(rates(&e), [Some(1.0 / 3.0), Some(0.0)]);
    // Nobody's reference but the third's fails: their probe has no mate to miss, whatever its quality.
    people[2].images[0] = None;
    assert_eq!(rates(&evaluate(about(), &people, &[], None, &protocol()).unwrap()), [Some(0.0), Some(0.0)]);
    // Not measured is not drawn; and what was written before quality was measured is still read.
    let unmeasured = evaluate(about(), &sample(), &[], None, &protocol()).unwrap();
    assert_eq!(rates(&unmeasured), []);
    let mut json = serde_json::to_value(&unmeasured).unwrap();
    json["format"] = 2.into();
    assert_eq!(Evaluation::read(&serde_json::to_vec(&json).unwrap()).unwrap().searches, unmeasured.searches);
    json["searches"][0]["quality"] = 101.into();
    assert!(Evaluation::read(&serde_json::to_vec(&json).unwrap()).unwrap_err().to_string().contains("a quality is above 100"));
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    // Few different values, so that scores tie.
    let image =
        prop::option::weighted(0.9, prop::collection::vec(-2_i8..=2, 3).prop_map(|v| v.into_iter().map(f32::from).collect::<Vec<_>>()));
    let template = image.prop_map(|v| v.and_then(|v| Template::normalised(ModelId::new("test"), v).ok()));
    let acquired = (template, prop::option::of(0_u8..=100), prop::bool::weighted(0.8));
    let acquired = acquired.prop_map(|(t, quality, searchable)| t.map(|template| Acquired { template, quality, searchable }));
    let group = prop::option::of(prop::sample::select(vec!["a", "b", "c"])).prop_map(|g| vec![g.map(str::to_owned)]);
    let one = (group, prop::collection::vec(acquired, 1..4)).prop_map(|(groups, images)| Person { groups, images });
    prop::collection::vec(one, 2..24)
}

proptest! {
    #[test]
    fn searches_and_rates_are_those_of_a_naive_count(people in people(), threads in 1_usize..5) {
        let p = Protocol { columns: vec!["g".into()], threads: NonZeroUsize::new(threads).unwrap(), ..protocol() };
        let about = About { image_specification: Some("ab".into()), ..about() };
        let Ok(e) = evaluate(about.clone(), &people, &[], None, &p) else { return Ok(()) };
        prop_assert_eq!(&e, &evaluate(about, &people, &[], None, &Protocol { threads: NonZeroUsize::MIN, ..p }).unwrap());
        let score = |a: &Template, b: &Template| grid(a.compare(b).unwrap().value);
        let enrolled: Vec<usize> = (0..people.len()).filter(|n| people[*n].images.len() > 1).collect();
        for threshold in e.searches.iter().flat_map(|s| [s.mate, s.other]).flatten().chain([-1.0, 0.5, 1.1]) {
            let (mut mated, mut nonmated, mut misses, mut alarms) = (0, 0, 0, 0);
            for (n, who) in people.iter().enumerate() {
                let is_enrolled = enrolled.contains(&n);
                for image in who.images.iter().skip(usize::from(is_enrolled)).map(|i| i.as_ref().filter(|i| i.searchable)) {
                    let list = |own: bool| -> Vec<f64> {
                        let Some(image) = image else { return vec![] };
                        let of = enrolled.iter().filter(|m| (**m == n) == own);
                        of.filter_map(|m| people[*m].images[0].as_ref()).map(|r| score(&image.template, &r.template)).collect()
                    };
                    let (own, others) = (list(true), list(false));
                    if is_enrolled {
                        mated += 1;
                        let found = own.iter().any(|s| *s >= threshold && others.iter().filter(|o| *o >= s).count() < 10);
                        misses += u64::from(!found);
                    } else if image.is_some() {
                        nonmated += 1;
                        alarms += u64::from(others.iter().any(|s| *s >= threshold));
                    }
                }
            }
            let r = e.rates_at(threshold);
            prop_assert_eq!((r.mated, r.nonmated, r.misses, r.false_positives), (mated, nonmated, misses, alarms));
        }
        for point in e.trade_off() {
            let r = e.rates_at(point.threshold);
            prop_assert_eq!((point.fpir, point.fnir), (r.fpir, r.fnir));
        }
        for target in [0.0, 0.1, 0.5] {
            let least = e.threshold_at(target);
            prop_assert!(e.rates_at(least).fpir <= target);
            prop_assert!(least <= -1.0 || e.rates_at(grid(least - 1.0 / GRID)).fpir > target, "the least such threshold");
        }
        let json = serde_json::to_vec(&e).unwrap();
        prop_assert_eq!(Evaluation::read(&json).unwrap().searches, e.searches);
    }
}
