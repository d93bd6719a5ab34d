//! What a mapping calls: a function that is registered here, or one of AWS Lambda that is not.

use crate::FunctionName;
use crate::function::function_arn;
use crate::lambda::LambdaName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Names the function of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FunctionRef {
    /// A function that is registered here.
    Registered(FunctionName),
    /// A function of AWS Lambda that is not, and is reached by a connection.
    Lambda(LambdaFunction),
}

/// A function of AWS Lambda that a mapping names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LambdaFunction {
    /// Exactly as it was given; Lambda is called by it. See [`LambdaName`].
    pub given: Arc<str>,
    /// What Lambda told of it when the mapping named it; none before it was asked.
    pub found: Option<Arc<FoundFunction>>,
}

/// What Lambda tells of a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoundFunction {
    /// Its ARN, with the version or alias by which it is named, if it is.
    pub arn: Arc<str>,
    /// The ARN of its execution role, which is the `invokeIdentityArn` of its events; none if Lambda told of none.
    pub role: Option<Arc<str>>,
    /// How long Lambda lets it run, in ms.
    pub timeout_ms: u32,
}

impl LambdaFunction {
    /// A function that has not been looked for.
    #[must_use]
    pub fn named(given: &str) -> Self {
        Self {
            given: given.into(),
            found: None,
        }
    }
}

impl FunctionRef {
    /// Reads a bare name, or what Lambda takes for the name of a function; which of the two kinds a name is can change
    /// when it is looked for. None if it is neither, or longer than Lambda takes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(name) = FunctionName::new(text) {
            return Some(Self::Registered(name));
        }
        LambdaName::parse(text)
            .filter(|named| named.fits(text))
            .map(|_| Self::Lambda(LambdaFunction::named(text)))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Registered(name) => name.as_str(),
            Self::Lambda(function) => &function.given,
        }
    }

    /// Its ARN, with version or alias if it is named with one. What was not looked for has `*` for what its name leaves
    /// open.
    #[must_use]
    pub fn arn(&self) -> String {
        match self {
            Self::Registered(name) => function_arn(name),
            Self::Lambda(LambdaFunction { found: Some(f), .. }) => f.arn.to_string(),
            Self::Lambda(LambdaFunction { given, .. }) => {
                LambdaName::parse(given).map_or_else(|| given.to_string(), |named| named.qualified_arn())
            }
        }
    }

    /// The ARN of its execution role, where that is known.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Lambda(LambdaFunction { found: Some(f), .. }) => f.role.as_deref(),
            Self::Lambda(_) | Self::Registered(_) => None,
        }
    }

    /// Whether both are the same function, version and alias included: AWS maps a source to each once (semantics 2.3).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Registered(a), Self::Registered(b)) => a == b,
            (Self::Lambda(a), Self::Lambda(b)) => a.given == b.given || self.arn() == other.arn(),
            (Self::Registered(_), Self::Lambda(_)) | (Self::Lambda(_), Self::Registered(_)) => false,
        }
    }

    /// Whether `text` names it, by name or by a partial or whole ARN. Without version or alias it names none that has
    /// one (semantics 1).
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        let arn = self.arn();
        let (Some(own), Some(named)) = (LambdaName::parse(&arn), LambdaName::parse(text)) else {
            return self.as_str() == text;
        };
        let fits = |asked: Option<&str>, own| asked.is_none_or(|asked| Some(asked) == own);
        own.name == named.name
            && own.qualifier == named.qualifier
            && fits(named.partition, own.partition)
            && fits(named.region, own.region)
            && fits(named.account, own.account)
    }
}

impl From<FunctionName> for FunctionRef {
    fn from(name: FunctionName) -> Self {
        Self::Registered(name)
    }
}

impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(name: &str) -> FunctionRef {
        FunctionName::new(name).unwrap().into()
    }

    fn lambda(given: &str, arn: &str) -> FunctionRef {
        FunctionRef::Lambda(LambdaFunction {
            given: given.into(),
            found: Some(Arc::new(FoundFunction {
                arn: arn.into(),
                role: Some("arn:aws:iam::123456789012:role/r".into()),
                timeout_ms: 3_000,
            })),
        })
    }

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";

    #[test]
    fn a_bare_name_is_of_a_registered_function_until_it_is_looked_for() {
        let unknown = |text| FunctionRef::Lambda(LambdaFunction::named(text));
        for (text, expected) in [
            ("f", Some(registered("f"))),
            ("f.g", Some(unknown("f.g"))),
            ("f:live", Some(unknown("f:live"))),
            (ARN, Some(unknown(ARN))),
            ("a/b", None),
            ("", None),
        ] {
            assert_eq!(FunctionRef::parse(text), expected, "{text}");
        }
        assert_eq!(FunctionRef::parse(&"f".repeat(65)), None);
    }

    /// Mappings are stored so.
    #[test]
    fn stored_references_stay_readable() {
        for (stored, function) in [
            (r#""f""#, registered("f")),
            (
                r#"{"given":"f:live","found":{"arn":"arn:aws:lambda:eu-west-1:123456789012:function:f:live","role":"arn:aws:iam::123456789012:role/r","timeout_ms":3000}}"#,
                lambda("f:live", &format!("{ARN}:live")),
            ),
        ] {
            assert_eq!(serde_json::from_str::<FunctionRef>(stored).unwrap(), function);
            assert_eq!(serde_json::to_string(&function).unwrap(), stored);
        }
    }

    #[test]
    fn a_function_is_the_same_by_whatever_name() {
        let (bare, whole) = (lambda("f", ARN), lambda(ARN, ARN));
        let alias = lambda("f:live", &format!("{ARN}:live"));
        assert!(bare.is_same(&whole) && !bare.is_same(&alias));
        assert!(bare.is_same(&FunctionRef::Lambda(LambdaFunction::named("f"))));
        assert!(!bare.is_same(&registered("f")) && registered("f").is_same(&registered("f")));
    }

    #[test]
    fn a_listing_asks_by_name_or_arn() {
        let alias = format!("{ARN}:live");
        for (function, text, expected) in [
            (registered("f"), "f", true),
            (registered("f"), "f:live", false),
            (registered("f"), "g", false),
            (registered("f"), "000000000000:function:f", true),
            (registered("f"), ARN, false),
            (lambda("f", ARN), "f", true),
            (lambda("f", ARN), ARN, true),
            (lambda("f", ARN), "123456789012:f", true),
            (lambda("f", ARN), "000000000000:f", false),
            (lambda("f", ARN), "f:live", false),
            (lambda("f:live", &alias), "f:live", true),
            (lambda("f:live", &alias), &alias, true),
            (lambda("f:live", &alias), ARN, false),
        ] {
            assert_eq!(function.is_named_by(text), expected, "{function:?} {text}");
        }
    }
}
