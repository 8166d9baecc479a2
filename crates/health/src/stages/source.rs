//! The sockets.

use super::{Seen, Verdict, grouped};
use crate::said::{Line, Record};
use crate::thresholds::{
    FEW_FACTOR, FEW_INSTRUMENTS, SILENT_BAD_SECONDS, SILENT_WARN_SECONDS, SKEW_BAD_SECONDS,
    SKEW_WARN_SECONDS, TOKEN_SECONDS,
};
use crate::{MarketPhase, SocketHealth, State};
use tickhouse_model::IST_OFFSET_SECONDS;

/// How a socket is.
pub(crate) fn socket(line: &Line, frames_per_second: f64) -> SocketHealth {
    let source = &line.source;
    let silent = if line.expects_data { line.data_age_seconds } else { 0.0 };
    let factor = if source.subscribed < FEW_INSTRUMENTS { FEW_FACTOR } else { 1.0 };
    let down = source.state != "connected";
    let state = match silent {
        // not just between two connections
        silent if down && silent >= SILENT_WARN_SECONDS => State::Bad,
        silent if silent >= SILENT_BAD_SECONDS * factor => State::Bad,
        silent if silent >= SILENT_WARN_SECONDS * factor => State::Warn,
        _ if source.state == "paused" => State::Warn,
        _ => State::Ok,
    };
    let heartbeats_only =
        silent >= SILENT_WARN_SECONDS && !down && line.frame_age_seconds < SILENT_WARN_SECONDS;
    let reason = source
        .reason
        .clone()
        .or_else(|| heartbeats_only.then(|| format!("heartbeats only, no data for {silent:.0} s")))
        .or_else(|| (state != State::Ok).then(|| format!("no data for {silent:.0} s")));
    SocketHealth {
        socket: line.socket,
        key: line.key,
        state,
        doing: source.state.clone(),
        reason,
        subscribed: source.subscribed,
        frames_per_second: (frames_per_second * 10.0).round() / 10.0,
        silent_seconds: (silent * 10.0).round() / 10.0,
        reconnects: source.reconnects,
        last_gap: source.last_gap_at.is_some().then(|| source.last_gap_at.as_millis()),
    }
}

pub(super) fn verdict(seen: &Seen<'_>) -> Verdict {
    let Some(record) = seen.record else {
        return seen.missing("record").unwrap_or_else(|| Verdict::ok("no sockets"));
    };
    let connected = seen.sockets.iter().filter(|socket| socket.doing == "connected").count();
    let all = seen.sockets.len();
    let text = format!(
        "{connected} of {all} sockets connected, {} instruments{}",
        grouped(record.instruments),
        if seen.market == MarketPhase::Open { "" } else { "; the markets do not trade" },
    );
    token(seen, record)
        .or_else(|| silent(seen, &text))
        .or_else(|| skew(record))
        .unwrap_or_else(|| Verdict::ok(text))
}

/// A key that needs somebody to log in.
fn token(seen: &Seen<'_>, record: &Record) -> Option<Verdict> {
    let (number, key) = (1..).zip(&record.keys).find(|(_, key)| key.wants_login)?;
    let india = seen.now.as_seconds() + IST_OFFSET_SECONDS;
    // 1970-01-01 was a Thursday
    let is_weekday = (india.div_euclid(86_400) + 3).rem_euclid(7) < 5;
    let state = match seen.market {
        MarketPhase::Open => State::Bad,
        _ if is_weekday && TOKEN_SECONDS.contains(&india.rem_euclid(86_400)) => State::Warn,
        _ => return None,
    };
    let what = match key.token.as_str() {
        "missing" => "there is no access token",
        "refused" => "Kite refused the access token",
        _ => "the access token has ended",
    };
    let key = if record.keys.len() > 1 { format!(" of key {number}") } else { String::new() };
    Some(Verdict::new(
        state,
        format!("{what}{key}"),
        "run `tickhouse login`, before 09:00 on a trading day; the recorder takes the new token by itself",
    ))
}

fn silent(seen: &Seen<'_>, text: &str) -> Option<Verdict> {
    let worst = seen.sockets.iter().max_by_key(|socket| socket.state)?;
    if worst.state == State::Ok {
        return None;
    }
    let why = worst.reason.as_deref().unwrap_or("no data");
    let others = seen.sockets.iter().filter(|socket| socket.state != State::Ok).count() - 1;
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    Some(Verdict::new(
        worst.state,
        format!("socket {}{others}: {why}; {text}", worst.socket),
        "the recorder connects again by itself and notes the hole: if it goes on, look at Kite's status page and this machine's network",
    ))
}

fn skew(record: &Record) -> Option<Verdict> {
    let skew = record.clock_skew_seconds?;
    let state = match skew.abs() {
        skew if skew >= SKEW_BAD_SECONDS => State::Bad,
        skew if skew >= SKEW_WARN_SECONDS => State::Warn,
        _ => return None,
    };
    let direction = if skew > 0.0 { "ahead of" } else { "behind" };
    Some(Verdict::new(
        state,
        format!("this machine's clock is {:.1} s {direction} the exchange's", skew.abs()),
        "switch time synchronisation on: `timedatectl set-ntp true`, or chrony",
    ))
}
