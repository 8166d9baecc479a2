//! The token that pushes carry, and its file.
//!
//! What enters: a path. What leaves: the token that stands there, made at the first start. What never happens here: a token in
//! a `Debug`, an error or a log; a comparison that tells by its time how far it got.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
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
        match Self::read(path) {
            Err(TokenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match Self::make(path) {
            Ok(token) => Ok(token),
            // somebody else was faster
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(io("made")(error)),
        }
    }

    /// Written beside its place and then put there: whoever finds the file finds all of it, also after a kill.
    fn make(path: &Path) -> std::io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".push-token-")
            .permissions(Permissions::from_mode(OWNER_ONLY))
            .tempfile_in(folder)?;
        let text = hex::encode(rand::random::<[u8; 32]>());
        file.write_all(format!("{text}\n").as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        File::open(folder)?.sync_all()?;
        Ok(Self(text))
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

    /// HMAC-SHA256 of a message with this token as its key: who knows it can tell that the message is ours.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("a key may have any length");
        mac.chain_update(message).finalize().into_bytes().into()
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

    /// Nobody ever sees a part of it, which is what a kill would leave.
    #[test]
    fn it_is_there_wholly_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = folder.path().join(format!("push-token-{round}"));
            let made: Vec<Token> = std::thread::scope(|scope| {
                let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| Token::read_or_make(&path))).collect();
                makers.into_iter().map(|maker| maker.join().unwrap().unwrap()).collect()
            });
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(made.iter().all(|token| token.is(text.trim().as_bytes())), "one token for all");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 20, "and nothing beside it");
    }

    #[test]
    fn what_others_can_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push-token");
        for text in ["", "short\n", "with a space in the middle of it, and long"] {
            std::fs::remove_file(&path).ok();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Token::read_or_make(&path), Err(TokenError::NoToken { .. })), "{text:?}");
        }
        std::fs::write(&path, "a".repeat(64)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = Token::read_or_make(&path).unwrap_err().to_string();
        assert!(error.contains("640") && !error.contains("aaa"), "{error}");
    }
}
