//! JSON as Python writes it: `json.dump` puts a bare `NaN` where pandas had nothing, which is no JSON.

use std::io::{self, Read};

/// Gives what `inner` gives with each `NaN` outside a string as `"" `, an empty text of the same length. JSON without
/// `NaN` passes unchanged.
#[derive(Debug)]
pub(crate) struct PythonJson<R> {
    inner: R,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    /// After the `N`.
    N,
    /// After `Na`.
    Na,
    Text,
    /// After a backslash in a text.
    Escape,
}

impl<R> PythonJson<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, state: State::Outside }
    }
}

impl<R: Read> Read for PythonJson<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in &mut buffer[..read] {
            (*byte, self.state) = match (self.state, *byte) {
                (State::Outside, b'N') => (b'"', State::N),
                (State::N, b'a') => (b'"', State::Na),
                (State::Na, b'N') => (b' ', State::Outside),
                (State::Text, b'\\') => (b'\\', State::Escape),
                (State::Text, b'"') => (b'"', State::Outside),
                (State::Text | State::Escape, other) => (other, State::Text),
                (_, b'"') => (b'"', State::Text),
                (_, other) => (other, State::Outside),
            };
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(text: &str, chunk: usize) -> String {
        let mut reader = PythonJson::new(text.as_bytes());
        let (mut out, mut buffer) = (Vec::new(), vec![0; chunk]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(out).unwrap(),
                read => out.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[test]
    fn nan_becomes_an_empty_text_but_not_inside_one() {
        let python = r#"{"a": NaN, "NaN": "NaN \" NaN \\", "b": [NaN,NaN], "c": null}"#;
        let json = r#"{"a": "" , "NaN": "NaN \" NaN \\", "b": ["" ,"" ], "c": null}"#;
        for chunk in 1..9 {
            assert_eq!(through(python, chunk), json);
        }
    }

    proptest! {
        #[test]
        fn what_is_json_passes_unchanged(texts in prop::collection::vec(".{0,9}", 0..9), number in any::<f32>()) {
            let json = serde_json::json!({"texts": texts, "number": number, "more": [null, true]}).to_string();
            prop_assert_eq!(through(&json, 3), json);
        }
    }
}
