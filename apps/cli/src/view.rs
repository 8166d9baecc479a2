//! The live view of a running system in a terminal.
//!
//! What enters: [`Progress`] once a second. What leaves: a picture, and the wish to end. What never happens here: a
//! question to any part of the system.

use crate::output::{bytes, grouped};
use crate::progress::Progress;
use crate::system::ProcessState;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Cell, Padding, Paragraph, Row, Sparkline, Table, Wrap};
use ratatui::{DefaultTerminal, Frame};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_health::Disk;
use tickhouse_health::Percentiles;
use tokio::sync::mpsc;

/// Seconds of history in the picture of the rate.
const HISTORY: usize = 600;
const KEY_POLL: Duration = Duration::from_millis(100);

/// What the view tells besides the progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) title: String,
    /// Seconds since the start.
    pub(crate) uptime: Duration,
    /// Seconds left, where the end is set.
    pub(crate) left: Option<Duration>,
    pub(crate) progress: Progress,
    pub(crate) processes: Vec<ProcessState>,
    /// What and how many bytes on disk.
    pub(crate) disk: Vec<Disk>,
    /// Where that is.
    pub(crate) data_dir: PathBuf,
    /// What it is for, and the command.
    pub(crate) commands: Vec<(&'static str, String)>,
    /// What is being done now, at the end.
    pub(crate) note: Option<String>,
}

/// A terminal that shows scenes. Dropping it gives the terminal back as it was.
pub(crate) struct View {
    terminal: DefaultTerminal,
    history: VecDeque<u64>,
    colour: bool,
}

impl View {
    /// Takes the terminal, and listens for `q` and Ctrl-C on a thread that ends with the receiver.
    pub(crate) fn open() -> anyhow::Result<(Self, mpsc::Receiver<()>)> {
        let mut terminal = ratatui::try_init()?;
        terminal.clear()?;
        let (sender, quits) = mpsc::channel(1);
        std::thread::spawn(move || watch_keys(&sender));
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok((Self { terminal, history: VecDeque::with_capacity(HISTORY), colour }, quits))
    }

    /// Notes the rate of this second, for the picture.
    pub(crate) fn tick(&mut self, ticks_per_second: u64) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(ticks_per_second);
    }

    /// Draws.
    pub(crate) fn draw(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let history: Vec<u64> = self.history.iter().copied().collect();
        let palette = Palette { colour: self.colour };
        self.terminal.draw(|frame| draw(frame, scene, &history, palette))?;
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn watch_keys(sender: &mpsc::Sender<()>) {
    while !sender.is_closed() {
        if !event::poll(KEY_POLL).unwrap_or(false) {
            continue;
        }
        let Ok(Event::Key(key)) = event::read() else { continue };
        let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
            // full: it is known already
            sender.try_send(()).ok();
        }
    }
}

#[derive(Clone, Copy)]
struct Palette {
    colour: bool,
}

