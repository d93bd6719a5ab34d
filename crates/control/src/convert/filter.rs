//! Filters of mappings, in and out.

use super::mask::Mask;
use crate::refusal::{Refusal, Refusals};
use millstream_api::v1;
use millstream_engine::manage::MappingPatch;
use millstream_types::{FilterCriteria, OnUnmatched};

/// Their path in an update mask.
pub(crate) const PATH: &str = "filter_criteria";
const UNMATCHED: &str = "mapping.filter_criteria.on_unmatched";

/// The change that is meant: all of it, or single members by deeper paths.
pub(crate) fn patch(m: &v1::Mapping, mask: &Mask, patch: &mut MappingPatch, refusals: &mut Refusals) {
    let set = m.filter_criteria.clone().unwrap_or_default();
    let deep = |member: &str| matches!(mask, Mask::Named(_)) && mask.means(&format!("{PATH}.{member}"), true);
    let all = mask.means(PATH, m.filter_criteria.is_some());
    if all || deep("filters") {
        let patterns = set.filters.iter().map(|f| f.pattern.clone());
        patch.filters = Some(patterns.collect());
    }
    if all || deep("extended") {
        patch.extended_filters = Some(set.extended);
    }
    if all || deep("on_unmatched") {
        patch.on_unmatched = refusals.take(on_unmatched(set.on_unmatched));
    }
}

fn on_unmatched(value: i32) -> Result<OnUnmatched, Refusal> {
    match v1::OnUnmatched::try_from(value) {
        Ok(v1::OnUnmatched::Unspecified | v1::OnUnmatched::Drop) => Ok(OnUnmatched::Drop),
        Ok(v1::OnUnmatched::Keep) => Ok(OnUnmatched::Keep),
        Ok(v1::OnUnmatched::Quarantine) => Ok(OnUnmatched::Quarantine),
        Err(_) => Err(Refusal::new(UNMATCHED, value, "DROP, KEEP or QUARANTINE")),
    }
}

/// Unset without filters, as AWS does it.
pub(crate) fn to_api(criteria: &FilterCriteria) -> Option<v1::FilterCriteria> {
    if criteria.is_default() {
        return None;
    }
    let filters = criteria.filters.iter().map(|pattern| v1::Filter {
        pattern: pattern.clone(),
    });
    let on_unmatched = match criteria.on_unmatched {
        OnUnmatched::Drop => v1::OnUnmatched::Drop,
        OnUnmatched::Keep => v1::OnUnmatched::Keep,
        OnUnmatched::Quarantine => v1::OnUnmatched::Quarantine,
    };
    Some(v1::FilterCriteria {
        filters: filters.collect(),
        extended: criteria.extended,
        on_unmatched: on_unmatched.into(),
    })
}
