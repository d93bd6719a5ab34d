//! Mappings of functions that are not registered: of AWS Lambda.

use super::fakes::*;
use crate::manage::{ManageError, MappingPatch, NewMapping};
use millstream_ports::FindError;
use millstream_types::{FoundFunction, FunctionRef, MappingSpec};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:bill";

fn found(arn: &str, timeout_ms: u32) -> FoundFunction {
    FoundFunction {
        arn: arn.into(),
        role: Some("arn:aws:iam::123456789012:role/bill".into()),
        timeout_ms,
    }
}

/// A connection leads to `bill`, with the alias `live`; `slow` is being looked for in vain, `denied` is not told of.
async fn world() -> World {
    let w = World::new().await;
    let live = format!("{ARN}:live");
    let mut lambda = w.outside.lambda.lock().unwrap();
    for (given, arn) in [
        ("bill", ARN),
        (ARN, ARN),
        ("123456789012:function:bill", ARN),
        ("bill:live", &live),
        (&live, &live),
        // What is registered comes first.
        ("f", "arn:aws:lambda:eu-west-1:123456789012:function:f"),
    ] {
        lambda.insert(given.to_owned(), Ok(found(arn, 3_000)));
    }
    let (gone, denied) = ("no such function".to_owned(), "not yours".to_owned());
    lambda.insert("bill:old".into(), Err(FindError::NotFound(gone)));
    lambda.insert("denied".into(), Err(FindError::Refused(denied)));
    lambda.insert("slow".into(), Err(FindError::Unavailable("no answer".into())));
    drop(lambda);
    w
}

fn of(function: &str, name: &str) -> NewMapping {
    NewMapping {
        spec: MappingSpec {
            function: FunctionRef::parse(function).unwrap(),
            ..spec()
        },
        ..new_mapping(name)
    }
}

fn patch(function: &str) -> MappingPatch {
    MappingPatch {
        function: FunctionRef::parse(function),
        ..MappingPatch::default()
    }
}

#[tokio::test]
async fn a_function_is_one_that_is_registered_or_else_one_of_lambda() {
    for (given, kept, arn) in [
        ("f", "f", "arn:aws:lambda:us-east-1:000000000000:function:f"),
        (
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            "f",
            "arn:aws:lambda:us-east-1:000000000000:function:f",
        ),
        (
            "function:f",
            "f",
            "arn:aws:lambda:us-east-1:000000000000:function:f",
        ),
        ("bill", "bill", ARN),
        (ARN, ARN, ARN),
        ("123456789012:function:bill", "123456789012:function:bill", ARN),
        ("bill:live", "bill:live", &format!("{ARN}:live")),
    ] {
        let w = world().await;
        let made = w.manager.create_mapping(of(given, "m"), false).await.unwrap();
        let function = &made.mapping.spec.function;
        assert_eq!((function.as_str(), &*function.arn()), (kept, arn), "{given}");
        let role = (arn != "arn:aws:lambda:us-east-1:000000000000:function:f")
            .then_some("arn:aws:iam::123456789012:role/bill");
        assert_eq!(function.role(), role, "{given}");
    }
}

#[tokio::test]
async fn a_function_that_cannot_be_called_is_refused() {
    for (given, message) in [
        ("nobody", "Function does not exist"),
        (
            "nobody:live",
            "Function does not exist: no connection serves arn:aws:lambda:*:*:function:nobody",
        ),
        ("bill:old", "Function does not exist: no such function"),
        ("denied", "function 'denied' cannot be used: not yours"),
        (
            "f:$LATEST",
            "function 'f:$LATEST' is not valid: a function without a qualifier: functions have no versions here",
        ),
        // A registered function has no alias; and none of Lambda is called so.
        (
            "f:live",
            "Function does not exist: no connection serves arn:aws:lambda:*:*:function:f",
        ),
    ] {
        let w = world().await;
        let e = w.manager.create_mapping(of(given, "m"), false).await.unwrap_err();
        assert_eq!(fields(&e), ["function"], "{given}");
        assert_eq!(e.to_string(), message, "{given}");
    }
    let w = world().await;
    let e = w
        .manager
        .create_mapping(of("slow", "m"), false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::Unavailable { .. }), "{e:?}");
}