impl Palette {
    fn style(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn strong(self, colour: Color) -> Style {
        self.style(colour).add_modifier(Modifier::BOLD)
    }

    fn faint(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    fn block(self, title: &'static str) -> Block<'static> {
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.faint())
            .title(Span::styled(format!(" {title} "), self.strong(Color::Cyan)))
            .padding(Padding::horizontal(1))
    }
}

fn draw(frame: &mut Frame<'_>, scene: &Scene, history: &[u64], palette: Palette) {
    let width = usize::from(frame.area().width.saturating_sub(2)).max(1);
    let lines = scene.commands.iter().map(|(_, command)| 1 + command.len().div_ceil(width));
    let commands = lines.sum::<usize>() as u16 + 1;
    let [head, stages, middle, foot, note] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(8),
        Constraint::Min(6),
        Constraint::Length(commands),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, scene, palette);
    draw_stages(frame, stages, &scene.progress, palette);
    let [rate, resources] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(middle);
    draw_rate(frame, rate, scene, history, palette);
    draw_resources(frame, resources, scene, palette);
    draw_commands(frame, foot, scene, palette);
    let text = match (&scene.note, scene.progress.flow.troubles.first()) {
        (Some(note), _) => Span::styled(format!(" {note}"), palette.strong(Color::Yellow)),
        (None, Some(trouble)) => Span::styled(format!(" ! {trouble}"), palette.strong(Color::Red)),
        (None, None) => {
            Span::styled(" q or Ctrl-C ends it; data are kept for the next start", palette.faint())
        }
    };
    frame.render_widget(Line::from(text), note);
}

/// `1:02:03`.
pub(crate) fn clock_text(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let (open, all) = scene.progress.flow.sockets;
    let lamp = if open == all && all > 0 && scene.progress.flow.troubles.is_empty() {
        Color::Green
    } else {
        Color::Yellow
    };
    let mut spans = vec![
        Span::styled(" ● ", palette.style(lamp)),
        Span::styled("Tickhouse", palette.strong(Color::White)),
        Span::raw(format!("  {}  ", scene.title)),
        Span::styled(
            format!("{} instruments on {open} of {all} sockets", grouped(scene.progress.flow.instruments)),
            palette.faint(),
        ),
        Span::raw(format!("  up {}", clock_text(scene.uptime))),
    ];
    if let Some(left) = scene.left {
        spans.push(Span::styled(format!(", {} left", clock_text(left)), palette.faint()));
    }
    frame.render_widget(Line::from(spans), area);
}

fn millis(value: f64) -> String {
    match value {
        0.0 => "–".to_owned(),
        value if value < 10.0 => format!("{value:.2} ms"),
        value if value < 1_000.0 => format!("{value:.0} ms"),
        value => format!("{:.2} s", value / 1_000.0),
    }
}

fn draw_stages(frame: &mut Frame<'_>, area: Rect, progress: &Progress, palette: Palette) {
    let (totals, rates) = (&progress.flow.totals, &progress.flow.rates);
    let none = Percentiles::default();
    let lines = [
        ("exchange", "packets sent", rates.packets_sent, totals.packets_sent, None, none),
        ("socket", "packets received", rates.packets, totals.packets, None, none),
        ("journal", "records on disk", rates.journaled, totals.journaled, None, none),
        (
            "redis",
            "entries published",
            rates.published,
            totals.published,
            Some(progress.flow.publish_lag),
            progress.flow.socket_to_redis,
        ),
        (
            "clickhouse",
            "ticks queryable",
            rates.ticks_stored,
            totals.ticks_stored,
            Some(progress.flow.load_lag),
            progress.flow.socket_to_queryable,
        ),
    ];
    let rows = lines.into_iter().map(|(stage, what, rate, total, lag, latency)| {
        Row::new([
            Cell::from(Span::styled(stage, palette.strong(Color::White))),
            Cell::from(Span::styled(what, palette.faint())),
            right(format!("{}/s", grouped(rate)), palette.strong(Color::Green)),
            right(grouped(total), Style::new()),
            right(lag.map_or_else(String::new, grouped), palette.style(Color::Yellow)),
            right(if lag.is_some() { millis(latency.p50_ms) } else { String::new() }, Style::new()),
            right(if lag.is_some() { millis(latency.p99_ms) } else { String::new() }, Style::new()),
        ])
    });
    let widths = [
        Constraint::Length(11),
        Constraint::Length(18),
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(2),
    ];
    let names = ["", "", "rate", "total", "lag", "p50", "p99"];
    let head = Row::new(names.map(|name| right(name.to_owned(), palette.faint())));
    let block = palette.block("the way of a tick");
    let faults = format!(" gaps {} · quarantined {} ", grouped(totals.gaps), grouped(totals.quarantined));
    let block = block.title_top(Line::from(Span::styled(faults, palette.faint())).right_aligned());
    frame.render_widget(Table::new(rows, widths).header(head).block(block), area);
}

fn right(text: String, style: Style) -> Cell<'static> {
    Cell::from(Line::from(Span::styled(text, style)).right_aligned())
}

