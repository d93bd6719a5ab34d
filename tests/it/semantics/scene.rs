//! A server with one function that answers as its records say, and sources whose mappings start when all is put.

use crate::client::{Client, NAMESPACE, entry, mapping, mapping_of_queue, message};
use crate::foreign::python;
use crate::server::Server;
use crate::wait::{SOON, until};
use millstream_api::v1;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds: the timeout of the function, and for how long a message that failed stays hidden.
const TIMEOUT: i32 = 3;

/// One invocation: the id of its request, and its records.
pub(super) type Call = (String, Vec<String>);

pub(super) struct Scene {
    pub(super) client: Client,
    server: Server,
    journal: PathBuf,
}

impl Scene {
    pub(super) async fn set() -> Self {
        let server = Server::start().await;
        let client = server.client();
        let journal = server.dir().join("journal");
        create_function(&client, &journal).await;
        Self {
            client,
            server,
            journal,
        }
    }

    /// A stream of one shard with these records, mapped under its own name. They come in one batch, if that is large
    /// enough: they are there before the mapping is.
    pub(super) async fn stream(&self, name: &str, records: &[&str], settings: v1::Mapping) {
        self.client.create_stream(name, 1).await;
        let entries = records.iter().map(|text| entry("k", *text)).collect();
        self.client.put(name, entries).await;
        let wanted = mapping(name, "answers");
        let settings = v1::Mapping {
            source_arn: wanted.source_arn,
            function: wanted.function,
            starting_position: wanted.starting_position,
            ..settings
        };
        self.client.create_mapping(name, settings).await;
    }

    /// The same of a queue whose messages go to `NAME-dead` when they have failed once.
    pub(super) async fn queue(&self, name: &str, messages: &[&str]) {
        let dead = format!("{name}-dead");
        self.client.create_queue(&dead, v1::Queue::default()).await;
        let settings = v1::Queue {
            visibility_timeout_seconds: Some(TIMEOUT),
            redrive_policy: Some(v1::RedrivePolicy {
                dead_letter_queue: dead,
                max_receive_count: 1,
            }),
            ..Default::default()
        };
        self.client.create_queue(name, settings).await;
        let entries = messages.iter().map(|text| message(*text)).collect();
        self.client.send(name, entries).await.unwrap();
        let settings = v1::Mapping {
            function_response_types: reporting(),
            ..mapping_of_queue(name, "answers")
        };
        self.client.create_mapping(name, settings).await;
    }

    /// Waits until so many records of a stream are done or given up.
    pub(super) async fn settled(&self, name: &str, records: i64) -> v1::Mapping {
        until(&format!("{name} to be settled"), SOON, async || {
            let mapping = self.client.mapping(name).await.ok()?;
            let counters = mapping.counters.unwrap_or_default();
            (counters.records_done + counters.records_discarded == records).then_some(mapping)
        })
        .await
    }

    /// Waits until a queue is empty; the texts of what is in its dead-letter queue then, in order.
    pub(super) async fn emptied(&self, name: &str) -> Vec<String> {
        until(&format!("{name} to be empty"), SOON, async || {
            let depth = self.client.queue(name).await.ok()?.depth.unwrap_or_default();
            (depth.visible_messages + depth.hidden_messages == 0).then_some(())
        })
        .await;
        let dead = self.client.peek_all(&format!("{name}-dead")).await;
        let name_of = |m: v1::QueueMessage| m.body.split(' ').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = dead.into_iter().map(name_of).collect();
        names.sort();
        names
    }

    /// The invocations with records of a source, in order.
    pub(super) fn calls(&self, source: &str) -> Vec<Call> {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let lines = journal
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["source"] == source)
            .map(|line| {
                let records = line["records"].as_array().unwrap().iter();
                let records = records.map(|r| r.as_str().unwrap().to_owned()).collect();
                (line["request"].as_str().unwrap().to_owned(), records)
            })
            .collect()
    }

    pub(super) async fn end(mut self) {
        self.server.terminate().await;
    }
}

/// `ReportBatchItemFailures`.
pub(super) fn reporting() -> Vec<i32> {
    vec![v1::FunctionResponseType::ReportBatchItemFailures.into()]
}

async fn create_function(client: &Client, journal: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let target = v1::ProcessTarget {
        command: vec![
            text(&python()),
            "-m".to_owned(),
            "awslambdaric".to_owned(),
            "answers.handler".to_owned(),
        ],
        working_dir: text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python")),
        env: [
            ("JOURNAL".to_owned(), text(journal)),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ]
        .into(),
        init_timeout: Some(SOON.try_into().unwrap()),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: "answers".to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(target)),
            timeout: Some(
                Duration::from_secs(TIMEOUT.unsigned_abs().into())
                    .try_into()
                    .unwrap(),
            ),
            concurrency: Some(2),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.functions.clone().create_function(request).await.unwrap();
}
