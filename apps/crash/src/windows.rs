//! Windows of `feed_gaps`, and whether what is lost lies in one.

use crate::clickhouse::ClickHouse;
use crate::system::RECORDER;
use anyhow::Context as _;

/// A window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) socket: u16,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) cause: String,
    pub(crate) detail: String,
}

/// Every window of the run.
pub(crate) async fn read(clickhouse: &ClickHouse) -> anyhow::Result<Vec<Window>> {
    let sql = format!(
        "SELECT socket, toUnixTimestamp64Milli(`from`), toUnixTimestamp64Milli(`to`), cause, detail FROM feed_gaps \
         WHERE recorder = '{RECORDER}' AND stream = '' ORDER BY socket, `from`, `to`"
    );
    let mut windows = Vec::new();
    clickhouse
        .lines(&sql, |line| {
            let words: Vec<&str> = line.split('\t').collect();
            let [socket, from, to, cause, detail] = words[..] else { anyhow::bail!("no gap: {line}") };
            windows.push(Window {
                socket: socket.parse().context("a socket")?,
                from: from.parse().context("a time")?,
                to: to.parse().context("a time")?,
                cause: cause.to_owned(),
                detail: detail.to_owned(),
            });
            Ok(())
        })
        .await?;
    Ok(windows)
}

/// Where something lost lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a window, by the exchange's time.
    Within,
    /// Sent before the window opens, but after the last packet that was read, at whose receive time it opens.
    Late,
    Outside,
}

/// Where a message is that was sent at `at` on a socket. `last_read`: when the last message of its connection that is stored was
/// received; what follows it on its connection can only have been read after that.
pub(crate) fn place(windows: &[Window], socket: u16, at: i64, last_read: Option<i64>) -> Place {
    // one that is open or of single instruments excuses nothing
    let mut of_socket = windows.iter().filter(|window| window.socket == socket && window.cause != "silent");
    let covers = |window: &&Window| {
        if window.from <= at && at <= window.to {
            return Some(Place::Within);
        }
        let opens_there = last_read.is_some_and(|read| (window.from - read).abs() <= 1);
        (opens_there && at < window.from).then_some(Place::Late)
    };
    let found = of_socket.by_ref().filter_map(|window| covers(&window));
    found.min_by_key(|place| *place == Place::Late).unwrap_or(Place::Outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_window_of_the_socket_excuses() {
        let window = |socket, from, to, cause: &str| Window {
            socket,
            from,
            to,
            cause: cause.to_owned(),
            detail: String::new(),
        };
        let windows = [window(1, 100, 200, "broken"), window(1, 300, 400, "silent")];
        let cases = [
            (1, 150, None, Place::Within),
            (2, 150, None, Place::Outside),
            (1, 350, None, Place::Outside),
            (1, 90, None, Place::Outside),
            (1, 90, Some(100), Place::Late),
            (1, 90, Some(80), Place::Outside),
            (1, 201, Some(100), Place::Outside),
        ];
        for (socket, at, last_read, expected) in cases {
            assert_eq!(place(&windows, socket, at, last_read), expected, "{socket} {at} {last_read:?}");
        }
    }
}
