//! Which function a mapping means by a name: one that is registered here, or one of AWS Lambda.

use super::Manager;
use super::error::{self, ManageError};
use millstream_ports::{CatalogError, FindError};
use millstream_types::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use millstream_types::lambda::LambdaName;
use millstream_types::{FunctionName, FunctionRef, LambdaFunction, MappingSpec, Namespace, SourceArn};
use std::time::Duration;

const FIELD: &str = "function";
const ALLOWED: &str = "the name of a registered function, or what names a function of AWS Lambda that a connection serves: \
                       a name, an ARN or a part of one, with or without a version or an alias";

/// A function that a mapping may call.
pub(super) struct Resolved {
    /// What the mapping is to keep.
    pub(super) function: FunctionRef,
    /// How long it may run.
    pub(super) timeout: Duration,
}

impl Manager {
    /// Looks for a function: among those that are registered, and then in AWS Lambda, over the connection that serves it.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] if there is none; [`ManageError::Unavailable`] if Lambda does not answer; the catalog's.
    pub(super) async fn resolve(
        &self,
        namespace: &Namespace,
        asked: &FunctionRef,
    ) -> Result<Resolved, ManageError> {
        if let Some((name, qualifier)) = registered_name(asked) {
            match self.ports.catalog.function(namespace, &name).await {
                Ok(function) if is_newest(qualifier) => {
                    return match qualifier {
                        Some(_) => Err(unversioned(asked)),
                        None => Ok(Resolved {
                            timeout: Duration::from_millis(function.spec.timeout_ms.into()),
                            function: function.name.into(),
                        }),
                    };
                }
                Ok(_) | Err(CatalogError::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let given = asked.as_str();
        let found = self
            .ports
            .lambda
            .find(given)
            .await
            .map_err(|e| of_find(&e, asked))?;
        Ok(Resolved {
            timeout: Duration::from_millis(found.timeout_ms.into()),
            function: FunctionRef::Lambda(LambdaFunction {
                given: given.into(),
                found: Some(found.into()),
            }),
        })
    }

    /// Checks that a function exists, and that a queue it is to be called for hides messages for as long as it may run.
    /// A change of a mapping checks it of a function that it had not named before.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] with all broken rules, or the catalog's.
    pub async fn check_function_of(
        &self,
        namespace: &Namespace,
        source: &SourceArn,
        function: &FunctionRef,
    ) -> Result<(), ManageError> {
        let found = self.resolve(namespace, function).await;
        self.check_timeout(namespace, source, found.map(|f| f.timeout))
            .await
    }

    /// Checks that a queue hides messages for as long as the function may run that was looked for.
    pub(super) async fn check_timeout(
        &self,
        namespace: &Namespace,
        source: &SourceArn,
        timeout: Result<Duration, ManageError>,
    ) -> Result<(), ManageError> {
        let mut broken = Vec::new();
        let timeout = error::note(timeout, &mut broken)?;
        if source.kind().is_queue() {
            let fits = self.require_queue(namespace, source, timeout);
            error::note(fits.await, &mut broken)?;
        }
        error::all(broken)
    }
}

/// Puts what was found of a function that an update names in its place; how long it may run. One that is named as before
/// stays what it was when it cannot be looked for, as the update does not depend on it; and when the same name means one of
/// the other kind by now, registered here or of Lambda: nobody asked for that.
pub(super) fn settle_function(
    old: &MappingSpec,
    new: &mut MappingSpec,
    named: Option<&Result<Resolved, ManageError>>,
) -> Result<Duration, ManageError> {
    let as_before = new.function.as_str() == old.function.as_str();
    match named {
        Some(Ok(found)) if as_before && !is_of_kind(&found.function, &old.function) => {
            new.function = old.function.clone();
            Ok(Duration::ZERO)
        }
        Some(Ok(found)) => {
            new.function = found.function.clone();
            Ok(found.timeout)
        }
        Some(Err(_)) if as_before => {
            new.function = old.function.clone();
            Ok(Duration::ZERO)
        }
        Some(Err(e)) => Err(e.clone()),
        None => Ok(Duration::ZERO),
    }
}

/// The name that a registered function would have by which this is meant, and the version or alias that is asked for.
fn registered_name(asked: &FunctionRef) -> Option<(FunctionName, Option<&str>)> {
    let given = match asked {
        FunctionRef::Registered(name) => return Some((name.clone(), None)),
        FunctionRef::Lambda(function) => &function.given,
    };
    let named = LambdaName::parse(given)?;
    let ours = |part: Option<&str>, ours| part.is_none_or(|part| part == ours);
    let is_local = ours(named.partition, "aws")
        && ours(named.region, LOCAL_REGION)
        && ours(named.account, LOCAL_ACCOUNT);
    let name = FunctionName::new(named.name).ok().filter(|_| is_local)?;
    Some((name, named.qualifier))
}

/// A registered function has its newest version only.
fn is_newest(qualifier: Option<&str>) -> bool {
    matches!(qualifier, None | Some("$LATEST" | "$LATEST.PUBLISHED"))
}

fn unversioned(asked: &FunctionRef) -> ManageError {
    let allowed = "a function without a qualifier: functions have no versions here";
    let message = format!("function '{asked}' is not valid: {allowed}");
    ManageError::violation(FIELD, asked.as_str(), allowed, &message)
}

fn of_find(e: &FindError, asked: &FunctionRef) -> ManageError {
    let message = match e {
        // AWS's words (semantics 2.3); a bare name says nothing of connections.
        FindError::NotServed(_) if matches!(asked, FunctionRef::Registered(_)) => {
            "Function does not exist".to_owned()
        }
        FindError::NotServed(_) | FindError::NotFound(_) => format!("Function does not exist: {e}"),
        FindError::Refused(_) => format!("function '{asked}' cannot be used: {e}"),
        FindError::Unavailable(_) => {
            return ManageError::Unavailable {
                message: format!("function {asked} cannot be looked for now: {e}"),
                retry_after: None,
            };
        }
    };
    ManageError::violation(FIELD, asked.as_str(), ALLOWED, &message)
}

/// Whether both are registered here, or both of Lambda.
fn is_of_kind(a: &FunctionRef, b: &FunctionRef) -> bool {
    matches!(a, FunctionRef::Registered(_)) == matches!(b, FunctionRef::Registered(_))
}
