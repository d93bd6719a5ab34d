//! Provisioned pollers of a mapping of a queue (semantics, section 12).

use super::Violation;
use millstream_types::MappingSpec;

pub(super) const CONFIG: &str = "provisioned_poller_config";
const MINIMUM: &str = "provisioned_poller_config.minimum_pollers";
const MAXIMUM: &str = "provisioned_poller_config.maximum_pollers";

/// What is wrong with the pollers of a mapping of a queue. The ranges of AWS's model are wider than those that it
/// documents for queues: 1 to 200 and 1 to 10,000, against 2 to 200 and 2 to 2,000.
pub(super) fn check(spec: &MappingSpec) -> Vec<Violation> {
    let Some(pollers) = spec.provisioned_pollers else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (field, member, set, of_model, most) in [
        (
            MINIMUM,
            "provisionedPollerConfig.minimumPollers",
            pollers.minimum,
            1..=200,
            200,
        ),
        (
            MAXIMUM,
            "provisionedPollerConfig.maximumPollers",
            pollers.maximum,
            1..=10_000,
            2_000,
        ),
    ] {
        let Some(n) = set.map(i64::from) else { continue };
        match Violation::outside_model(field, member, n, &of_model) {
            Some(violation) => found.push(violation),
            None if !(2..=most).contains(&n) => {
                found.push(Violation::own(field, n, format!("2 to {most} for a queue")));
            }
            None => {}
        }
    }
    if found.is_empty() && pollers.fewest() > pollers.most() {
        let allowed = format!("at least minimum_pollers, {}", pollers.fewest());
        found.push(Violation::own(MAXIMUM, pollers.most(), allowed));
    }
    if spec.maximum_concurrency.is_some() {
        let allowed = "not together with scaling_config.maximum_concurrency";
        found.push(Violation::own(CONFIG, "set", allowed));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{FunctionName, ProvisionedPollers, QueueName, SourceArn};

    fn spec(minimum: Option<u32>, maximum: Option<u32>) -> MappingSpec {
        let queue = SourceArn::local_queue(&QueueName::new("q").unwrap());
        let mut spec = MappingSpec::queue(queue, FunctionName::new("f").unwrap());
        spec.provisioned_pollers = Some(ProvisionedPollers { minimum, maximum });
        spec
    }

    #[test]
    fn ranges_at_both_sides_of_their_bounds() {
        let model = |n: u32, member: &str, relation: &str, bound: u32| {
            format!(
                "1 validation error detected: Value '{n}' at 'provisionedPollerConfig.{member}' failed to satisfy \
                 constraint: Member must have value {relation} than or equal to {bound}"
            )
        };
        let own = |field: &str, n: u32, allowed: &str| format!("{field} '{n}' is not valid: {allowed}");
        for (minimum, maximum, expected) in [
            (None, None, String::new()),
            (Some(2), Some(2), String::new()),
            (Some(200), None, String::new()),
            (Some(200), Some(2_000), String::new()),
            (Some(0), None, model(0, "minimumPollers", "greater", 1)),
            (Some(1), None, own(MINIMUM, 1, "2 to 200 for a queue")),
            (Some(201), None, model(201, "minimumPollers", "less", 200)),
            (None, Some(0), model(0, "maximumPollers", "greater", 1)),
            (None, Some(1), own(MAXIMUM, 1, "2 to 2000 for a queue")),
            (None, Some(2_001), own(MAXIMUM, 2_001, "2 to 2000 for a queue")),
            (
                None,
                Some(10_001),
                model(10_001, "maximumPollers", "less", 10_000),
            ),
            (Some(5), Some(4), own(MAXIMUM, 4, "at least minimum_pollers, 5")),
        ] {
            let found: Vec<String> = check(&spec(minimum, maximum))
                .into_iter()
                .map(|v| v.message)
                .collect();
            assert_eq!(found.join("; "), expected, "{minimum:?} {maximum:?}");
        }
    }

    #[test]
    fn they_exclude_a_maximum_concurrency() {
        let mut spec = spec(Some(2), None);
        spec.maximum_concurrency = Some(2);
        let fields: Vec<_> = check(&spec).into_iter().map(|v| v.field).collect();
        assert_eq!(fields, [CONFIG]);
    }
}
