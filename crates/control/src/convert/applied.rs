//! What was applied to a resource from a file: passed through, within bounds.

use crate::refusal::Refusal;
use millstream_api::v1;
use millstream_types::Applied;

/// Its path in an update mask, of every kind of resource.
pub(super) const PATH: &str = "applied";

/// What a request notes as applied; nothing if it is not set.
pub(super) fn read(field: &str, applied: Option<&v1::Applied>) -> Result<Applied, Refusal> {
    let settings = applied.map(|a| a.settings.clone()).unwrap_or_default();
    Applied::new(settings.into_iter().collect()).map_err(|e| Refusal {
        field: field.to_owned(),
        message: format!("{field} is not valid: {e}"),
    })
}

/// The same for an answer; unset if nothing was applied.
pub(super) fn to_api(applied: &Applied) -> Option<v1::Applied> {
    (!applied.is_empty()).then(|| v1::Applied {
        settings: applied
            .settings()
            .iter()
            .map(|(path, value)| (path.clone(), value.clone()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_passed_through_or_refused_by_its_field() {
        let one = |path: &str| v1::Applied {
            settings: [(path.to_owned(), "50".to_owned())].into(),
        };
        let applied = read("mapping.applied", Some(&one("batch_size"))).unwrap();
        assert_eq!(to_api(&applied), Some(one("batch_size")));
        assert_eq!(to_api(&read("mapping.applied", None).unwrap()), None);
        let refused = read("mapping.applied", Some(&one("Batch"))).unwrap_err();
        assert_eq!(refused.field, "mapping.applied");
        assert!(refused.message.contains("Batch"), "{}", refused.message);
    }
}
