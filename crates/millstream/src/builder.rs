//! Declares what a program wants, then makes it so.

use crate::assembly::{Assembly, AssemblyOptions};
use crate::declared::{Declared, FunctionSettings, checked};
use crate::error::{Invalid, StartError};
use crate::mapping::MappingSettings;
use crate::running::Running;
use bytes::Bytes;
use millstream_targets::{Batch, BoxError, InProcess, JsonEvent, Response};
use millstream_types::{FunctionName, HttpTarget, LambdaTarget, Namespace, QueueSpec, StreamSpec, Target};
use std::path::PathBuf;
use std::sync::Arc;

/// The engine inside a program. Begin with [`Millstream::builder`].
#[derive(Clone, Copy, Debug)]
pub struct Millstream;

impl Millstream {
    /// Nothing declared yet.
    pub fn builder() -> Builder {
        Builder {
            options: AssemblyOptions::new(PathBuf::new()),
            namespace: "default".to_owned(),
            functions: Vec::new(),
            streams: Vec::new(),
            queues: Vec::new(),
            mappings: Vec::new(),
        }
    }
}

/// Registers a closure under a name that was checked.
type Register = Box<dyn FnOnce(&InProcess, Namespace, FunctionName) + Send>;

/// What a declared function is.
enum Declares {
    /// A closure of this program.
    Closure(Register),
    /// A server at this URL.
    Server(String),
    /// A function of AWS Lambda of this name.
    Lambda(String),
}

/// What a program wants there to be. What exists is kept: streams with their records, queues with their messages, mappings with their
/// positions, functions; settings that differ are changed to what is declared.
#[must_use = "nothing runs before start()"]
pub struct Builder {
    options: AssemblyOptions,
    namespace: String,
    functions: Vec<(String, FunctionSettings, Declares)>,
    streams: Vec<(String, StreamSpec)>,
    queues: Vec<(String, Option<QueueSpec>)>,
    mappings: Vec<(String, MappingSettings)>,
}

