//! Where backups go: a folder of this machine, or an address of S3.

use super::error::BackupError;
use crate::statements::literal;
use std::fmt;
use std::path::PathBuf;

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of the machine that this program runs on.
    Folder(PathBuf),
    /// S3, or what speaks like it; reached by the server, not by this program.
    S3(S3Place),
}

/// An address of S3. Its `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Place {
    address: String,
    url: String,
    key: String,
    secret: String,
}

impl fmt::Debug for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Place").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Place {
    /// From what was typed: a path, or `s3://bucket/folder` with the usual variables of the environment, which
    /// `variable` gives: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL` (any server that speaks S3), `AWS_REGION`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, BackupError> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(BackupError::Address {
                    address: format!("{scheme}://…"),
                    problem: "give a folder, or s3://BUCKET/FOLDER",
                }),
                None => Ok(Self::Folder(PathBuf::from(text))),
            };
        };
        let refused = |problem| BackupError::Address { address: "s3://…".to_owned(), problem };
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if rest.contains(['@', '?', '#', '\'', '\\']) || rest.contains(char::is_whitespace) {
            return Err(refused(
                "only a bucket and a folder; keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ));
        }
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(valid) {
            return Err(refused("the bucket's name is no name of a bucket"));
        }
        if folder.split('/').any(|part| part == ".." || part == ".") {
            return Err(refused("the folder must not hold . or .."));
        }
        let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let host = if let Some(endpoint) = endpoint {
            format!("{}/{bucket}", endpoint.trim_end_matches('/'))
        } else {
            let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
            format!("https://{bucket}.s3.{}.amazonaws.com", region.as_deref().unwrap_or("us-east-1"))
        };
        let folder = folder.trim_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        Ok(Self::S3(S3Place {
            address: format!("s3://{bucket}{slash}{folder}"),
            url: format!("{host}{slash}{folder}"),
            key: variable("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            secret: variable("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
        }))
    }

    /// As people read it.
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::S3(place) => place.address.clone(),
        }
    }

    /// The place that holds this one, and this one's name in it.
    pub(crate) fn split(&self) -> Option<(Self, String)> {
        match self {
            Self::Folder(folder) => {
                let name = folder.file_name()?.to_str()?.to_owned();
                let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some((Self::Folder(parent.map_or_else(|| PathBuf::from("."), PathBuf::from)), name))
            }
            Self::S3(place) => {
                let (address, name) = place.address.rsplit_once('/')?;
                let (url, _) = place.url.rsplit_once('/')?;
                let (address, url) = (address.to_owned(), url.to_owned());
                // `s3://bucket` has no name in anything
                let inside = address.len() > "s3://".len();
                inside.then(|| (Self::S3(S3Place { address, url, ..place.clone() }), name.to_owned()))
            }
        }
    }
}

impl S3Place {
    /// The arguments of `S3(…)` and `s3(…)` for something below: the server hides the secret in its logs.
    pub(crate) fn arguments(&self, below: &str) -> String {
        let url = literal(&format!("{}/{below}", self.url));
        if self.key.is_empty() {
            return url;
        }
        format!("{url}, {}, {}", literal(&self.key), literal(&self.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, BackupError> {
        Place::parse(text, |name| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIA".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("it's secret".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn folders_and_addresses() {
        assert_eq!(parse("/mnt/x").unwrap(), Place::Folder("/mnt/x".into()));
        let Place::S3(place) = parse("s3://ticks-backup/a/b/").unwrap() else { panic!("an address of S3") };
        assert_eq!(
            place.arguments("x"),
            r"'https://ticks-backup.s3.us-east-1.amazonaws.com/a/b/x', 'AKIA', 'it\'s secret'"
        );
        assert!(!format!("{place:?}").contains("secret"));
        let (parent, name) = Place::S3(place).split().unwrap();
        assert_eq!((parent.shown().as_str(), name.as_str()), ("s3://ticks-backup/a", "b"));
        assert!(parse("s3://ticks-backup").unwrap().split().is_none());
    }

    #[test]
    fn what_is_no_place_is_refused_without_repeating_a_secret() {
        for wrong in [
            "gs://bucket/x",
            "s3://key:pass@bucket/x",
            "s3://B/x",
            "s3://bucket/../x",
            "s3://bu",
            "ftp://user:pass@h/",
        ] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("pass"), "{error}");
        }
    }
}
