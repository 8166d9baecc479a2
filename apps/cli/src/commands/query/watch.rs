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

/// Asks until the process is asked to end. A wrong question ends it at once; once there was an answer, one that fails is told, and
/// the next may succeed.
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
    let mut answered = false;
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
                None => answer::show(reader, answer, how).await.map(drop),
            }
        };
        let shown = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            shown = shown => shown,
        };
        match shown {
            Ok(()) => answered = true,
            Err(error) if !answered || output::is_broken_pipe(&error) => return Err(error),
            Err(error) => match &mut screen {
                Some(screen) => screen.redraw(&format!("{name}, no answer: {error:#}"))?,
                None => eprintln!("{name}: no answer: {error:#}"),
            },
        }
    }
}
