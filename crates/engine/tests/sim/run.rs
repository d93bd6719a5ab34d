//! One seed from its beginning to its end: the node's processes, one after the other, each in a runtime of its own.
//!
//! A runtime with one thread and its time stopped: what the node has to do is done in the order in which it came up,
//! and sleeping returns once nothing is left to do. When a process is to die, its runtime is thrown away.

use crate::catalog::SimCatalog;
use crate::chaos::Gone;
use crate::function::SimFunctions;
use crate::mail::SimMail;
use crate::queue::SimQueue;
use crate::store::SimStore;
use crate::stream::SimStream;
use crate::tally::Tally;
use crate::world::{Command, Port, Sim, World};
use async_trait::async_trait;
use millstream_engine::manage::{Manager, ManagerPorts};
use millstream_engine::{Node, NodeOptions, NodePorts, Shutdown, StartError};
use millstream_ports::{QueueSource, SourceError, Sources, StreamSource};
use millstream_types::{Namespace, SourceArn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A run of more steps than this does not come to rest.
const MOST_STEPS: u64 = 2_000_000;

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    pub(crate) events: u64,
    pub(crate) steps: u64,
    pub(crate) hash: u64,
    /// Simulated time, in ms.
    pub(crate) lasted_ms: u64,
}

/// A run that broke an invariant.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) what: String,
    pub(crate) trail: String,
}

/// How a process of the node ended.
enum End {
    Gone(Gone),
    /// Everything is over, and this is how it stopped.
    Over(Shutdown),
    Broken,
}

/// Panics that are asked for tell nobody anything.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default();
            if !text.starts_with("fail point") {
                usual(panic);
            }
        }));
    });
}

/// Runs a seed.
pub(crate) fn run(seed: u64, print: bool) -> Result<Report, Box<Failure>> {
    quiet_panics();
    let sim = Sim::new(World::new(seed, print));
    let result = catch_unwind(AssertUnwindSafe(|| lives(&sim)));
    let failure = |what: String| {
        let trail = sim.with(|w| w.trail());
        Box::new(Failure { seed, what, trail })
    };
    match result {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(what)) => Err(failure(what)),
        Err(_) => Err(failure("the simulation panicked".to_owned())),
    }
}

fn lives(sim: &Sim) -> Result<Report, String> {
    loop {
        down(sim)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|e| e.to_string())?;
        let end = runtime.block_on(live(sim));
        drop(runtime);
        match end {
            End::Gone(how) => sim.with(|w| w.gone(how)),
            End::Broken => {}
            End::Over(how) => {
                sim.with(|w| {
                    w.up = false;
                    if how != Shutdown::Drained {
                        w.wrong("I13: the node does not drain, though nothing is left to do".to_owned());
                    }
                    w.judge_all();
                });
                return sim.with(|w| w.broken.take()).map_or_else(|| Ok(report(sim)), Err);
            }
        }
        if let Some(broken) = sim.with(|w| w.broken.take()) {
            return Err(broken);
        }
    }
}

fn report(sim: &Sim) -> Report {
    sim.with(|w| {
        let (events, steps, hash) = w.totals();
        Report {
            tally: w.tally.clone(),
            events,
            steps,
            hash,
            lasted_ms: w.now.mono.0 / 1_000_000,
        }
    })
}

/// No process runs, until one is to.
fn down(sim: &Sim) -> Result<(), String> {
    loop {
        let (goes_on, command, broken) = sim.with(|w| (w.turn(), w.command.take(), w.broken.take()));
        if let Some(broken) = broken {
            return Err(broken);
        }
        match command {
            Some(Command::Boot) => return Ok(()),
            _ if !goes_on => return Err("nothing is to come, and no process runs".to_owned()),
            _ => {}
        }
    }
}

/// One process.
struct Process {
    port: Port,
    starting: Option<JoinHandle<Result<Node, StartError>>>,
    node: Option<Node>,
    stopping: Option<JoinHandle<Shutdown>>,
    over: bool,
}

/// The life of one process.
async fn live(sim: &Sim) -> End {
    let process = sim.with(|w| {
        w.process += 1;
        w.up = true;
        w.process
    });
    let port = Port {
        sim: sim.clone(),
        process,
    };
    let starting = tokio::spawn(Node::start(NodeOptions::default(), ports(&port)));
    let mut life = Process {
        port,
        starting: Some(starting),
        node: None,
        stopping: None,
        over: false,
    };
    loop {
        // Returns when nothing else can run.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if let Some(end) = life.look().await {
            return ended(sim, end);
        }
        let tasks = sim.with(|w| {
            w.observe();
            std::mem::take(&mut w.operator.tasks)
        });
        for task in tasks {
            tokio::spawn(task);
        }
        let (goes_on, command, broken) = sim.with(|w| {
            let goes_on = w.broken.is_none() && w.turn() && w.totals().1 < MOST_STEPS;
            (goes_on, w.command.take(), w.broken.is_some())
        });
        if broken {
            return ended(sim, End::Broken);
        }
        if let Some(end) = command.and_then(|c| life.obey(c)) {
            return ended(sim, end);
        }
        if !goes_on {
            sim.with(|w| {
                let left = w.judges.unfinished();
                w.wrong(format!("I1, I13: it comes to a halt; not finished: {left:?}"));
            });
            return ended(sim, End::Broken);
        }
    }
}

