//! Dates as text. The calendar is proleptic Gregorian in UTC without leap seconds, as AWS's timestamps are.

use millstream_types::Wall;

const MS_PER_DAY: u64 = 86_400_000;
/// Days from 1 March of the year 0, where the reckoning is simplest, to 1 January 1970.
const EPOCH_DAYS: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;

/// `2026-01-01T00:00:00.123Z`.
pub(crate) fn iso_millis(at: Wall) -> String {
    format!("{}.{:03}Z", date_time(at), at.0 % 1_000)
}

/// `2026-01-01T00:00:00Z`; what is below a second is cut off.
pub(crate) fn iso_seconds(at: Wall) -> String {
    format!("{}Z", date_time(at))
}

fn date_time(at: Wall) -> String {
    let (year, month, day) = date(at.0 / MS_PER_DAY);
    let second = at.0 % MS_PER_DAY / 1_000;
    let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")
}

/// Year, month and day of a day after the epoch.
///
/// Counted in eras of 400 years that start on 1 March, so that the leap day is the last day of a year.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + EPOCH_DAYS;
    let (era, day_of_era) = (shifted / DAYS_PER_ERA, shifted % DAYS_PER_ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March: 153 days in every five months.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_607_497_475_000, "2020-12-09T07:04:35.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_millis(Wall(ms)), expected);
        }
        assert_eq!(iso_seconds(Wall(1_607_497_475_999)), "2020-12-09T07:04:35Z");
    }

    /// Counts through 400 years and more, day by day, with the rule that everybody knows.
    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, d) if d == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn the_far_end_does_not_panic() {
        assert!(iso_millis(Wall(u64::MAX)).ends_with("Z"));
    }
}
