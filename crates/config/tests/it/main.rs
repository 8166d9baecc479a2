//! The configuration against its example, its sources and its faults.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::{Backend, Choice, Config, ConfigError, Sources, Sync};

const EXAMPLE: &str = include_str!("../../../../config/tickhouse.example.toml");

fn of_text(text: &str) -> Result<Config, ConfigError> {
    Config::read(&Sources::new().with_text(Path::new("tickhouse.toml"), text)?)
}

fn of_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&Sources::new().with_environment(owned))
}

#[test]
fn the_example_is_the_defaults() {
    let example = of_text(EXAMPLE).unwrap();
    let defaults = Config::read(&Sources::new()).unwrap();
    assert_eq!(format!("{example:#?}"), format!("{defaults:#?}"));
}

#[test]
fn the_example_has_every_key() {
    let table: toml::Table = EXAMPLE.parse().unwrap();
    for key in Config::keys() {
        let found = match key.split_once('.') {
            Some((section, name)) => table.get(section).and_then(|section| section.get(name)),
            None => table.get(&key),
        };
        assert!(found.is_some(), "{key} is missing from config/tickhouse.example.toml");
    }
}

#[test]
fn every_key_of_the_example_is_explained() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('[')) {
        assert!(lines[index + 1].starts_with('#'), "no word about {line}");
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = "[redis]\nport = 1\n[load]\nbatch_ms = 20\nbatch_rows = 7";
    let environment = [("TICKHOUSE_REDIS_PORT", "2"), ("TICKHOUSE_LOAD_BATCH_MS", "30"), ("PATH", "/bin")];
    let sources = Sources::new()
        .with_text(Path::new("t.toml"), file)
        .unwrap()
        .with_environment(environment.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .with_flag("redis.port", "--redis-port", Some(3))
        .with_flag("clickhouse.http_port", "--clickhouse-http-port", None::<u16>);
    let config = Config::read(&sources).unwrap();
    assert_eq!(config.redis.port, 3);
    assert_eq!(config.load.batch_for, Duration::from_millis(30));
    assert_eq!(config.load.batch_rows, 7);
    assert_eq!(config.clickhouse.http_port, 8_123);
}

#[test]
fn every_fault_is_reported_at_once_with_its_key() {
    let text = r#"
        recorder = "a b"
        redis = 5
        weather = "fine"
        [load]
        batch_row = 10
        batch_ms = 5
        [clickhouse]
        mode = "internal"
        http_port = "8123"
        url = "http://me:hunter2@db:8123"
        [kite]
        api_keys = ["k"]
        subscribe = ["all", "INFY", 408065]
        api_url = "ftp://x"
    "#;
    let error = of_text(text).unwrap_err();
    let message = error.to_string();
    for wanted in [
        "recorder (tickhouse.toml): must be 1 to 32 letters",
        "redis (tickhouse.toml): must be a section",
        "weather (tickhouse.toml): no such setting",
        "load.batch_row (tickhouse.toml): no such setting; did you mean load.batch_rows?",
        "load.batch_ms (tickhouse.toml): 5 is out of range: use 10 to 60000",
        "clickhouse.mode (tickhouse.toml): `internal` is no mode: use embedded or external",
        "clickhouse.http_port (tickhouse.toml): must be a whole number",
        "clickhouse.url (tickhouse.toml): holds a password",
        "kite.subscribe (tickhouse.toml): `INFY` selects nothing",
        "kite.api_url (tickhouse.toml): must be http://HOST[:PORT] or https://HOST[:PORT]",
        "kite.access_token_files (default): 0 files for 1 API keys",
    ] {
        assert!(message.contains(wanted), "{wanted}\nis not in\n{message}");
    }
    assert_eq!(error.faults.len(), 11, "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn no_url_holds_a_password() {
    for (key, url) in [
        ("clickhouse.url", "http://h:8123/?user=u&password=hunter2"),
        ("clickhouse.url", "https://h/?Password=hunter2"),
        ("clickhouse.url", "http://u:hunter2@h:8123"),
        ("redis.url", "redis://:hun/ter2@h:6379"),
        ("redis.url", "redis://u:hun@ter2@h"),
        ("kite.api_url", "https://u:hunter2@h/x"),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let message = of_text(&format!("[{section}]\n{name} = \"{url}\"")).unwrap_err().to_string();
        assert!(message.contains(&format!("{key} (tickhouse.toml): holds a password")), "{url}: {message}");
        assert!(!message.contains("ter2"), "{message}");
    }
    for (key, url) in [
        ("clickhouse.url", "http://h:8123/?database=password"),
        ("clickhouse.url", "http://[::1]:8123"),
        ("redis.url", "redis://user@h:6379"),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        of_text(&format!("[{section}]\n{name} = \"{url}\"")).unwrap();
    }
}

#[test]
fn environment_variables_are_checked_too() {
    let error = of_environment(&[
        ("TICKHOUSE_REDIS_PORTS", "1"),
        ("TICKHOUSE_LOAD_BATCH_ROWS", "many"),
        ("TICKHOUSE_LOG_JSON", "perhaps"),
        ("TICKHOUSE_DATADIR", "/x"),
        ("TICKHOUSE_CACHE", "belongs to something else"),
    ])
    .unwrap_err();
    let keys: Vec<&str> = error.faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        ["load.batch_rows", "log.json", "TICKHOUSE_DATADIR", "TICKHOUSE_REDIS_PORTS"],
        "{error}"
    );
    assert!(error.to_string().contains("did you mean TICKHOUSE_REDIS_PORT?"), "{error}");
}

#[test]
fn values_from_the_environment() {
    let config = of_environment(&[
        ("TICKHOUSE_KITE_API_KEYS", "s3cret1, s3cret2"),
        ("TICKHOUSE_KITE_ACCESS_TOKEN_FILES", "a,b"),
        ("TICKHOUSE_KITE_SUBSCRIBE", "NFO:*@ltp,408065"),
        ("TICKHOUSE_CLICKHOUSE_MODE", "external"),
        ("TICKHOUSE_JOURNAL_SYNC", "always"),
        ("TICKHOUSE_LOG_JSON", "1"),
        ("TICKHOUSE_RECORDER", ""),
    ])
    .unwrap();
    assert_eq!(config.kite.api_keys.len(), 2);
    assert_eq!(config.kite.capacity(), 18_000);
    assert_eq!(config.kite.subscribe.len(), 2);
    assert_eq!(config.clickhouse.mode, Backend::External);
    assert_eq!(config.journal.sync, Sync::Always);
    assert!(config.log.json);
    assert_eq!(config.recorder, "main", "an empty variable is no value");
    assert!(!format!("{config:?}").contains("s3cret"), "a key must not print");
}

#[test]
fn relative_paths_in_a_file_start_at_the_file() {
    let sources = Sources::new().with_text(Path::new("/etc/tickhouse/t.toml"), "data_dir = \"d\"").unwrap();
    assert_eq!(Config::read(&sources).unwrap().data_dir, PathBuf::from("/etc/tickhouse/d"));
    let sources = Sources::new().with_flag("data_dir", "--data-dir", Some("d"));
    assert_eq!(Config::read(&sources).unwrap().data_dir, PathBuf::from("d"));
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let error = of_text("data_dir = \"s3cret\"\n[load").unwrap_err().to_string();
    assert!(error.contains("tickhouse.toml: is no TOML") && error.contains("line 2"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    let error = Sources::new().with_file(Path::new("/nowhere/t.toml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/t.toml: can't be read"), "{error}");
}

#[test]
fn pushes_are_off_and_only_this_machine_can_reach_them() {
    let config = Config::read(&Sources::new()).unwrap();
    assert!(!config.push.enabled && config.push.listen.ip().is_loopback());
    assert_eq!(of_text("[push]\nlisten = \"[::1]:0\"").unwrap().push.listen.port(), 0);
    for listen in ["0.0.0.0:8090", "10.0.0.1:80", "[::]:1", "localhost:80"] {
        let error = of_text(&format!("[push]\nlisten = \"{listen}\"")).unwrap_err().to_string();
        assert!(error.contains("push.listen"), "{error}");
    }
}

const RULES: &str = r#"
    [kite]
    mode = "quote"
    [[universe]]
    name = "near"
    options = "NIFTY"
    strikes = 5
    expiries = 1
    spot = "NSE:NIFTY 50"
    priority = 10
    mode = "full"
    [[universe]]
    futures = ["*"]
    exchanges = ["NFO", "MCX-FUT"]
    [[universe]]
    members = "lists/fifty.csv"
    [[universe]]
    subscribe = ["NSE:INFY@ltp", 408065]
"#;

#[test]
fn rules_of_what_to_record() {
    let sources = |text: &str| Sources::new().with_text(Path::new("/etc/th/tickhouse.toml"), text).unwrap();
    let config = Config::read(&sources(RULES)).unwrap();
    let names: Vec<&str> = config.universe.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(
        names,
        ["near", "universe[2]", "universe[3]", "universe[4]"],
        "the default of kite.subscribe is gone"
    );
    assert!(config.kite.subscribe.is_empty());
    let near = &config.universe[0];
    assert_eq!((near.mode, near.priority), (tickhouse_model::Mode::Full, 10));
    let spot = Some(("NSE".to_owned(), "NIFTY 50".to_owned()));
    let underlyings = vec!["NIFTY".to_owned()];
    assert_eq!(near.choice, Choice::Options { underlyings, strikes: 5, expiries: 1, spot });
    assert_eq!((config.universe[1].mode, config.universe[1].priority), (tickhouse_model::Mode::Quote, 100));
    assert_eq!(config.universe[2].choice, Choice::Members("/etc/th/lists/fifty.csv".into()));

    // what is written in kite.subscribe comes first; as a flag it is all there is
    let both = RULES.replace("mode = \"quote\"", "subscribe = [\"BSE:*\", \"NSE:*\"]");
    let names = |config: &Config| config.universe.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    let config = Config::read(&sources(&both)).unwrap();
    assert_eq!(names(&config)[..3], ["BSE:*", "NSE:*", "near"]);
    let flag = sources(&both).with_flag("kite.subscribe", "--subscribe", Some("all"));
    assert_eq!(names(&Config::read(&flag).unwrap()), ["all"]);
    assert_eq!(names(&Config::read(&Sources::new()).unwrap()), ["all"]);
}

#[test]
fn faults_of_rules_name_their_table_and_key() {
    let text = r#"
        [[universe]]
        options = ["NIFTY"]
        futures = ["NIFTY"]
        [[universe]]
        option = "NIFTY"
        [[universe]]
        members = "a.csv"
        strikes = 3
        mode = "fast"
        [[universe]]
        options = ["NIFTY"]
        strikes = 5000
        spot = "NIFTY"
        [[universe]]
        name = "universe[4]"
        subscribe = ["INFY"]
    "#;
    let message = of_text(text).unwrap_err().to_string();
    for wanted in [
        "has options and futures",
        "universe[2].option (",
        "universe[2] (",
        "universe[3].strikes (tickhouse.toml): means nothing beside `members`",
        "universe[3].mode",
        "universe[4].strikes (tickhouse.toml): 5000 is out of range",
        "universe[4].spot (tickhouse.toml): `NIFTY` is no instrument",
        "universe[5].subscribe",
    ] {
        assert!(message.contains(wanted), "{wanted} is not in\n{message}");
    }
    let twice = "[[universe]]\nname='a'\nfutures='*'\n[[universe]]\nname='a'\nfutures='*'";
    assert!(of_text(twice).unwrap_err().to_string().contains("two rules are called `a`"));
    assert!(of_text("universe = 5").unwrap_err().to_string().contains("[[universe]]"));
    let variable = of_environment(&[("TICKHOUSE_UNIVERSE", "x")]).unwrap_err().to_string();
    assert!(variable.contains("into the file"), "{variable}");
}

#[test]
fn what_is_published_must_not_come_back() {
    for (stream, problem) in [
        ("ticks:stream", "is a stream that the loader reads"),
        ("news:stream", "is a stream that the loader reads"),
        ("ticks:stream:main:0", "is a name that Tickhouse uses for itself"),
        ("ticks:dead", "is a name that Tickhouse uses for itself"),
        ("ticks enriched", "must be a name without spaces"),
    ] {
        let error = of_text(&format!("[load]\npublish_flat = \"{stream}\"")).unwrap_err();
        let faults: Vec<_> = error.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("load.publish_flat") && faults[0].contains(problem), "{faults:?}");
    }
    let config = of_text("[load]\npublish_flat = \"ticks:enriched\"\npublish_flat_keep = 7").unwrap();
    assert_eq!(
        (config.load.publish_flat.as_deref(), config.load.publish_flat_keep),
        (Some("ticks:enriched"), 7)
    );
    assert_eq!(of_text("").unwrap().load.publish_flat, None);
}
