//! Files that are there whole or not at all, and folders in which one process works at a time.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Writes a file so that it is there whole or not at all, also after a power cut.
///
/// # Errors
/// What the operating system says.
pub fn write_whole(path: &Path, data: &[u8]) -> Result<()> {
    let mut file = Whole::create(path)?;
    file.write(data)?;
    file.finish()
}

/// A file that is written piece by piece beside its place, and moved there when it is whole. One that is dropped before
/// leaves nothing.
#[derive(Debug)]
pub struct Whole {
    path: PathBuf,
    partial: PathBuf,
    file: fs::File,
}

impl Whole {
    /// An empty file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(path: &Path) -> Result<Self> {
        let partial = partial(path);
        let file = fs::File::create(&partial).map_err(Error::write(path))?;
        Ok(Whole { path: path.to_owned(), partial, file })
    }

    /// Writes one more piece.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(Error::write(&self.path))
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(self) -> Result<()> {
        let done = self.file.sync_all().and_then(|()| fs::rename(&self.partial, &self.path));
        done.and_then(|()| sync_folder(&self.path)).map_err(Error::write(&self.path))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // Of a file that was moved there is none by this name any more.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Makes the entry of `path` in its folder last: a rename is in the folder, not in the file.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Elsewhere than on Unix a folder cannot be opened as a file.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The SHA-256 of what a file holds, or of a text: 64 hexadecimal digits.
pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a path that cannot be written, before long work whose result shall go there.
///
/// # Errors
/// What the operating system says.
pub fn writable(path: &Path) -> Result<()> {
    let partial = partial(path);
    let probe = fs::File::create(&partial).and_then(|_| fs::remove_file(&partial));
    probe.map_err(|source| Error::Unwritable { path: path.to_owned(), source })
}

/// Removes what a process that was killed has left half-written in a folder.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') && name.ends_with(".partial") {
            // A failure leaves a file too many, no more.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Where a file is written before it is moved into place: two processes may write the same file, and the last one wins.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

/// The right to work in a folder; the operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: fs::File,
}

impl Lock {
    /// Makes this process the only one that works in a folder, for as long as the result lives.
    ///
    /// # Errors
    /// When another process is at it.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(".lock");
        let unwritable = |source| Error::Unwritable { path: path.clone(), source };
        let mut options = fs::OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let problem = format!("process {} is at work in this folder", holder.trim());
                let remedy = "wait until it has ended, or stop it with Ctrl-C: it will write a checkpoint";
                Err(Error::file(folder, problem, remedy))
            }
            // A file system without locks: better to work unprotected than not at all.
            Ok(()) | Err(fs::TryLockError::Error(_)) => {
                let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                write.map_err(unwritable)?;
                Ok(Lock { _file: file })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.txt");
        write_whole(&path, b"one").expect("writable");
        assert_eq!(fs::read(&path).expect("written"), b"one");
        let mut unfinished = Whole::create(&path).expect("writable");
        unfinished.write(b"tw").expect("writable");
        drop(unfinished);
        assert_eq!(fs::read(&path).expect("as it was"), b"one");
        // A folder stands where the file should go, so the rename fails.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).expect("a folder");
        fs::write(taken.join("x"), b"x").expect("a file");
        assert!(write_whole(&taken, b"two").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
        // What a killed process leaves is removed, and nothing else.
        fs::write(partial(&path), b"hal").expect("writable");
        sweep(folder.path());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
        sweep(&folder.path().join("no such"));
        assert_eq!(writable(&folder.path().join("no/such")).unwrap_err().exit_code(), 2);
    }
}
