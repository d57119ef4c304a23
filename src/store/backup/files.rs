//! Files and their names: what is made under another name first, and what SQLite keeps beside a
//! database. Knows nothing of what is in them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::BackupError;

/// How a file of SQLite begins.
const HEAD: &[u8] = b"SQLite format 3\0";

/// What SQLite may keep beside a database file. A new file under the name of an old one must not
/// find the old one's journals: SQLite would play them into it.
pub(super) const JOURNALS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// `shop.db` and `-wal`: `shop.db-wal`.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Turns an error of the file system into one that says what was being done.
pub(super) fn doing(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let file = file.to_owned();
    move |source| BackupError::File { doing, file, source }
}

/// A journal with content beside a file, which therefore is a database in use or one that crashed.
pub(super) fn live_journal(file: &Path) -> Option<PathBuf> {
    let has_content = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.len() > 0);
    JOURNALS.iter().map(|suffix| beside(file, suffix)).find(has_content)
}

/// Whether both names lead to one file, which exists.
pub(super) fn same(left: &Path, right: &Path) -> bool {
    match (fs::canonicalize(left), fs::canonicalize(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

/// A file under a name of its own, until it is put in its place. Removed when it never is.
#[derive(Debug)]
pub(super) struct Partial(PathBuf);

impl Partial {
    /// An empty file beside `target`, for nobody else to read: it will hold names and phones.
    pub fn create(target: &Path) -> Result<Self, BackupError> {
        let path = beside(target, &format!(".partial-{}", std::process::id()));
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(doing("make", &path))?;
        Ok(Self(path))
    }

    /// A copy of `from`, byte by byte, beside `target`.
    pub fn copy_of(from: &Path, target: &Path) -> Result<Self, BackupError> {
        let copy = Self::create(target)?;
        let mut source = File::open(from).map_err(doing("read", from))?;
        let mut file = File::options().write(true).open(&copy.0).map_err(doing("open", &copy.0))?;
        io::copy(&mut source, &mut file).map_err(doing("write", &copy.0))?;
        Ok(copy)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// With the permissions of the file that it replaces.
    pub fn take_permissions_of(&self, file: &Path) -> Result<(), BackupError> {
        let Ok(data) = fs::metadata(file) else { return Ok(()) };
        fs::set_permissions(&self.0, data.permissions()).map_err(doing("set up", &self.0))
    }

    pub fn sync(&self) -> Result<(), BackupError> {
        let synced = File::open(&self.0).and_then(|file| file.sync_all());
        synced.map_err(doing("sync", &self.0))
    }

    /// Takes the name `target`, whatever has it; durable when it returns.
    pub fn replace(self, target: &Path) -> Result<(), BackupError> {
        fs::rename(&self.0, target).map_err(doing("make", target))?;
        sync_folder_of(target)
    }

    /// Takes the name `target` if nobody has it, not even since a moment ago.
    pub fn place(self, target: &Path) -> Result<(), BackupError> {
        match fs::hard_link(&self.0, target) {
            Ok(()) => sync_folder_of(target),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(target.to_owned()))
            }
            // A file system without links: what stood in the way would have been seen before.
            Err(_) => self.replace(target),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone when it was put in its place; SQLite may have left a journal otherwise.
        for suffix in [""].iter().chain(&JOURNALS) {
            let _gone_already = fs::remove_file(beside(&self.0, suffix));
        }
    }
}

/// Whether there is a file that begins as SQLite's do, or an empty one: a database without tables.
pub(super) fn begins_as_database(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut head = Vec::new();
    let read = file.take(HEAD.len() as u64).read_to_end(&mut head);
    read.is_ok() && (head.is_empty() || head == HEAD)
}

/// Moves a database aside with all that SQLite keeps beside it, under the first free name; the
/// database itself stays under its name as well, for its successor to replace. None: there is none.
pub(super) fn set_aside(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let all = || [""].iter().chain(&JOURNALS);
    if !all().any(|suffix| beside(database, suffix).exists()) {
        return Ok(None);
    }
    let is_free = |name: &PathBuf| !all().any(|suffix| beside(name, suffix).exists());
    let names = (1..).map(|number| match number {
        1 => beside(database, ".before-restore"),
        more => beside(database, &format!(".before-restore-{more}")),
    });
    let Some(aside) = names.take(ASIDE_MAX).find(is_free) else {
        return Err(BackupError::Exists(beside(database, ".before-restore")));
    };
    if database.exists() && fs::hard_link(database, &aside).is_err() {
        fs::rename(database, &aside).map_err(doing("keep", database))?;
    }
    for suffix in JOURNALS {
        let journal = beside(database, suffix);
        if journal.exists() {
            fs::rename(&journal, beside(&aside, suffix)).map_err(doing("keep", &journal))?;
        }
    }
    Ok(Some(aside))
}

/// So many former databases are kept beside the present one; then somebody should tidy up.
const ASIDE_MAX: usize = 1_000;

fn sync_folder_of(file: &Path) -> Result<(), BackupError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| BackupError::Sync { file: file.to_owned(), source })
}
