//! A pattern as JSON: small, read once, so that a tree of it may be built. Of members of the same name the last one
//! counts; numbers keep their text.

use super::text::{MAX_DEPTH, Malformed, Scanner};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Object(Vec<(String, Json<'a>)>),
    /// The elements, and the array's text.
    Array(Vec<Json<'a>>, &'a str),
    Text(String),
    Number(&'a str),
    Bool(bool),
    Null,
}

/// Reads a text that is one value.
pub(super) fn parse(text: &str) -> Result<Json<'_>, Malformed> {
    let mut scanner = Scanner::new(text.as_bytes());
    let value = value(&mut scanner, 0)?;
    scanner.end()?;
    Ok(value)
}

fn value<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Result<Json<'a>, Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed);
    }
    match scanner.peek().ok_or(Malformed)? {
        b'{' => object(scanner, depth),
        b'[' => array(scanner, depth),
        b'"' => {
            scanner.next()?;
            let raw = scanner.string()?;
            text(raw.decode(&mut Vec::new())).map(Json::Text)
        }
        b't' => scanner.word(b"true").map(|()| Json::Bool(true)),
        b'f' => scanner.word(b"false").map(|()| Json::Bool(false)),
        b'n' => scanner.word(b"null").map(|()| Json::Null),
        _ => str::from_utf8(scanner.number()?)
            .map(Json::Number)
            .map_err(|_| Malformed),
    }
}

fn object<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Result<Json<'a>, Malformed> {
    scanner.next()?;
    let mut members: Vec<(String, Json<'a>)> = Vec::new();
    if scanner.eat(b'}') {
        return Ok(Json::Object(members));
    }
    loop {
        let name = text(scanner.key()?.decode(&mut Vec::new()))?;
        let member = value(scanner, depth + 1)?;
        members.retain(|(earlier, _)| *earlier != name);
        members.push((name, member));
        match scanner.next()? {
            b',' => {}
            b'}' => return Ok(Json::Object(members)),
            _ => return Err(Malformed),
        }
    }
}

fn array<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Result<Json<'a>, Malformed> {
    let start = scanner.position();
    scanner.next()?;
    let mut elements = Vec::new();
    let mut more = !scanner.eat(b']');
    while more {
        elements.push(value(scanner, depth + 1)?);
        more = match scanner.next()? {
            b',' => true,
            b']' => false,
            _ => return Err(Malformed),
        };
    }
    let raw = str::from_utf8(scanner.since(start)).map_err(|_| Malformed)?;
    Ok(Json::Array(elements, raw))
}

/// Half a surrogate pair is no text.
fn text(bytes: &[u8]) -> Result<String, Malformed> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_of_a_name_counts_and_numbers_keep_their_text() {
        let Ok(Json::Object(members)) = parse(r#" {"a":1,"b":[3.0e2, "x"],"\u0061":null} "#) else {
            panic!("an object");
        };
        let array = Json::Array(
            vec![Json::Number("3.0e2"), Json::Text("x".into())],
            r#"[3.0e2, "x"]"#,
        );
        assert_eq!(members, [("b".to_owned(), array), ("a".to_owned(), Json::Null)]);
        assert_eq!(parse(r#""\ud800""#), Err(Malformed));
        assert_eq!(parse("true false"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn as_serde_sees_it(text in r#"([\[\]{}:,"\\ aeu0-9.+-]|true|null|\\u00e4|"k":|\n){0,24}"#) {
            let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(parse(&text).is_ok(), serde, "{:?}", text);
        }
    }
}
