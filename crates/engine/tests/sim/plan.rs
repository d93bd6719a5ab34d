//! What a seed decides beforehand: sources, mappings and their settings, and how often things go wrong.

use millstream_testkit::Rng;
use millstream_types::{FunctionName, MappingSpec, QueueName, SourceArn, StartingPosition, StreamName};

/// Where failure documents go.
pub(crate) const DESTINATION: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/failures";

/// How a function behaves while things go wrong, in so many of a thousand calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub(crate) error: u64,
    pub(crate) partial: u64,
    pub(crate) garbage: u64,
    pub(crate) throttle: u64,
    pub(crate) unreachable: u64,
    pub(crate) timeout: u64,
    pub(crate) hang: u64,
    /// Of the records or messages: how many it never accepts.
    pub(crate) poison: u64,
    /// Longest call, in ms.
    pub(crate) call_ms: u64,
    /// What its timeout is, in ms.
    pub(crate) timeout_ms: u32,
}

/// How often the outside fails, in so many of a thousand calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// A read or a listing of a stream.
    pub(crate) source: u64,
    /// Nobody can say whether a commit is stored.
    pub(crate) unknown: u64,
    /// Any other call of the store, and any of the catalog.
    pub(crate) store: u64,
    /// A delivery of a failure document.
    pub(crate) delivery: u64,
    /// A call takes up to two seconds.
    pub(crate) slow: u64,
    /// The watch of the catalog misses something.
    pub(crate) lag: u64,
}

/// What goes wrong with one queue, in so many of a thousand calls or entries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueFaults {
    pub(crate) receive_fails: u64,
    pub(crate) receive_lost: u64,
    pub(crate) receive_slow: u64,
    pub(crate) twice: u64,
    pub(crate) refused: u64,
    pub(crate) misreported: u64,
    pub(crate) unanswered: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct StreamPlan {
    pub(crate) name: StreamName,
    pub(crate) shards: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct QueuePlan {
    pub(crate) name: QueueName,
    pub(crate) fifo: bool,
    pub(crate) visibility: u64,
    pub(crate) max_receives: Option<u32>,
    pub(crate) groups: u64,
    pub(crate) faults: QueueFaults,
    /// Nothing goes wrong between it and the engine: then nothing is done twice.
    pub(crate) clean: bool,
}

/// What a mapping reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stream(usize),
    Queue(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct MappingPlan {
    pub(crate) source: Source,
    pub(crate) function: FunctionName,
    pub(crate) spec: MappingSpec,
    pub(crate) behaviour: Behaviour,
    /// It filters: only records whose key begins so are sent, or messages of this group.
    pub(crate) wants: Option<&'static str>,
}

impl MappingPlan {
    /// Whether a record of this key, or a message of this group, is to be sent.
    pub(crate) fn wants(&self, key: &[u8]) -> bool {
        self.wants.is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
    }
}

/// A seed's settings.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) streams: Vec<StreamPlan>,
    pub(crate) queues: Vec<QueuePlan>,
    pub(crate) mappings: Vec<MappingPlan>,
    pub(crate) faults: Faults,
    /// Chaos and producers end after so many seconds.
    pub(crate) seconds: u64,
    /// Longest pause between two puts into one stream, and two sends to one queue, in ms.
    pub(crate) put_every_ms: u64,
    /// Longest pause between two acts of chaos, in ms.
    pub(crate) chaos_every_ms: u64,
    /// Most crashes and power losses.
    pub(crate) crashes: u64,
    /// Longest way of an ordinary call, in µs.
    pub(crate) way_us: u64,
}

fn rate(rng: &mut Rng, most: u64) -> u64 {
    if rng.per_mille(300) {
        0
    } else {
        rng.between(0, 2 * most)
    }
}

fn pick<T: Copy>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.index(items.len())]
}

impl Plan {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        // Streams alone, queues alone, or both: what is not there costs no time.
        let (streams, queues) = pick(rng, &[(1, 0), (2, 0), (0, 1), (1, 1), (0, 2), (1, 1), (2, 1)]);
        let streams: Vec<StreamPlan> = (0..streams).map(|n| stream(rng, n)).collect();
        let queues: Vec<QueuePlan> = (0..queues).map(|n| queue(rng, n)).collect();
        let mut mappings = Vec::new();
        for (n, stream) in streams.iter().enumerate() {
            for _ in 0..pick(rng, &[1, 1, 2]) {
                mappings.push(of_stream(rng, n, stream, mappings.len()));
            }
        }
        for (n, queue) in queues.iter().enumerate() {
            mappings.push(of_queue(rng, n, queue, mappings.len()));
        }
        let faults = Faults {
            source: rate(rng, 60),
            unknown: rate(rng, 60),
            store: rate(rng, 80),
            delivery: rate(rng, 100),
            slow: rate(rng, 10),
            lag: rate(rng, 100),
        };
        Self {
            streams,
            queues,
            mappings,
            faults,
            seconds: rng.between(20, 120),
            put_every_ms: pick(rng, &[60, 200, 600]),
            chaos_every_ms: pick(rng, &[1_000, 3_000, 10_000]),
            crashes: pick(rng, &[0, 1, 2, 3, 5]),
            way_us: pick(rng, &[50, 3_000, 20_000]),
        }
    }

    /// The mapping that calls this function.
    pub(crate) fn of_function(&self, name: &str) -> Option<&MappingPlan> {
        self.mappings.iter().find(|m| m.function.as_str() == name)
    }
}

