//! `millstream env`: the variables by which clients of AWS find this server.

use super::config::ConfigFlags;
use super::error::{CliError, exit};
use super::output::{Format, Screen};
use clap::Args;
use std::net::SocketAddr;

/// Everything behind `millstream env`.
#[derive(Args, Debug)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    flags: ConfigFlags,
}

/// Prints `export` lines for a shell, from the settings that a server would start with.
///
/// # Errors
/// If the settings are wrong, or leave open where the server listens.
pub(crate) fn run(args: EnvArgs) -> Result<(), CliError> {
    let (_, config) = args.flags.read()?;
    let mut screen = Screen::new(Format::Table, false);
    let addr = config.aws_addr.filter(|addr| addr.port() != 0);
    let addr = addr.ok_or_else(|| CliError::Other {
        code: exit::USAGE,
        reason: "NO_AWS_ADDR",
        message: "the AWS API is off, or its port is chosen when the server starts".to_owned(),
        next: "name the port by --aws-addr, for this command and for the server".to_owned(),
    })?;
    lines(addr).iter().try_for_each(|line| screen.line(line))
}

fn lines(addr: SocketAddr) -> Vec<String> {
    let url = |service: &str| format!("export AWS_ENDPOINT_URL_{service}=http://{addr}");
    vec![
        url("LAMBDA"),
        url("STS"),
        "# AWS clients also want a region and credentials: AWS_DEFAULT_REGION=us-east-1, and any, or one of the server's aws_keys"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_variable() {
        let lines = lines(SocketAddr::from(([127, 0, 0, 1], 7401)));
        assert_eq!(
            &lines[..2],
            [
                "export AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:7401",
                "export AWS_ENDPOINT_URL_STS=http://127.0.0.1:7401"
            ]
        );
        assert!(lines[2].starts_with("# "));
    }
}
