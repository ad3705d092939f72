//! The policy in force, and the files that it was read from: a changed file takes effect without a restart.
//!
//! Properties:
//! (A) only a policy that is sound as a whole takes effect; while the files are not, or are gone, the one before stays in force;
//! (B) what is wrong is told once, as long as it stays the same, and no more when it is mended;
//! (C) a file that is just being written does not take effect half: files that changed less than [`AT_REST`] ago wait for the next look,
//!     unless somebody asks for it.
//!
//! A look compares names, sizes and times of change, some microseconds; only when those differ the files are read.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ulm_model::snapshot::digest;
use ulm_policy::{Policy, PolicyError};

/// A file that changed less than so long ago may still be being written.
pub const AT_REST: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    policy: Policy,
    digest: String,
    file: Option<PathBuf>,
    /// What the files looked like when they were last read.
    marks: Marks,
    /// There has been no file so far, and that is fine.
    absent: bool,
    /// Why they are not in force, if they are not.
    refused: Option<String>,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// All is as it was.
    Same,
    /// Another policy is in force.
    Changed,
    /// The files are not sound; told for the first time. The policy from before stays.
    Refused(String),
    /// The files say what is in force again.
    Mended,
}

/// Names, times of change and sizes of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks(Vec<(PathBuf, Option<SystemTime>, u64)>);

impl PolicyFile {
    /// A policy that was read from no file and never changes.
    pub fn fixed(policy: Policy) -> Self {
        let digest = digest(&policy);
        PolicyFile { policy, digest, file: None, marks: Marks::default(), absent: false, refused: None }
    }

    /// The policy in a file, and in the folder beside it. The file must be there.
    pub fn load(file: &Path) -> Result<Self, PolicyError> {
        let marks = Marks::of(file);
        let policy = Policy::load(file)?;
        Ok(PolicyFile { file: Some(file.to_owned()), marks, ..PolicyFile::fixed(policy) })
    }

    /// As [`PolicyFile::load`], but while there is no file the default policy is in force.
    pub fn load_if_there(file: &Path) -> Result<Self, PolicyError> {
        if file.exists() {
            return PolicyFile::load(file);
        }
        let (marks, none) = (Marks::of(file), PolicyFile::fixed(Policy::default()));
        Ok(PolicyFile { file: Some(file.to_owned()), marks, absent: true, ..none })
    }

    /// What is in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Equal policies have equal ones.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The file that is watched, if any.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Why the files are not in force, if they are not.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Looks whether the files have changed, and takes a sound policy into force.
    pub fn look(&mut self) -> Look {
        let Some(file) = self.file.clone() else { return Look::Same };
        let marks = Marks::of(&file);
        if marks == self.marks || !marks.at_rest(SystemTime::now()) {
            return Look::Same;
        }
        self.read(&file, marks)
    }

    /// Reads the files whether they have changed or not.
    pub fn look_closely(&mut self) -> Look {
        let Some(file) = self.file.clone() else { return Look::Same };
        let marks = Marks::of(&file);
        self.read(&file, marks)
    }

    fn read(&mut self, file: &Path, marks: Marks) -> Look {
        self.marks = marks;
        if self.absent && !file.exists() {
            return Look::Same;
        }
        self.absent = false;
        match Policy::load(file) {
            Ok(policy) => {
                let mended = self.refused.take().is_some();
                if policy == self.policy {
                    return if mended { Look::Mended } else { Look::Same };
                }
                (self.digest, self.policy) = (digest(&policy), policy);
                Look::Changed
            }
            Err(error) => {
                let told = sentence(&error);
                if self.refused.as_ref() == Some(&told) {
                    return Look::Same;
                }
                self.refused = Some(told.clone());
                Look::Refused(told)
            }
        }
    }
}

impl From<Policy> for PolicyFile {
    fn from(policy: Policy) -> Self {
        PolicyFile::fixed(policy)
    }
}

impl Marks {
    /// Of the file and of all that ends like a policy in the folder beside it. What is not there has a mark, too.
    fn of(file: &Path) -> Self {
        let mark = |path: PathBuf| match fs::metadata(&path) {
            Ok(found) => (path, found.modified().ok(), found.len()),
            Err(_) => (path, None, 0),
        };
        let entries = fs::read_dir(file.with_extension("d")).into_iter().flatten().flatten();
        let mut parts: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        parts.retain(|path| path.extension() == Some(OsStr::new("toml")));
        parts.sort();
        Marks(std::iter::once(file.to_owned()).chain(parts).map(mark).collect())
    }

