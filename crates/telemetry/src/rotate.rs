//! A log file of bounded size that several processes append to.
//!
//! What enters: whole lines. What leaves: the file, and older ones as `name.1`, `name.2`, …. What never happens here: a line cut
//! by a rotation, a line given up because an old file can't be moved.
//!
//! Why not a crate: those that rotate by size keep the file for themselves, and the parts of a system write one `pipeline.log`.
//! An append is one write, which the system does not mix with another's; who rotates holds a lock on `name.lock`, and the others
//! see with their next line that the file under its name is another one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct RotatingFile {
    path: PathBuf,
    file: File,
    /// 0: it is never put aside.
    rotate_bytes: u64,
    keep_files: u32,
}

impl RotatingFile {
    /// Opens or makes it, and its folder.
    pub(crate) fn open(path: &Path, rotate_bytes: u64, keep_files: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self { path: path.to_owned(), file: append(path)?, rotate_bytes, keep_files })
    }

    /// Opens the file under our name again when it is another one: somebody put ours aside, or removed it.
    fn follow(&mut self) -> io::Result<u64> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) if named.ino() == ours.ino() && named.dev() == ours.dev() => Ok(ours.len()),
            Ok(_) | Err(_) => {
                self.file = append(&self.path)?;
                Ok(self.file.metadata()?.len())
            }
        }
    }

    fn rotate(&mut self, line: usize) -> io::Result<()> {
        let lock = append(&self.numbered("lock"))?;
        lock.lock()?;
        // somebody else may have done it while we waited
        let bytes = self.follow()?;
        if !self.is_full(bytes, line) {
            return Ok(());
        }
        for number in (1..self.keep_files).rev() {
            let older = self.numbered(&(number + 1).to_string());
            // there are fewer than are kept
            fs::rename(self.numbered(&number.to_string()), older).ok();
        }
        fs::rename(&self.path, self.numbered("1"))?;
        self.file = append(&self.path)?;
        Ok(())
    }

    const fn is_full(&self, bytes: u64, line: usize) -> bool {
        self.rotate_bytes > 0 && bytes > 0 && bytes + line as u64 > self.rotate_bytes
    }

    fn numbered(&self, end: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(end);
        name.into()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let bytes = self.follow()?;
        if self.is_full(bytes, line.len()) {
            // a folder that lets nothing be renamed: a long log is better than none
            self.rotate(line.len()).ok();
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_writers_lose_no_line_and_cut_none() {
        const LINES: usize = 400;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/pipeline.log");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut log = RotatingFile::open(path, 1_000, 100).unwrap();
                    for line in 0..LINES {
                        writeln_at_once(&mut log, &format!("{writer} {line:04} of a log\n"));
                    }
                });
            }
        });
        let mut found = Vec::new();
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = entry.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            // others may add a line each to a file that is being put aside
            assert!(text.len() <= 1_100, "{} has {}", file.display(), text.len());
            found.extend(text.lines().map(str::to_owned));
        }
        assert!(found.iter().all(|line| line.ends_with(" of a log") && line.len() == 15), "a line is cut");
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4 * LINES);
    }

    fn writeln_at_once(log: &mut RotatingFile, line: &str) {
        assert_eq!(log.write(line.as_bytes()).unwrap(), line.len());
    }

    #[test]
    fn so_many_are_kept_and_the_newest_is_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = RotatingFile::open(&path, 10, 2).unwrap();
        for line in ["first---\n", "second--\n", "third---\n", "fourth--\n"] {
            writeln_at_once(&mut log, line);
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!((read("a.log"), read("a.log.1")), ("fourth--\n".to_owned(), "third---\n".to_owned()));
        assert_eq!((read("a.log.2"), read("a.log.3")), ("second--\n".to_owned(), String::new()));
        // what somebody removes is made again
        fs::remove_file(&path).unwrap();
        writeln_at_once(&mut log, "fifth\n");
        assert_eq!(read("a.log"), "fifth\n");
    }
}
