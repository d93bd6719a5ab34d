//! Who owns what, as a table and as properties over every kind.

use super::*;
use crate::manifest::form::Form;
use crate::manifest::read::{ObjectId, Place};
use proptest::prelude::*;
use serde_json::json;

fn object(kind: Kind, settings: Settings) -> Object {
    Object {
        id: ObjectId {
            kind,
            namespace: "default".to_owned(),
            name: "x".to_owned(),
        },
        settings,
        place: Place {
            file: "x.yaml".to_owned(),
            line: 1,
        },
        lines: BTreeMap::new(),
    }
}

/// What a server would have of a mapping of a stream that nobody set anything of.
fn fresh() -> Settings {
    Settings::from([
        ("source_arn", json!("arn:s")),
        ("function", json!("f")),
        ("starting_position", json!("LATEST")),
        ("batch_size", json!(100)),
        ("paused", json!(false)),
    ])
}

fn mapping(batch_size: Option<i64>) -> Object {
    let mut settings = fresh();
    settings.remove("paused");
    match batch_size {
        Some(n) => drop(settings.insert("batch_size", json!(n))),
        None => drop(settings.remove("batch_size")),
    }
    object(Kind::Mapping, settings)
}

fn live(batch_size: i64, applied: Option<i64>) -> Live {
    let mut settings = fresh();
    settings.insert("batch_size", json!(batch_size));
    let mut of = mapping(applied).settings;
    of.remove("starting_position");
    Live {
        settings,
        applied: of.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    }
}

#[test]
fn who_owns_a_setting_decides() {
    let set = |n: i64| Some(Some(n));
    let overwritten = |was, is, to| {
        format!("batch_size was changed by somebody else, from '{was}' to '{is}'; the file sets it {to}")
    };
    for (file, is, applied, becomes, note) in [
        // In the file.
        (Some(50), 50, Some(50), None, None),
        (Some(50), 100, None, set(50), None),
        (Some(50), 50, None, None, None),
        (Some(60), 50, Some(50), set(60), None),
        (Some(50), 70, Some(50), set(50), Some(overwritten(50, 70, "back to '50'"))),
        (Some(60), 70, Some(50), set(60), Some(overwritten(50, 70, "to '60'"))),
        (Some(70), 70, Some(50), None, None),
        // Not in the file.
        (None, 100, None, None, None),
        (None, 70, None, None, None),
        (None, 50, Some(50), Some(None), None),
        (
            None,
            70,
            Some(50),
            None,
            Some(
                "batch_size is no longer in the file, but was changed by somebody else, from '50' to '70': it stays"
                    .to_owned(),
            ),
        ),
    ] {
        let plan = plan(&mapping(file), Some(&live(is, applied))).unwrap();
        let case = format!("file {file:?}, live {is}, applied {applied:?}");
        let got = plan.mask.first().map(|mask| plan.values.get(mask).and_then(Value::as_i64));
        assert_eq!(got, becomes, "{case}");
        assert!(plan.mask.iter().all(|m| *m == "batch_size"), "{case}");
        assert_eq!(plan.notes.iter().map(ToString::to_string).next(), note, "{case}");
        assert_eq!(
            plan.action == Action::Configure,
            becomes.is_some(),
            "{case}"
        );
        // The start is in the file and was not noted before.
        assert!(plan.note_applied, "{case}");
    }
}

#[test]
fn what_is_fixed_is_refused_by_name() {
    let mut moved = mapping(None);
    moved.settings.insert("source_arn", json!("arn:other"));
    moved.settings.insert("starting_position", json!("TRIM_HORIZON"));
    let problems = plan(&moved, Some(&live(100, None))).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "x.yaml:1: mapping/x: spec.source_arn 'arn:other' is not valid: fixed at creation, to 'arn:s'; delete it \
             first, or apply it under another name",
            "x.yaml:1: mapping/x: spec.starting_position 'TRIM_HORIZON' is not valid: fixed at creation, to 'LATEST'; \
             delete it first, or apply it under another name",
        ]
    );
    let stream = object(Kind::Stream, Settings::new());
    let made = Live {
        settings: Settings::from([("shard_count", json!(4))]),
        applied: BTreeMap::from([("shard_count".to_owned(), json!(4))]),
    };
    let plan = plan(&stream, Some(&made)).unwrap();
    assert_eq!((plan.action, plan.note_applied), (Action::Keep, true));
    assert_eq!(
        plan.notes[0].to_string(),
        "shard_count is no longer in the file, but is fixed at creation: it stays '4'"
    );
}

#[test]
fn settings_that_go_together_are_sent_together() {
    let redrive = |n: i64| {
        Settings::from([
            ("redrive_policy.dead_letter_queue", json!("dead")),
            ("redrive_policy.max_receive_count", json!(n)),
        ])
    };
    let noted = |s: Settings| s.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let live = Live {
        settings: redrive(3),
        applied: noted(redrive(3)),
    };
    let more = plan(&object(Kind::Queue, redrive(5)), Some(&live)).unwrap();
    assert_eq!((more.mask, more.values), (vec!["redrive_policy"], redrive(5)));
    let none = object(Kind::Queue, Settings::new());
    let back = plan(&none, Some(&live)).unwrap();
    assert_eq!(
        (back.mask, back.values),
        (vec!["redrive_policy"], Settings::new())
    );
    // Changed by somebody else in part: it stays as a whole.
    let changed = Live {
        settings: redrive(9),
        ..live
    };
    let left = plan(&none, Some(&changed)).unwrap();
    assert_eq!((left.action, left.notes.len()), (Action::Keep, 1));
}

