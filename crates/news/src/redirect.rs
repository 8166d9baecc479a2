//! Where a feed may send its reader: not to what only this machine or its network can reach.

use reqwest::Url;
use reqwest::header::LOCATION;
use std::net::IpAddr;

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedirectError {
    /// No address of the web.
    #[error("the server redirects to what is no http or https address")]
    Address,
    /// Services that listen there trust whoever reaches them.
    #[error("the server redirects to a host of this machine or its network")]
    Inside,
}

/// Where an answer redirects to; `None` when it does not.
pub(crate) fn location_of(response: &reqwest::Response) -> Option<&str> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(LOCATION).filter(|_| redirects)?.to_str().ok()
}

/// The address that an answer of `here` redirects to. Within its own host, and from a feed of this machine, all may be followed.
pub(crate) async fn target(feed: &Url, here: &Url, location: &str) -> Result<Url, RedirectError> {
    let mut next = here.join(location).map_err(|_| RedirectError::Address)?;
    let host = next.host_str().filter(|_| matches!(next.scheme(), "http" | "https"));
    let Some(host) = host else { return Err(RedirectError::Address) };
    if feed.host_str() != Some(host) && !is_of_this_machine(feed) && is_inside(&next).await {
        return Err(RedirectError::Inside);
    }
    if next.origin() == here.origin() && next.username().is_empty() && next.password().is_none() {
        // the same server asks for the same name again; no other gets it
        next.set_username(here.username()).ok();
        next.set_password(here.password()).ok();
    }
    Ok(next)
}

fn is_of_this_machine(url: &Url) -> bool {
    match (address_of(url), url.host_str()) {
        (Some(address), _) => address.is_loopback(),
        (None, Some(name)) => name == "localhost" || name.ends_with(".localhost"),
        (None, None) => false,
    }
}

/// Whether a host is of this machine or its network, also under another name. A name that nobody knows is not: it can't be
/// asked either, but by a proxy.
async fn is_inside(url: &Url) -> bool {
    if let Some(address) = address_of(url) {
        return is_inner(address);
    }
    let place = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let found = tokio::net::lookup_host(place).await;
    found.is_ok_and(|mut found| found.any(|address| is_inner(address.ip())))
}

/// The host, where it is a number.
fn address_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

fn is_inner(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // 100.64.0.0/10 is shared by the customers of a provider
            let shared = first == 100 && second & 0b1100_0000 == 64;
            first == 0 || address.is_loopback() || address.is_private() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn followed(feed: &str, location: &str) -> Option<String> {
        let feed = Url::parse(feed).unwrap();
        target(&feed, &feed, location).await.ok().map(String::from)
    }

    #[tokio::test]
    async fn feeds_of_others_lead_nowhere_inside() {
        let feed = "https://example.com/feed";
        for location in [
            "http://127.0.0.1:6379/",
            "http://localhost:8123/?query=SELECT",
            "//127.1/",
            "http://2130706433/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "file:///etc/passwd",
            "ftp://example.com/",
            "http://",
        ] {
            assert_eq!(followed(feed, location).await, None, "{location}");
        }
        for (location, expected) in [
            ("/other", "https://example.com/other"),
            ("http://example.com/feed", "http://example.com/feed"),
            ("http://8.8.8.8/feed", "http://8.8.8.8/feed"),
            ("http://[2001:db8::1]/feed", "http://[2001:db8::1]/feed"),
        ] {
            assert_eq!(followed(feed, location).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn feeds_inside_lead_on_by_themselves_and_names_stay_with_their_server() {
        for (feed, location, expected) in [
            ("http://127.0.0.1:81/a", "http://127.0.0.1:82/b", Some("http://127.0.0.1:82/b")),
            ("http://localhost/a", "http://10.0.0.1/b", Some("http://10.0.0.1/b")),
            ("http://10.0.0.1/a", "https://10.0.0.1/b", Some("https://10.0.0.1/b")),
            ("http://10.0.0.1/a", "http://127.0.0.1/b", None),
            ("https://me:key@8.8.8.8/a", "/b", Some("https://me:key@8.8.8.8/b")),
            ("https://me:key@8.8.8.8/a", "https://8.8.8.8/b", Some("https://me:key@8.8.8.8/b")),
            ("https://me:key@8.8.8.8/a", "http://8.8.8.8/b", Some("http://8.8.8.8/b")),
            ("https://me:key@8.8.8.8/a", "https://8.8.4.4/b", Some("https://8.8.4.4/b")),
        ] {
            assert_eq!(followed(feed, location).await.as_deref(), expected, "{feed} {location}");
        }
    }
}
