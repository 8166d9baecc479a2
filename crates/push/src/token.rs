//! The token that pushes carry, and its file.
//!
//! What enters: a path. What leaves: the token that stands there, made at the first start. What never happens here: a token in
//! a `Debug`, an error or a log; a comparison that tells by its time how far it got.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;

/// A token of fewer characters is refused: somebody could try them all.
const LEAST_LEN: usize = 32;
/// Beyond this it is some other file.
const MOST_LEN: u64 = 4_096;
const OWNER_ONLY: u32 = 0o600;

/// A bearer token. It never prints.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token of a file, which is made with permissions 0600 and 32 random bytes where there is none.
    ///
    /// # Errors
    /// When it can't be read or made, others may read it, or it holds no token.
    pub fn read_or_make(path: &Path) -> Result<Self, TokenError> {
        let io = |doing| move |source| TokenError::Io { doing, path: path.to_owned(), source };
        match OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path) {
            Ok(mut file) => {
                let text = hex::encode(rand::random::<[u8; 32]>());
                let written = file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all());
                written.map_err(io("written"))?;
                Ok(Self(text))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(io("made")(error)),
        }
    }

    fn read(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { doing: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned(), mode: mode & 0o777 });
        }
        let mut text = String::new();
        file.take(MOST_LEN).read_to_string(&mut text).map_err(io)?;
        let text = text.trim();
        if text.len() < LEAST_LEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NoToken { path: path.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether this is the token, in a time that depends on lengths only.
    pub fn is(&self, text: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(text).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file system refused.
    #[error("the token file {} can't be {doing}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("the token file {} can be read by others (mode {mode:03o}): chmod 600 it, or delete it for a new one", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something else is in it.
    #[error("the token file {} holds no token of at least {LEAST_LEN} characters: delete it for a new one", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_for_its_owner_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push-token");
        let made = Token::read_or_make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim().len(), 64);
        assert!(Token::read_or_make(&path).unwrap().is(text.trim().as_bytes()));
        for other in ["", "x", &text, &text[..63], &"0".repeat(64)] {
            assert!(!made.is(other.as_bytes()), "{other:?}");
        }
        assert!(!format!("{made:?}").contains(text.trim()));
        let other = Token::read_or_make(&folder.path().join("another")).unwrap();
        assert!(!other.is(text.trim().as_bytes()), "two files, two tokens");
    }

    #[test]
    fn what_others_can_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push-token");
        for text in ["", "short\n", "with a space in the middle of it, and long"] {
            std::fs::remove_file(&path).ok();
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert!(matches!(Token::read_or_make(&path), Err(TokenError::NoToken { .. })), "{text:?}");
        }
        std::fs::write(&path, "a".repeat(64)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Token::read_or_make(&path).unwrap_err().to_string();
        assert!(error.contains("640") && !error.contains("aaa"), "{error}");
    }
}
