//! Names of functions as AWS Lambda takes them.

/// Longest text that names a function, in characters: AWS's own limit.
pub const MAX_LAMBDA_NAME: usize = 256;
/// Longest bare name, in characters.
const MAX_BARE_NAME: usize = 64;

/// What names a function: a bare name, a partial or a whole ARN, each with or without a version or an alias. Borrowed
/// from the text, which is what Lambda is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LambdaName<'a> {
    /// The partition, e.g. `aws`; empty as AWS's expression allows it.
    pub partition: Option<&'a str>,
    /// The region, e.g. `us-east-1`.
    pub region: Option<&'a str>,
    /// The account, 12 digits.
    pub account: Option<&'a str>,
    /// The bare name.
    pub name: &'a str,
    /// Version or alias, or `$LATEST`.
    pub qualifier: Option<&'a str>,
}

impl<'a> LambdaName<'a> {
    /// Reads it; none if it has none of the forms. Lengths are not looked at.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (mut partition, mut rest) = (None, text);
        if let Some(arn) = text.strip_prefix("arn:") {
            let (before, after) = arn.split_once(':')?;
            let letters = |p: &str| p.bytes().all(|c| c.is_ascii_alphabetic() || c == b'-');
            let known = before.is_empty() || before.strip_prefix("aws").is_some_and(letters);
            rest = after.strip_prefix("lambda:").filter(|_| known)?;
            partition = Some(before);
        }
        let mut parts: Vec<&str> = rest.split(':').collect();
        let mut take = |is: fn(&str) -> bool| (parts.len() > 1 && is(parts[0])).then(|| parts.remove(0));
        let region = take(is_region);
        let account = take(is_account);
        take(|part| part == "function");
        let (name, qualifier) = match parts[..] {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return None,
        };
        let qualified =
            qualifier.is_none_or(|q| matches!(q, "$LATEST" | "$LATEST.PUBLISHED") || is_word(q, b""));
        (is_word(name, b".") && qualified).then_some(Self {
            partition,
            region,
            account,
            name,
            qualifier,
        })
    }

    /// Whether every part is as long as Lambda takes it, `text` being the whole.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let whole = self.partition.is_some() || self.region.is_some() || self.account.is_some();
        text.len() <= MAX_LAMBDA_NAME && (whole || self.name.len() <= MAX_BARE_NAME)
    }

    /// The ARN of the function, without version or alias, by which its connection is found. Parts that are not named
    /// stand as `*`, and so only fit a pattern that leaves them open.
    #[must_use]
    pub fn arn(&self) -> String {
        format!(
            "arn:{}:lambda:{}:{}:function:{}",
            self.partition.filter(|p| !p.is_empty()).unwrap_or("aws"),
            self.region.unwrap_or("*"),
            self.account.unwrap_or("*"),
            self.name
        )
    }

    /// The same with the version or alias, if one is named.
    #[must_use]
    pub fn qualified_arn(&self) -> String {
        let qualifier = self.qualifier.map_or_else(String::new, |q| format!(":{q}"));
        self.arn() + &qualifier
    }
}

fn is_word(text: &str, more: &[u8]) -> bool {
    let ok = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_' || more.contains(&c);
    !text.is_empty() && text.bytes().all(ok)
}

/// Whether it is the number of an account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit())
}

/// Whether it is the name of a region by the expression of AWS: `us-east-1`, `us-gov-west-1`, `us-iso-east-1`,
/// `us-isob-east-1`, `eusc-de-east-1`.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let text = text.strip_prefix("eusc-").unwrap_or(text);
    let Some((country, rest)) = text.split_at_checked(2) else {
        return false;
    };
    let place = |rest: &str| {
        let name = rest.strip_prefix('-').and_then(|r| r.rsplit_once('-'));
        name.is_some_and(|(name, digit)| {
            !name.is_empty()
                && name.bytes().all(|c| c.is_ascii_lowercase())
                && digit.len() == 1
                && digit.bytes().all(|c| c.is_ascii_digit())
        })
    };
    let iso = rest.strip_prefix("-iso").is_some_and(|rest| {
        place(rest) || rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.get(1..).is_some_and(place)
    });
    country.bytes().all(|c| c.is_ascii_lowercase())
        && (place(rest) || rest.strip_prefix("-gov").is_some_and(place) || iso)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_what_is_named_of_its_arn() {
        for (text, arn) in [
            ("f", "arn:aws:lambda:*:*:function:f"),
            ("f:live", "arn:aws:lambda:*:*:function:f"),
            (
                "123456789012:function:f",
                "arn:aws:lambda:*:123456789012:function:f",
            ),
            (
                "eu-west-1:123456789012:function:f:7",
                "arn:aws:lambda:eu-west-1:123456789012:function:f",
            ),
            (
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:f:$LATEST",
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:f",
            ),
        ] {
            assert_eq!(LambdaName::parse(text).unwrap().arn(), arn, "{text}");
        }
        for text in [
            "",
            "a b",
            "f:a:b",
            "arn:aws:sqs:us-east-1:123456789012:f",
            "f:$OLDEST",
        ] {
            assert_eq!(LambdaName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_as_long_as_lambda_takes_them() {
        let long = "f".repeat(65);
        let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:{long}");
        for (text, fits) in [
            (&long[..64], true),
            (&long, false),
            (&arn, true),
            (&format!("{arn}:{}", "v".repeat(200)), false),
        ] {
            assert_eq!(LambdaName::parse(text).unwrap().fits(text), fits, "{text}");
        }
    }
}