    fn at_rest(&self, now: SystemTime) -> bool {
        let times = self.0.iter().filter_map(|(_, changed, _)| *changed);
        // A time in the future is that of another clock: it says nothing about when.
        times.into_iter().all(|changed| now.duration_since(changed).map_or(true, |age| age >= AT_REST))
    }
}

/// What is wrong, in a line: place, sentence, what would be right, and how much more there is.
fn sentence(error: &PolicyError) -> String {
    let Some(first) = error.problems.first() else {
        return error.to_string().trim_start_matches("error: ").to_owned();
    };
    let at = &first.at;
    let mut told = format!("{}, line {}, column {}: {}", at.file, at.line, at.column, first.message);
    told.extend(first.help.as_ref().map(|help| format!(" ({help})")));
    match error.problems.len() - 1 {
        0 => {}
        more => told.push_str(&format!("; and {more} more, which `ulm policy check {}` shows", error.file)),
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use ulm_model::Share;

    use super::*;

    fn write(path: &Path, text: &str, age: Duration) {
        fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    const OLD: Duration = Duration::from_secs(100);

    #[test]
    fn a_changed_file_takes_effect_when_it_is_sound_and_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        write(&file, "[hotspot]\ncpu = \"80%\"\n", OLD);
        let mut watched = PolicyFile::load(&file).unwrap();
        let first = watched.digest().to_owned();
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Same, Share::percent(80)));

        write(&file, "[hotspot]\ncpu = \"70%\"\n", Duration::ZERO);
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Same, Share::percent(80)), "just written");
        write(&file, "[hotspot]\ncpu = \"70%\"\n", OLD / 2);
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Changed, Share::percent(70)));
        assert_ne!(watched.digest(), first);
        assert_eq!(watched.look(), Look::Same);

        write(&file, "# the same\n[hotspot]\ncpu = \"70%\"\n", OLD / 3);
        assert_eq!(watched.look(), Look::Same, "another text, the same policy");
    }

    #[test]
    fn the_folder_beside_the_file_is_watched_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        write(&file, "", OLD);
        let mut watched = PolicyFile::load(&file).unwrap();
        fs::create_dir(folder.path().join("policy.d")).unwrap();
        let part = folder.path().join("policy.d/night.toml");
        write(&part, "[hotspot]\ncpu = \"60%\"\n", OLD);
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Changed, Share::percent(60)));
        fs::remove_file(&part).unwrap();
        assert_eq!((watched.look(), watched.policy()), (Look::Changed, &Policy::default()));
    }

    #[test]
    fn what_is_broken_is_told_once_with_its_place_and_the_old_one_stays_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        write(&file, "[hotspot]\ncpu = \"80%\"\n", OLD);
        let mut watched = PolicyFile::load(&file).unwrap();
        write(&file, "[hotspot]\ncpuu = 3\nmemory = 4\n", OLD / 2);
        let Look::Refused(told) = watched.look() else { panic!("it is not sound") };
        assert!(told.contains("policy.toml, line 2, column 1: ") && told.contains("; and 1 more"), "{told}");
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Same, Share::percent(80)));
        assert_eq!((watched.look_closely(), watched.refused()), (Look::Same, Some(told.as_str())));
        write(&file, "[hotspot]\ncpu = \"80%\"\n", OLD / 3);
        assert_eq!((watched.look(), watched.refused()), (Look::Mended, None));

        fs::remove_file(&file).unwrap();
        let Look::Refused(told) = watched.look() else { panic!("it is gone") };
        assert!(told.contains("cannot be read"), "{told}");
        assert_eq!(watched.policy().hotspot.cpu, Share::percent(80));
    }

    #[test]
    fn a_file_that_was_never_there_may_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        let mut watched = PolicyFile::load_if_there(&file).unwrap();
        assert_eq!((watched.look(), watched.look_closely()), (Look::Same, Look::Same));
        assert_eq!(watched.policy(), &Policy::default());
        assert!(PolicyFile::load(&file).is_err());
        write(&file, "[hotspot]\ncpu = \"70%\"\n", OLD);
        assert_eq!((watched.look(), watched.policy().hotspot.cpu), (Look::Changed, Share::percent(70)));
    }

    #[test]
    fn somebody_who_asks_is_not_told_to_wait() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        write(&file, "", OLD);
        let mut watched = PolicyFile::load(&file).unwrap();
        write(&file, "[hotspot]\ncpu = \"70%\"\n", Duration::ZERO);
        assert_eq!(watched.look_closely(), Look::Changed);
    }
}
