//! The engine's configuration file and command line.

use crate::engine::EngineOptions;
use std::path::{Path, PathBuf};

/// Where things lie below a data directory.
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.to_owned() }
    }

    /// The engine's own `--path`.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("config.xml")
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.root.join("users.xml")
    }

    pub(crate) fn launch(&self) -> PathBuf {
        self.root.join("launch.json")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.logs().join("engine.stderr.log")
    }

    /// The file whose presence says that a database exists.
    pub(crate) fn database(&self, database: &str) -> PathBuf {
        self.store().join("metadata").join(format!("{database}.sql"))
    }

    /// The system database lives in memory here, so its tables' directories are left over from the last run, and a log
    /// table whose directory exists is refused.
    pub(crate) fn system_tables(&self) -> PathBuf {
        self.store().join("data").join("system")
    }
}

/// The text of an XML element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The configuration file. `users`: whether it names the users file, which needs the default database to exist.
pub(crate) fn config_xml(options: &EngineOptions, layout: &Layout, users: bool) -> String {
    let mut text = String::from("<clickhouse>\n");
    let mut element = |name: &str, value: &str| text.extend([format!(" <{name}>{value}</{name}>\n")]);
    let shown = |path: PathBuf| escape(&path.display().to_string());
    if users {
        element("users_config", &shown(layout.users()));
    }
    if options.memory_bytes == 0 {
        element("max_server_memory_usage_to_ram_ratio", "0.5");
    } else {
        element("max_server_memory_usage", &options.memory_bytes.to_string());
    }
    // the defaults (5 GiB and more) are for machines that do nothing else
    element("mark_cache_size", "268435456");
    element("uncompressed_cache_size", "0");
    element("backups", &format!("<allowed_path>{}</allowed_path>", shown(layout.backups())));
    element(
        "query_log",
        "<database>system</database><table>query_log</table>\
         <flush_interval_milliseconds>1000</flush_interval_milliseconds><ttl>event_date + INTERVAL 7 DAY</ttl>",
    );
    element(
        "logger",
        &format!(
            "<level>{}</level><log>{}</log><errorlog>{}</errorlog><size>50M</size><count>3</count>",
            escape(&options.log_level),
            shown(layout.logs().join("engine.log")),
            shown(layout.logs().join("engine.err.log")),
        ),
    );
    text.push_str(&options.more_config);
    text.push_str("</clickhouse>\n");
    text
}

/// Arguments of the serving process. The last query reads standard input to its end: that is what keeps it alive.
pub(crate) fn arguments(options: &EngineOptions, layout: &Layout) -> Vec<String> {
    vec![
        format!("--path={}", layout.store().display()),
        format!("--http_port={}", options.http_port),
        format!("--tcp_port={}", options.tcp_port),
        "--listen_host=127.0.0.1".to_owned(),
        format!("--config-file={}", layout.config().display()),
        // the level in the configuration file is not heeded
        format!("--log-level={}", options.log_level),
        "--query=SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; \
         SELECT * FROM file('/dev/stdin', LineAsString) FORMAT Null"
            .to_owned(),
    ]
}

/// Arguments of the process that only makes the database, at the first start.
pub(crate) fn first_arguments(layout: &Layout, database: &str) -> Vec<String> {
    vec![
        format!("--path={}", layout.store().display()),
        format!("--config-file={}", layout.config().display()),
        format!("--query=CREATE DATABASE IF NOT EXISTS `{database}` ENGINE = Atomic"),
    ]
}
