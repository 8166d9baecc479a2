//! What everybody may take together, and each alone.

use std::time::Duration;

/// What can be asked for and sent.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Questions to ClickHouse at once.
    pub questions: usize,
    /// How long a question may wait for its turn.
    pub question_wait: Duration,
    /// How long its answer may take.
    pub question_time: Duration,
    /// Bytes of an answer.
    pub answer_bytes: usize,
    /// Bytes of a request's address.
    pub address_bytes: usize,
    /// Pages that look on at once, each by its WebSocket.
    pub viewers: usize,
    /// Instruments that one of them watches.
    pub watched: usize,
    /// Bytes of a message from it.
    pub message_bytes: usize,
    /// Messages a second from it, after a first burst of as many again.
    pub messages_per_second: u32,
    /// Least time between two messages of quotes to it.
    pub pace: Duration,
    /// How long it may take nothing before it is closed.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            questions: 4,
            question_wait: Duration::from_secs(5),
            question_time: Duration::from_secs(15),
            answer_bytes: 16 << 20,
            address_bytes: 8 << 10,
            viewers: 128,
            watched: 1_000,
            message_bytes: 1 << 20,
            messages_per_second: 20,
            pace: Duration::from_millis(20),
            stall: Duration::from_secs(30),
        }
    }
}
