//! Origins: scheme, host and port, in the one spelling by which they are compared.

/// An origin, and what followed it in the URL that it was taken from.
pub(crate) struct Split<'a> {
    /// Scheme, host and port, in lower case, without the scheme's own port and without a slash at the end.
    pub(crate) origin: String,
    /// The host alone.
    pub(crate) host: String,
    /// Path, query and fragment.
    pub(crate) rest: &'a str,
}

/// Takes the origin from a URL.
///
/// `None` unless it is `http` or `https` with a host name or an IPv4 address and without user information
/// (contract 5.3).
pub(crate) fn split(url: &str) -> Option<Split<'_>> {
    let (scheme, after) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let authority = authority.to_ascii_lowercase();
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
    Some(Split { origin: format!("{scheme}://{host}{port}"), host: host.to_owned(), rest })
}
