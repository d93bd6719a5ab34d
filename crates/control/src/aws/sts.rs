//! STS' `GetCallerIdentity`, which clients call to learn which account they work in. Its protocol is older than
//! Lambda's: a form in, XML out.

use super::error::{AwsError, Exception};
use super::route::decode;
use super::{Answer, Result};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use millstream_types::arn::LOCAL_ACCOUNT;

const VERSION: &str = "2011-06-15";

/// The answer to a form.
pub(super) fn answer(body: &[u8], request_id: &str) -> Result<Answer> {
    let text = String::from_utf8_lossy(body);
    let mut action = None;
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
        match (name, value) {
            ("Action", Some(value)) => action = Some(value),
            ("Version", Some(value)) if value == VERSION => {}
            _ => {
                let name: String = pair.chars().take(128).collect();
                return Err(AwsError::new(
                    Exception::UnknownOperation,
                    format!("The parameter {name} is not known to GetCallerIdentity of version {VERSION}"),
                ));
            }
        }
    }
    match action.as_deref() {
        Some("GetCallerIdentity") => Ok(xml(StatusCode::OK, identity(request_id))),
        other => {
            let action: String = other.unwrap_or("none").chars().take(128).collect();
            let message =
                format!("The action {action} is not served: of STS there is GetCallerIdentity only");
            Err(AwsError::new(Exception::UnknownOperation, message))
        }
    }
}

fn identity(request_id: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{LOCAL_ACCOUNT}:root</Arn><UserId>{LOCAL_ACCOUNT}</UserId><Account>{LOCAL_ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    )
}

/// An error in the words of STS.
pub(super) fn error(e: &AwsError, request_id: &str) -> Answer {
    let kind = if e.status().is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><Error><Type>{kind}</Type><Code>{}</Code>\
         <Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        e.exception.sts_code(),
        escaped(&e.message)
    );
    xml(e.status(), body)
}

fn xml(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    answer
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn the_identity_is_the_local_account() {
        let answer = answer(b"Action=GetCallerIdentity&Version=2011-06-15", "r").unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("<Account>000000000000</Account>"), "{text}");
        for form in [
            "Action=AssumeRole&Version=2011-06-15",
            "",
            "Action=GetCallerIdentity&X=1",
        ] {
            assert_eq!(
                super::answer(form.as_bytes(), "r").unwrap_err().exception,
                Exception::UnknownOperation
            );
        }
    }

    #[tokio::test]
    async fn errors_are_escaped() {
        let e = AwsError::new(Exception::InvalidSignature, "<a> & \u{7}");
        let answer = error(&e, "r");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains("<Code>SignatureDoesNotMatch</Code><Message>&lt;a&gt; &amp;  </Message>"),
            "{text}"
        );
    }
}
