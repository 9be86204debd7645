//! From the proxy's URL to the two addresses a connector uses.

use url::Url;

/// Where a connector asks for its WebSocket when the URL it was given has no path.
pub const CONNECT_PATH: &str = "/v1/relay/connect";
/// Where receipts are posted and looked up.
pub const RECEIPTS_PATH: &str = "/v1/relay/delivery-receipts";

/// A text that is not the URL of a proxy.
#[derive(Debug, thiserror::Error)]
#[error("not a proxy URL: {0}")]
pub struct BadAddress(String);

/// What is dialled, what is signed for it, and whose host receipts go to.
pub(super) struct Addresses {
    pub(super) dialled: Url,
    pub(super) signed_path: String,
}

impl Addresses {
    /// `http` becomes `ws` and `https` `wss`; no path becomes [`CONNECT_PATH`], any other path and the query stay.
    pub(super) fn of_proxy(proxy_url: &str) -> Result<Self, BadAddress> {
        let mut dialled = websocket_url(proxy_url)?;
        if matches!(dialled.path(), "" | "/") {
            dialled.set_path(CONNECT_PATH);
        }
        let signed_path = path_and_query(&dialled);
        Ok(Self { dialled, signed_path })
    }

    pub(super) fn dialling(websocket: &str, signed_path: &str) -> Result<Self, BadAddress> {
        Ok(Self { dialled: websocket_url(websocket)?, signed_path: signed_path.to_owned() })
    }

    /// A path on the host that is dialled: connectors have no other address for receipts.
    pub(super) fn http(&self, path_and_query: &str) -> Url {
        let scheme = if self.dialled.scheme() == "wss" { "https" } else { "http" };
        let authority = self.dialled.authority();
        Url::parse(&format!("{scheme}://{authority}{path_and_query}"))
            .expect("the host of a URL and an absolute path are a URL")
    }
}

/// What is signed: as the URL parser prints it.
fn path_and_query(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

fn websocket_url(text: &str) -> Result<Url, BadAddress> {
    let mut url = Url::parse(text).map_err(|problem| BadAddress(format!("{text}: {problem}")))?;
    let scheme = match url.scheme() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        other => return Err(BadAddress(format!("{text}: scheme {other}"))),
    };
    url.set_scheme(scheme).map_err(|()| BadAddress(text.to_owned()))?;
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_websocket_address_follows_from_the_proxy() {
        for (proxy, dialled, signed) in [
            ("https://proxy.example", "wss://proxy.example/v1/relay/connect", CONNECT_PATH),
            ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/relay/connect", CONNECT_PATH),
            ("wss://x.example/prod", "wss://x.example/prod", "/prod"),
            ("ws://x.example/prod?a=%3A#f", "ws://x.example/prod?a=%3A", "/prod?a=%3A"),
        ] {
            let addresses = Addresses::of_proxy(proxy).unwrap();
            assert_eq!(addresses.dialled.as_str(), dialled);
            assert_eq!(addresses.signed_path, signed);
        }
        assert!(Addresses::of_proxy("ftp://proxy.example").is_err());
        assert!(Addresses::of_proxy("proxy.example").is_err());
    }

    #[test]
    fn receipts_go_to_the_host_that_is_dialled() {
        let addresses = Addresses::of_proxy("wss://x.example:8443/prod?a=1").unwrap();
        assert_eq!(
            addresses.http(RECEIPTS_PATH).as_str(),
            "https://x.example:8443/v1/relay/delivery-receipts"
        );
    }
}
