//! Create, get, list, update, delete.

use super::settings::Settings;
use crate::cli::confirm::Confirm;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::output::Columns;
use crate::cli::paging;
use crate::cli::session::Session;
use crate::cli::when;
use clap::Args;
use millstream_api::v1;
use v1::function::Target;

/// The columns of functions.
pub(crate) const COLUMNS: Columns = Columns {
    narrow: &[
        "NAME",
        "TARGET",
        "TIMEOUT",
        "CONCURRENCY",
        "RUNNING",
        "PROCESSES",
        "CRASHED",
        "AGE",
    ],
    wide: &["STARTED", "INIT-TIMEOUT", "WORKING-DIR", "GENERATION", "ETAG"],
};

/// The cells of a function.
pub(crate) fn row(f: &v1::Function) -> Vec<String> {
    let pool = f.pool.unwrap_or_default();
    let process = match &f.target {
        Some(Target::Process(process)) => Some(process),
        _ => None,
    };
    let target = match &f.target {
        Some(Target::Process(process)) => process.command.join(" "),
        Some(Target::InProcess(_)) => "in-process".to_owned(),
        Some(Target::Http(http)) => http.url.clone(),
        Some(Target::Lambda(lambda)) => format!("lambda {}", lambda.function),
        None => String::new(),
    };
    vec![
        short(&f.name).to_owned(),
        target,
        when::short(when::std(f.timeout.as_ref())),
        f.concurrency().to_string(),
        pool.in_flight.to_string(),
        pool.processes.to_string(),
        pool.crashed.to_string(),
        when::age(f.create_time.as_ref()),
        pool.started.to_string(),
        process.map_or_else(String::new, |p| when::short(when::std(p.init_timeout.as_ref()))),
        process.map_or_else(String::new, |p| p.working_dir.clone()),
        f.generation.to_string(),
        f.etag.clone(),
    ]
}

/// `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What to call it: letters, digits, hyphens and underscores.
    name: String,
    #[command(flatten)]
    settings: Settings,
    /// Makes the command repeatable: with the same id a second run returns what the first one made.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Check everything, create nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Create {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        session.name(Kind::Function, &self.name)?;
        if !self.settings.has_target() {
            let create = format!("millstream function create {}", short(&self.name));
            return Err(CliError::usage(
                "neither a program nor a URL nor a function of Lambda is named",
                format!(
                    "put a program behind --, e.g. {create} -- ./bootstrap; or a URL, e.g. {create} --url http://127.0.0.1:8080/; or a function of AWS Lambda, e.g. {create} --lambda orders:live"
                ),
            ));
        }
        let mut function = v1::Function::default();
        self.settings.with_path().apply(&mut function)?;
        let request = v1::CreateFunctionRequest {
            parent: session.parent(),
            function_id: short(&self.name).to_owned(),
            function: Some(function),
            request_id: self.request_id.clone(),
            validate_only: self.dry_run,
        };
        let made = session
            .functions()
            .create_function(session.request(request))
            .await?
            .into_inner();
        done(session, &made, "created", self.dry_run)
    }
}

/// `get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Get {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let mut functions = Vec::new();
        for name in &self.names {
            let request = session.request(v1::GetFunctionRequest {
                name: session.name(Kind::Function, name)?,
            });
            functions.push(session.functions().get_function(request).await?.into_inner());
        }
        match &functions[..] {
            [one] => session.screen.show(one, &[&one.name], COLUMNS, [row(one)]),
            _ => list(session, functions),
        }
    }
}

/// `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Most functions to show; 0: all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

impl List {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (functions, more) = paging::collect(self.limit, |page_token| {
            let request = v1::ListFunctionsRequest {
                parent: session.parent(),
                page_size: paging::PAGE,
                page_token,
            };
            let request = session.request(request);
            let mut client = session.functions();
            async move {
                let page = client.list_functions(request).await?.into_inner();
                Ok((page.functions, page.next_page_token))
            }
        })
        .await?;
        list(session, functions)?;
        if more {
            session.screen.note("there are more: raise --limit");
        }
        Ok(())
    }
}

