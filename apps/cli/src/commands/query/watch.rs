//! The same question again and again.
//!
//! On a terminal the answer stands in place on a screen of its own; when it ends, however it ends, the terminal is as it was and shows
//! the last answer. Elsewhere answers are appended.

use crate::answer::{self, How, OutputFormat};
use crate::output;
use crate::screen::Screen;
use crate::shutdown::Shutdown;
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