/// From here on nobody sees what the process does, before any of it is dropped.
fn ended(sim: &Sim, end: End) -> End {
    sim.with(|w| w.up = false);
    end
}

impl Process {
    async fn look(&mut self) -> Option<End> {
        if let Some(starting) = self.starting.take_if(|s| s.is_finished()) {
            match starting.await {
                Ok(Ok(node)) => self.started(node),
                Ok(Err(_)) | Err(_) => return Some(End::Gone(Gone::NotStarted)),
            }
        }
        let stopped = self.stopping.take_if(|s| s.is_finished())?.await;
        let how = stopped.unwrap_or(Shutdown::Forced);
        Some(match (self.over, how) {
            (true, how) => End::Over(how),
            (false, Shutdown::Drained) => End::Gone(Gone::Drained),
            (false, Shutdown::Forced) => End::Gone(Gone::Forced),
        })
    }

    fn started(&mut self, node: Node) {
        let store = Arc::new(SimStore(self.port.clone()));
        let manager = Manager::new(ManagerPorts {
            catalog: Arc::new(SimCatalog(self.port.clone())),
            sources: Arc::new(SimSources(self.port.clone())),
            destinations: Arc::new(SimMail(self.port.clone())),
            lambda: Arc::new(millstream_testkit::NoLambda),
            clock: Arc::new(self.port.clone()),
            entropy: Arc::new(self.port.clone()),
            live: node.live(),
            ledger: store.clone(),
            discards: store,
        });
        let (live, port) = (node.live(), self.port.clone());
        self.port.with(|w| w.operator.use_node(manager, live, port));
        self.node = Some(node);
    }

    fn obey(&mut self, command: Command) -> Option<End> {
        match command {
            Command::Boot => None,
            Command::Crash { power } => Some(End::Gone(if power { Gone::PowerLoss } else { Gone::Crash })),
            Command::Stop { seconds } => {
                self.stop(seconds);
                None
            }
            Command::Over => {
                self.over = true;
                self.stop(3_600);
                None
            }
        }
    }

    fn stop(&mut self, seconds: u64) {
        if let Some(node) = self.node.take() {
            self.port.with(|w| w.operator.forget_process());
            self.stopping = Some(tokio::spawn(node.shutdown(Duration::from_secs(seconds))));
        }
    }
}

fn ports(port: &Port) -> NodePorts {
    let store = Arc::new(SimStore(port.clone()));
    NodePorts {
        clock: Arc::new(port.clone()),
        entropy: Arc::new(port.clone()),
        catalog: Arc::new(SimCatalog(port.clone())),
        journal: store.clone(),
        ledger: store.clone(),
        sources: Arc::new(SimSources(port.clone())),
        destinations: Arc::new(SimMail(port.clone())),
        outbox: store,
        functions: Arc::new(SimFunctions(port.clone())),
    }
}

/// Finds streams and queues.
struct SimSources(Port);

#[async_trait]
impl Sources for SimSources {
    async fn stream(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn StreamSource>, SourceError> {
        let asked = arn.clone();
        let found = self.0.call(move |w| {
            if w.source_trouble() {
                return Err(SourceError::Unavailable("so it is simulated".to_owned()));
            }
            let at = w.streams.iter().position(|s| s.arn == asked);
            at.ok_or_else(|| SourceError::NotFound(asked.to_string()))
        });
        Ok(Arc::new(SimStream {
            port: self.0.clone(),
            stream: found.await?,
            seen: Mutex::new(0),
        }))
    }

    async fn queue(&self, _: &Namespace, arn: &SourceArn) -> Result<Arc<dyn QueueSource>, SourceError> {
        let asked = arn.clone();
        let found = self.0.call(move |w| {
            if w.source_trouble() {
                return Err(SourceError::Unavailable("so it is simulated".to_owned()));
            }
            let at = w.queues.iter().position(|q| q.arn == asked);
            at.ok_or_else(|| SourceError::NoSuchQueue {
                arn: asked.to_string(),
            })
        });
        Ok(Arc::new(SimQueue {
            port: self.0.clone(),
            queue: found.await?,
        }))
    }
}
