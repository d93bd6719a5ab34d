//! The AWS-compatible HTTP API: Lambda's event source mappings, and what its clients call on the way.
//!
//! | path | methods |
//! |---|---|
//! | `/2015-03-31/event-source-mappings` | POST create, GET list |
//! | `/2015-03-31/event-source-mappings/{UUID}` | GET, PUT update, DELETE |
//! | `/2017-03-31/tags/{ARN}` | GET list, POST add, DELETE remove: of mappings and functions |
//! | `/2015-03-31/functions` | GET list |
//! | `/2015-03-31/functions/{FunctionName}` | GET |
//! | `/2015-03-31/functions/{FunctionName}/configuration` | GET |
//! | `/2015-03-31/functions/{FunctionName}/invocations` | POST invoke |
//! | `/` | POST of STS' `GetCallerIdentity` |
//!
//! Everything is in the namespace `default`. A request passes the `door` (is it from a browser, is it meant for this
//! host), the `signature` (if access keys are configured), and the `route`; its members are read (`members`, `request`),
//! checked against AWS's model (`constraint`, `model`), then against the rules that need to know the kind of source
//! (`source`, `rules`), and only then handed to the [`Manager`], which has the rest of the rules. Answers and errors
//! have AWS's shapes (`shape`, `error`). HTTP and JSON types of AWS never leave this module.

mod arn;
mod connection;
mod constraint;
mod door;
mod error;
mod functions;
mod invoke;
mod keys;
mod mappings;
mod members;
mod model;
mod paging;
mod request;
mod route;
mod rules;
mod serve;
mod shape;
mod signature;
mod source;
mod sts;
mod tags;

pub use keys::{AccessKeys, InvalidKeys};
pub use serve::{AwsOptions, AwsServeError, AwsServer};

use error::AwsError;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use millstream_types::Namespace;
use serde_json::Value;

type Answer = Response<Full<Bytes>>;
type Result<T, E = AwsError> = std::result::Result<T, E>;

/// Where everything of this API lives.
fn namespace() -> Namespace {
    Namespace::default()
}

/// An answer with a JSON body.
fn json(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// An answer without a body.
fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}
