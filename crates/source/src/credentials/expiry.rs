//! How long an access token lives, where it is kept, and who says so when it has ended.

use crate::{Key, Secret};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp};
use tickhouse_telemetry::Clock;
use tokio::time::Instant;

const DAY: i64 = 86_400;
/// 06:00 in India: <https://kite.trade/docs/connect/v3/user/#login-flow>
const ENDS_AT: i64 = 6 * 3_600;
/// How often a recorder looks.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How often it says the same thing.
const SAY_EVERY: Duration = Duration::from_hours(1);

/// When a token that was given at `obtained` ends: at the next 06:00 of India. (Another login of the same key, or a logout, ends
/// it earlier.)
pub fn token_lives_until(obtained: Timestamp) -> Timestamp {
    let local = obtained.as_seconds() + IST_OFFSET_SECONDS;
    let ends = (local - ENDS_AT).div_euclid(DAY) * DAY + DAY + ENDS_AT;
    Timestamp::from_millis((ends - IST_OFFSET_SECONDS) * 1_000)
}

/// Puts a token into its file, of which nobody ever sees half, with permissions 0600. Folders are made where they are
/// missing.
///
/// # Errors
/// When the file system refuses.
pub fn write_token_file(path: &Path, token: &Secret) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut name = path.file_name().ok_or_else(|| io::Error::other("no name of a file"))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = (|| {
        // what an earlier process of this number left, perhaps with other permissions
        std::fs::remove_file(&beside).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        writeln!(file, "{}", token.expose())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        std::fs::remove_file(&beside).ok();
    }
    written
}

/// The permissions of a file with a secret, where others than its owner may read it; `None` too where it can't be told.
pub fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

/// When the token in a file was put there.
pub fn token_obtained(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).ok()?))
}

/// What is known of a key's access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// There is none yet.
    Missing,
    /// Kite refused it.
    Refused,
    /// 06:00 of India has passed since it was put into its file.
    Expired {
        /// When it ended.
        since: Timestamp,
    },
    /// Nothing is said against it.
    Valid {
        /// When it ends.
        until: Timestamp,
    },
}

impl TokenState {
    /// The state at `now` of the token that `file` gives to `key`.
    pub fn of(key: &Key, file: &Path, now: Timestamp) -> Self {
        match token_obtained(file).map(token_lives_until) {
            _ if key.token().current().is_empty() => Self::Missing,
            _ if key.is_paused() => Self::Refused,
            Some(end) if end <= now => Self::Expired { since: end },
            Some(until) => Self::Valid { until },
            // the file is gone, the token it held lives on
            None => Self::Valid { until: token_lives_until(now) },
        }
    }

    /// Its word in a status.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Expired { .. } => "expired",
            Self::Valid { .. } => "valid",
        }
    }

    /// Whether somebody has to log in.
    pub const fn wants_login(&self) -> bool {
        !matches!(self, Self::Valid { .. })
    }
}

/// Says in the log when a token is missing, refused or over, at most once an hour per key, and when there is a new one. Runs
/// until it is dropped.
pub async fn watch_tokens(keys: Vec<(Key, PathBuf)>, clock: Clock) {
    let mut said: Vec<Option<Instant>> = vec![None; keys.len()];
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        for (number, ((key, file), said)) in (1_u32..).zip(keys.iter().zip(&mut said)) {
            let state = TokenState::of(key, file, clock.now());
            if !state.wants_login() {
                if said.take().is_some() {
                    tracing::info!(key = number, "the access token is in order again");
                }
                continue;
            }
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                *said = Some(Instant::now());
                let file = file.display();
                match state {
                    TokenState::Missing => {
                        tracing::warn!(key = number, %file, "no access token: run `tickhouse login`");
                    }
                    TokenState::Refused => {
                        tracing::warn!(key = number, %file, "kite refused the access token: run `tickhouse login`");
                    }
                    _ => tracing::warn!(
                        key = number, %file,
                        "the access token ended at 06:00: run `tickhouse login` before the market opens"
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessToken;

    #[test]
    fn tokens_end_at_six_in_india() {
        let until =
            |text| token_lives_until(Timestamp::from_text(text).unwrap()).to_string()[..16].to_owned();
        assert_eq!(until("2026-11-20 08:31:07"), "2026-11-21T06:00");
        assert_eq!(until("2026-11-20 23:59:59"), "2026-11-21T06:00");
        assert_eq!(until("2026-11-21 00:00"), "2026-11-21T06:00");
        assert_eq!(until("2026-11-21 05:59:59"), "2026-11-21T06:00");
        assert_eq!(until("2026-11-21 06:00"), "2026-11-22T06:00");
    }

    #[test]
    fn a_token_file_is_for_its_owner_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/access_token");
        for token in ["first", "second"] {
            write_token_file(&path, &Secret::new(token)).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{token}\n"));
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(open_to_others(&path), None);
            for mode in [0o640, 0o604, 0o644] {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(open_to_others(&path), Some(mode));
            }
        }
        assert_eq!(open_to_others(&dir.path().join("absent")), None);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        assert!(write_token_file(dir.path(), &Secret::new("x")).is_err(), "a folder");
    }

    #[test]
    fn states() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let (sender, token) = AccessToken::changing(Secret::default());
        let key = Key::new("k", token);
        let now = Timestamp::from_text("2026-11-20 08:00").unwrap();
        let state = || TokenState::of(&key, &path, now);
        assert_eq!(state(), TokenState::Missing);
        sender.send_replace(Secret::new("t"));
        let put = |text| {
            write_token_file(&path, &Secret::new("t")).unwrap();
            let at = Timestamp::from_text(text).unwrap().as_seconds() as u64;
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
        };
        put("2026-11-20 07:45");
        assert_eq!(state(), TokenState::Valid { until: Timestamp::from_text("2026-11-21 06:00").unwrap() });
        put("2026-11-19 08:00");
        assert_eq!(state(), TokenState::Expired { since: Timestamp::from_text("2026-11-20 06:00").unwrap() });
        assert!(key.forbidden(&Secret::new("t")) && state() == TokenState::Refused);
        assert!(state().wants_login());
    }
}
