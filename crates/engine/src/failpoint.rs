//! Named places where a test can make the engine fail. Absent from release builds without the feature.

/// Panics if the place was configured to; does nothing otherwise.
#[inline]
pub(crate) fn hit(place: &str) {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    active::hit(place);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    let _ = place;
}

/// Sets fail points from a text like `shard_consumer.page=panic@3;…`: panic at the third hit, once.
///
/// # Errors
/// If the text is of another form, or this build has no fail points.
pub fn configure(text: &str) -> Result<(), String> {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    return active::configure(text);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    Err(format!("fail points '{text}' are not part of this build"))
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
mod active {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    static POINTS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

    pub(super) fn hit(place: &str) {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        if points.is_empty() {
            return;
        }
        let Some(left) = points.get_mut(place) else { return };
        *left -= 1;
        if *left == 0 {
            points.remove(place);
            drop(points);
            panic!("fail point {place}");
        }
    }

    pub(super) fn configure(text: &str) -> Result<(), String> {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        for part in text.split(';').filter(|p| !p.is_empty()) {
            let parsed = part
                .split_once("=panic@")
                .and_then(|(place, n)| Some((place, n.parse::<u64>().ok()?)));
            let Some((place, n @ 1..)) = parsed else {
                return Err(format!(
                    "fail point '{part}' is not of the form PLACE=panic@N with N from 1"
                ));
            };
            points.insert(place.to_owned(), n);
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn a_place_fails_once_at_its_count() {
            super::configure("test.place=panic@2").unwrap();
            super::hit("test.place");
            assert!(std::panic::catch_unwind(|| super::hit("test.place")).is_err());
            super::hit("test.place");
            assert!(super::configure("test.place").is_err());
            assert!(super::configure("test.place=panic@0").is_err());
        }
    }
}