#[test]
fn another_target_replaces_the_old_one() {
    let process = Settings::from([
        ("process.command", json!(["a"])),
        ("process.memory_mb", json!(256)),
    ]);
    let closure = Settings::from([("in_process", json!({}))]);
    let noted = |s: &Settings| s.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    for (file, is, mask) in [
        (&process, &closure, "process"),
        (&closure, &process, "in_process"),
    ] {
        let live = Live {
            settings: is.clone(),
            applied: noted(is),
        };
        let plan = plan(&object(Kind::Function, file.clone()), Some(&live)).unwrap();
        assert_eq!(
            (plan.mask, plan.values),
            (vec![mask], with_path(Kind::Function, file.clone()))
        );
        assert!(plan.notes.is_empty());
    }
}

#[test]
fn a_new_process_has_the_servers_path_unless_the_file_says_otherwise() {
    let command = ("process.command", json!(["a"]));
    for (more, want) in [
        (None, Some(json!(["PATH"]))),
        (Some(("process.env_pass", json!([]))), Some(json!([]))),
        (Some(("process.env", json!({"PATH": "/bin"}))), None),
        (Some(("process.env", json!({"A": "b"}))), Some(json!(["PATH"]))),
    ] {
        let settings: Settings = [command.clone()].into_iter().chain(more.clone()).collect();
        let plan = plan(&object(Kind::Function, settings), None).unwrap();
        assert_eq!(plan.values.get("process.env_pass"), want.as_ref(), "{more:?}");
    }
}

/// The file without it, what is shown of it, the file again.
#[test]
fn what_a_process_takes_over_goes_back_to_what_new_ones_get() {
    let file = object(
        Kind::Function,
        Settings::from([("process.command", json!(["a"]))]),
    );
    let with = |pass: Value, noted: bool| {
        let mut settings = file.settings.clone();
        let mut applied = settings.clone();
        settings.insert(ENV_PASS, pass.clone());
        applied.extend(noted.then_some((ENV_PASS, pass)));
        Live {
            settings,
            applied: applied.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        }
    };
    let shown = object(Kind::Function, with(json!(["PATH"]), false).settings);
    let noted = plan(&shown, Some(&with(json!(["PATH"]), false))).unwrap();
    assert_eq!((noted.action, noted.note_applied), (Action::Keep, true));
    for (pass, action) in [
        (json!(["PATH"]), Action::Keep),
        (json!(["PATH", "HOME"]), Action::Configure),
        (json!([]), Action::Configure),
    ] {
        let live = with(pass.clone(), true);
        let back = plan(&file, Some(&live)).unwrap();
        assert_eq!((back.action, back.note_applied), (action, true), "{pass}");
        let then = back.expected(Kind::Function, &live.settings);
        assert_eq!(then.get(ENV_PASS), Some(&json!(["PATH"])), "{pass}");
    }
}

/// A server in one line: what is named is set, and what is named without a value has its default.
fn carry_out(kind: Kind, plan: &Plan, object: &Object, live: Option<&Live>, defaults: &Settings) -> Live {
    let before = live.map_or_else(|| defaults.clone(), |l| l.settings.clone());
    let mut settings = plan.expected(kind, &before);
    let other_target = |path: &str| {
        let target = object.settings.keys().find_map(|p| target_root(p));
        target_root(path).is_some_and(|root| target.is_some_and(|t| t != root))
    };
    settings.retain(|path, _| !other_target(path));
    for (path, value) in defaults {
        if !settings.contains_key(path) && !other_target(path) {
            settings.insert(path, value.clone());
        }
    }
    Live {
        settings,
        applied: object
            .settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect(),
    }
}

fn value_of(form: Form) -> BoxedStrategy<Value> {
    match form {
        Form::Number(least, most, _) => (least..=most.min(least + 2)).prop_map(|n| json!(n)).boxed(),
        Form::Bool => any::<bool>().prop_map(|b| json!(b)).boxed(),
        Form::Duration(..) => (1u64..4).prop_map(|s| json!(format!("{s}s"))).boxed(),
        Form::OneOf(of) => (0..of.len()).prop_map(|i| json!(of[i].plain)).boxed(),
        Form::SomeOf(of) => (0..2usize)
            .prop_map(|n| json!(of.iter().take(n).map(|w| w.plain).collect::<Vec<_>>()))
            .boxed(),
        Form::Texts | Form::Patterns => proptest::collection::vec("[ab]", 1..3)
            .prop_map(|l| json!(l))
            .boxed(),
        Form::TextMap => proptest::collection::btree_map("[AB]", "[xy]", 0..3)
            .prop_map(|m| json!(m))
            .boxed(),
        Form::Nothing => Just(json!({})).boxed(),
        Form::Name(_) | Form::Callee | Form::Arn | Form::Url | Form::Text | Form::Dir | Form::Time => {
            "[a-c]".prop_map(|s| json!(s)).boxed()
        }
    }
}

