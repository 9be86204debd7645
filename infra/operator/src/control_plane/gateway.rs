//! API Gateway's `@connections`, asked about a connection that does not exist.

use super::{Call, CallError, ControlPlane, Service};

/// An id of the form that API Gateway gives, which it has not given.
const MADE_UP: &str = "b3BlcmF0b3I";

impl ControlPlane {
    /// The status with which `endpoint` answers for a connection that does not exist.
    pub(crate) async fn made_up_connection(&self, endpoint: &str) -> Result<u16, CallError> {
        let call = Call {
            service: Service::Gateway,
            action: "GetConnection",
            method: "GET",
            origin: Some(endpoint.trim_end_matches('/').to_owned()),
            path: format!("/@connections/{MADE_UP}"),
            headers: Vec::new(),
            body: String::new(),
        };
        match self.make(&call).await {
            Ok(answer) => Ok(answer.status),
            Err(CallError::Refused { status, .. }) => Ok(status),
            Err(error @ (CallError::NoAnswer { .. } | CallError::Unexpected { .. })) => Err(error),
        }
    }
}
