//! Bodies, within limits.

use super::answer::Failure;
use axum::extract::Request;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use std::io::Read as _;
use std::time::Duration;

/// What is done to a body on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

/// The body as sent.
pub(super) async fn receive(request: Request, limit: usize, time: Duration) -> Result<Vec<u8>, Failure> {
    let read = async {
        let mut body = Vec::new();
        let mut chunks = request.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Failure::malformed("the body ends too early"))?;
            if body.len() + chunk.len() > limit {
                return Err(Failure::too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(time, read).await.unwrap_or_else(|_| Err(Failure::too_slow(time)))
}

/// The body as meant.
pub(super) fn unpack(packed: Vec<u8>, encoding: Encoding, limit: usize) -> Result<Vec<u8>, Failure> {
    if encoding == Encoding::Plain {
        return Ok(packed);
    }
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(&packed[..]).take(limit as u64 + 1).read_to_end(&mut text);
    read.map_err(|_| Failure::malformed("the body is no gzip"))?;
    if text.len() > limit { Err(Failure::too_large(limit)) } else { Ok(text) }
}
