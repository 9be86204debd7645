//! Which headers concern the next hop only, and are not passed on.

use axum::http::{HeaderMap, HeaderName, header};

const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// All headers of a request but `Host` and those of the hop, repeated ones included.
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    let mut passed = of_response(headers);
    passed.remove(header::HOST);
    passed
}

/// All headers of a response but those of the hop, repeated ones included.
pub(super) fn of_response(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for named in headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()) {
        for name in named.split(',') {
            passed.remove(name.trim());
        }
    }
    for name in HOP_BY_HOP {
        passed.remove(name);
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hop_is_left_out() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "front"),
            ("connection", "keep-alive, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("authorization", "Claw x"),
            ("x-claw-nonce", "n"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let passed = of_request(&headers);
        let mut names: Vec<&str> = passed.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "cookie", "cookie", "x-claw-nonce"]);
        assert!(of_response(&headers).contains_key("host"));
    }
}
