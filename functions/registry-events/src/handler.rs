//! Events, requests and the schedule in, answers out; what lies between is [`backbone::events`],
//! [`backbone::event_intake`] and [`backbone::reconcile`].

use backbone::error_code::ErrorCode;
use backbone::event_intake::{EventRefusal, PostedEvents};
use backbone::events::{EventSettings, EventsOutside, handle_events};
use backbone::internal_service::InternalService;
use backbone::metrics::Tally;
use backbone::reconcile::{ReconcileError, RegistryWatch};
use backbone::stores::SourceQueue;
use backbone_aws::auth_policy::issuer;
use backbone_aws::http_api::{Answer, HttpEvent, HttpResponse, request_span};
use backbone_aws::settings::{
    INTERNAL_SERVICE_ID, INTERNAL_SERVICE_SECRET_SHA256, RECEIPT_RETENTION_SECONDS, Settings, SettingsError,
};
use backbone_aws::sqs_event::{BatchResponse, SqsEvent, respond};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::trigger::Trigger;

const EVENTS_PATH: &str = "/v1/events";

/// What one instance keeps between invocations.
#[derive(Debug)]
pub struct RegistryEventsFunction {
    watch: RegistryWatch,
    settings: EventSettings,
    /// Who may post events; nobody if it is not configured.
    service: Option<InternalService>,
}

impl RegistryEventsFunction {
    /// The function as its environment describes it.
    ///
    /// # Errors
    ///
    /// If a setting cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            watch: RegistryWatch::new(issuer(settings)?),
            settings: EventSettings { retention_s: settings.number(RECEIPT_RETENTION_SECONDS)? },
            service: internal_service(settings)?,
        })
    }

    /// Handles whatever has set the function off.
    ///
    /// # Errors
    ///
    /// A [`ReconcileError`], so that Lambda tries again in a minute. Events and requests are answered in any case.
    pub async fn handle<O: EventsOutside>(
        &self,
        outside: &O,
        trigger: Trigger,
        invocation_id: &str,
        tally: &Tally,
    ) -> Result<Value, ReconcileError> {
        match trigger {
            Trigger::Events(event) => Ok(json!(self.events(outside, event, tally).await)),
            Trigger::Http(event) => Ok(json!(self.request(outside, &event, invocation_id, tally).await)),
            Trigger::Reconcile => {
                self.watch.reconcile(outside, tally).await?;
                tracing::debug!("reconciled with the registry");
                Ok(Value::Null)
            }
        }
    }

    async fn events<O: EventsOutside>(&self, outside: &O, event: SqsEvent, tally: &Tally) -> BatchResponse {
        let records = event.records.into_iter();
        let batch: Vec<_> = records.map(|message| message.of(SourceQueue::Events)).collect();
        let verdicts = handle_events(outside, &self.watch, self.settings, &batch, tally).await;
        respond(&batch, &verdicts)
    }

    async fn request<O: EventsOutside>(
        &self,
        outside: &O,
        event: &HttpEvent,
        invocation_id: &str,
        tally: &Tally,
    ) -> HttpResponse {
        let request_id = event.request_id(invocation_id);
        let answered = async {
            let answer = match (event.request_context.http.method.as_str(), event.raw_path.as_str()) {
                ("POST", EVENTS_PATH) => match self.take(outside, event, request_id, tally).await {
                    Ok(body) => Answer::new(202, body),
                    Err(refusal) => {
                        refusal.report(tally);
                        Answer::error(refusal.code(), refusal.details(), request_id)
                    }
                },
                _ => Answer::error(ErrorCode::NotFound, None, request_id),
            };
            answer.into_response(request_id)
        };
        answered.instrument(request_span(request_id)).await
    }

    async fn take<O: EventsOutside>(
        &self,
        outside: &O,
        event: &HttpEvent,
        request_id: &str,
        tally: &Tally,
    ) -> Result<Value, EventRefusal> {
        let shown = |name| event.header(name).unwrap_or_default();
        let (id, secret) = (shown("x-claw-service-id"), shown("x-claw-service-secret"));
        if !self.service.as_ref().is_some_and(|service| service.admits(id, secret)) {
            return Err(EventRefusal::Unauthorized);
        }
        PostedEvents::parse(&event.body(), self.watch.authority())?.send(outside, request_id, tally).await
    }
}

fn internal_service(settings: &Settings) -> Result<Option<InternalService>, SettingsError> {
    let (name, expected) = (
        INTERNAL_SERVICE_SECRET_SHA256,
        "one or two SHA-256 hashes in hexadecimal, separated by a comma, beside INTERNAL_SERVICE_ID",
    );
    match (settings.get(INTERNAL_SERVICE_ID), settings.get(INTERNAL_SERVICE_SECRET_SHA256)) {
        (None, None) => Ok(None),
        (Some(id), Some(hashes)) => match InternalService::parse(id, hashes) {
            Some(service) => Ok(Some(service)),
            None => Err(SettingsError::Unusable { name, expected }),
        },
        (Some(_), None) | (None, Some(_)) => Err(SettingsError::Unusable { name, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";

    #[test]
    fn credentials_come_together_or_not_at_all() {
        let env = |given: &'static [(&str, &str)]| {
            move |name: &str| {
                let found = given.iter().find(|(known, _)| *known == name);
                found
                    .map(|(_, value)| (*value).to_owned())
                    .or_else(|| name.starts_with("AWS_").then(|| "x".into()))
            }
        };
        let service = |given| internal_service(&Settings::from_env(&env(given), &[]).unwrap());
        assert!(service(&[]).unwrap().is_none());
        assert!(
            service(&[(INTERNAL_SERVICE_ID, "r"), (INTERNAL_SERVICE_SECRET_SHA256, HASH)]).unwrap().is_some()
        );
        assert!(service(&[(INTERNAL_SERVICE_ID, "r")]).is_err());
        assert!(service(&[(INTERNAL_SERVICE_SECRET_SHA256, HASH)]).is_err());
        let hush = service(&[(INTERNAL_SERVICE_ID, "r"), (INTERNAL_SERVICE_SECRET_SHA256, "hush")]);
        assert!(!hush.unwrap_err().to_string().contains("hush"));
    }
}
