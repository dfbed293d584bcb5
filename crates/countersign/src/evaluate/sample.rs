//! What is evaluated: folders of people, pairs, groups. Everything wrong with them is found before any image is looked at.

use face::accuracy::Pairs;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a file that a complaint names.
const LINES_NAMED: usize = 5;

/// One person's images.
pub struct Person {
    /// The folder's name.
    pub name: String,
    /// The image files, in name order.
    pub images: Vec<PathBuf>,
}

/// People in name order, and their groups.
pub struct Sample {
    /// The people.
    pub people: Vec<Person>,
    /// The names of the group columns.
    pub columns: Vec<String>,
    /// For each person, a group in each column, where known.
    pub groups: Vec<Vec<Option<String>>>,
}

impl Sample {
    /// Reads the names of `folder/NAME/*.jpg`, and the groups.
    ///
    /// # Errors
    /// When a folder cannot be read, nobody has two images, or the groups name somebody who is not there.
    pub fn read(folder: &Path, groups: Option<&Path>) -> Result<Self> {
        let mut people = vec![];
        for path in entries(folder)?.into_iter().filter(|p| p.is_dir()) {
            let Some(name) = path.file_name().and_then(|n| n.to_str()).map(str::to_owned) else {
                return Err(miette!("{} has a name that is not UTF-8 text. Rename the folder", path.display()));
            };
            let images: Vec<PathBuf> = entries(&path)?.into_iter().filter(|p| is_picture(p)).collect();
            if !images.is_empty() {
                people.push(Person { name, images });
            }
        }
        if people.is_empty() {
            return Err(miette!(
                help = "give a folder that holds one folder for each person, such as NAME/NAME_0001.jpg",
                "{} holds no folder with JPEG or PNG images",
                folder.display()
            ));
        }
        if people.iter().all(|p| p.images.len() < 2) {
            return Err(face::accuracy::AccuracyError::NobodyTwice).into_diagnostic();
        }
        let mut sample = Self { groups: vec![vec![]; people.len()], people, columns: vec![] };
        if let Some(file) = groups {
            let table = fs::File::open(file).into_diagnostic();
            table
                .and_then(|table| sample.read_groups(table))
                .wrap_err_with(|| format!("the groups in {} cannot be used", file.display()))?;
        }
        Ok(sample)
    }

    /// Every image, with its person and place.
    pub fn images(&self) -> impl Iterator<Item = &PathBuf> {
        self.people.iter().flat_map(|p| &p.images)
    }

    /// Whether this share of the people with two images is everybody, so that nobody is outside the gallery.
    pub fn all_enrolled_at(&self, fraction: f64) -> bool {
        let twice = self.people.iter().filter(|p| p.images.len() >= 2).count();
        twice == self.people.len() && (twice as f64 * fraction).round().max(1.0) as usize == twice
    }

    fn read_groups(&mut self, table: impl std::io::Read) -> Result<()> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
        self.columns = reader.headers().into_diagnostic()?.iter().skip(1).map(str::to_owned).collect();
        if self.columns.is_empty() {
            return Err(miette!("the first line must name the columns: name, and one or more by which people are grouped"));
        }
        self.groups = vec![vec![None; self.columns.len()]; self.people.len()];
        let places: HashMap<&str, usize> = self.people.iter().enumerate().map(|(n, p)| (p.name.as_str(), n)).collect();
        let (mut unknown, mut twice, mut seen) = (vec![], vec![], vec![false; self.people.len()]);
        for record in reader.records() {
            let record = record.into_diagnostic()?;
            let line = record.position().map_or(0, csv::Position::line);
            match record.get(0).and_then(|name| places.get(name)) {
                None => unknown.push(line),
                Some(at) if seen[*at] => twice.push(line),
                Some(at) => {
                    seen[*at] = true;
                    self.groups[*at] = record.iter().skip(1).map(|g| (!g.is_empty()).then(|| g.to_owned())).collect();
                }
            }
        }
        for (lines, what) in [(unknown, "name somebody who has no folder"), (twice, "name somebody for a second time")] {
            if !lines.is_empty() {
                return Err(miette!("{} lines {what}: {}", lines.len(), some(&lines)));
            }
        }
        Ok(())
    }

    /// Reads pairs in LFW's form.
    ///
    /// # Errors
    /// When the file cannot be read, is of another form, or names an image that is not there.
    pub fn pairs(&self, file: &Path) -> Result<Pairs> {
        let text = fs::read_to_string(file).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", file.display()))?;
        let mut places: BTreeMap<(&str, u32), (usize, usize)> = BTreeMap::new();
        for (person, who) in self.people.iter().enumerate() {
            for (image, path) in who.images.iter().enumerate() {
                let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
                if let Some(number) = stem.rsplit_once('_').and_then(|(_, number)| number.parse().ok()) {
                    places.insert((&who.name, number), (person, image));
                }
            }
        }
        let find = |name: &str, number: u32| places.get(&(name, number)).copied();
        Pairs::parse(&text, find).into_diagnostic().wrap_err_with(|| format!("the pairs in {} cannot be used", file.display()))
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut all = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
        all.sort();
        Ok(all)
    };
    read().into_diagnostic().wrap_err_with(|| format!("the folder {} cannot be read", folder.display()))
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["jpg", "jpeg", "png"].contains(&extension.as_str()) && path.is_file()
}

fn some(lines: &[u64]) -> String {
    let named: Vec<String> = lines.iter().take(LINES_NAMED).map(u64::to_string).collect();
    let more = if lines.len() > LINES_NAMED { " and on" } else { "" };
    format!("line {}{more}", named.join(", "))
}

/// Hostile bytes for the table of groups (docs/FUZZING.md).
#[cfg(any(test, fuzzing))]
pub mod fuzz {
    use super::{Person, Sample};

    /// A table is refused with its lines, or gives each person an entry in each column.
    pub fn groups(bytes: &[u8]) {
        let people = ["Ann", "Bo", "Cy"].map(|name| Person { name: name.into(), images: vec![] });
        let mut sample = Sample { people: people.into(), columns: vec![], groups: vec![] };
        if sample.read_groups(bytes).is_ok() {
            assert!(!sample.columns.is_empty() && sample.groups.len() == 3);
            assert!(sample.groups.iter().all(|g| g.len() == sample.columns.len()));
        }
    }

    #[cfg(test)]
    #[test]
    fn groups_of_people() {
        let seeds = vec![b"name,sex,age\nAnn,f,30\nBo, m ,\n\"Cy\",,\"4\"\"0\"\n".to_vec()];
        hostile::tried("groups", seeds, groups, hostile::CHANGES);
    }
}
