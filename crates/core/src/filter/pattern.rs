//! From the text of a pattern to its branches: what follows of `$or` multiplied out, so that each branch is a list of
//! fields which must all be as wanted. The engine behind AWS's filters does the same, and it is what makes "two fields of
//! the same array element" exact over an `$or`.

use super::json::{self, Json};
use super::op::{Bounds, Op, number};
use super::{Shape, address::Network, wildcard::Wildcard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most branches of one pattern (EventBridge: most combinations of rules by `$or`).
const MAX_BRANCHES: usize = 1_000;

/// Names that make an `$or` an ordinary key when an object of it has them.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

/// From the top of the event to a field.
pub(super) type Path = Arc<[Arc<str>]>;

/// Which fields must be as wanted, all of them; in the order in which a tree of the paths is walked.
pub(super) type Branch = BTreeMap<Path, Arc<Rule>>;

/// What one field must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// One of these.
    pub(super) ops: Vec<Op>,
    /// Not there; `ops` is empty then.
    pub(super) absent: bool,
    /// The array as it was written.
    pub(super) text: Arc<str>,
}

/// Compiles one pattern.
pub(super) fn branches(text: &str, shape: Shape, extended: bool) -> Result<Vec<Branch>, Refused> {
    let Ok(Json::Object(members)) = json::parse(text) else {
        return Err(Refused("one JSON object".to_owned()));
    };
    let mut compiler = Compiler {
        path: Vec::new(),
        shape,
        extended,
    };
    compiler.object(&members, vec![Branch::new()], false)
}

struct Compiler {
    path: Vec<Arc<str>>,
    shape: Shape,
    extended: bool,
}

