//! Calls a function once.

use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::when;
use clap::Args;
use millstream_api::v1;
use std::time::Duration;
use v1::invoke_function_response::Outcome;

/// As long as a function may run, and its process may take to start.
const LONGEST: Duration = Duration::from_secs(900 + 300 + 20);

/// `invoke`.
#[derive(Args, Debug)]
pub(crate) struct Invoke {
    /// Which.
    name: String,
    /// The event, a JSON document; `-` reads it from standard input [default: {}].
    #[arg(long, short, value_name = "JSON", conflicts_with = "file")]
    payload: Option<String>,
    /// Reads the event from a file.
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
}

impl Invoke {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let payload = match (&self.payload, &self.file) {
            (Some(dash), _) if dash == "-" => input::whole("-")?,
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => input::whole(path)?,
            (None, None) => Vec::new(),
        };
        let name = session.name(Kind::Function, &self.name)?;
        let request = v1::InvokeFunctionRequest {
            name,
            payload: payload.into(),
        };
        let request = session.request_within(request, LONGEST);
        let answer = session.functions().invoke_function(request).await?.into_inner();
        self.show(session, &answer)
    }

    fn show(&self, session: &mut Session, answer: &v1::InvokeFunctionResponse) -> Result<(), CliError> {
        let took = when::short(when::std(answer.duration.as_ref()));
        match session.screen.format() {
            Format::Json => session.screen.line(&to_json(answer, true)?)?,
            Format::Yaml => session.screen.line(&to_yaml(answer)?)?,
            Format::Name => session.screen.line(&answer.request_id)?,
            Format::Table | Format::Wide => {
                if let Some(Outcome::Payload(bytes)) = &answer.outcome {
                    session.screen.bytes(bytes)?;
                    session.screen.line("")?;
                }
                session
                    .screen
                    .note(&format!("request {} took {took}", answer.request_id));
            }
        }
        match &answer.outcome {
            Some(Outcome::FunctionError(error)) => Err(CliError::failed(
                "FUNCTION_ERROR",
                format!(
                    "{} {}: {} ({})",
                    short(&self.name),
                    error
                        .kind()
                        .as_str_name()
                        .trim_start_matches("FUNCTION_ERROR_KIND_"),
                    error.message,
                    error.r#type
                ),
                format!("its output is in the server's log, tagged {}", answer.request_id),
            )),
            _ => Ok(()),
        }
    }
}
