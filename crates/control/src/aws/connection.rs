//! One connection: requests bounded in size and time, answered one after the other.

use super::error::{AwsError, Exception};
use super::route::{Operation, Query};
use super::serve::Services;
use super::{Answer, Result, door, functions, invoke, mappings, signature, sts, tags};
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Most bytes of a request's head.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Most bytes of a body: ten filters of 4,096 characters, however they are escaped, and all else.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most bytes of the payload of an invocation (AWS).
const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// How long a request's head may take, waiting for it included; longer than clients keep a connection for reuse.
const HEADER_WITHIN: Duration = Duration::from_secs(90);
/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long an answer may take, but for an invocation, which may take as long as the function.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long an invocation may take beyond the function's own limit.
const TO_ANSWER: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Serves a connection to its end; once `stop` is cancelled, to the end of the answer that is under way.
pub(super) async fn serve(stream: TcpStream, services: Arc<Services>, stop: CancellationToken) {
    // Without it small answers wait for acknowledgements; a failure costs only latency.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request: Request<Incoming>| {
        let services = services.clone();
        async move { Ok::<_, Infallible>(respond(request, &services).await) }
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WITHIN)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    // Whoever breaks off hears no more.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// An answer for every request, errors included.
async fn respond(request: Request<Incoming>, services: &Services) -> Answer {
    let request_id = services.manager.new_request_id().to_string();
    let is_sts = request.uri().path() == "/";
    let mut answer = match handle(request, services, &request_id).await {
        Ok(answer) => answer,
        Err(e) => {
            if e.exception == Exception::Service {
                tracing::warn!(request_id, error = %e.message, "a call of the AWS API failed");
            }
            if is_sts {
                sts::error(&e, &request_id)
            } else {
                e.answer()
            }
        }
    };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

async fn handle(request: Request<Incoming>, services: &Services, request_id: &str) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    door::check(&parts, &services.hosts)?;
    let operation = Operation::of(&parts)?;
    let is_invoke = matches!(operation, Operation::Invoke(_));
    // Payloads are large: only so many are in memory at once.
    let permit = if is_invoke {
        let busy = || AwsError::new(Exception::TooManyRequests, "Rate Exceeded.");
        Some(services.invocations.try_acquire().map_err(|_| busy())?)
    } else {
        None
    };
    let most = if is_invoke {
        MAX_PAYLOAD_BYTES
    } else {
        MAX_BODY_BYTES
    };
    let body = read(body, most).await?;
    let now = services.manager.now();
    signature::check(&parts, &body, operation.service(), &services.keys, now)?;
    let longest = if is_invoke {
        invoke::LONGEST + TO_ANSWER
    } else {
        ANSWER_WITHIN
    };
    let answer = timeout(longest, perform(operation, &parts, body, services, request_id)).await;
    drop(permit);
    answer.unwrap_or_else(|_| {
        Err(AwsError::new(
            Exception::Service,
            "the answer took too long: try again",
        ))
    })
}

async fn read(body: Incoming, most: usize) -> Result<Bytes> {
    let too_large = || {
        let message = format!("the body has more than {most} bytes");
        AwsError::new(Exception::RequestTooLarge, message)
    };
    let unread = |why: &str| {
        AwsError::new(
            Exception::Serialization,
            format!("the body could not be read: {why}"),
        )
    };
    let collected = timeout(BODY_WITHIN, Limited::new(body, most).collect())
        .await
        .map_err(|_| unread("it took too long"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(e) => Err(unread(&e.to_string())),
    }
}

async fn perform(
    operation: Operation,
    parts: &Parts,
    body: Bytes,
    services: &Services,
    request_id: &str,
) -> Result<Answer> {
    use Operation as O;
    let (manager, query) = (&services.manager, Query::of(parts)?);
    match operation {
        O::ListMappings => mappings::list(manager, query).await,
        O::ListTags(arn) => tags::list(manager, &arn, query).await,
        O::UntagResource(arn) => tags::remove(manager, &arn, query).await,
        O::ListFunctions => functions::list(manager, query).await,
        O::GetFunction(name) => functions::get(manager, &name, query).await,
        O::GetFunctionConfiguration(name) => functions::get_configuration(manager, &name, query).await,
        O::Invoke(name) => invoke::invoke(manager, &name, query, &parts.headers, body).await,
        without_query => {
            query.finish()?;
            match without_query {
                O::CreateMapping => mappings::create(manager, &body).await,
                O::GetMapping(id) => mappings::get(manager, &id).await,
                O::UpdateMapping(id) => mappings::update(manager, &id, &body).await,
                O::DeleteMapping(id) => mappings::delete(manager, &id).await,
                O::TagResource(arn) => tags::add(manager, &arn, &body).await,
                _ => sts::answer(&body, request_id),
            }
        }
    }
}
