//! AWS Lambda where no connection leads to it.

use async_trait::async_trait;
use millstream_ports::{FindError, FindFunction};
use millstream_types::FoundFunction;
use millstream_types::lambda::LambdaName;

/// Knows no function.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLambda;

#[async_trait]
impl FindFunction for NoLambda {
    async fn find(&self, given: &str) -> Result<FoundFunction, FindError> {
        let arn = LambdaName::parse(given).map_or_else(|| given.to_owned(), |named| named.arn());
        Err(FindError::NotServed(arn))
    }
}
