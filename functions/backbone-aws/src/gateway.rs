//! API Gateway's `@connections`: posting to sockets, and closing them.

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use backbone::stores::{Closed, Gateway, Push, StoreError};

use crate::outside::{Invocation, unavailable};
use crate::settings::{CONNECTIONS_ENDPOINT, SettingsError};

impl Gateway for Invocation<'_> {
    async fn push(&self, connection_id: &str, frame: &str) -> Result<Push, StoreError> {
        const OPERATION: &str = "push";
        let frame = Blob::new(frame);
        let posting =
            self.connections(OPERATION)?.post_to_connection().connection_id(connection_id).data(frame);
        self.in_time(OPERATION, async {
            let Err(error) = posting.send().await else { return Ok(Push::Taken) };
            match status(&error) {
                Some(410) => Ok(Push::Gone),
                Some(413) => Ok(Push::TooLarge),
                Some(403) => Ok(Push::Forbidden),
                Some(_) | None => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }

    async fn close(&self, connection_id: &str) -> Result<Closed, StoreError> {
        const OPERATION: &str = "close";
        let closing = self.connections(OPERATION)?.delete_connection().connection_id(connection_id);
        self.in_time(OPERATION, async {
            let Err(error) = closing.send().await else { return Ok(Closed::Closed) };
            match status(&error) {
                Some(410) => Ok(Closed::Gone),
                Some(_) | None => Err(unavailable(OPERATION)(error)),
            }
        })
        .await
    }
}

impl Invocation<'_> {
    fn connections(&self, operation: &'static str) -> Result<&Client, StoreError> {
        let missing = || SettingsError::Missing { names: vec![CONNECTIONS_ENDPOINT] };
        self.aws.clients.connections().ok_or_else(missing).map_err(unavailable(operation))
    }
}

/// The status of the answer. The SDK's error types say the same, but only as long as the answer names its type.
fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::{Answer, Stub};

    async fn push(answers: impl IntoIterator<Item = Answer>) -> (Result<Push, StoreError>, usize) {
        let stub = Stub::answering(answers).await;
        let pushed = stub.invocation().push("L0SM9cOFvHcCIhw=", "{}").await;
        (pushed, stub.seen().len())
    }

    fn status(status: u16) -> Answer {
        Answer::Http(status, r#"{"message":"x"}"#.to_owned())
    }

    #[tokio::test]
    async fn final_answers_are_told_apart_and_not_repeated() {
        for (code, expected) in
            [(200, Push::Taken), (410, Push::Gone), (413, Push::TooLarge), (403, Push::Forbidden)]
        {
            let (pushed, calls) = push([status(code)]).await;
            assert_eq!((pushed.unwrap(), calls), (expected, 1), "{code}");
        }
    }

    #[tokio::test]
    async fn what_may_pass_is_repeated_and_then_an_error() {
        for answer in [status(500), status(503), Answer::HangUp] {
            assert_eq!(push([answer.clone(), status(200)]).await.0.unwrap(), Push::Taken, "{answer:?}");
            let (pushed, calls) = push([answer.clone()]).await;
            assert!(matches!(pushed, Err(StoreError::Unavailable { operation: "push", .. })), "{answer:?}");
            assert_eq!(calls, 4, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_id_is_escaped_and_a_gone_connection_is_closed() {
        let stub = Stub::answering([status(410)]).await;
        assert_eq!(stub.invocation().close("L0SM9cOFvHcCIhw=").await.unwrap(), Closed::Gone);
        let head = &stub.seen()[0].head;
        assert!(head.starts_with("DELETE /stage/@connections/L0SM9cOFvHcCIhw%3D HTTP/1.1"), "{head}");
    }
}
