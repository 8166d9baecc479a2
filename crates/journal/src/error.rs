//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

/// What went wrong with a journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process writes journals of this recorder.
    #[error("{} is locked: another recorder of this name is running; stop it or give this one another name", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system refused something.
    #[error("{doing} {} failed", path.display())]
    Io {
        /// What was being done, as in "opening".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How.
        reason: String,
    },
    /// A recorder's name that can't be a directory and part of a stream's name.
    #[error("`{0}` can't be a recorder's name: use letters, digits, `-`, `_` and `.`, at most 64 of them")]
    Name(String),
    /// A socket was started twice.
    #[error("socket {0} has a writer already")]
    Started(u16),
}

impl JournalError {
    pub(crate) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
