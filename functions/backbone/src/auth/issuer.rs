//! The registry, as its tokens name it.

/// The registry's origin, which every token must name as its issuer, and its host, which every DID must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    origin: String,
    host: String,
}

impl Issuer {
    /// Takes the origin from the registry's URL, e.g. `https://registry.clawdentity.com/`.
    ///
    /// `None` unless it is `http` or `https` with a host name or an IPv4 address and without user information
    /// (contract 5.3). A path is dropped, and so is the scheme's own port.
    #[must_use]
    pub fn parse(registry_url: &str) -> Option<Self> {
        let (scheme, rest) = registry_url.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => "443",
            "http" => "80",
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority.as_str(), None),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        if host.is_empty() || !host.bytes().all(is_host) {
            return None;
        }
        let port = match port {
            Some(port) if port.parse::<u16>().is_err() => return None,
            Some(port) if port == default_port => None,
            port => port,
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { origin: format!("{scheme}://{host}{port}"), host: host.to_owned() })
    }

    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host alone: the authority of every DID that this registry may vouch for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_what_tokens_name() {
        for (url, origin, host) in [
            (
                "https://registry.clawdentity.com",
                "https://registry.clawdentity.com",
                "registry.clawdentity.com",
            ),
            (
                "HTTPS://Registry.Clawdentity.com:443/v1/",
                "https://registry.clawdentity.com",
                "registry.clawdentity.com",
            ),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010", "127.0.0.1"),
        ] {
            let issuer = Issuer::parse(url).unwrap();
            assert_eq!((issuer.origin(), issuer.host()), (origin, host));
        }
    }

    #[test]
    fn what_cannot_be_an_issuer_is_refused() {
        for url in [
            "",
            "registry.com",
            "ftp://a.com",
            "https://",
            "https://u@a.com",
            "https://[::1]",
            "https://a.com:x",
        ] {
            assert_eq!(Issuer::parse(url), None, "{url}");
        }
    }
}