/// Semantics 2.3: one mapping for each source and function, exactly as it is qualified.
#[tokio::test]
async fn a_source_is_mapped_once_to_a_function_by_whatever_name() {
    let w = world().await;
    w.manager.create_mapping(of("bill", "m"), false).await.unwrap();
    for same in ["bill", ARN, "123456789012:function:bill"] {
        let e = w.manager.create_mapping(of(same, "n"), false).await.unwrap_err();
        assert!(matches!(e, ManageError::AlreadyExists { .. }), "{same}: {e:?}");
    }
    w.manager
        .create_mapping(of("bill:live", "n"), false)
        .await
        .unwrap();
    let e = w
        .manager
        .update_mapping(&namespace(), &name("n"), &patch(ARN), None, false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::AlreadyExists { .. }), "{e:?}");
}

#[tokio::test]
async fn a_repeated_call_finds_its_mapping_though_lambda_says_something_else_by_now() {
    let w = world().await;
    let new = || NewMapping {
        request_id: Some("r".to_owned()),
        ..of("bill", "m")
    };
    let made = w.manager.create_mapping(new(), false).await.unwrap();
    for answer in [
        Ok(found(ARN, 9_000)),
        Err(FindError::NotFound("gone".to_owned())),
        Err(FindError::Unavailable("no answer".to_owned())),
    ] {
        w.outside.lambda.lock().unwrap().insert("bill".to_owned(), answer);
        let again = w.manager.create_mapping(new(), false).await.unwrap();
        assert_eq!(again.mapping, made.mapping);
    }
}

#[tokio::test]
async fn an_update_that_names_the_function_asks_again_and_does_not_depend_on_it() {
    let w = world().await;
    w.manager.create_mapping(of("bill", "m"), false).await.unwrap();
    let update = async |patch: MappingPatch| {
        w.manager
            .update_mapping(&namespace(), &name("m"), &patch, None, false)
            .await
            .map(|view| view.mapping)
    };
    assert_eq!(
        update(patch("bill")).await.unwrap().generation,
        1,
        "nothing is new"
    );
    let answer = |a| w.outside.lambda.lock().unwrap().insert("bill".to_owned(), a);
    answer(Ok(found(ARN, 9_000)));
    let longer = update(patch("bill")).await.unwrap();
    let FunctionRef::Lambda(function) = &longer.spec.function else {
        panic!("{longer:?}")
    };
    assert_eq!(
        (longer.generation, function.found.as_ref().map(|f| f.timeout_ms)),
        (2, Some(9_000))
    );
    answer(Err(FindError::Unavailable("no answer".to_owned())));
    let larger = MappingPatch {
        batch_size: Some(Some(7)),
        ..patch("bill")
    };
    let kept = update(larger).await.unwrap();
    assert_eq!((kept.generation, &kept.spec.function), (3, &longer.spec.function));
    let e = update(patch("slow")).await.unwrap_err();
    assert!(matches!(e, ManageError::Unavailable { .. }), "{e:?}");
    let e = update(patch("nobody")).await.unwrap_err();
    assert_eq!(fields(&e), ["function"]);
    assert_eq!(update(patch("f")).await.unwrap().spec.function.as_str(), "f");
}

/// A mapping goes on calling what it called, though its name means something else by now.
#[tokio::test]
async fn a_name_that_is_registered_or_removed_later_moves_no_mapping() {
    let w = world().await;
    let orders = w.manager.create_mapping(of("bill", "m"), false).await.unwrap();
    let own = w.manager.create_mapping(of("f", "n"), false).await.unwrap();
    w.manager
        .create_function(new_function("bill"), false)
        .await
        .unwrap();
    w.manager
        .delete_function(&namespace(), &function("f"), None, false)
        .await
        .unwrap();
    for (mapping, named, made) in [("m", "bill", &orders), ("n", "f", &own)] {
        let update = async |patch: &MappingPatch| {
            w.manager
                .update_mapping(&namespace(), &name(mapping), patch, None, false)
                .await
                .unwrap()
                .mapping
        };
        assert_eq!(update(&patch(named)).await, made.mapping, "{named}");
    }
    // By its ARN it is asked for.
    let own = "arn:aws:lambda:us-east-1:000000000000:function:bill";
    let moved = w
        .manager
        .update_mapping(&namespace(), &name("m"), &patch(own), None, false)
        .await
        .unwrap();
    assert_eq!(moved.mapping.spec.function, function("bill").into());
}
