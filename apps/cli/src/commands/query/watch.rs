//! The same question again and again.
//!
//! On a terminal the answer stands in place on a screen of its own; when it ends, however it ends, the terminal is as it was and shows
//! the last answer. Elsewhere answers are appended.

use crate::answer::{self, How, OutputFormat};
use crate::output;
use crate::shutdown::Shutdown;
use anyhow::Context as _;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, size};
use ratatui::crossterm::{execute, queue};
use std::io::{Write as _, stdout};
use std::time::Duration;
use tickhouse_read::{Answer, Reader, Statement};

/// Asks until the process is asked to end.
pub(super) async fn run(
    reader: &Reader,
    name: &str,
    ask: impl Fn() -> anyhow::Result<Statement>,
    interval: Duration,
    how: &How,
) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(false)?;
    let in_place = output::is_terminal() && how.format() == OutputFormat::Table;
    let mut screen = if in_place { Some(Screen::open()?) } else { None };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let answer = Answer::Query(ask()?);
        let shown = async {
            match &mut screen {
                Some(screen) => {
                    let (table, _) = answer::table_of(reader, answer).await?;
                    screen.draw(&format!("{name}, every {} s; Ctrl-C ends", interval.as_secs_f64()), table)
                }
                None => answer::show(reader, answer, how).await,
            }
        };
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            shown = shown => shown?,
        }
    }
}

/// The terminal's other screen. Dropping it gives the first one back, with the last table on it.
struct Screen {
    last: String,
}

impl Screen {
    fn open() -> anyhow::Result<Self> {
        execute!(stdout(), EnterAlternateScreen, Hide).context("the terminal can't be taken")?;
        Ok(Self { last: String::new() })
    }

    /// As much as fits: line by line over what stood there, so that nothing flickers.
    fn draw(&mut self, title: &str, table: String) -> anyhow::Result<()> {
        // some terminals say that they have no size
        let (width, height) =
            size().ok().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or((120, 40));
        let mut out = stdout().lock();
        queue!(out, MoveTo(0, 0))?;
        for (row, line) in std::iter::once(title).chain(table.lines()).take(usize::from(height)).enumerate() {
            let fits: String = line.chars().take(usize::from(width)).collect();
            queue!(out, MoveTo(0, row as u16), Print(fits), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()?;
        self.last = table;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // a terminal that is gone needs nothing
        execute!(stdout(), Show, LeaveAlternateScreen).ok();
        if !self.last.is_empty() {
            output::line(&self.last).ok();
        }
    }
}