impl Builder {
    /// Where everything durable lives; made if it is missing. Required.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.data_dir = path.into();
        self
    }

    /// The namespace of everything declared here; `default` if not set.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Changes limits of memory and disk.
    pub fn options(mut self, change: impl FnOnce(&mut AssemblyOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Registers a closure as a function. It gets typed records or messages over shared bytes; an `Err` or a panic fails the
    /// whole batch, [`Response::failed`] and [`Batch::fail`] say which items failed. It may take 3 s and run 10 times at once,
    /// unless [`Builder::function_settings`] says otherwise.
    pub fn function<F, Fut, R, E>(self, name: impl Into<String>, closure: F) -> Self
    where
        F: Fn(Batch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Response> + 'static,
        E: Into<BoxError> + 'static,
    {
        let register: Register = Box::new(move |all, namespace, name| all.register(namespace, name, closure));
        self.declare(name.into(), Declares::Closure(register))
    }

    /// Registers a closure that takes the event as JSON, as AWS Lambda would send it, and answers as a Lambda
    /// function would; otherwise as [`Builder::function`].
    pub fn json_function<F, Fut, E>(self, name: impl Into<String>, closure: F) -> Self
    where
        F: Fn(JsonEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let register: Register =
            Box::new(move |all, namespace, name| all.register_json(namespace, name, closure));
        self.declare(name.into(), Declares::Closure(register))
    }

    /// Declares a server elsewhere as a function: each event is posted to its URL as JSON, as AWS Lambda would send
    /// it, and a 2xx answer is what the function returns; otherwise as [`Builder::function`]. Which addresses may be
    /// called is [`AssemblyOptions::http`].
    pub fn http_function(self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.declare(name.into(), Declares::Server(url.into()))
    }

    /// Declares a function of AWS Lambda as a function here: `lambda` is its name or ARN, whole or in part, with `:VERSION` or
    /// `:ALIAS` if wanted, and is sent to Lambda as it is; otherwise as [`Builder::function`]. Where it is called, and as
    /// whom, is said by the connections of [`AssemblyOptions`].
    pub fn lambda_function(self, name: impl Into<String>, lambda: impl Into<String>) -> Self {
        self.declare(name.into(), Declares::Lambda(lambda.into()))
    }

    fn declare(mut self, name: String, declares: Declares) -> Self {
        self.functions.push((name, FunctionSettings::default(), declares));
        self
    }

    /// Changes timeout and concurrency of the function declared last.
    pub fn function_settings(mut self, settings: FunctionSettings) -> Self {
        if let Some(last) = self.functions.last_mut() {
            last.1 = settings;
        }
        self
    }

    /// Makes a stream with so many shards and the default retention of 24 hours, if there is none of this name.
    /// One that exists stays as it is.
    pub fn stream(self, name: impl Into<String>, shards: u32) -> Self {
        self.stream_with(
            name,
            StreamSpec {
                shards,
                ..StreamSpec::default()
            },
        )
    }

    /// As [`Builder::stream`]; the retention of a stream that exists is changed to what is declared here.
    pub fn stream_with(mut self, name: impl Into<String>, spec: StreamSpec) -> Self {
        self.streams.push((name.into(), spec));
        self
    }

    /// Makes a queue with SQS' defaults, if there is none of this name; a FIFO queue if the name ends with `.fifo`.
    /// One that exists stays as it is.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queues.push((name.into(), None));
        self
    }

    /// As [`Builder::queue`], with these settings; those of a queue that exists are changed to what is declared here.
    /// A dead-letter queue has to be declared before the queues that name it, or be there.
    pub fn queue_with(mut self, name: impl Into<String>, spec: QueueSpec) -> Self {
        self.queues.push((name.into(), Some(spec)));
        self
    }

    /// Connects a stream or a queue to a function. The name is the mapping's identity: under the same name it goes on where
    /// it stood, with the settings declared now.
    pub fn mapping(
        mut self,
        name: impl Into<String>,
        settings: impl FnOnce(MappingSettings) -> MappingSettings,
    ) -> Self {
        self.mappings
            .push((name.into(), settings(MappingSettings::new())));
        self
    }

    /// Opens the data directory, makes what is declared and missing, and starts the engine. Mappings that are
    /// no longer declared go on as they are; delete them by [`Running::manager`].
    ///
    /// Must be called within a tokio runtime of several threads.
    ///
    /// # Errors
    /// Any [`StartError`]; everything wrong with the declaration is told at once, before anything is opened.
    pub async fn start(self) -> Result<Running, StartError> {
        let (declared, options, in_process) = self.declared().map_err(StartError::Invalid)?;
        let assembly = Assembly::start(options, in_process).await?;
        if let Err(e) = declared.apply(&assembly).await {
            assembly.drain(std::time::Duration::ZERO).await;
            return Err(e);
        }
        Ok(Running::new(assembly, declared.namespace))
    }

    fn declared(self) -> Result<(Declared, AssemblyOptions, Arc<InProcess>), Invalid> {
        let mut problems = Vec::new();
        if self.options.data_dir.as_os_str().is_empty() {
            problems.push("no data directory; add .data_dir(…)".to_owned());
        }
        let namespace = checked(Namespace::new(&self.namespace), &mut problems).unwrap_or_default();
        let in_process = Arc::new(InProcess::new());
        let mut declared = Declared::new(namespace.clone());
        for (name, settings, declares) in self.functions {
            let target = match &declares {
                Declares::Closure(_) => Target::InProcess,
                Declares::Server(url) => Target::Http(HttpTarget { url: url.clone() }),
                Declares::Lambda(function) => Target::Lambda(LambdaTarget {
                    function: function.clone(),
                }),
            };
            let name = declared.function(&name, target, settings, &mut problems);
            if let (Some(name), Declares::Closure(register)) = (name, declares) {
                register(&in_process, namespace.clone(), name);
            }
        }
        for (name, spec) in self.streams {
            declared.stream(&name, spec, &mut problems);
        }
        for (name, spec) in self.queues {
            declared.queue(&name, spec, &mut problems);
        }
        for (name, settings) in self.mappings {
            declared.mapping(&name, &settings, &mut problems);
        }
        if problems.is_empty() {
            Ok((declared, self.options, in_process))
        } else {
            Err(Invalid(problems))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
        let closure = |_batch: Batch| async { Ok::<_, std::io::Error>(()) };
        let builder = Millstream::builder()
            .function("has space", closure)
            .function("f", closure)
            .function("f", closure)
            .stream("a/b", 1)
            .mapping("Upper", |m| m.stream("s").function("f"))
            .queue("jobs")
            .queue("jobs")
            .queue("a b")
            .mapping("empty", |m| m)
            .mapping("both", |m| m.stream("s").queue("jobs").function("f"))
            .mapping("bad", |m| m.stream("s").function("f").on_failure(""));
        let Err(Invalid(problems)) = builder.declared() else {
            panic!("accepted")
        };
        let want = [
            "no data directory",
            "function name 'has space'",
            "function f is declared twice",
            "stream name 'a/b'",
            "queue jobs is declared twice",
            "queue name 'a b'",
            "mapping name 'Upper'",
            "mapping empty: it names no stream and no queue",
            "mapping empty: it names no function",
            "mapping both: it names a stream and a queue",
            "mapping bad: stream name ''",
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for (problem, part) in problems.iter().zip(want) {
            assert!(problem.contains(part), "{problem}\nwanted {part}");
        }
    }
}
