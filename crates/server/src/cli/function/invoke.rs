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
use v1::function::Target;
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
        let name = request.name.clone();
        let request = session.request_within(request, LONGEST);
        let answer = session.functions().invoke_function(request).await?.into_inner();
        self.show(session, &answer)?;
        match &answer.outcome {
            Some(Outcome::FunctionError(error)) => {
                let output = output(session, name, &answer.request_id).await;
                Err(failed(&self.name, error, output))
            }
            _ => Ok(()),
        }
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
        Ok(())
    }
}

fn failed(name: &str, error: &v1::FunctionError, output: String) -> CliError {
    let kind = error.kind().as_str_name();
    let kind = kind.trim_start_matches("FUNCTION_ERROR_KIND_");
    let (message, of_type) = (&error.message, &error.r#type);
    CliError::failed(
        "FUNCTION_ERROR",
        format!("{} {kind}: {message} ({of_type})", short(name)),
        output,
    )
}

/// Where to look for what the function printed.
async fn output(session: &Session, name: String, request: &str) -> String {
    let asked = session.request(v1::GetFunctionRequest { name });
    let found = session.functions().get_function(asked).await.ok();
    match found.and_then(|function| function.into_inner().target) {
        Some(Target::Process(_)) => format!("its output is in the server's log, tagged {request}"),
        Some(Target::Http(http)) => {
            let url = http.url;
            format!(
                "look into the logs of what serves {url}; its header lambda-runtime-aws-request-id was {request}"
            )
        }
        Some(Target::Lambda(lambda)) => {
            let function = lambda.function;
            format!("look into the logs of {function} where it runs; its request had an id of its own there")
        }
        Some(Target::InProcess(_)) => format!("the program that embeds it knows the request as {request}"),
        // Gone meanwhile.
        None => format!("the request was {request}"),
    }
}
