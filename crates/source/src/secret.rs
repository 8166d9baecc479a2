//! A text that never shows itself.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::sync::Arc;

const MASK: &str = "***";

/// Shorter texts are no secrets (Kite's have 32 characters) but stand in every other word.
const LEAST_REDACTED: usize = 4;

/// An access token, API secret or request token. `Debug` and `Display` print `***`; it can be read from a
/// configuration, but has no `Serialize`. Cloning is cheap.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret of this text, without the white space around it (token files end in a newline).
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text itself: for a request, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none, as before the first login.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every occurrence of the secret masked: for texts that others made. Leaves the text as it is when the
    /// secret has fewer than 4 bytes, as only a simulator's may.
    pub fn redact(&self, text: &str) -> String {
        if self.0.len() < LEAST_REDACTED { text.to_owned() } else { text.replace(&*self.0, MASK) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let secret = Secret::new(" tok3n\n");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "*** *** Some(\n    ***,\n)");
        assert_eq!(secret.expose(), "tok3n");
        assert_eq!(secret.redact("GET /?access_token=tok3n failed"), "GET /?access_token=*** failed");
        assert_eq!(Secret::default().redact("nothing to hide"), "nothing to hide");
        assert_eq!(Secret::new("t").redact("not this"), "not this");
    }
}
