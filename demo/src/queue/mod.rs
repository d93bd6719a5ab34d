//! The two queues: January's arrivals on a standard queue, January's departures on a FIFO queue.
//!
//! Which flights go where, and which of them the functions refuse, is said here and only here:
//!
//! | queue | flights | refused, so dead-lettered |
//! |---|---|---|
//! | `arrivals` | those of January with a time of arrival | those of them without a delay at arrival (diverted ones) |
//! | `departures.fifo` | those of January with a time of departure | those of them without a time of arrival (never arrived) |

pub(crate) mod check;
pub(crate) mod figures;
pub(crate) mod log;
pub(crate) mod scene;
pub(crate) mod sender;

use crate::flights::Flight;

/// One queue, what is sent to it, and who processes it.
#[derive(Debug)]
pub(crate) struct QueueScene {
    /// What its bar is called.
    pub(crate) what: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) dead_letters: &'static str,
    /// The name of the function, and of the mapping that calls it.
    pub(crate) function: &'static str,
    /// The file the function writes.
    pub(crate) log: &'static str,
    pub(crate) fifo: bool,
    /// Which of January's flights are sent.
    takes: fn(&Flight) -> bool,
    /// Which of those the function refuses.
    refuses: fn(&Flight) -> bool,
    /// What the function writes beside a flight's number: the key, and minutes.
    pub(crate) key: fn(&Flight) -> &str,
    pub(crate) minutes: fn(&Flight) -> Option<i32>,
}

/// Both queues.
pub(crate) const QUEUES: [QueueScene; 2] = [
    QueueScene {
        what: "arrivals",
        queue: "arrivals",
        dead_letters: "arrivals-dead",
        function: "rust-arrivals",
        log: "arrivals.log",
        fifo: false,
        takes: |flight| flight.arr_time.is_some(),
        refuses: |flight| flight.arr_delay.is_none(),
        key: |flight| &flight.tail,
        minutes: |flight| flight.arr_delay,
    },
    QueueScene {
        what: "departures",
        queue: "departures.fifo",
        dead_letters: "departures-dead.fifo",
        function: "python-departures",
        log: "departures.log",
        fifo: true,
        takes: |flight| flight.dep_time.is_some(),
        refuses: |flight| flight.arr_time.is_none(),
        key: |flight| &flight.dest,
        minutes: |flight| flight.dep_delay,
    },
];

impl QueueScene {
    /// Whether a flight is sent to the queue.
    pub(crate) fn takes(&self, flight: &Flight) -> bool {
        flight.month == 1 && (self.takes)(flight)
    }

    /// Whether a flight is sent to the queue and refused by the function.
    pub(crate) fn is_refused(&self, flight: &Flight) -> bool {
        self.takes(flight) && (self.refuses)(flight)
    }

    /// The numbers of the flights that are sent, in the order in which they were to leave.
    pub(crate) fn messages(&self, flights: &[Flight]) -> Vec<usize> {
        let taken = flights.iter().filter(|flight| self.takes(flight));
        taken.map(|flight| flight.n).collect()
    }

    /// How many messages go to the dead-letter queue.
    pub(crate) fn refused(&self, flights: &[Flight]) -> usize {
        flights.iter().filter(|flight| self.is_refused(flight)).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::flights::tests::flight;

    /// Flew; was diverted; left and never arrived; was cancelled; flew in February.
    pub(crate) fn flights() -> Vec<Flight> {
        let never_arrived = Flight {
            arr_time: None,
            arr_delay: None,
            ..flight(2, "A", Some(9))
        };
        vec![
            flight(0, "A", Some(5)),
            Flight {
                arr_delay: None,
                ..flight(1, "B", Some(-2))
            },
            never_arrived,
            flight(3, "C", None),
            Flight {
                month: 2,
                ..flight(4, "A", Some(1))
            },
            flight(5, "B", Some(-3)),
        ]
    }

    #[test]
    fn each_queue_takes_and_refuses_what_its_table_says() {
        let [arrivals, departures] = QUEUES.map(|scene| {
            let refused = flights().into_iter().filter(|flight| scene.is_refused(flight));
            let refused: Vec<usize> = refused.map(|flight| flight.n).collect();
            assert_eq!(refused.len(), scene.refused(&flights()));
            (scene.messages(&flights()), refused)
        });
        assert_eq!(arrivals, (vec![0, 1, 5], vec![1]));
        assert_eq!(departures, (vec![0, 1, 2, 5], vec![2]));
    }
}
