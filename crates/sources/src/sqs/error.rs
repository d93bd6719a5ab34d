//! What faults of SQS are to the engine.

use crate::connection::{Fault, FaultKind};
use millstream_ports::{EntryError, SourceError};

/// A call for a whole queue failed.
pub(super) fn source_error(arn: &str, fault: Fault) -> SourceError {
    match fault.kind {
        FaultKind::Gone => SourceError::NoSuchQueue { arn: arn.to_owned() },
        FaultKind::Throttled => SourceError::Throttled(format!("{arn} ({fault})")),
        FaultKind::Denied | FaultKind::Refused => SourceError::Refused(format!("{arn}: {fault}")),
        FaultKind::Unavailable => SourceError::Unavailable(format!("{arn}: {fault}")),
    }
}

/// A call with an answer for each entry failed as a whole: nothing is known of any of them.
pub(super) fn entry_error(arn: &str, fault: Fault) -> EntryError {
    EntryError::Unavailable(source_error(arn, fault).to_string())
}

/// One entry failed. What is said of its receipt holds for ever; anything else may be over soon.
pub(super) fn failed_entry(code: &str, message: Option<&str>) -> EntryError {
    let text = match message {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    let plain = code.rsplit('.').next().unwrap_or(code);
    match plain {
        "ReceiptHandleIsInvalid" | "InvalidParameterValue" | "MessageNotInflight" | "InvalidIdFormat" => {
            EntryError::Receipt(text)
        }
        _ => EntryError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_what_the_engine_knows() {
        let fault = |kind| Fault {
            kind,
            code: None,
            text: "ReceiveMessage: said".to_owned(),
        };
        for (kind, is_retryable, text) in [
            (FaultKind::Gone, false, "The specified queue does not exist."),
            (
                FaultKind::Throttled,
                true,
                "arn:q (ReceiveMessage: said) throttles reading",
            ),
            (
                FaultKind::Denied,
                false,
                "the source refuses: arn:q: ReceiveMessage: said",
            ),
            (
                FaultKind::Refused,
                false,
                "the source refuses: arn:q: ReceiveMessage: said",
            ),
            (FaultKind::Unavailable, true, "arn:q: ReceiveMessage: said"),
        ] {
            let e = source_error("arn:q", fault(kind));
            assert_eq!(e.retryable(), is_retryable, "{kind:?}");
            assert!(e.to_string().contains(text), "{e}");
            assert!(matches!(
                entry_error("arn:q", fault(kind)),
                EntryError::Unavailable(_)
            ));
        }
    }

    #[test]
    fn only_what_is_said_of_a_receipt_is_final() {
        for (code, is_final) in [
            ("ReceiptHandleIsInvalid", true),
            ("AWS.SimpleQueueService.MessageNotInflight", true),
            ("InvalidParameterValue", true),
            ("InternalError", false),
            ("ServiceUnavailable", false),
            ("RequestThrottled", false),
            ("SomethingNew", false),
        ] {
            let e = failed_entry(code, Some("why"));
            assert_eq!(matches!(e, EntryError::Receipt(_)), is_final, "{code}");
            assert!(e.to_string().contains("why"));
        }
    }
}
