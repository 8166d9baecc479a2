//! What a demo shows: a live view on a terminal, else a line every few seconds.

use crate::output::{bytes, grouped, is_terminal};
use crate::progress::Progress;
use crate::system::{ProcessState, System};
use crate::view::{Scene, View, clock_text};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_health::Disk;
use tokio::sync::mpsc;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the disk: a walk over every file.
const DISK_EVERY: Duration = Duration::from_secs(5);

/// Where a demo is shown. Without a terminal, and for `--json`, on standard error.
pub(super) struct Display {
    view: Option<View>,
    wants_view: bool,
    last_line: Option<Instant>,
    last_scene: Scene,
    disk: Vec<Disk>,
    disk_looked: Option<Instant>,
}

impl Display {
    pub(super) fn new(plain: bool) -> Self {
        Self {
            view: None,
            wants_view: !plain && is_terminal() && std::io::stdin().is_terminal(),
            last_line: None,
            last_scene: Scene::default(),
            disk: Vec::new(),
            disk_looked: None,
        }
    }

    /// Takes the terminal, where there is one to take. Gives what its user's wish to end comes through.
    pub(super) fn open(&mut self) -> anyhow::Result<Option<mpsc::Receiver<()>>> {
        if !self.wants_view {
            return Ok(None);
        }
        let (view, quits) = View::open()?;
        self.view = Some(view);
        Ok(Some(quits))
    }

    /// Shows this second.
    pub(super) async fn show(&mut self, mut scene: Scene) -> anyhow::Result<()> {
        match &mut self.view {
            Some(view) => {
                view.tick(scene.progress.flow.rates.ticks_stored);
                if self.disk_looked.is_none_or(|looked| looked.elapsed() > DISK_EVERY) {
                    self.disk = look_at_disk(scene.data_dir.clone()).await;
                    self.disk_looked = Some(Instant::now());
                }
                scene.disk.clone_from(&self.disk);
                view.draw(&scene)?;
                self.last_scene = scene;
            }
            None if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) => {
                if self.last_line.is_none() {
                    scene.commands.iter().for_each(|(what, command)| say(&format!("{what}:  {command}")));
                }
                self.last_line = Some(Instant::now());
                say(&line(&scene));
            }
            None => {}
        }
        Ok(())
    }

    /// Tells what is being done at the end.
    pub(super) fn note(&mut self, text: &str) {
        match &mut self.view {
            Some(view) => {
                self.last_scene.note = Some(text.to_owned());
                // it is only a word on the way out
                view.draw(&self.last_scene).ok();
            }
            None => say(text),
        }
    }
}

/// To standard error; when nobody reads it, the demo goes on.
pub(super) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Resolves when the user of the view wants to end.
pub(super) async fn asked(quits: &mut Option<mpsc::Receiver<()>>) {
    match quits {
        Some(quits) => {
            quits.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn line(scene: &Scene) -> String {
    let (totals, rates) = (&scene.progress.flow.totals, &scene.progress.flow.rates);
    let memory: u64 = scene.progress.usage.iter().map(|(_, usage)| usage.memory_bytes).sum();
    let trouble =
        scene.progress.flow.troubles.first().map(|trouble| format!(" · {trouble}")).unwrap_or_default();
    format!(
        "{} · {} packets/s · {} ticks stored ({}/s) · lag {} · queryable p50 {:.0} ms p99 {:.0} ms · gaps {} · {}{trouble}",
        clock_text(scene.uptime),
        grouped(rates.packets),
        grouped(totals.ticks_stored),
        grouped(rates.ticks_stored),
        grouped(scene.progress.flow.publish_lag + scene.progress.flow.load_lag),
        scene.progress.flow.socket_to_queryable.p50_ms,
        scene.progress.flow.socket_to_queryable.p99_ms,
        totals.gaps,
        bytes(memory),
    )
}

/// What a view of this system shows.
pub(super) fn scene(
    config: &Config,
    system: &System,
    uptime: Duration,
    left: Option<Duration>,
    progress: Progress,
    processes: Vec<ProcessState>,
) -> Scene {
    let page = system.page.as_deref();
    Scene {
        title: page.map_or_else(|| "demo".to_owned(), |page| format!("demo · open {page}")),
        uptime,
        left,
        progress,
        processes,
        commands: commands(config, system),
        data_dir: config.data_dir.clone(),
        ..Scene::default()
    }
}

/// Ready to be copied, with the ports as they are.
fn commands(config: &Config, system: &System) -> Vec<(&'static str, String)> {
    let url = &system.services.clickhouse.url;
    let program = own_name();
    let at = if url == "http://127.0.0.1:8123" { String::new() } else { format!(" --url {url}") };
    let page = system.page.as_ref().map(|page| ("this, in a browser", format!("open {page}")));
    let commands = [
        (
            "the newest ticks, over HTTP",
            format!(
                "curl -s {url} -d 'SELECT symbol, last_price, volume FROM tick_data WHERE date = today() ORDER BY timestamp DESC LIMIT 9'"
            ),
        ),
        (
            "one-minute bars of NIFTY 50",
            format!(
                "{program} sql{at} \"SELECT * FROM tick_data_1min WHERE instrument_token = 256265 ORDER BY timestamp DESC LIMIT 3 FORMAT Vertical\""
            ),
        ),
        (
            "the stream of the first socket",
            format!(
                "redis-cli -p {} XINFO STREAM {}:{}:0",
                system.services.ports.redis, config.redis.stream_prefix, config.recorder
            ),
        ),
        ("this, for a machine", format!("{program} status --json --data-dir {}", config.data_dir.display())),
    ];
    page.into_iter().chain(commands).collect()
}

/// How to call this program from here.
fn own_name() -> String {
    let Ok(program) = std::env::current_exe() else { return "tickhouse".to_owned() };
    let on_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("tickhouse") == program));
    if on_path {
        return "tickhouse".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    program.strip_prefix(&here).unwrap_or(&program).display().to_string()
}

async fn look_at_disk(data_dir: PathBuf) -> Vec<Disk> {
    tokio::task::spawn_blocking(move || tickhouse_endpoints::disk(&data_dir)).await.unwrap_or_default()
}
