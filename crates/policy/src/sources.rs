//! The texts that a policy is read from: one file, and those of the folder beside it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::PolicyError;

/// The texts of one policy, in the order in which they are read; later ones add to earlier ones and override their keys.
///
/// ```
/// let mut sources = ulm_policy::Sources::new("policy.toml", "[hotspot]\ncpu = \"80%\"\n");
/// sources.add("policy.d/night.toml", "[hotspot]\ncpu = \"70%\"\n");
/// let policy = ulm_policy::Policy::read(&sources).unwrap();
/// assert_eq!(policy.hotspot.cpu, ulm_model::Share::percent(70));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    name: String,
    text: String,
}

/// A piece of one of the texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which text.
    pub file: usize,
    /// In bytes.
    pub span: Range<usize>,
}

impl Sources {
    /// One text; `name` is what problems call it.
    pub fn new(name: &str, text: &str) -> Self {
        Sources(vec![Source { name: name.to_owned(), text: text.to_owned() }])
    }

    /// One more text.
    pub fn add(&mut self, name: &str, text: &str) {
        self.0.push(Source { name: name.to_owned(), text: text.to_owned() });
    }

    /// A file, and the files `*.toml` in the folder of the same stem beside it, if there is one: `policy.toml`, then
    /// `policy.d/*.toml` in the order of their names. Cases (`*.test.toml`) are no part of a policy.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn of_path(path: &Path) -> Result<Self, PolicyError> {
        let mut sources = Sources(Vec::new());
        sources.add(&path.display().to_string(), &text_of(path)?);
        for part in parts(&path.with_extension("d"), |part| !is_cases(part))? {
            sources.add(&part.display().to_string(), &text_of(&part)?);
        }
        Ok(sources)
    }

    /// The cases beside a policy, as far as there are any: `policy.test.toml`, then `policy.d/*.test.toml` in the order of their
    /// names. See [`crate::Case`].
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn of_cases(policy: &Path) -> Result<Self, PolicyError> {
        let beside = Some(policy.with_extension(CASES)).filter(|path| path.exists());
        let mut files: Vec<PathBuf> = beside.into_iter().collect();
        files.extend(parts(&policy.with_extension("d"), is_cases)?);
        Sources::of_files(&files)
    }

    /// These files and no others, in this order.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn of_files(files: &[PathBuf]) -> Result<Self, PolicyError> {
        let mut sources = Sources(Vec::new());
        for file in files {
            sources.add(&file.display().to_string(), &text_of(file)?);
        }
        Ok(sources)
    }

    /// The names of the texts, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|source| source.name.as_str())
    }

    /// The texts, in their order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|source| source.text.as_str())
    }

    pub(crate) fn name(&self, file: usize) -> &str {
        self.0.get(file).map_or("", |source| &source.name)
    }

    pub(crate) fn text(&self, file: usize) -> &str {
        self.0.get(file).map_or("", |source| &source.text)
    }
}

/// What files of cases end in.
const CASES: &str = "test.toml";

fn is_cases(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&format!(".{CASES}")))
}

fn parts(folder: &Path, wanted: fn(&Path) -> bool) -> Result<Vec<PathBuf>, PolicyError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| PolicyError::unreadable(&folder.display().to_string(), &error.to_string());
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut files: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    // Editors leave files behind that begin with a dot.
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml") && !hidden(path) && wanted(path));
    files.sort();
    Ok(files)
}

fn text_of(path: &Path) -> Result<String, PolicyError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| PolicyError::unreadable(&name, &error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        PolicyError::unreadable(&name, &format!("byte {at} is not UTF-8: save the file as UTF-8 text"))
    })
}