impl Compiler {
    /// Adds what an object asks for to every branch.
    fn object(
        &mut self,
        members: &[(String, Json<'_>)],
        mut branches: Vec<Branch>,
        inside_or: bool,
    ) -> Result<Vec<Branch>, Refused> {
        if members.is_empty() {
            return Err(self.refuse("an object that asks for nothing"));
        }
        for (name, value) in members {
            if let Some(alternatives) = alternatives(name, value) {
                branches = self.either(&alternatives, &branches)?;
                continue;
            }
            if inside_or && RESERVED.contains(&name.as_str()) {
                return Err(self.refuse(&format!("a field called {name} inside $or")));
            }
            self.path.push(name.as_str().into());
            branches = match value {
                Json::Object(members) => self.object(members, branches, inside_or)?,
                Json::Array(elements, text) => self.field(elements, text, &branches)?,
                _ => return Err(self.refuse("a bare value: only an object or an array can stand here")),
            };
            self.path.pop();
        }
        Ok(branches)
    }

    fn either(
        &mut self,
        alternatives: &[&[(String, Json<'_>)]],
        branches: &[Branch],
    ) -> Result<Vec<Branch>, Refused> {
        let mut all = Vec::new();
        for members in alternatives {
            all.extend(self.object(members, branches.to_vec(), true)?);
            self.bounded(&all)?;
        }
        Ok(all)
    }

    /// A field with its array of values and operators. A path that a branch has already is replaced, as by the engine.
    fn field(&self, elements: &[Json<'_>], text: &str, branches: &[Branch]) -> Result<Vec<Branch>, Refused> {
        if let [only] = self.path.as_slice()
            && self.shape.data_is_json()
            && **only == *self.shape.data_key()
        {
            return Err(self.refuse("values for the data itself, which must be filtered as JSON"));
        }
        let (mut ops, mut absent) = (Vec::new(), false);
        for element in elements {
            match self.value(element)? {
                Some(op) => ops.push(op),
                None => absent = true,
            }
        }
        let rule = |ops, absent| {
            let text = text.into();
            Arc::new(Rule { ops, absent, text })
        };
        let wanted = match (ops.is_empty(), absent) {
            (true, false) => return Err(self.refuse("an empty array")),
            (true, true) => vec![rule(ops, true)],
            (false, false) => vec![rule(ops, false)],
            (false, true) => vec![rule(ops, false), rule(Vec::new(), true)],
        };
        let path: Path = self.path.as_slice().into();
        let with = |branch: &Branch, rule: &Arc<Rule>| {
            let mut branch = branch.clone();
            branch.insert(path.clone(), rule.clone());
            branch
        };
        let branches: Vec<Branch> = wanted
            .iter()
            .flat_map(|rule| branches.iter().map(move |b| with(b, rule)))
            .collect();
        self.bounded(&branches)?;
        Ok(branches)
    }

    /// One element of a field's array; none for `{"exists": false}`.
    fn value(&self, element: &Json<'_>) -> Result<Option<Op>, Refused> {
        Ok(Some(match element {
            Json::Text(_) | Json::Number(_) => literal(element).ok_or_else(|| self.refuse("a value"))?,
            Json::Bool(wanted) => Op::Bool(*wanted),
            Json::Null => Op::Null,
            Json::Array(..) => return Err(self.refuse("an array in an array of values")),
            Json::Object(members) => {
                let [(operator, operand)] = members.as_slice() else {
                    return Err(self.refuse("an operator that is not exactly one"));
                };
                match (operator.as_str(), operand) {
                    ("exists", Json::Bool(false)) => return Ok(None),
                    ("exists", Json::Bool(true)) => Op::Exists,
                    _ => self.operator(operator, operand)?,
                }
            }
        }))
    }

    fn operator(&self, operator: &str, operand: &Json<'_>) -> Result<Op, Refused> {
        let wrong = || self.refuse(&format!("an operand that {operator} does not take"));
        match (operator, operand) {
            ("prefix", Json::Text(text)) => Ok(Op::Prefix(text.as_bytes().into())),
            ("suffix", Json::Text(text)) => Ok(Op::Suffix(text.as_bytes().into())),
            ("equals-ignore-case", Json::Text(text)) => Ok(Op::IgnoreCase(text.as_str().into())),
            ("prefix" | "suffix", Json::Object(members)) => match members.as_slice() {
                [(inner, Json::Text(text))] if inner == "equals-ignore-case" => {
                    let text = text.as_str().into();
                    Ok(if operator == "prefix" {
                        Op::PrefixIgnoreCase(text)
                    } else {
                        Op::SuffixIgnoreCase(text)
                    })
                }
                _ => Err(wrong()),
            },
            ("numeric", Json::Array(terms, _)) => bounds(terms).map(Op::Numeric).ok_or_else(wrong),
            ("anything-but", Json::Object(members)) => self.anything_but(members),
            ("anything-but", operand) => literals(operand).map(Op::Not).ok_or_else(wrong),
            ("wildcard" | "cidr", Json::Text(text)) => {
                self.beyond_lambda(operator)?;
                let op = if operator == "wildcard" {
                    Wildcard::parse(text).map(Op::Wildcard)
                } else {
                    Network::parse(text).map(Op::Cidr)
                };
                op.ok_or_else(wrong)
            }
            ("exists" | "prefix" | "suffix" | "equals-ignore-case" | "numeric" | "wildcard" | "cidr", _) => {
                Err(wrong())
            }
            _ => Err(self.refuse(&format!("an operator called {operator}"))),
        }
    }

    /// `{"anything-but": {"prefix": "a"}}` and the like; also with a list.
    fn anything_but(&self, members: &[(String, Json<'_>)]) -> Result<Op, Refused> {
        let [(operator, operand)] = members else {
            return Err(self.refuse("an anything-but of more than one operator"));
        };
        if !["prefix", "suffix", "equals-ignore-case", "wildcard"].contains(&operator.as_str()) {
            return Err(self.refuse(&format!("anything-but of {operator}")));
        }
        self.beyond_lambda(&format!("anything-but of {operator}"))?;
        let operands = match operand {
            Json::Array(operands, _) if !operands.is_empty() => operands.as_slice(),
            one => std::slice::from_ref(one),
        };
        let ops: Result<Vec<Op>, _> = operands.iter().map(|o| self.operator(operator, o)).collect();
        ops.map(Op::Not)
    }

    fn beyond_lambda(&self, what: &str) -> Result<(), Refused> {
        if self.extended {
            return Ok(());
        }
        Err(self.refuse(&format!(
            "{what}, which Lambda does not have and only `extended` allows"
        )))
    }

    fn bounded(&self, branches: &[Branch]) -> Result<(), Refused> {
        if branches.len() <= MAX_BRANCHES {
            return Ok(());
        }
        Err(self.refuse(&format!("more than {MAX_BRANCHES} combinations of alternatives")))
    }

    fn refuse(&self, what: &str) -> Refused {
        let place = match self.path.as_slice() {
            [] => "at the top".to_owned(),
            path => format!("at {}", path.join(".")),
        };
        Refused(format!("a filter pattern; {place} is {what}"))
    }
}

/// The objects of an `$or` that is an operator.
fn alternatives<'a, 'b>(name: &str, value: &'b Json<'a>) -> Option<Vec<&'b [(String, Json<'a>)]>> {
    let (true, Json::Array(elements, _)) = (name == "$or", value) else {
        return None;
    };
    let object = |element: &'b Json<'a>| match element {
        Json::Object(members) if !members.is_empty() => {
            let is_reserved = |(name, _): &(String, _)| RESERVED.contains(&name.as_str());
            (!members.iter().any(is_reserved)).then_some(members.as_slice())
        }
        _ => None,
    };
    let objects: Option<Vec<_>> = elements.iter().map(object).collect();
    objects.filter(|o| o.len() >= 2)
}

fn literal(value: &Json<'_>) -> Option<Op> {
    match value {
        Json::Text(text) => Some(Op::Text(text.as_bytes().into())),
        Json::Number(text) => Some(Op::Number(text.as_bytes().into())),
        _ => None,
    }
}

/// A text, a number, or a list of one of both kinds.
fn literals(value: &Json<'_>) -> Option<Vec<Op>> {
    let Json::Array(elements, _) = value else {
        return literal(value).map(|op| vec![op]);
    };
    let ops: Option<Vec<Op>> = elements.iter().map(literal).collect();
    let ops = ops.filter(|ops| !ops.is_empty())?;
    let texts = ops.iter().filter(|op| matches!(op, Op::Text(_))).count();
    (texts == 0 || texts == ops.len()).then_some(ops)
}

/// `["=", n]`, one bound, or a lower bound and an upper one above it.
fn bounds(terms: &[Json<'_>]) -> Option<Bounds> {
    let value = |term: &Json<'_>| match term {
        Json::Number(text) => number(text.as_bytes()).filter(|n| n.is_finite()),
        _ => None,
    };
    let (first, more) = terms.split_at_checked(2)?;
    let [Json::Text(relation), n] = first else {
        return None;
    };
    let n = value(n)?;
    let (low, high) = match relation.as_str() {
        "=" => (Some((n, true)), Some((n, true))),
        "<" => (None, Some((n, false))),
        "<=" => (None, Some((n, true))),
        ">" => (Some((n, false)), None),
        ">=" => (Some((n, true)), None),
        _ => return None,
    };
    let bounds = Bounds { low, high };
    match more {
        [] => Some(bounds),
        [Json::Text(relation), top] if high.is_none() => {
            let top = value(top).filter(|top| n < *top)?;
            let included = match relation.as_str() {
                "<" => false,
                "<=" => true,
                _ => return None,
            };
            let high = Some((top, included));
            Some(Bounds { low, high })
        }
        _ => None,
    }
}
