//! What stands in a unit or a plist: the files of `deploy/`, with this machine's paths in the place of theirs.

use super::{Init, configuration};
use crate::arguments::Common;
use crate::setup;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use tickhouse_config::{Config, Sources};

/// The unit's name with systemd, and the label with launchd.
pub(super) const NAME: &str = "tickhouse.service";
pub(super) const LABEL: &str = "in.tickhouse";

const OF_MACHINE: &str = include_str!("../../../../../deploy/systemd/tickhouse.service");
const OF_USER: &str = include_str!("../../../../../deploy/systemd/user/tickhouse.service");
const PLIST: &str = include_str!("../../../../../deploy/launchd/in.tickhouse.plist");

/// What those files say, and is replaced.
const PROGRAM: &str = "/usr/local/bin/tickhouse";
const CONFIG: &str = "/etc/tickhouse/tickhouse.toml";
const DATA_DIR: &str = "/var/lib/tickhouse";
const USER: &str = "tickhouse";

/// Where a user's own files are.
pub(super) struct Home {
    home: PathBuf,
    config: PathBuf,
}

impl Home {
    pub(super) fn of_this_user() -> anyhow::Result<Self> {
        let variable =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = variable("HOME").context("HOME is not set")?;
        let config = variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        Ok(Self { home, config })
    }
}

/// Where the file belongs.
pub(super) fn file(init: Init, user: bool, home: &Home) -> PathBuf {
    match (init, user) {
        (Init::Systemd, false) => Path::new("/etc/systemd/system").join(NAME),
        (Init::Systemd, true) => home.config.join("systemd/user").join(NAME),
        (Init::Launchd, _) => home.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")),
    }
}

/// A service of this machine.
#[derive(Debug)]
pub(super) struct Unit {
    program: PathBuf,
    config: PathBuf,
    data_dir: PathBuf,
    /// As whom it runs; none where it is the caller's own.
    run_as: Option<String>,
}

impl Unit {
    /// Of the configuration, which must be without a fault. The data of a service of the machine lie in `/var/lib/tickhouse` unless
    /// the flag or the file says otherwise.
    pub(super) fn of(common: &Common, user: bool, run_as: &str) -> anyhow::Result<Self> {
        let path = configuration(common)?;
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let says_where = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("data_dir"));
        let flag = common.data_dir.clone().or_else(|| (!user && !says_where).then(|| DATA_DIR.into()));
        // not the caller's environment: the service will not have it
        let flag = flag.map(std::path::absolute).transpose()?;
        let sources = Sources::new().with_file(&path)?;
        let sources = sources.with_flag("data_dir", "--data-dir", flag.as_ref().map(|path| path.display()));
        let config = Config::read(&sources)?;
        Ok(Self {
            program: setup::own_program()?,
            config: path,
            data_dir: std::path::absolute(&config.data_dir)?,
            run_as: (!user).then(|| run_as.to_owned()),
        })
    }

    /// The file's text.
    pub(super) fn text(&self, init: Init) -> anyhow::Result<String> {
        let paths = [(PROGRAM, &self.program), (CONFIG, &self.config), (DATA_DIR, &self.data_dir)];
        let mut words = Vec::new();
        for (known, path) in paths {
            let path = path.to_str().with_context(|| format!("{} is no text", path.display()))?;
            if path.chars().any(char::is_control) {
                bail!("{path:?} has a control character, which no unit takes");
            }
            words.push((known, path));
        }
        Ok(match init {
            Init::Launchd => replaced(PLIST, &words, |path| format!("<string>{}", escaped(path)), "<string>"),
            Init::Systemd => self.systemd(&words),
        })
    }

    fn systemd(&self, words: &[(&str, &str)]) -> String {
        let template = if self.run_as.is_some() { OF_MACHINE } else { OF_USER };
        let lines = template.lines().map(|line| match line {
            line if line.starts_with("ExecStart=") => replaced(line, words, quoted, ""),
            "StateDirectory=tickhouse" if self.data_dir != Path::new(DATA_DIR) => {
                format!("ReadWritePaths={}", quoted(&self.data_dir.to_string_lossy()))
            }
            "StateDirectoryMode=0700" if self.data_dir != Path::new(DATA_DIR) => String::new(),
            line if line.starts_with("Environment=HOME=") && self.data_dir != Path::new(DATA_DIR) => {
                line.replace(DATA_DIR, "/var/cache/tickhouse")
            }
            "User=tickhouse" => format!("User={}", self.run_as.as_deref().unwrap_or(USER)),
            "Group=tickhouse" => format!("Group={}", self.run_as.as_deref().unwrap_or(USER)),
            line => line.to_owned(),
        });
        let mut text = lines.collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }

    /// Whether what the service needs is there.
    pub(super) fn ready(&self) -> anyhow::Result<()> {
        let Some(name) = &self.run_as else {
            return std::fs::create_dir_all(self.data_dir.join("log"))
                .with_context(|| format!("{} can't be made", self.data_dir.display()));
        };
        if nix::unistd::User::from_name(name)?.is_none() {
            bail!(
                "the user {name} is not there: `useradd --system --home-dir {DATA_DIR} --shell /usr/sbin/nologin {name}`, \
                 or name another one with --run-as, or install with --user"
            );
        }
        Ok(())
    }

    /// What is left to do by hand.
    pub(super) fn notes(&self, init: Init, offline: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(name) = &self.run_as {
            notes.push(format!(
                "the user {name} must be able to read {} and the files of secrets that it names",
                self.config.display()
            ));
            notes.push(format!(
                "the embedded ClickHouse needs its engine once: `sudo -u {name} env HOME={} XDG_CACHE_HOME=/var/cache/tickhouse {} clickhouse install`",
                self.data_dir.display(),
                self.program.display()
            ));
        } else if init == Init::Systemd && !offline {
            notes.push("`loginctl enable-linger` lets it run while you are not logged in".to_owned());
        }
        notes
    }
}

