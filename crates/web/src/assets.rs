//! The page's files, in the program.
//!
//! What enters: what `cargo xtask web` made in `web/dist` when this was compiled. What leaves: files, compressed where that makes them
//! smaller, those with a digest in their name to be kept for ever. What never happens here: a look at the disk, so no path leads out.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Said where no page was built.
const NO_PAGE: &str = include_str!("no_page.html");
/// Of files whose name changes with their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked for each time, and answered with 304.
const ASK_AGAIN: &str = "no-cache";

/// A file.
#[derive(Debug)]
struct Asset {
    kind: &'static str,
    etag: HeaderValue,
    keep: &'static str,
    plain: Bytes,
    /// Where it is smaller.
    packed: Option<Bytes>,
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let mut assets: HashMap<String, Asset> = Dist::iter()
        .filter_map(|name| {
            Some((name.to_string(), Asset::of(&name, Dist::get(&name)?.data.into_owned().into())))
        })
        .collect();
    if !assets.contains_key("index.html") {
        assets
            .insert("index.html".to_owned(), Asset::of("index.html", Bytes::from_static(NO_PAGE.as_bytes())));
    }
    assets
});

/// Packs the files now, lest the first who asks waits for it.
pub(crate) fn prepare() {
    LazyLock::force(&ASSETS);
}

impl Asset {
    fn of(name: &str, plain: Bytes) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // into memory: that can't fail
        let smaller = packer.write_all(&plain).and_then(|()| packer.finish()).ok();
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&plain)[..12]));
        Self {
            kind: kind_of(name),
            etag: HeaderValue::from_str(&etag).expect("hexadecimal"),
            keep: if name.starts_with("assets/") { FOR_EVER } else { ASK_AGAIN },
            packed: smaller.filter(|smaller| smaller.len() < plain.len()).map(Bytes::from),
            plain,
        }
    }
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Everything that is no other route: a file, or for a path of the page itself the page.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "v1" || path.starts_with("v1/") {
        return no_route().into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return wrong_method().await.into_response();
    }
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let name = if is_page { "index.html" } else { path };
    let Some(asset) = ASSETS.get(name) else { return no_route().into_response() };
    let mut response = Response::new(Body::empty());
    let answer = response.headers_mut();
    answer.insert(header::ETAG, asset.etag.clone());
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(asset.keep));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let etag = asset.etag.to_str().unwrap_or_default();
    let mut known = known.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    if known.any(|tag| tag == etag || tag == "*") {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    let body = match &asset.packed {
        Some(packed) if takes_gzip(&headers) => {
            answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            packed
        }
        _ => &asset.plain,
    };
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if method == Method::GET {
        *response.body_mut() = Body::from(body.clone());
    }
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && parts.next() != Some("q=0")
    })
}

fn no_route() -> crate::fault::Fault {
    let message = "there is nothing here: /v1/openapi.json lists what can be asked";
    crate::fault::Fault::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// Of a path that is asked in another way.
pub(crate) async fn wrong_method() -> crate::fault::Fault {
    let message = "this path is asked in another way: /v1/openapi.json says how";
    crate::fault::Fault::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(serve(Method::GET, path.parse().unwrap(), headers))
    }

    #[test]
    fn files_are_compressed_and_known_again() {
        let plain = ask("/", &[]);
        assert_eq!(plain.status(), 200);
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let packed = ask("/chart/NIFTY", &[(header::ACCEPT_ENCODING, "br, gzip;q=0.9")]);
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let etag = packed.headers()[header::ETAG].to_str().unwrap().to_owned();
        for tags in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            assert_eq!(ask("/", &[(header::IF_NONE_MATCH, &tags)]).status(), 304, "{tags}");
        }
    }

    #[test]
    fn no_path_leads_out() {
        for path in [
            "/../Cargo.toml",
            "/assets/../../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "/..%2fCargo.toml",
            "//etc/passwd.txt",
            "/v1/../x.js",
            "/v1/nothing",
        ] {
            assert_eq!(ask(path, &[]).status(), 404, "{path}");
        }
    }
}