fn list(session: &mut Session, functions: Vec<v1::Function>) -> Result<(), CliError> {
    let rows: Vec<_> = functions.iter().map(row).collect();
    let response = v1::ListFunctionsResponse {
        functions,
        next_page_token: String::new(),
    };
    let names: Vec<&str> = response.functions.iter().map(|f| f.name.as_str()).collect();
    session.screen.show(&response, &names, COLUMNS, rows)
}

/// `update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Which.
    name: String,
    #[command(flatten)]
    settings: Settings,
    /// Change only this version.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Check everything, change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Update {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let mut function = v1::Function {
            name: session.name(Kind::Function, &self.name)?,
            etag: self.etag.clone(),
            ..Default::default()
        };
        let paths = self.settings.apply(&mut function)?;
        if paths.is_empty() {
            return Err(CliError::usage(
                "nothing to change",
                "name settings, e.g. --timeout 30s; --help lists them",
            ));
        }
        let request = v1::UpdateFunctionRequest {
            function: Some(function),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.into_iter().map(str::to_owned).collect(),
            }),
            validate_only: self.dry_run,
        };
        let changed = session
            .functions()
            .update_function(session.request(request))
            .await?
            .into_inner();
        done(session, &changed, "updated", self.dry_run)
    }
}

/// `restart`.
#[derive(Args, Debug)]
pub(crate) struct Restart {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// Only if this is its version; with one name.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

impl Restart {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        for name in &self.names {
            let request = session.request(v1::RestartFunctionRequest {
                name: session.name(Kind::Function, name)?,
                etag: self.etag.clone(),
            });
            let restarted = session.functions().restart_function(request).await?.into_inner();
            done(session, &restarted, "restarted", false)?;
        }
        Ok(())
    }
}

/// `delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// Only if this is its version; with one name.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Check everything, delete nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Delete {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if !self.dry_run {
            self.confirm
                .ask(&format!("delete function {}", self.names.join(", ")))?;
        }
        for name in &self.names {
            let name = session.name(Kind::Function, name)?;
            let request = v1::DeleteFunctionRequest {
                name: name.clone(),
                etag: self.etag.clone(),
                validate_only: self.dry_run,
            };
            session
                .functions()
                .delete_function(session.request(request))
                .await?;
            let dry = if self.dry_run {
                " (dry run: nothing was changed)"
            } else {
                ""
            };
            session
                .screen
                .gone(&name, &format!("function {} deleted{dry}", short(&name)))?;
        }
        Ok(())
    }
}

fn done(session: &mut Session, function: &v1::Function, what: &str, dry_run: bool) -> Result<(), CliError> {
    let dry = if dry_run {
        " (dry run: nothing was changed)"
    } else {
        ""
    };
    let sentence = format!("function {} {what}{dry}", short(&function.name));
    session.screen.did(function, &function.name, &sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fits_its_columns() {
        let function = v1::Function {
            name: "namespaces/default/functions/totals".to_owned(),
            target: Some(Target::Process(v1::ProcessTarget {
                command: vec!["python3".to_owned(), "totals.py".to_owned()],
                ..Default::default()
            })),
            timeout: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
            concurrency: Some(10),
            ..Default::default()
        };
        let cells = row(&function);
        assert_eq!(cells.len(), COLUMNS.narrow.len() + COLUMNS.wide.len());
        assert_eq!(cells[..4], ["totals", "python3 totals.py", "3s", "10"]);
        let url = "http://127.0.0.1:8080/events";
        let served = v1::Function {
            target: Some(Target::Http(v1::HttpTarget { url: url.to_owned() })),
            ..function
        };
        assert_eq!(row(&served)[1], url);
        let elsewhere = v1::Function {
            target: Some(Target::Lambda(v1::LambdaTarget {
                function: "orders:live".to_owned(),
            })),
            ..served
        };
        assert_eq!(row(&elsewhere)[1], "lambda orders:live");
    }
}
