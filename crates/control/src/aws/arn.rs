//! The forms of names that AWS's model describes by regular expressions: ARNs, regions, and what names a function.

use millstream_types::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use millstream_types::lambda::{LambdaName, is_account, is_region};

/// AWS's expression for ARNs, of which [`is_arn`] tells.
pub(super) const ARN: &str = r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
/// AWS's expression for what names a function, of which [`NamedFunction::parse`] tells.
pub(super) const FUNCTION: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";

/// Whether it is an ARN by AWS's expression.
pub(super) fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else {
        return false;
    };
    let word = |s: &str| s.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    partition.strip_prefix("aws").is_some_and(word)
        && !service.is_empty()
        && word(service)
        && (region.is_empty() || is_region(region))
        && (account.is_empty() || is_account(account))
        && !resource.contains('\n')
}

/// The service part of an ARN.
pub(super) fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// What names a function: a bare name, a partial or a whole ARN, each with or without a qualifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedFunction {
    /// Whether partition, region and account, where given, are ours.
    pub(super) is_local: bool,
    pub(super) name: String,
    /// Version or alias.
    pub(super) qualifier: Option<String>,
}

impl NamedFunction {
    /// Reads it; none if it has none of the forms.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let named = LambdaName::parse(text)?;
        let is = |part: Option<&str>, ours| part.is_none_or(|part| part == ours);
        Some(Self {
            is_local: is(named.partition, "aws")
                && is(named.region, LOCAL_REGION)
                && is(named.account, LOCAL_ACCOUNT),
            name: named.name.to_owned(),
            qualifier: named.qualifier.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_and_regions() {
        for (text, expected) in [
            ("arn:aws:kinesis:us-east-1:000000000000:stream/s", true),
            ("arn:aws-cn:sqs:cn-north-1:000000000000:q", true),
            ("arn:aws:sqs:us-gov-west-1:000000000000:q", true),
            ("arn:aws:sqs:us-iso-east-1:000000000000:q", true),
            ("arn:aws:sqs:us-isob-east-1:000000000000:q", true),
            ("arn:aws:sqs:eusc-de-east-1:000000000000:q", true),
            ("arn:aws:s3:::bucket", true),
            ("arn:aws:sqs:us-east-1:1:q", false),
            ("arn:aws:sqs:useast1:000000000000:q", false),
            ("arn:aws:sqs:us-east-12:000000000000:q", false),
            ("arn:aws:sqs:us-isobb-east-1:000000000000:q", false),
            ("arn:azure:sqs:us-east-1:000000000000:q", false),
            ("q", false),
            ("", false),
        ] {
            assert_eq!(is_arn(text), expected, "{text}");
        }
    }

    #[test]
    fn a_function_is_named_in_many_ways() {
        let found = |name: &str, qualifier: Option<&str>, is_local| {
            Some(NamedFunction {
                is_local,
                name: name.to_owned(),
                qualifier: qualifier.map(str::to_owned),
            })
        };
        for (text, expected) in [
            ("f", found("f", None, true)),
            ("f:1", found("f", Some("1"), true)),
            ("f:$LATEST", found("f", Some("$LATEST"), true)),
            ("f:$LATEST.PUBLISHED", found("f", Some("$LATEST.PUBLISHED"), true)),
            ("function:f", found("f", None, true)),
            ("function", found("function", None, true)),
            ("000000000000:function:f", found("f", None, true)),
            ("000000000000:f", found("f", None, true)),
            ("111111111111:function:f", found("f", None, false)),
            ("us-east-1:000000000000:function:f", found("f", None, true)),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:f",
                found("f", None, true),
            ),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:f:live",
                found("f", Some("live"), true),
            ),
            (
                "arn:aws:lambda:eu-west-1:000000000000:function:f",
                found("f", None, false),
            ),
            (
                "arn:aws-cn:lambda:us-east-1:000000000000:function:f",
                found("f", None, false),
            ),
            ("arn:aws:sqs:us-east-1:000000000000:f", None),
            ("f:$OLDEST", None),
            ("f:a:b", None),
            ("a/b", None),
            ("", None),
        ] {
            assert_eq!(NamedFunction::parse(text), expected, "{text}");
        }
    }
}
