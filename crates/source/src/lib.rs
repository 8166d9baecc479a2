//! Kite's sockets and REST: subscriptions, reconnects, watchdogs; yields raw frames with their receive time
