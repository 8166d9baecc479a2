//! A word from outside that ends it early.

use crate::VerifyError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A word from outside that ends it early. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Says it.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), VerifyError> {
        if self.0.load(Ordering::Relaxed) { Err(VerifyError::Stopped) } else { Ok(()) }
    }
}
