//! The peers of a deployment, as its environment names them.

use std::collections::BTreeMap;

use backbone::home::{KnownHomes, ProxyOrigin};

use crate::settings::{
    AWS_ENDPOINT_URL, PEER_ORIGINS, PEER_QUEUE_ARNS, PROXY_ORIGIN, Settings, SettingsError,
};

/// The proxies that this stack knows.
///
/// # Errors
///
/// If one of them is no origin, or they do not fit together.
pub fn known_homes(settings: &Settings) -> Result<KnownHomes, SettingsError> {
    let own = settings.get(PROXY_ORIGIN).map(|text| origin(PROXY_ORIGIN, text)).transpose()?;
    KnownHomes::new(own, peer_origins(settings)?).map_err(|error| unfit(error.to_string()))
}

/// A queue of another account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PeerQueue {
    pub(crate) url: String,
    /// It may be another than ours: SQS answers for a queue in its own Region only.
    pub(crate) region: String,
}

/// The peers' queues, by the peers' origins. Only the function that sends to them is told where they are.
#[derive(Debug, Default)]
pub(crate) struct PeerQueueMap(BTreeMap<ProxyOrigin, PeerQueue>);

impl PeerQueueMap {
    /// Reads them, and checks that each peer has one.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        if settings.get(PEER_QUEUE_ARNS).is_none() {
            return Ok(Self::default());
        }
        let endpoint = settings.get(AWS_ENDPOINT_URL);
        let queues = settings.list(PEER_QUEUE_ARNS).map(|arn| {
            let expected = "a list of the ARNs of SQS queues";
            PeerQueue::at(arn, endpoint).ok_or(SettingsError::Unusable { name: PEER_QUEUE_ARNS, expected })
        });
        let queues = queues.collect::<Result<Vec<_>, _>>()?;
        let origins = peer_origins(settings)?;
        if origins.len() != queues.len() {
            let (origins, queues) = (origins.len(), queues.len());
            return Err(unfit(format!("{origins} origins and {queues} queues; there must be as many")));
        }
        Ok(Self(origins.into_iter().zip(queues).collect()))
    }

    pub(crate) fn get(&self, peer: &ProxyOrigin) -> Option<&PeerQueue> {
        self.0.get(peer)
    }
}

impl PeerQueue {
    /// The queue with this ARN, at AWS or at the local one's endpoint.
    fn at(arn: &str, endpoint: Option<&str>) -> Option<Self> {
        let parts: Vec<_> = arn.split(':').collect();
        let ["arn", partition, "sqs", region, account, name] = parts[..] else { return None };
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if ![partition, region, account, name].into_iter().all(is_word) {
            return None;
        }
        let host = match (endpoint, partition) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, "aws-cn") => format!("https://sqs.{region}.amazonaws.com.cn"),
            (None, _) => format!("https://sqs.{region}.amazonaws.com"),
        };
        Some(Self { url: format!("{host}/{account}/{name}"), region: region.to_owned() })
    }
}

fn peer_origins(settings: &Settings) -> Result<Vec<ProxyOrigin>, SettingsError> {
    settings.list(PEER_ORIGINS).map(|text| origin(PEER_ORIGINS, text)).collect()
}

fn origin(name: &'static str, text: &str) -> Result<ProxyOrigin, SettingsError> {
    let expected = "made of origins such as https://proxy.example.com";
    ProxyOrigin::parse(text).ok_or(SettingsError::Unusable { name, expected })
}

fn unfit(why: String) -> SettingsError {
    SettingsError::Peers { why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::settings;

    const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:peer-receipts";

    #[test]
    fn a_stack_may_be_alone() {
        assert_eq!(known_homes(&settings(&[])).unwrap(), KnownHomes::alone());
        assert!(PeerQueueMap::from_settings(&settings(&[])).unwrap().0.is_empty());
    }

    #[test]
    fn each_peer_has_its_queue() {
        let origins = "https://a.com, https://b.com/";
        let arns = format!("{ARN}-a , {ARN}-b");
        let settings =
            settings(&[(PROXY_ORIGIN, "https://own.com"), (PEER_ORIGINS, origins), (PEER_QUEUE_ARNS, &arns)]);
        let peer = ProxyOrigin::parse("https://b.com").unwrap();
        assert!(known_homes(&settings).unwrap().is_peer(&peer));
        let queues = PeerQueueMap::from_settings(&settings).unwrap();
        let queue = queues.get(&peer).unwrap();
        assert_eq!(queue.url, "https://sqs.eu-west-1.amazonaws.com/123456789012/peer-receipts-b");
        assert_eq!(queue.region, "eu-west-1");
    }

    #[test]
    fn queues_are_where_their_partition_or_the_local_aws_is() {
        let url = |arn: &str, endpoint| PeerQueue::at(arn, endpoint).map(|queue| queue.url);
        let china = ARN.replace("arn:aws:", "arn:aws-cn:");
        assert!(url(&china, None).unwrap().starts_with("https://sqs.eu-west-1.amazonaws.com.cn/"));
        let local = url(ARN, Some("http://127.0.0.1:4566/")).unwrap();
        assert_eq!(local, "http://127.0.0.1:4566/123456789012/peer-receipts");
        for arn in [
            "",
            "arn",
            &ARN.replace("sqs", "sns"),
            &format!("{ARN}:x"),
            &format!("{ARN}/x"),
            "arn:aws:sqs::1:q",
        ] {
            assert_eq!(url(arn, None), None, "{arn}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let own = (PROXY_ORIGIN, "https://own.com");
        let peers = (PEER_ORIGINS, "https://a.com,https://b.com");
        let one_queue = settings(&[own, peers, (PEER_QUEUE_ARNS, ARN)]);
        let error = PeerQueueMap::from_settings(&one_queue).unwrap_err().to_string();
        assert!(error.ends_with("2 origins and 1 queues; there must be as many"), "{error}");
        let no_peer = settings(&[own, (PEER_QUEUE_ARNS, ARN)]);
        assert!(PeerQueueMap::from_settings(&no_peer).is_err());
        let error = known_homes(&settings(&[peers])).unwrap_err().to_string();
        assert!(error.ends_with("a stack without an origin of its own cannot have peers"), "{error}");
        let nonsense = settings(&[own, (PEER_ORIGINS, "https://a.com,,")]);
        assert!(
            known_homes(&nonsense).unwrap_err().to_string().starts_with("environment variable PEER_ORIGINS")
        );
        let nonsense = settings(&[own, peers, (PEER_QUEUE_ARNS, "a,b")]);
        assert!(matches!(PeerQueueMap::from_settings(&nonsense), Err(SettingsError::Unusable { .. })));
    }
}
