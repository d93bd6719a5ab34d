//! Functions over HTTP from outside: what their server is told beside the event, and where a failure points to.

use crate::cli::{fails, json, ok};
use crate::server::Server;
use crate::wait::{SOON, until};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The headers of one request.
type Headers = BTreeMap<String, String>;

/// A function's server: answers `{}`, and 500 to whoever asks for `/broken`.
struct Site {
    address: String,
    seen: Arc<Mutex<Vec<Headers>>>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            address: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
        };
        let seen = site.seen.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, seen.clone()));
            }
        });
        site
    }

    fn seen(&self) -> Vec<Headers> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers what comes on a connection until it is closed.
async fn serve(connection: TcpStream, seen: Arc<Mutex<Vec<Headers>>>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let mut first = String::new();
        if connection.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut headers = Headers::new();
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers["content-length"].parse().unwrap();
        connection.read_exact(&mut vec![0; length]).await?;
        seen.lock().unwrap().push(headers);
        let status = if first.contains("/broken") {
            "500 Oh"
        } else {
            "200 OK"
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
        connection.write_all(answer.as_bytes()).await?;
    }
}

/// Whether records come from a stream or messages from a queue, the server is told which mapping sends them; and a
/// call by hand is no mapping's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_of_a_function_is_told_the_mapping() {
    let server = Server::start().await;
    let site = Site::start().await;
    let url = format!("http://{}/", site.address);
    for line in [
        "stream create s",
        "queue create q",
        "queue create q.fifo --content-based-deduplication",
        &format!("function create f --url {url}"),
        "mapping create of-stream --stream s --function f --from trim",
        "mapping create of-queue --queue q --function f",
        "mapping create of-fifo --queue q.fifo --function f",
    ] {
        ok(&server, &line.split(' ').collect::<Vec<_>>()).await;
    }
    for (mapping, put, leased) in [
        ("of-stream", "stream put s --key k 1", true),
        ("of-queue", "queue send q 1", false),
        ("of-fifo", "queue send q.fifo --group g 1", false),
    ] {
        ok(&server, &put.split(' ').collect::<Vec<_>>()).await;
        let uid = json(&server, &["mapping", "get", mapping]).await["uid"].clone();
        let headers = until(mapping, SOON, async || {
            let of_mapping = |h: &Headers| h.get("millstream-mapping-id").is_some_and(|id| *id == uid);
            site.seen().into_iter().find(of_mapping)
        })
        .await;
        assert_eq!(
            headers.contains_key("millstream-lease-epoch"),
            leased,
            "{headers:?}"
        );
        assert_eq!(headers["millstream-attempt"], "1");
    }
    assert_eq!(site.seen().len(), 3);
    ok(&server, &["function", "invoke", "f", "--payload", "{}"]).await;
    let by_hand = site.seen().pop().unwrap();
    assert!(!by_hand.contains_key("millstream-mapping-id"), "{by_hand:?}");
}

/// What an http function prints is nowhere in the server's log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_call_says_where_to_look() {
    let server = Server::start().await;
    let site = Site::start().await;
    let url = format!("http://{}/broken", site.address);
    ok(&server, &["function", "create", "f", "--url", &url]).await;
    ok(&server, &["function", "create", "p", "--", "false"]).await;
    let (code, said) = fails(&server, &["function", "invoke", "f"]).await;
    let request = site.seen().pop().unwrap()["lambda-runtime-aws-request-id"].clone();
    assert_eq!(code, 1, "{said}");
    assert!(!said.contains("server's log"), "{said}");
    assert!(
        said.contains(&format!("look into the logs of what serves {url}")) && said.contains(&request),
        "{said}"
    );
    let (code, said) = fails(&server, &["function", "invoke", "p"]).await;
    assert!(
        code == 1 && said.contains("its output is in the server's log, tagged "),
        "{said}"
    );
}