fn stream(rng: &mut Rng, n: usize) -> StreamPlan {
    StreamPlan {
        name: StreamName::new(format!("stream-{n}")).unwrap(),
        shards: rng.between(1, 3) as u32,
    }
}

fn queue(rng: &mut Rng, n: usize) -> QueuePlan {
    let fifo = rng.per_mille(500);
    let clean = rng.per_mille(400);
    let faults = if clean {
        QueueFaults::default()
    } else {
        QueueFaults {
            receive_fails: rate(rng, 50),
            receive_lost: rate(rng, 20),
            receive_slow: rate(rng, 100),
            twice: if fifo { 0 } else { rate(rng, 50) },
            refused: rate(rng, 50),
            misreported: rate(rng, 50),
            unanswered: rate(rng, 20),
        }
    };
    QueuePlan {
        name: QueueName::new(format!("queue-{n}{}", if fifo { ".fifo" } else { "" })).unwrap(),
        fifo,
        visibility: pick(rng, &[2, 5, 10, 30]),
        max_receives: rng.per_mille(500).then(|| rng.between(2, 6) as u32),
        groups: rng.between(1, 5),
        faults,
        clean,
    }
}

fn behaviour(rng: &mut Rng) -> Behaviour {
    Behaviour {
        error: rate(rng, 80),
        partial: rate(rng, 150),
        garbage: rate(rng, 10),
        throttle: rate(rng, 80),
        unreachable: rate(rng, 20),
        timeout: rate(rng, 20),
        hang: rate(rng, 4),
        poison: rate(rng, 30),
        call_ms: pick(rng, &[0, 20, 200, 2_000]),
        timeout_ms: 3_000,
    }
}

fn of_stream(rng: &mut Rng, n: usize, stream: &StreamPlan, number: usize) -> MappingPlan {
    let source = SourceArn::local_stream(&stream.name);
    let function = FunctionName::new(format!("f-{number}")).unwrap();
    let mut spec = MappingSpec::stream(source, function.clone(), StartingPosition::TrimHorizon);
    spec.max_retry_attempts = pick(rng, &[-1, 0, 1, 3, 6]);
    spec.max_record_age_seconds = pick(rng, &[-1, -1, 60]);
    spec.report_batch_item_failures = rng.per_mille(600);
    spec.on_failure = rng.per_mille(700).then(|| DESTINATION.parse().unwrap());
    // Of the twelve keys that are put: three, and one.
    let wants = pick(rng, &[None, None, None, Some("key-1"), Some("key-7")]);
    let pattern = |prefix| format!(r#"{{"partitionKey":[{{"prefix":"{prefix}"}}]}}"#);
    spec.filter_criteria.filters.extend(wants.map(pattern));
    let window = pick(rng, &[0, 0, 3, 20]);
    // AWS refuses the two together.
    if wants.is_none() {
        spec.tumbling_window_seconds = window;
    }
    change_stream(rng, &mut spec);
    MappingPlan {
        source: Source::Stream(n),
        function,
        spec,
        behaviour: behaviour(rng),
        wants,
    }
}

/// Settings of a mapping of a stream that may change while it runs.
pub(crate) fn change_stream(rng: &mut Rng, spec: &mut MappingSpec) {
    spec.batch_size = pick(rng, &[1, 2, 3, 5, 8]);
    spec.batching_window_seconds = pick(rng, &[0, 0, 0, 1, 3]);
    let factor = pick(rng, &[1, 2, 2, 4, 10]);
    if spec.tumbling_window_seconds == 0 {
        spec.parallelization_factor = factor;
    }
    spec.bisect_on_error = rng.per_mille(500);
}

fn of_queue(rng: &mut Rng, n: usize, queue: &QueuePlan, number: usize) -> MappingPlan {
    let function = FunctionName::new(format!("f-{number}")).unwrap();
    let mut spec = MappingSpec::queue(SourceArn::local_queue(&queue.name), function.clone());
    spec.report_batch_item_failures = rng.per_mille(600);
    let wants = pick(rng, &[None, None, Some("g1")]);
    let pattern = |group| format!(r#"{{"attributes":{{"MessageGroupId":["{group}"]}}}}"#);
    spec.filter_criteria.filters.extend(wants.map(pattern));
    change_queue(rng, &mut spec, queue.fifo);
    let mut behaviour = behaviour(rng);
    if rng.per_mille(300) {
        // Calls that outlast the visibility timeout.
        behaviour.call_ms = 3_000 * queue.visibility;
        behaviour.timeout_ms = 120_000;
    }
    MappingPlan {
        source: Source::Queue(n),
        function,
        spec,
        behaviour,
        wants,
    }
}

/// Settings of a mapping of a queue that may change while it runs.
pub(crate) fn change_queue(rng: &mut Rng, spec: &mut MappingSpec, fifo: bool) {
    spec.batch_size = rng.between(1, 10) as u32;
    spec.batching_window_seconds = 0;
    if !fifo && rng.per_mille(400) {
        spec.batching_window_seconds = rng.between(1, 4) as u32;
        spec.batch_size = rng.between(1, 20) as u32;
    }
    spec.maximum_concurrency = rng.per_mille(600).then(|| rng.between(2, 5) as u32);
}
