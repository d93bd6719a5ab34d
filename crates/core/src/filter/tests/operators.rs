//! Every operator, with what it takes and what it does not (semantics, section 13).

use super::{extended, holds, is_match};

/// A pattern for the field `d`, values that match it, and values that do not.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

fn check(rows: &[Row]) {
    for (pattern, good, bad) in rows {
        for value in *good {
            assert!(holds(pattern, value), "{pattern} takes {value}");
        }
        for value in *bad {
            assert!(!holds(pattern, value), "{pattern} does not take {value}");
        }
    }
}

#[test]
fn values() {
    check(&[
        (
            r#"["a","b"]"#,
            &[r#""a""#, r#""b""#, r#""\u0061""#],
            &[r#""A""#, r#""ab""#, r#""""#, "{}", "null"],
        ),
        ("[null]", &["null"], &[r#""null""#, "0", "false", "[]"]),
        (r#"[""]"#, &[r#""""#], &["null", r#"" ""#]),
        ("[true]", &["true"], &["false", r#""true""#, "1"]),
        ("[false, null]", &["false", "null"], &["true", "0"]),
        (
            r#"["ä€😀"]"#,
            &[r#""ä€😀""#, r#""\u00e4\u20ac\ud83d\ude00""#],
            &[r#""a""#],
        ),
        (r#"["\u00e4\"\\"]"#, &[r#""ä\"\\""#], &[r#""ä""#]),
        (r#"["\ufffd"]"#, &[r#""\ufffd""#], &[r#""\ud800""#]),
    ]);
}

#[test]
fn numbers_are_equal_as_they_are_written() {
    check(&[
        ("[300]", &["300"], &["300.0", "3.0e2", "3e2", r#""300""#]),
        ("[3.0e2]", &["3.0e2"], &["300", "3.0E2"]),
        (
            "[12345678901234567890123]",
            &["12345678901234567890123"],
            &["12345678901234567890124"],
        ),
        ("[-0]", &["-0"], &["0"]),
    ]);
}

#[test]
fn numeric_compares_values() {
    check(&[
        (
            r#"[{"numeric":["=",300]}]"#,
            &["300", "300.0", "3.0e2", "0.3e3"],
            &["301", r#""300""#, "null"],
        ),
        (
            r#"[{"numeric":[">",0,"<=",5]}]"#,
            &["5", "0.001", "5.0"],
            &["0", "-0.0", "5.001", "1e300", r#""3""#],
        ),
        (
            r#"[{"numeric":[">=",-1.5]}]"#,
            &["-1.5", "0", "1e400"],
            &["-1.51", "-1e400"],
        ),
        (r#"[{"numeric":["<",10]}]"#, &["9.99", "-5"], &["10", "11"]),
        (
            r#"[{"numeric":["<=",10]},"x"]"#,
            &["10", r#""x""#],
            &["11", r#""y""#],
        ),
        (r#"[{"numeric":[">=",1,"<",2]}]"#, &["1", "1.5"], &["2", "0.5"]),
    ]);
}

#[test]
fn anything_but() {
    check(&[
        (
            r#"[{"anything-but":["a","b"]}]"#,
            &[r#""c""#, r#""A""#, "1", "null", "true", r#"["a","c"]"#],
            &[r#""a""#, r#""b""#, r#"["a","b"]"#, "{}", "[]"],
        ),
        (r#"[{"anything-but":"a"}]"#, &[r#""b""#, r#""""#], &[r#""a""#]),
        (
            r#"[{"anything-but":[1,2]}]"#,
            &["3", "1.0", r#""1""#],
            &["1", "2"],
        ),
        (r#"[{"anything-but":7}]"#, &["8"], &["7"]),
    ]);
    assert!(!is_match(
        &super::criteria(&[r#"{"d":[{"anything-but":"a"}]}"#]),
        r#"{"e":"b"}"#
    ));
}

#[test]
fn exists() {
    let cases = [
        (r#"{"d":1}"#, true),
        (r#"{"d":null}"#, true),
        (r#"{"d":""}"#, true),
        (r#"{"d":[1]}"#, true),
        (r#"{"d":[[null]]}"#, true),
        (r#"{"d":{"S":"x"}}"#, false),
        (r#"{"d":{}}"#, false),
        (r#"{"d":[]}"#, false),
        (r#"{"d":[{"x":1}]}"#, false),
        (r#"{"e":1}"#, false),
        ("{}", false),
    ];
    for (record, there) in cases {
        for (wanted, expect) in [("true", there), ("false", !there)] {
            let pattern = format!(r#"{{"d":[{{"exists":{wanted}}}]}}"#);
            assert_eq!(
                is_match(&super::criteria(&[&pattern]), record),
                expect,
                "{pattern} {record}"
            );
        }
    }
}

#[test]
fn one_of_these_or_nothing_at_all() {
    let pattern = super::criteria(&[r#"{"d":["x",{"exists":false}],"e":[1]}"#]);
    for (record, expect) in [
        (r#"{"d":"x","e":1}"#, true),
        (r#"{"e":1}"#, true),
        (r#"{"d":"y","e":1}"#, false),
        (r#"{"d":"x"}"#, false),
    ] {
        assert_eq!(is_match(&pattern, record), expect, "{record}");
    }
}

#[test]
fn parts_of_texts() {
    check(&[
        (
            r#"[{"prefix":"us-"}]"#,
            &[r#""us-east-1""#, r#""us-""#],
            &[r#""US-east-1""#, r#""us""#, "1"],
        ),
        (
            r#"[{"suffix":".png"}]"#,
            &[r#""a.png""#],
            &[r#""a.PNG""#, r#""png""#],
        ),
        (r#"[{"prefix":""}]"#, &[r#""""#, r#""x""#], &["1", "null"]),
        (r#"[{"prefix":"1"}]"#, &[r#""12""#], &["12"]),
        (
            r#"[{"equals-ignore-case":"aLiCe"}]"#,
            &[r#""ALICE""#, r#""alice""#],
            &[r#""alices""#, "null"],
        ),
        (
            r#"[{"prefix":{"equals-ignore-case":"US"}}]"#,
            &[r#""us-1""#, r#""Us""#],
            &[r#""u""#],
        ),
        (
            r#"[{"suffix":{"equals-ignore-case":".png"}}]"#,
            &[r#""x.PNG""#],
            &[r#""png""#],
        ),
    ]);
}

#[test]
fn operators_that_lambda_does_not_have() {
    let rows: &[Row] = &[
        (r#"[{"wildcard":"a*c"}]"#, &[r#""abc""#], &[r#""ab""#, "1"]),
        (
            r#"[{"cidr":"10.0.0.0/8"}]"#,
            &[r#""10.1.2.3""#],
            &[r#""11.1.2.3""#, r#""x""#],
        ),
        (
            r#"[{"anything-but":{"prefix":"a"}}]"#,
            &[r#""b""#, "1"],
            &[r#""ab""#],
        ),
        (
            r#"[{"anything-but":{"suffix":["x","y"]}}]"#,
            &[r#""xz""#],
            &[r#""zx""#, r#""zy""#],
        ),
        (
            r#"[{"anything-but":{"equals-ignore-case":["A"]}}]"#,
            &[r#""b""#],
            &[r#""a""#],
        ),
        (
            r#"[{"anything-but":{"wildcard":"*x*"}}]"#,
            &[r#""b""#],
            &[r#""axb""#],
        ),
    ];
    for (pattern, good, bad) in rows {
        let pattern = format!(r#"{{"d":{pattern}}}"#);
        assert!(
            super::refusal(&pattern, super::Shape::Sqs)
                .unwrap()
                .contains("extended"),
            "{pattern}"
        );
        let filter = extended(&[&pattern]);
        for value in *good {
            assert!(
                is_match(&filter, &format!(r#"{{"d":{value}}}"#)),
                "{pattern} takes {value}"
            );
        }
        for value in *bad {
            assert!(
                !is_match(&filter, &format!(r#"{{"d":{value}}}"#)),
                "{pattern} takes not {value}"
            );
        }
    }
}

#[test]
fn alternatives() {
    check(&[
        (
            r#"{"$or":[{"a":[1]},{"b":[2],"c":[3]}]}"#,
            &[r#"{"a":1}"#, r#"{"b":2,"c":3}"#, r#"{"a":9,"b":2,"c":3}"#],
            &[r#"{"b":2}"#, r#"{"a":2,"b":1}"#, "{}"],
        ),
        (
            r#"{"x":[0],"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":[3]}]}]}"#,
            &[r#"{"x":0,"a":1}"#, r#"{"x":0,"c":3}"#],
            &[r#"{"a":1}"#, r#"{"x":0}"#],
        ),
        // One object, a reserved word, or something else than objects: an ordinary key.
        (r#"{"$or":["a"]}"#, &[r#"{"$or":"a"}"#], &[r#"{"a":1}"#]),
        (
            r#"{"$or":[{"prefix":"a"},{"suffix":"z"}]}"#,
            &[r#"{"$or":"ab"}"#, r#"{"$or":"yz"}"#],
            &[r#"{"$or":"b"}"#],
        ),
        (r#"{"$or":{"a":[1]}}"#, &[r#"{"$or":{"a":1}}"#], &[r#"{"a":1}"#]),
        // A path that is asked for again is replaced.
        (
            r#"{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}"#,
            &[r#"{"a":2}"#, r#"{"a":1,"b":3}"#],
            &[r#"{"a":1}"#],
        ),
    ]);
}

#[test]
fn what_is_asked_below_an_array_must_be_in_one_element() {
    let pair = r#"{"a":{"b":[1],"c":[2]}}"#;
    check(&[
        (
            pair,
            &[
                r#"{"a":{"b":1,"c":2}}"#,
                r#"{"a":[{"b":1,"c":2}]}"#,
                r#"{"a":[{"b":1},{"c":2},{"c":2,"b":1}]}"#,
                r#"{"a":{"b":[0,1],"c":[2]}}"#,
                r#"{"a":[[{"b":1,"c":2}]]}"#,
            ],
            &[
                r#"{"a":[{"b":1},{"c":2}]}"#,
                r#"{"a":[[{"b":1}],[{"c":2}]]}"#,
                r#"{"a":[[{"b":1},{"c":2}]]}"#,
                r#"{"a":[{"b":1,"c":3},{"b":0,"c":2}]}"#,
                r#"{"a":[]}"#,
            ],
        ),
        (
            r#"{"a":{"b":[1]},"x":{"b":[2]}}"#,
            &[r#"{"a":[{"b":0},{"b":1}],"x":[{"b":2}]}"#],
            &[r#"{"a":[{"b":1}],"x":[{"b":1}]}"#],
        ),
        (
            r#"{"a":{"b":{"c":[1],"d":[2]},"e":[3]}}"#,
            &[r#"{"a":[{"b":[{"c":1},{"c":1,"d":2}],"e":3}]}"#],
            &[
                r#"{"a":[{"b":[{"c":1},{"d":2}],"e":3}]}"#,
                r#"{"a":[{"b":[{"c":1,"d":2}]},{"e":3}]}"#,
            ],
        ),
        // Absence counts within the element that has the rest, or over all elements if nothing else is asked there.
        (
            r#"{"a":{"b":[1],"c":[{"exists":false}]}}"#,
            &[r#"{"a":[{"b":1},{"b":2,"c":1}]}"#],
            &[r#"{"a":[{"b":1,"c":1},{"b":2}]}"#],
        ),
        (
            r#"{"a":{"c":[{"exists":false}]}}"#,
            &[r#"{"a":[{"b":1},{"b":2}]}"#, r#"{"a":[]}"#, "{}"],
            &[r#"{"a":[{"b":1},{"c":2}]}"#],
        ),
        // Over an $or, too.
        (
            r#"{"a":{"b":[1]},"$or":[{"a":{"c":[2]}},{"z":[1]}]}"#,
            &[r#"{"a":[{"b":1,"c":2}]}"#, r#"{"a":[{"b":1}],"z":1}"#],
            &[r#"{"a":[{"b":1},{"c":2}]}"#],
        ),
    ]);
}

#[test]
fn of_members_of_one_name_the_last_counts() {
    check(&[
        (
            r#"{"a":[1],"a":[2]}"#,
            &[r#"{"a":2}"#, r#"{"a":1,"a":2}"#],
            &[r#"{"a":1}"#, r#"{"a":2,"a":1}"#],
        ),
        (
            r#"{"a":{"b":[1]}}"#,
            &[r#"{"a":{"b":2},"a":{"b":1}}"#, r#"{"a":[{"b":2,"b":1}]}"#],
            &[
                r#"{"a":{"b":1},"a":{}}"#,
                r#"{"a":{"b":1},"\u0061":3}"#,
                r#"{"a":[{"b":1,"b":2}]}"#,
            ],
        ),
        (
            r#"{"a":[{"exists":false}]}"#,
            &[r#"{"a":1,"a":{}}"#],
            &[r#"{"a":{},"a":1}"#],
        ),
    ]);
}

#[test]
fn names_are_names() {
    check(&[
        (r#"{"a.b":[1]}"#, &[r#"{"a.b":1}"#], &[r#"{"a":{"b":1}}"#]),
        (r#"{"a":{"b":[1]}}"#, &[], &[r#"{"a.b":1}"#]),
        (r#"{"ä\n":[1]}"#, &[r#"{"\u00e4\u000a":1}"#], &[r#"{"a":1}"#]),
        (r#"{"":[1]}"#, &[r#"{"":1}"#], &["{}"]),
    ]);
}

#[test]
fn more_names_than_fit_into_a_word() {
    let fields: Vec<String> = (0..200).map(|n| format!(r#""k{n}":[{n}]"#)).collect();
    let values: Vec<String> = (0..200).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let pattern = format!("{{{}}}", fields.join(","));
    assert!(holds(&pattern, &format!("{{{}}}", values.join(","))));
    assert!(holds(&pattern, &format!("[{{}},{{{}}}]", values.join(","))));
    let (one, others) = values.split_at(100);
    let halves = format!("[{{{}}},{{{}}}]", one.join(","), others.join(","));
    assert!(!holds(&pattern, &halves), "not in one element");
    assert!(!holds(&pattern, &format!("{{{}}}", values[1..].join(","))));
    let again = format!("{{{},\"k150\":0}}", values.join(","));
    assert!(!holds(&pattern, &again), "the last k150 is another");
}

#[test]
fn any_pattern_will_do() {
    let both = super::criteria(&[r#"{"d":[1]}"#, r#"{"d":[2]}"#]);
    for (record, expect) in [(r#"{"d":1}"#, true), (r#"{"d":2}"#, true), (r#"{"d":3}"#, false)] {
        assert_eq!(is_match(&both, record), expect, "{record}");
    }
}