/// The known paths of a text replaced, each once it stands behind `before`; the longest first, since one may begin like another.
fn replaced(text: &str, words: &[(&str, &str)], write: impl Fn(&str) -> String, before: &str) -> String {
    let mut out = text.to_owned();
    for (index, (known, _)) in words.iter().enumerate() {
        out = out.replace(&format!("{before}{known}"), &format!("\u{0}{index}\u{0}"));
    }
    for (index, (_, path)) in words.iter().enumerate() {
        out = out.replace(&format!("\u{0}{index}\u{0}"), &write(path));
    }
    out
}

/// A word of systemd's command lines, where `%`, `$`, `\` and quotes mean something.
fn quoted(path: &str) -> String {
    let text = path.replace('%', "%%").replace('$', "$$").replace('\\', "\\\\").replace('"', "\\\"");
    if text == path && !path.contains([' ', '\'', ';']) { text } else { format!("\"{text}\"") }
}

/// The text of an XML element.
fn escaped(path: &str) -> String {
    path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(program: &str, data_dir: &str, run_as: Option<&str>) -> Unit {
        Unit {
            program: program.into(),
            config: CONFIG.into(),
            data_dir: data_dir.into(),
            run_as: run_as.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn the_files_in_deploy_are_what_the_usual_places_give() {
        let of_machine = unit(PROGRAM, DATA_DIR, Some(USER));
        assert_eq!(of_machine.text(Init::Systemd).unwrap(), OF_MACHINE);
        let of_user = unit(PROGRAM, DATA_DIR, None);
        assert_eq!(of_user.text(Init::Systemd).unwrap(), OF_USER);
        assert_eq!(of_user.text(Init::Launchd).unwrap(), PLIST);
    }

    #[test]
    fn no_path_can_say_something_else() {
        let odd = unit("/opt/50% \"off\"/tick$house", "/srv/a b", Some("feed"));
        let text = odd.text(Init::Systemd).unwrap();
        assert!(text.contains(r#"ExecStart="/opt/50%% \"off\"/tick$$house" up --config"#), "{text}");
        assert!(
            text.contains("--data-dir \"/srv/a b\"\nUser=feed\nGroup=feed\nReadWritePaths=\"/srv/a b\"\n"),
            "{text}"
        );
        assert!(!text.contains("StateDirectory") && !text.contains(DATA_DIR), "{text}");
        let plist = unit("/a/<b>&c", "/d", None).text(Init::Launchd).unwrap();
        assert!(plist.contains("<string>/a/&lt;b&gt;&amp;c</string>"), "{plist}");
        assert!(plist.contains("<string>/d/log/up.log</string>") && !plist.contains(DATA_DIR), "{plist}");
        assert!(unit("/a\nExecStartPre=/b", "/d", None).text(Init::Systemd).is_err());
    }
}
