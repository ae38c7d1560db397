//! Where the files of data sets are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::Fault;

/// The environment variable that names the data folder.
pub const VARIABLE: &str = "ORNSTEIN_DATA";

/// The folder in which relative paths of data files are sought, and who named it.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    folder: PathBuf,
    named_by: &'static str,
}

impl Library {
    /// The folder given on the command line; else that of the environment variable `ORNSTEIN_DATA`; else `data`.
    pub fn new(given: Option<&Path>) -> Self {
        let variable = || std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        match (given, variable()) {
            (Some(folder), _) => Library { folder: folder.to_owned(), named_by: "--data" },
            (None, Some(folder)) => Library { folder: folder.into(), named_by: VARIABLE },
            (None, None) => Library { folder: "data".into(), named_by: "the default" },
        }
    }

    /// The path of a file: in the folder, or as it is where it is absolute.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// What there is to say of a file that is not in the folder.
    fn sought(&self, file: &str) -> String {
        let (path, folder) = (self.path(file), self.folder.display());
        format!("there is no file {} (the folder {folder} is named by {})", path.display(), self.named_by)
    }

    /// What is wrong where a public data set is not in the folder, which `scripts/fetch-data` knows as `set`.
    pub fn missing(&self, key: &str, file: &str, set: &str) -> Fault {
        Fault::new(
            key,
            self.sought(file),
            format!("fetch it with `scripts/fetch-data --to DIR {set}`, and name DIR with --data DIR or {VARIABLE}"),
        )
    }

    /// The bytes of a file that the setting `key` names.
    ///
    /// # Errors
    /// A file that is missing or cannot be read, as a fault of that setting.
    pub fn read(&self, key: &str, file: &str) -> Result<Vec<u8>, Fault> {
        let path = self.path(file);
        std::fs::read(&path).map_err(|error| {
            let (path, absolute) = (path.display(), Path::new(file).is_absolute());
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory if absolute => {
                    Fault::new(key, format!("there is no file {path}"), "correct the path")
                }
                ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::new(
                    key,
                    self.sought(file),
                    format!(
                        "name the folder that holds {file} with --data DIR or {VARIABLE}; the head of each experiment \
                         that comes with Ornstein says where its data are to be had"
                    ),
                ),
                _ => Fault::new(key, format!("{path} cannot be read: {error}"), "make it a readable file"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_sought_in_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a.csv"), "x").expect("writable");
        let library = Library::new(Some(folder.path()));
        assert_eq!(library.read("file", "a.csv"), Ok(b"x".to_vec()));
        let absolute = folder.path().join("a.csv");
        assert_eq!(Library::new(Some(Path::new("elsewhere"))).path(absolute.to_str().expect("UTF-8")), absolute);
    }

    #[test]
    fn a_missing_file_says_where_it_was_sought() {
        let fault = Library::new(Some(Path::new("/no/such"))).read("file", "t/a.csv").unwrap_err();
        assert_eq!(fault.problem, "there is no file /no/such/t/a.csv (the folder /no/such is named by --data)");
        assert!(fault.remedy.starts_with("name the folder that holds t/a.csv with --data DIR or ORNSTEIN_DATA"));
        assert_eq!(Library::new(None).read("file", "/no/such/a.csv").unwrap_err().remedy, "correct the path");
    }
}
