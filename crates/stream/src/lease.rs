//! One owner of the streams at a time, with a number that tells owners apart.
//!
//! A lease in Redis is a promise about time, and Redis may be restored older or emptied. So it only keeps two loaders from
//! working at once; what makes a late write of a former owner harmless is the fence, which the store keeps with each seal.

use crate::control::Control;
use crate::{StreamError, reply};
use redis::{Value, cmd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Takes the lease unless somebody has it; gives `[1, fence]` or `[0, holder]`. Lua writes large numbers in exponents unless
/// told otherwise.
const ACQUIRE: &str = "
local held = redis.call('GET', KEYS[1])
if held then return {0, held} end
local fence = redis.call('INCR', KEYS[2])
local floor = tonumber(ARGV[2])
if fence < floor then fence = floor end
local text = string.format('%.0f', fence)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], text .. ' ' .. ARGV[1], 'PX', ARGV[3])
return {1, text}";

const RENEW: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0";

const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// A lease that was acquired. Dropping it lets it expire; [`Lease::release`] ends it at once.
#[derive(Debug)]
pub struct Lease {
    control: Control,
    name: String,
    key: String,
    token: String,
    fence: u64,
    ttl: Duration,
    /// Until when Redis is certain to honour it, by this process's monotonic clock.
    until: Mutex<Instant>,
}

impl Lease {
    /// Takes the lease `name` for `ttl`, with a fence of at least `floor`: one more than the highest fence that the store
    /// has seen.
    ///
    /// # Errors
    /// [`StreamError::LeaseHeld`] while another has it, or when Redis fails; it may be held then, until `ttl` is over.
    pub async fn acquire(
        control: &Control,
        name: &str,
        ttl: Duration,
        floor: u64,
    ) -> Result<Self, StreamError> {
        const DOING: &str = "taking the lease";
        // for people who wonder who has it
        let holder = format!("process {}", std::process::id());
        let key = format!("{}:lease:{name}", control.options().namespace);
        let mut command = cmd("EVAL");
        command.arg(ACQUIRE).arg(2).arg(&key).arg(format!("{key}:fence"));
        command.arg(&holder).arg(floor).arg(millis(ttl));
        let asked = Instant::now();
        let value = control.link().send(DOING, &command).await?;
        match value.as_sequence() {
            Some([Value::Int(1), fence]) => {
                let fence = reply::integer(fence).ok_or_else(|| reply::unexpected(DOING, &value))?;
                Ok(Self {
                    control: control.clone(),
                    name: name.to_owned(),
                    key,
                    token: format!("{fence} {holder}"),
                    fence,
                    ttl,
                    until: Mutex::new(asked + ttl),
                })
            }
            Some([Value::Int(0), held]) => {
                let held = reply::text(held).unwrap_or_default();
                let holder = held.split_once(' ').map_or(held, |(_, holder)| holder).to_owned();
                Err(StreamError::LeaseHeld { name: name.to_owned(), holder })
            }
            _ => Err(reply::unexpected(DOING, &value)),
        }
    }

    /// The number of this ownership: higher than that of every owner before.
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the lease surely lasts `margin` longer. Ask before each write that only the owner may do, with a margin
    /// longer than the write takes.
    pub fn is_held(&self, margin: Duration) -> bool {
        Instant::now() + margin < *self.until()
    }

    /// Extends the lease to its full length from now. Renew about three times per length.
    ///
    /// # Errors
    /// [`StreamError::LeaseLost`] when it is another's or gone: stop, and acquire anew. When Redis fails it may or may not
    /// be extended; [`Lease::is_held`] goes by the last certain time.
    pub async fn renew(&self) -> Result<(), StreamError> {
        let mut command = cmd("EVAL");
        command.arg(RENEW).arg(1).arg(&self.key).arg(&self.token).arg(millis(self.ttl));
        let asked = Instant::now();
        let renewed: u64 = self.control.link().query("renewing the lease", &command).await?;
        if renewed == 0 {
            *self.until() = asked;
            return Err(StreamError::LeaseLost { name: self.name.clone(), fence: self.fence });
        }
        *self.until() = asked + self.ttl;
        Ok(())
    }

    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lease back, unless it is another's already. Doing it again is harmless: no other lease has its fence.
    ///
    /// # Errors
    /// When Redis fails; the lease then expires by itself.
    pub async fn release(&self) -> Result<(), StreamError> {
        let mut command = cmd("EVAL");
        command.arg(RELEASE).arg(1).arg(&self.key).arg(&self.token);
        self.control.link().send("releasing the lease", &command).await.map(|_| ())
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}
