//! The hours of markets that a configuration names.

use crate::{EndpointError, is_demo};
use std::sync::Arc;
use tickhouse_config::{CalendarSource, Config};
use tickhouse_enrich::Calendar;

/// The calendar of this configuration.
///
/// # Errors
/// When its file can't be read or is not usable.
pub fn calendar(config: &Config) -> Result<Arc<Calendar>, EndpointError> {
    match &config.instruments.calendar {
        CalendarSource::Builtin => Ok(Calendar::builtin()),
        CalendarSource::AlwaysOpen => Ok(Arc::new(Calendar::always_open())),
        CalendarSource::File(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| EndpointError::CalendarFile { path: path.clone(), source })?;
            let mut calendar = Calendar::clone(&Calendar::builtin());
            calendar.merge_toml(&path.display().to_string(), &text)?;
            Ok(Arc::new(calendar))
        }
    }
}

/// The calendar by which the ticks of what runs were recorded: a demo's exchange never closes.
///
/// # Errors
/// As [`calendar`].
pub fn calendar_of_ticks(config: &Config) -> Result<Arc<Calendar>, EndpointError> {
    if is_demo(config) { Ok(Arc::new(Calendar::always_open())) } else { calendar(config) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_file_changes_what_is_built_in_or_says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hours.toml");
        let mut config = Config::read(&tickhouse_config::Sources::new()).unwrap();
        assert!(Arc::ptr_eq(&calendar(&config).unwrap(), &Calendar::builtin()));
        config.instruments.calendar = CalendarSource::File(path.clone());
        let missing = calendar(&config).unwrap_err().to_string();
        assert!(missing.contains("hours.toml can't be read"), "{missing}");
        std::fs::write(&path, "nonsense = 1").unwrap();
        let wrong = calendar(&config).unwrap_err().to_string();
        assert!(wrong.contains("hours.toml is not usable"), "{wrong}");
        let text = "format = 1\nmarkets = [\"NSE\"]\n[closed]\n\"2026-11-20\" = \"declared yesterday\"\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(calendar(&config).unwrap().changes_from(&Calendar::builtin()).len(), 1);
        config.instruments.calendar = CalendarSource::File(PathBuf::from("/"));
        assert!(calendar(&config).is_err());
    }
}
