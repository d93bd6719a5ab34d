//! Tags of resources: passed through, within bounds.

use crate::refusal::Refusal;
use millstream_types::Tags;
use std::collections::HashMap;

/// Their path in an update mask, of every kind of resource.
pub(super) const PATH: &str = "tags";

/// What a request notes.
pub(crate) fn read(field: &str, tags: &HashMap<String, String>) -> Result<Tags, Refusal> {
    let tags = tags.iter().map(|(k, v)| (k.clone(), v.clone()));
    Tags::new(tags.collect()).map_err(|e| Refusal {
        field: field.to_owned(),
        message: format!("{field} is not valid: {e}"),
    })
}

/// The same for an answer.
pub(super) fn to_api(tags: &Tags) -> HashMap<String, String> {
    let tags = tags.as_map().iter();
    tags.map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_passed_through_or_refused_by_their_field() {
        let one = |name: &str| HashMap::from([(name.to_owned(), "v".to_owned())]);
        assert_eq!(to_api(&read("mapping.tags", &one("team")).unwrap()), one("team"));
        let refused = read("mapping.tags", &one("aws:team")).unwrap_err();
        assert_eq!(refused.field, "mapping.tags");
        assert!(refused.message.contains("aws:team"), "{}", refused.message);
    }
}
