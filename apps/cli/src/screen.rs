//! A text that is refreshed in place.

use crate::output;
use anyhow::Context as _;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, size};
use ratatui::crossterm::{execute, queue};
use std::io::{Write as _, stdout};

/// The terminal's other screen. Dropping it gives the first one back, with the last text on it.
#[derive(Debug)]
pub(crate) struct Screen {
    last: String,
}

impl Screen {
    /// Takes the screen.
    pub(crate) fn open() -> anyhow::Result<Self> {
        execute!(stdout(), EnterAlternateScreen, Hide).context("the terminal can't be taken")?;
        Ok(Self { last: String::new() })
    }

    /// The last text again, under another title.
    pub(crate) fn redraw(&mut self, title: &str) -> anyhow::Result<()> {
        let text = std::mem::take(&mut self.last);
        self.draw(&title.replace('\n', " "), text)
    }

    /// As much as fits: line by line over what stood there, so that nothing flickers.
    pub(crate) fn draw(&mut self, title: &str, text: String) -> anyhow::Result<()> {
        // some terminals say that they have no size
        let (width, height) =
            size().ok().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or((120, 40));
        let mut out = stdout().lock();
        queue!(out, MoveTo(0, 0))?;
        for (row, line) in std::iter::once(title).chain(text.lines()).take(usize::from(height)).enumerate() {
            let fits: String = line.chars().take(usize::from(width)).collect();
            queue!(out, MoveTo(0, row as u16), Print(fits), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()?;
        self.last = text;
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
