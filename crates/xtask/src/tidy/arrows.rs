//! Arrows between crates point down only: which package may depend on which, from docs/architecture.md.

use super::finding::Finding;
use super::tree::{Dependency, Package};

/// What one package may depend on. Tests may also use [`Rule::dev`] and the testkit.
struct Rule {
    package: &'static str,
    /// Our own packages it may depend on.
    ours: &'static [&'static str],
    /// More of our own that only its tests may depend on.
    dev: &'static [&'static str],
}

const fn rule(package: &'static str, ours: &'static [&'static str], dev: &'static [&'static str]) -> Rule {
    Rule { package, ours, dev }
}

const TESTKIT: &str = "millstream-testkit";

const RULES: &[Rule] = &[
    rule("millstream-types", &[], &[]),
    rule("millstream-core", &["millstream-types"], &["millstream-ports"]),
    rule("millstream-ports", &["millstream-types"], &[]),
    rule("millstream-telemetry", &["millstream-types"], &[]),
    rule("millstream-store", &["millstream-ports", "millstream-types"], &[]),
    rule(
        "millstream-broker",
        &["millstream-store", "millstream-ports", "millstream-types"],
        &[],
    ),
    rule(
        "millstream-targets",
        &["millstream-ports", "millstream-types"],
        &[],
    ),
    rule(
        "millstream-sources",
        &["millstream-ports", "millstream-types"],
        &[],
    ),
    rule(
        "millstream-engine",
        &[
            "millstream-core",
            "millstream-ports",
            "millstream-telemetry",
            "millstream-types",
        ],
        &[],
    ),
    rule("millstream-api", &[], &[]),
    rule(
        "millstream-control",
        &[
            "millstream-api",
            "millstream-engine",
            "millstream-ports",
            "millstream-telemetry",
            "millstream-types",
        ],
        &["millstream", "millstream-core"],
    ),
    rule(
        "millstream",
        &[
            "millstream-engine",
            "millstream-store",
            "millstream-broker",
            "millstream-sources",
            "millstream-targets",
            "millstream-ports",
            "millstream-telemetry",
            "millstream-types",
        ],
        &[],
    ),
    rule(
        "millstream-server",
        &[
            "millstream",
            "millstream-control",
            "millstream-api",
            "millstream-ports",
            "millstream-telemetry",
            "millstream-types",
        ],
        &[],
    ),
    rule(
        TESTKIT,
        &["millstream-core", "millstream-ports", "millstream-types"],
        &[],
    ),
    rule(
        "millstream-tests", // nothing but tests: the testkit is an ordinary dependency there
        &["millstream-api", "millstream-types", TESTKIT],
        &["millstream", "millstream-server"],
    ),
    rule("millstream-demo", &["millstream-api"], &[]),
    rule("xtask", &[], &[]),
];

/// Crates from outside that would bring a clock, entropy, a runtime or I/O into the pure core.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "async-trait",
    "futures",
    "ractor",
    "rand",
    "getrandom",
    "rocksdb",
    "tonic",
    "hyper",
    "tracing",
];

pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| check_package(package, packages))
        .collect()
}

fn check_package(package: &Package, all: &[Package]) -> Vec<Finding> {
    let Some(rule) = RULES.iter().find(|rule| rule.package == package.name) else {
        let what = format!("no rule says what {} may depend on", package.name);
        let remedy = "give it a line in crates/xtask/src/tidy/arrows.rs and in docs/architecture.md";
        return vec![finding(package, what, remedy.to_owned())];
    };
    let forbidden = |dependency: &&Dependency| forbidden_arrow(rule, dependency, all);
    let describe = |dependency: &Dependency| {
        let kind = if dependency.dev { "dev-depends" } else { "depends" };
        let what = format!("{} {kind} on {}", package.name, dependency.name);
        let remedy = match rule.ours {
            [] => "it may depend on no other crate of this workspace".to_owned(),
            ours => format!("it may depend on {}", ours.join(", ")),
        };
        finding(package, what, remedy)
    };
    package
        .dependencies
        .iter()
        .filter(forbidden)
        .map(describe)
        .collect()
}

fn forbidden_arrow(rule: &Rule, dependency: &Dependency, all: &[Package]) -> bool {
    let name = dependency.name.as_str();
    if all.iter().any(|package| package.name == name) {
        let test_only = rule.dev.contains(&name) || name == TESTKIT || name == rule.package;
        return !(rule.ours.contains(&name) || dependency.dev && test_only);
    }
    rule.package == "millstream-core" && !dependency.dev && NOT_IN_CORE.contains(&name)
}

fn finding(package: &Package, what: String, remedy: String) -> Finding {
    Finding {
        path: package.manifest.clone(),
        line: 0,
        rule: "arrow",
        item: String::new(),
        what,
        why: "arrows between crates point down only (docs/architecture.md)",
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::package;
    use super::*;

    /// Checks one package among the members it names, and two bystanders.
    fn whats(name: &str, dependencies: &[&str]) -> Vec<String> {
        let mut all = vec![package(name, dependencies)];
        for member in [
            "millstream-store",
            "millstream-engine",
            "millstream-testkit",
            "millstream-types",
            "millstream",
        ] {
            if member != name {
                all.push(package(member, &[]));
            }
        }
        check(&all[..1])
            .into_iter()
            .chain(check_package(&all[0], &all))
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn arrows_that_point_down_are_silent() {
        for (name, dependencies) in [
            (
                "millstream-core",
                &[
                    "millstream-types",
                    "dev:millstream-testkit",
                    "serde_json",
                    "dev:tokio",
                ][..],
            ),
            ("millstream-broker", &["millstream-store", "tokio"][..]),
            ("millstream-tests", &["millstream-testkit", "dev:millstream"][..]),
            (
                "millstream-testkit",
                &["millstream-types", "dev:millstream-testkit"][..],
            ),
        ] {
            assert_eq!(whats(name, dependencies), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn every_forbidden_arrow_is_named() {
        for (name, dependency, want) in [
            (
                "millstream-core",
                "millstream-engine",
                "millstream-core depends on millstream-engine",
            ),
            (
                "millstream-targets",
                "millstream-store",
                "millstream-targets depends on millstream-store",
            ),
            (
                "millstream-engine",
                "dev:millstream-store",
                "millstream-engine dev-depends on millstream-store",
            ),
            (
                "millstream-store",
                "millstream-testkit",
                "millstream-store depends on millstream-testkit",
            ),
            (
                "millstream-demo",
                "millstream",
                "millstream-demo depends on millstream",
            ),
        ] {
            assert_eq!(whats(name, &[dependency]), [want]);
        }
    }

    #[test]
    fn core_takes_no_runtime_from_outside() {
        let found = check(&[package("millstream-core", &["tokio", "serde"])]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].what, "millstream-core depends on tokio");
    }

    #[test]
    fn a_package_without_a_rule_is_a_finding() {
        let found = check(&[package("millstream-surprise", &[])]);
        assert_eq!(
            found[0].what,
            "no rule says what millstream-surprise may depend on"
        );
        assert_eq!(found[0].path, "crates/millstream-surprise/Cargo.toml");
    }
}
