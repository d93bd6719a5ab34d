//! `millstream health`: the question that probes and scripts ask, answered by the exit code.

use super::error::{CliError, exit};
use super::output::Format;
use super::session::{Session, SessionArgs};
use clap::Args;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

/// Everything behind `millstream health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    session: SessionArgs,
}

/// Asks for the health of the server as a whole, and prints it.
///
/// # Errors
/// With the exit code for "unavailable" unless the server says that it serves.
pub(crate) async fn run(args: HealthArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    // The empty name stands for all services.
    let request = session.request(HealthCheckRequest {
        service: String::new(),
    });
    let status = session.health().check(request).await?.into_inner().status();
    verdict(status)?;
    session.screen.line(&shown(session.screen.format(), status))
}

fn shown(format: Format, status: ServingStatus) -> String {
    let word = status.as_str_name();
    match format {
        Format::Table | Format::Wide | Format::Name => word.to_owned(),
        Format::Json => format!("{{\"status\": \"{word}\"}}"),
        Format::Yaml => format!("status: {word}"),
    }
}

fn verdict(status: ServingStatus) -> Result<(), CliError> {
    match status {
        ServingStatus::Serving => Ok(()),
        other => Err(CliError::Other {
            code: exit::UNAVAILABLE,
            reason: other.as_str_name(),
            message: "the server answers, but does not serve".to_owned(),
            next: "it starts or stops, or its log says what is wrong".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_healthy() {
        for (status, code) in [
            (ServingStatus::Serving, None),
            (ServingStatus::NotServing, Some(5)),
            (ServingStatus::Unknown, Some(5)),
            (ServingStatus::ServiceUnknown, Some(5)),
        ] {
            assert_eq!(verdict(status).err().map(|e| e.exit_code()), code, "{status:?}");
        }
    }

    #[test]
    fn every_form_of_output_is_honoured() {
        for (format, want) in [
            (Format::Table, "SERVING"),
            (Format::Json, r#"{"status": "SERVING"}"#),
            (Format::Yaml, "status: SERVING"),
        ] {
            assert_eq!(shown(format, ServingStatus::Serving), want);
        }
    }
}