/// Settings of which some are set; of a function always exactly one target.
fn settings_of(kind: Kind, all: bool) -> BoxedStrategy<Settings> {
    let fields: Vec<_> = kind
        .fields()
        .iter()
        .map(|f| {
            let value = if all {
                value_of(f.form).prop_map(Some).boxed()
            } else {
                proptest::option::of(value_of(f.form)).boxed()
            };
            (Just(f.path), value)
        })
        .collect();
    (fields, proptest::sample::select(&TARGETS))
        .prop_map(move |(fields, target)| {
            let mut settings: Settings = fields.into_iter().filter_map(|(p, v)| Some((p, v?))).collect();
            // These are whole or not there, by default not.
            for whole in ["redrive_policy", "provisioned_poller_config"] {
                let set = settings.keys().filter(|p| p.starts_with(whole)).count();
                if all || set < 2 {
                    settings.retain(|path, _| !path.starts_with(whole));
                }
            }
            if kind == Kind::Function {
                settings.retain(|path, _| target_root(path).is_none_or(|root| root == target));
                let (path, value) = match target {
                    "process" => ("process.command", json!(["a"])),
                    "http" => ("http.url", json!("http://a")),
                    "lambda" => ("lambda.function", json!("orders:live")),
                    _ => ("in_process", json!({})),
                };
                settings.entry(path).or_insert(value);
            }
            settings
        })
        .boxed()
}

fn any_case() -> impl Strategy<Value = (Kind, Settings, Settings, Settings, Settings)> {
    proptest::sample::select(&Kind::ALL).prop_flat_map(|kind| {
        (
            Just(kind),
            settings_of(kind, false),
            settings_of(kind, false),
            settings_of(kind, false),
            settings_of(kind, true),
        )
    })
}

proptest! {
    /// Whatever was applied before and whoever changed what since: after applying a file, applying it again does
    /// nothing, what the file sets is set, and what it does not set has the value that it was left with or its default.
    #[test]
    fn applied_twice_is_applied_once((kind, first, second, others, defaults) in any_case()) {
        let not_fixed = |mut s: Settings| {
            s.retain(|path, _| kind.field(path).is_some_and(|f| !f.fixed));
            s
        };
        let mut first = object(kind, first);
        let mut live = carry_out(kind, &plan(&first, None).unwrap(), &first, None, &defaults);
        prop_assert_eq!(plan(&first, Some(&live)).unwrap().action, Action::Keep);
        // Somebody else changes what can be changed, but for the target.
        for (path, value) in not_fixed(others) {
            if live.settings.contains_key(path) && target_root(path).is_none() {
                live.settings.insert(path, value);
            }
        }
        first.settings = not_fixed(second);
        let fixed = live.settings.clone();
        for field in kind.fields().iter().filter(|f| f.fixed) {
            first.settings.extend(fixed.get(field.path).map(|v| (field.path, v.clone())));
        }
        let before = live.clone();
        let plan_2 = plan(&first, Some(&live)).unwrap();
        let live = carry_out(kind, &plan_2, &first, Some(&live), &defaults);
        for (path, value) in &first.settings {
            prop_assert_eq!(live.settings.get(path), Some(value), "{}", path);
        }
        for (path, value) in &live.settings {
            let untouched = before.settings.get(path) == Some(value);
            // A process that is new gets the PATH.
            let given = target_root(path).is_some() && plan_2.values.get(path) == Some(value);
            let ours = given || first.settings.get(path) == Some(value);
            prop_assert!(untouched || ours || defaults.get(path) == Some(value), "{}", path);
            // What somebody else set stays, unless the file says otherwise.
            let mask = kind.field(path).unwrap().mask;
            let mut together = kind.fields().iter().filter(|f| f.mask == mask);
            let owned = together.all(|f| before.applied.get(f.path) == before.settings.get(f.path));
            if !owned && !first.settings.contains_key(path) && target_root(path).is_none() {
                prop_assert!(untouched, "{}", path);
            }
        }
        let again = plan(&first, Some(&live)).unwrap();
        prop_assert_eq!(again.action, Action::Keep);
        prop_assert!(!again.note_applied && again.notes.is_empty(), "{:?}", again);
    }

    /// What is shown of a resource, applied, changes nothing.
    #[test]
    fn what_is_shown_can_be_applied((kind, first, _, _, defaults) in any_case()) {
        let first = object(kind, first);
        let live = carry_out(kind, &plan(&first, None).unwrap(), &first, None, &defaults);
        let shown = object(kind, live.settings.clone());
        let plan = plan(&shown, Some(&live)).unwrap();
        prop_assert_eq!(plan.action, Action::Keep);
        prop_assert!(plan.notes.is_empty());
    }
}
