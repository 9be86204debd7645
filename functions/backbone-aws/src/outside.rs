//! What lives as long as the process, and what as long as one invocation.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backbone::metrics::Tally;
use backbone::stores::{Clock, StoreError};

use crate::clients::{Clients, OPERATION_TIMEOUT};
use crate::metrics;
use crate::peers::PeerQueueMap;
use crate::registry::RegistryClient;
use crate::settings::{ENVIRONMENT, Settings, SettingsError};
use crate::tls::CaBundle;

/// What is left of an invocation for its answer, its log line and its metrics.
const RESERVE_MS: u64 = 1_000;

type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// AWS and the registry, for as long as a process lives.
pub struct Aws {
    pub(crate) settings: Settings,
    pub(crate) clients: Clients,
    pub(crate) registry: RegistryClient,
    pub(crate) peer_queues: PeerQueueMap,
    now_ms: NowMs,
}

impl fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Aws").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Aws {
    /// Prepares everything and connects to nothing.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let bundle = CaBundle::from_settings(&settings)?;
        Ok(Self {
            clients: Clients::new(&settings, bundle.as_ref())?,
            registry: RegistryClient::new(&settings, bundle)?,
            peer_queues: PeerQueueMap::from_settings(&settings)?,
            settings,
            now_ms: Arc::new(system_now_ms),
        })
    }

    /// The same with another clock: a function of no arguments that answers milliseconds since the Unix epoch. Timeouts
    /// go on by the real one.
    #[must_use]
    pub fn with_clock(mut self, now_ms: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Milliseconds since the Unix epoch, by the clock of this process.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// What the function was told by its environment.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Begins an invocation that must have ended at `deadline_ms` (milliseconds since the Unix epoch). `request_id`
    /// is Lambda's id of it: what this invocation repeats is told by it from what somebody else repeats.
    #[must_use]
    pub const fn invocation<'a>(&'a self, request_id: &'a str, deadline_ms: u64) -> Invocation<'a> {
        Invocation { aws: self, request_id, deadline_ms, trace: None }
    }
}

impl Aws {
    /// Writes what an invocation of `service` has counted.
    pub fn emit(&self, service: &str, tally: &Tally) {
        let environment = self.settings.get(ENVIRONMENT).unwrap_or("unknown");
        metrics::emit(metrics::Source { service, environment }, tally, self.now_ms());
    }
}

/// Milliseconds since the Unix epoch, by the system's clock.
pub(crate) fn system_now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// AWS and the registry, within the time of one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) request_id: &'a str,
    deadline_ms: u64,
    /// Lambda's trace header of this invocation, for whoever is caused by it.
    pub(crate) trace: Option<&'a str>,
}

impl Clock for Invocation<'_> {
    fn now_ms(&self) -> u64 {
        self.aws.now_ms()
    }

    fn time_left_ms(&self) -> u64 {
        self.deadline_ms.saturating_sub(self.now_ms()).saturating_sub(RESERVE_MS)
    }
}

impl<'a> Invocation<'a> {
    /// The same, with Lambda's trace header (`Root=…;Parent=…;Sampled=…`), which travels on with what it sends.
    #[must_use]
    pub const fn traced(self, trace: Option<&'a str>) -> Self {
        Self { trace, ..self }
    }
}

impl Invocation<'_> {
    /// Seconds since the Unix epoch.
    pub(crate) fn now_s(&self) -> u64 {
        self.now_ms() / 1_000
    }

    pub(crate) fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.aws.clients.dynamodb()
    }

    /// The value of `setting`, as part of `operation`.
    pub(crate) fn setting(&self, operation: &'static str, setting: &'static str) -> Result<&str, StoreError> {
        self.aws.settings.text(setting).map_err(unavailable(operation))
    }

    /// Makes `call` unless the invocation's time is over, and gives it up when that is over or the time of one
    /// operation. Which of the two it was is told apart: only the second says something about whoever is called.
    ///
    /// The SDK's futures are tens of kilobytes large. Each is boxed here, so that those that await it stay small.
    pub(crate) fn in_time<'f, T>(
        &'f self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'f,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'f {
        let call = Box::pin(call);
        async move {
            let left = Duration::from_millis(self.time_left_ms());
            if left.is_zero() {
                return Err(StoreError::OutOfTime { operation });
            }
            match tokio::time::timeout(left.min(OPERATION_TIMEOUT), call).await {
                Ok(outcome) => outcome,
                Err(_) if left < OPERATION_TIMEOUT => Err(StoreError::OutOfTime { operation }),
                Err(elapsed) => Err(unavailable(operation)(elapsed)),
            }
        }
    }
}

/// Wraps the cause of a failed `operation`.
pub(crate) fn unavailable<E>(operation: &'static str) -> impl FnOnce(E) -> StoreError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| StoreError::Unavailable { operation, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::settings;

    fn aws_at(now_ms: u64) -> Aws {
        Aws::new(settings(&[])).unwrap().with_clock(Arc::new(move || now_ms))
    }

    #[tokio::test]
    async fn nothing_is_begun_when_no_time_is_left() {
        for (now_ms, left_ms) in [(0, 9_000), (8_999, 1), (9_000, 0), (20_000, 0)] {
            let aws = aws_at(now_ms);
            let invocation = aws.invocation("r", 10_000);
            assert_eq!(invocation.time_left_ms(), left_ms);
            let begun = invocation.in_time("test", async { Ok(()) }).await;
            assert_eq!(matches!(begun, Err(StoreError::OutOfTime { .. })), left_ms == 0, "{now_ms}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_given_up_with_its_invocation_or_after_its_own_time() {
        let limit_ms = u64::try_from(OPERATION_TIMEOUT.as_millis()).unwrap();
        for (left_ms, is_out_of_time) in
            [(20, true), (limit_ms - 1, true), (limit_ms, false), (60_000, false)]
        {
            let aws = aws_at(0);
            let invocation = aws.invocation("r", RESERVE_MS + left_ms);
            let silence = invocation.in_time("test", std::future::pending::<Result<(), _>>()).await;
            let error = silence.unwrap_err();
            assert_eq!(
                matches!(error, StoreError::OutOfTime { operation: "test" }),
                is_out_of_time,
                "{error}"
            );
        }
    }
}