fn draw_rate(frame: &mut Frame<'_>, area: Rect, scene: &Scene, history: &[u64], palette: Palette) {
    let rate = scene.progress.flow.rates.ticks_stored;
    let block = palette.block("ticks per second").title_top(
        Line::from(Span::styled(format!(" {} ", grouped(rate)), palette.strong(Color::Green)))
            .right_aligned(),
    );
    let width = usize::from(area.width.saturating_sub(4));
    let shown = &history[history.len().saturating_sub(width)..];
    frame.render_widget(
        Sparkline::default().data(shown).style(palette.style(Color::Green)).block(block),
        area,
    );
}

fn draw_resources(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let processes = scene.progress.usage.iter().map(|(name, usage)| {
        let state = scene.processes.iter().find(|process| process.name == name);
        let restarts = state.map_or(0, |state| state.restarts);
        let alive = state.is_none_or(|state| state.alive);
        let word = match (alive, restarts) {
            (true, 0) => String::new(),
            (true, count) => format!("started again {count}×"),
            (false, _) => "down".to_owned(),
        };
        Row::new([
            Cell::from(name.clone()),
            right(bytes(usage.memory_bytes), Style::new()),
            right(format!("{:.1} s cpu", usage.cpu_seconds), palette.faint()),
            Cell::from(Span::styled(word, palette.style(Color::Yellow))),
        ])
    });
    let disks = scene.disk.iter().map(|Disk { name, bytes: size, .. }| {
        Row::new([
            Cell::from(Span::styled(format!("disk: {name}"), palette.faint())),
            right(bytes(*size), Style::new()),
        ])
    });
    let widths =
        [Constraint::Length(18), Constraint::Length(11), Constraint::Length(13), Constraint::Fill(1)];
    let table = Table::new(processes.chain(disks), widths).block(palette.block("memory and disk"));
    frame.render_widget(table, area);
}

fn draw_commands(frame: &mut Frame<'_>, area: Rect, scene: &Scene, palette: Palette) {
    let mut lines = Vec::with_capacity(scene.commands.len() * 2);
    for (what, command) in &scene.commands {
        lines.push(Line::from(Span::styled(format!("# {what}"), palette.faint())));
        lines.push(Line::from(Span::raw(command.clone())));
    }
    // no sides, and wrapped: what stands here is copied
    let block = palette.block("try in another terminal").borders(Borders::TOP);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_scene_fits_a_small_terminal() {
        let mut progress = Progress::default();
        (progress.flow.sockets, progress.flow.instruments) = ((1, 1), 500);
        progress.flow.totals.ticks_stored = 1_234_567;
        progress.flow.rates.ticks_stored = 2_000;
        progress.flow.socket_to_queryable.p99_ms = 1_250.0;
        progress.usage.push(("record".to_owned(), Usage { memory_bytes: 50 << 20, ..Usage::default() }));
        let scene = Scene {
            title: "demo".to_owned(),
            progress,
            disk: vec![Disk { name: "journal".to_owned(), bytes: 5 << 20, free_bytes: 1 << 40 }],
            commands: vec![("the newest ticks", "tickhouse sql 'SELECT 1'".to_owned())],
            ..Scene::default()
        };
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal.draw(|frame| draw(frame, &scene, &[1, 2, 3], Palette { colour: true })).unwrap();
        let text = terminal.backend().to_string();
        for wanted in
            ["1,234,567", "2,000/s", "1.25 s", "50.0 MiB", "5.0 MiB", "tickhouse sql 'SELECT 1'", "p99"]
        {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        let mut tiny = Terminal::new(TestBackend::new(10, 3)).unwrap();
        tiny.draw(|frame| draw(frame, &scene, &[], Palette { colour: false })).unwrap();
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(clock_text(Duration::from_secs(59)), "00:59");
        assert_eq!(clock_text(Duration::from_secs(3_723)), "1:02:03");
    }
}
