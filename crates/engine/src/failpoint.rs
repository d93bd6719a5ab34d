//! Named places where a test can make the engine fail. Absent from release builds without the feature.

/// Panics if the place was configured to, for this subject (a mapping's name); does nothing otherwise.
#[inline]
pub(crate) fn hit(place: &str, subject: &str) {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    active::hit(place, subject);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    let _ = (place, subject);
}

/// Sets fail points from a text like `shard_consumer.page(orders)=panic@3;…`: panic, once, at the third hit for
/// the mapping `orders`.
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

    pub(super) fn hit(place: &str, subject: &str) {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        if points.is_empty() {
            return;
        }
        let point = format!("{place}({subject})");
        let Some(left) = points.get_mut(&point) else {
            return;
        };
        *left -= 1;
        if *left == 0 {
            points.remove(&point);
            drop(points);
            panic!("fail point {point}");
        }
    }

    pub(super) fn configure(text: &str) -> Result<(), String> {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        for part in text.split(';').filter(|p| !p.is_empty()) {
            let parsed = part
                .split_once("=panic@")
                .and_then(|(place, n)| Some((place, n.parse::<u64>().ok()?)));
            let Some((place, n @ 1..)) = parsed.filter(|(place, _)| place.ends_with(')')) else {
                return Err(format!(
                    "fail point '{part}' is not of the form PLACE(MAPPING)=panic@N with N from 1"
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
            super::configure("test.place(m)=panic@2").unwrap();
            super::hit("test.place", "other");
            super::hit("test.place", "m");
            assert!(std::panic::catch_unwind(|| super::hit("test.place", "m")).is_err());
            super::hit("test.place", "m");
            for text in ["test.place", "test.place=panic@1", "test.place(m)=panic@0"] {
                assert!(super::configure(text).is_err(), "{text}");
            }
        }
    }
}
