use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use axum::http::StatusCode;
use wstd::http::ErrorCode;

use super::retry::Outcome;

/// Why a call has no answer that can be used. Names the method, the URL, and how often it was tried.
#[derive(Debug, thiserror::Error)]
#[error("{request}{}: {failure}", Tries(*.attempts))]
pub struct CallError {
    /// `GET http://store/entries`.
    pub request: String,
    pub attempts: u32,
    #[source]
    pub failure: Failure,
}

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no Service has this name; write it as NAME, or NAME.NAMESPACE for another namespace")]
    NoSuchHost,
    #[error("no replica of it is ready")]
    Unavailable,
    #[error("the connection was refused; is it the Service's port?")]
    Refused,
    #[error("this guest may not call there")]
    Denied,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the connection broke off: {0}")]
    Broken(String),
    #[error("answered {status}: {body}")]
    Status { status: StatusCode, body: String },
    #[error("the answer is not what is expected")]
    Unexpected(#[source] serde_json::Error),
    #[error("the request cannot be sent: {0}")]
    Invalid(String),
}

impl CallError {
    /// For a response to who waits for this call.
    pub fn status(&self) -> StatusCode {
        match self.failure {
            Failure::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Failure::Invalid(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

impl Failure {
    /// Of what `wasi:http` says.
    pub(super) fn of(error: &wstd::http::Error, timeout: Duration) -> Self {
        match error.downcast_ref::<ErrorCode>() {
            Some(ErrorCode::DnsError(_)) => Self::NoSuchHost,
            Some(ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable) => Self::Unavailable,
            Some(ErrorCode::ConnectionRefused) => Self::Refused,
            Some(ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited) => Self::Denied,
            Some(ErrorCode::ConnectionTimeout | ErrorCode::DnsTimeout | ErrorCode::ConnectionReadTimeout) => {
                Self::Timeout(timeout)
            }
            Some(ErrorCode::InternalError(Some(message))) => Self::Broken(message.clone()),
            _ => Self::Broken(format!("{error:#}")),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Refused | Self::Unavailable => Outcome::Unseen,
            Self::Timeout(_) | Self::Broken(_) => Outcome::Lost,
            Self::NoSuchHost | Self::Denied | Self::Invalid(_) => Outcome::Hopeless,
            Self::Status { .. } | Self::Unexpected(_) => Outcome::Hopeless,
        }
    }
}

struct Tries(u32);

impl Display for Tries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " ({} attempts)", self.0) } else { Ok(()) }
    }
}
