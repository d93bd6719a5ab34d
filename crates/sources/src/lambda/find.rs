//! What Lambda tells of a function that is not registered here.

use crate::connection::{Fault, FaultKind};
use aws_sdk_lambda::Client;
use millstream_ports::{FindError, SourceError};
use millstream_types::lambda::LambdaName;
use millstream_types::{FoundFunction, LambdaFunction};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const OPERATION: &str = "GetFunctionConfiguration";
/// Lambda's own default, where it does not tell.
const DEFAULT_TIMEOUT_MS: u32 = 3_000;
/// How long Lambda may take to tell a timeout while an answer is late.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Asks for the function that `given` names, with this version or alias.
pub(super) async fn look(
    client: &Client,
    given: &str,
    qualifier: Option<&str>,
) -> Result<FoundFunction, FindError> {
    let asked = client.get_function_configuration().function_name(given);
    let told = asked
        .send()
        .await
        .map_err(|e| of_fault(Fault::of(OPERATION, &e)))?;
    let arn = told.function_arn.as_deref().and_then(LambdaName::parse);
    let arn = arn.ok_or_else(|| FindError::Refused(format!("{OPERATION}: the answer has no ARN")))?;
    // With the qualifier as it was asked for: not every server repeats it.
    let arn = LambdaName { qualifier, ..arn }.qualified_arn();
    let seconds = told.timeout.and_then(|s| u32::try_from(s).ok());
    Ok(FoundFunction {
        arn: arn.into(),
        role: told.role.filter(|role| !role.is_empty()).map(Into::into),
        timeout_ms: seconds.map_or(DEFAULT_TIMEOUT_MS, |s| s.saturating_mul(1_000)),
    })
}

fn of_fault(fault: Fault) -> FindError {
    match fault.kind {
        FaultKind::Gone => FindError::NotFound(fault.text),
        FaultKind::Denied | FaultKind::Refused => FindError::Refused(fault.text),
        FaultKind::Throttled | FaultKind::Unavailable => FindError::Unavailable(fault.text),
    }
}

/// A function that no client can be made for.
pub(super) fn unserved(e: SourceError) -> FindError {
    match e {
        SourceError::NotServed(arn) => FindError::NotServed(arn),
        other => FindError::Refused(other.to_string()),
    }
}

/// The timeout of a function, as Lambda told it last.
pub(super) struct Known(AtomicU32);

impl Known {
    /// As it was when the mapping named it.
    pub(super) fn of(function: &LambdaFunction) -> Self {
        let told = function
            .found
            .as_ref()
            .map_or(DEFAULT_TIMEOUT_MS, |f| f.timeout_ms);
        Self(AtomicU32::new(told))
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).into())
    }

    /// Asks what it is now; without an answer it stays.
    pub(super) async fn ask_again(&self, client: &Client, given: &str) {
        if let Ok(Ok(found)) = timeout(ASK_WITHIN, look(client, given, None)).await {
            self.0.store(found.timeout_ms, Ordering::Relaxed);
        }
    }
}
