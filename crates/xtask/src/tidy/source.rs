//! A Rust file as its tokens: comments and strings are out of the way, macro bodies are not, and each token knows
//! its line. The rules about code look at paths (`a::b::{c, d}` expanded) and at functions.

use super::finding::Finding;
use super::tree::File;
use super::{bans, length, prints};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One path that the file mentions, in an expression, a `use`, or inside a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Followed by `!`: a macro call.
    pub(crate) is_macro: bool,
}

/// Everything the rules ask about a file; unit-test modules are left out.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<PathUse>,
    /// Name, first and last line of every function.
    pub(crate) functions: Vec<(String, usize, usize)>,
    /// Lines that unit-test modules take.
    pub(crate) test_lines: usize,
}

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let Ok(tokens) = file.text.parse::<TokenStream>() else {
        return vec![unreadable(file)];
    };
    let source = read(tokens);
    if file.is_test_code() {
        return Vec::new();
    }
    let rules = [length::check, bans::check, prints::check];
    rules.iter().flat_map(|rule| rule(file, &source)).collect()
}

fn unreadable(file: &File) -> Finding {
    Finding {
        path: file.path.clone(),
        line: 0,
        rule: "unreadable",
        item: String::new(),
        what: "the file is not made of Rust tokens".to_owned(),
        why: "no rule can be checked in it",
        remedy: "make it compile".to_owned(),
    }
}

pub(crate) fn read(tokens: TokenStream) -> Source {
    let mut source = Source::default();
    walk(tokens, &mut source);
    source
}

fn walk(tokens: TokenStream, source: &mut Source) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(end) = test_module(&tokens, at) {
            source.test_lines += tokens[end].span().end().line + 1 - tokens[at].span().start().line;
            at = end + 1;
            continue;
        }
        if let Some(function) = function(&tokens[at..]) {
            source.functions.push(function);
        }
        at = match path(&tokens, at) {
            Some((paths, end)) => {
                source.paths.extend(paths);
                end
            }
            None => {
                if let TokenTree::Group(group) = &tokens[at] {
                    walk(group.stream(), source);
                }
                at + 1
            }
        };
    }
}

/// `#[cfg(test)] … mod name { … }` starting at `at`: the index of its body.
fn test_module(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let attribute = |at: usize| match (tokens.get(at), tokens.get(at + 1)) {
        (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(group))) if hash.as_char() == '#' => {
            (group.delimiter() == Delimiter::Bracket).then(|| group.stream().to_string())
        }
        _ => None,
    };
    let compact = |text: String| text.split_whitespace().collect::<String>();
    if compact(attribute(at)?) != "cfg(test)" {
        return None;
    }
    // Between the attribute and the body: further attributes, visibility, `mod`, a name; never a `;`.
    let body = tokens[at + 2..].iter().position(|token| {
        is_brace(token) || matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';')
    })? + at
        + 2;
    let is_module = tokens[at..body].iter().any(|token| is_ident(token, "mod"));
    (is_module && is_brace(&tokens[body])).then_some(body)
}

/// `fn name … { … }` at the start of `tokens`: its name, first and last line.
fn function(tokens: &[TokenTree]) -> Option<(String, usize, usize)> {
    let [TokenTree::Ident(keyword), TokenTree::Ident(name), rest @ ..] = tokens else {
        return None;
    };
    if keyword != "fn" {
        return None;
    }
    let ends =
        |token: &&TokenTree| is_brace(token) || matches!(token, TokenTree::Punct(p) if p.as_char() == ';');
    let Some(TokenTree::Group(body)) = rest.iter().find(ends) else {
        return None;
    };
    Some((
        name.to_string(),
        keyword.span().start().line,
        body.span_close().end().line,
    ))
}

/// The path that starts at `at`, expanded where it ends in `{…}`, and the index after it.
fn path(tokens: &[TokenTree], at: usize) -> Option<(Vec<PathUse>, usize)> {
    let TokenTree::Ident(first) = tokens.get(at)? else {
        return None;
    };
    let line = first.span().start().line;
    let mut segments = vec![first.to_string()];
    let mut at = at + 1;
    while is_colons(tokens, at) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(next)) => {
                segments.push(next.to_string());
                at += 3;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                return Some((expand(&segments, group), at + 3));
            }
            _ => break,
        }
    }
    let is_macro = matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == '!');
    Some((
        vec![PathUse {
            segments,
            line,
            is_macro,
        }],
        at,
    ))
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(prefix: &[String], group: &Group) -> Vec<PathUse> {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match path(&tokens, at) {
            Some((paths, end)) => {
                found.extend(paths.into_iter().map(|path| PathUse {
                    segments: prefix.iter().cloned().chain(path.segments).collect(),
                    ..path
                }));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

fn is_brace(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = read(text.parse().unwrap());
        let show = |path: &PathUse| {
            format!(
                "{}{}",
                path.segments.join("::"),
                if path.is_macro { "!" } else { "" }
            )
        };
        source
            .paths
            .iter()
            .filter(|path| path.segments.len() > 1 || path.is_macro)
            .map(show)
            .collect()
    }

    #[test]
    fn paths_are_found_in_code_in_use_trees_and_in_macros() {
        for (text, want) in [
            (
                "use std::time::{Duration, Instant};",
                &["std::time::Duration", "std::time::Instant"][..],
            ),
            ("use a::{b::{c, d}, e};", &["a::b::c", "a::b::d", "a::e"]),
            ("fn f() { vec![HashMap::new()] }", &["vec!", "HashMap::new"]),
            (
                "fn f() { log::info!(\"std::time::Instant\") } // std::fs",
                &["log::info!"],
            ),
            ("fn f() -> Vec<std::fs::File> {}", &["std::fs::File"]),
            ("#[cfg(test)] mod tests { use std::fs; }", &[]),
            ("#[cfg(test)] mod tests; use std::fs;", &["std::fs"]),
        ] {
            assert_eq!(paths(text), want, "{text}");
        }
    }

    #[test]
    fn functions_know_their_lines_and_tests_are_counted() {
        let text = "fn a() {\n}\nimpl X {\n  pub async fn b<T>(x: T) -> Y where T: Z {\n\n\n  }\n}\ntrait T { fn c(); }\n";
        let source = read(text.parse().unwrap());
        assert_eq!(source.functions, [("a".to_owned(), 1, 2), ("b".to_owned(), 4, 7)]);
        let source = read(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn t() {}\n}\n"
                .parse()
                .unwrap(),
        );
        assert_eq!(source.test_lines, 4);
        assert_eq!(source.functions.len(), 1);
    }

    #[test]
    fn a_file_that_is_no_rust_is_a_finding() {
        let file = super::super::tree::fixtures::file("crates/a/src/a.rs", "fn a( {");
        assert_eq!(check(&file)[0].rule, "unreadable");
    }
}
