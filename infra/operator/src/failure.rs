//! Why a command could not answer.

use std::io::ErrorKind;

use backbone::stores::StoreError;
use backbone_aws::settings::SettingsError;

use crate::answer::Exit;
use crate::control_plane::CallError;

/// Why a command could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody said which deployment.
    #[error(
        "which deployment? Name a stack with --stack, or the running local stack's description with --local \
         (or in BACKBONE_STACK)"
    )]
    NoDeployment,
    /// The local stack's description cannot be used.
    #[error("{path} does not describe a local stack")]
    Description {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There are no credentials, or no Region.
    #[error("{missing}: set AWS_PROFILE or --profile, AWS_REGION or --region, or sign in")]
    NoCredentials {
        /// What there is none of.
        missing: &'static str,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A table, a queue or API Gateway did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// AWS's control plane did not answer, or said no.
    #[error("the deployment could not be asked")]
    Call(#[from] CallFailure),
    /// A file could not be written.
    #[error("{path} cannot be written")]
    File {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What was asked for needs one more word.
    #[error("{0}")]
    Unconfirmed(String),
}

/// A call of AWS's control plane that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CallFailure(CallError);

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(CallFailure(error))
    }
}

impl Failure {
    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoDeployment
            | Self::Description { .. }
            | Self::NoCredentials { .. }
            | Self::Unconfirmed(_) => Exit::Usage,
            // Nothing was done: the name is somebody else's.
            Self::File { source, .. } if source.kind() == ErrorKind::AlreadyExists => Exit::Usage,
            Self::Call(CallFailure(error)) if error.is_no_such_thing() => Exit::NotFound,
            Self::Settings(_) | Self::Store(_) | Self::Call(_) | Self::File { .. } => Exit::NotKnown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Failure {
        let (call, code, message) = ("c".to_owned(), code.to_owned(), message.to_owned());
        CallError::Refused { call, status, code, message }.into()
    }

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let gone = refused(400, "ValidationError", "Stack with id x does not exist");
        assert_eq!(gone.exit(), Exit::NotFound);
        assert_eq!(refused(404, "ResourceNotFoundException", "no function").exit(), Exit::NotFound);
        assert_eq!(refused(400, "ValidationError", "1 validation error detected").exit(), Exit::NotKnown);
        assert_eq!(refused(403, "AccessDenied", "not you").exit(), Exit::NotKnown);
    }

    #[test]
    fn a_file_that_is_there_already_was_not_written() {
        let file = |kind: ErrorKind| Failure::File { path: "f".to_owned(), source: kind.into() };
        assert_eq!(file(ErrorKind::AlreadyExists).exit(), Exit::Usage);
        assert_eq!(file(ErrorKind::StorageFull).exit(), Exit::NotKnown);
    }
}
