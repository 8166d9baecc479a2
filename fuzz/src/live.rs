//! What a browser says on `/v1/live`.

// the file alone: it needs nothing else of its crate, which would be a database client to build
#[path = "../../crates/web/src/live/request.rs"]
mod request;

use request::{Request, read_request};

/// The most instruments that may be watched.
const MOST: usize = 1_000;

/// A message of a client: no panic; never more instruments than allowed; what was understood is understood again when it is said
/// again; a refusal has words and a code.
pub fn live_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read_request(text, MOST) {
        Ok(Request::Watch(tokens)) => {
            assert!(tokens.len() <= MOST);
            let again = serde_json::json!({ "op": "watch", "instruments": tokens }).to_string();
            assert_eq!(read_request(&again, MOST), Ok(Request::Watch(tokens)));
        }
        Ok(Request::Focus(instrument)) => {
            let again = serde_json::json!({ "op": "focus", "instrument": instrument }).to_string();
            assert_eq!(read_request(&again, MOST), Ok(Request::Focus(instrument)));
        }
        Ok(Request::Health(_)) => {}
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}
