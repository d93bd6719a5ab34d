//! A server that nobody here wrote: the one of Python's standard library.

use super::{event, failure, invoker, returned};
use crate::rig::python;
use millstream_types::invocation::FunctionErrorKind::Raised;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const PROGRAM: &str = r#"
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = sys.argv[1]

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if event.get("fail"):
            return self.send_error(500, "broken")
        body = json.dumps({"batchItemFailures": event["bad"]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[tokio::test]
async fn pythons_server_is_called_with_and_without_keep_alive() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let mut server = Command::new(python())
            .args(["-c", PROGRAM, version])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().unwrap();
        let invoker = invoker(&format!("http://127.0.0.1:{port}/events"));
        for _ in 0..3 {
            let outcome = invoker.invoke(event(r#"{"bad":[{"itemIdentifier":"7"}]}"#)).await;
            let expected = r#"{"batchItemFailures": [{"itemIdentifier": "7"}]}"#;
            assert_eq!(outcome, returned(expected), "{version}");
        }
        let error = failure(
            invoker.invoke(event(r#"{"fail":true}"#)).await,
            Raised,
            "Http.500",
        );
        assert!(error.message.contains("broken"), "{}", error.message);
        server.kill().await.unwrap();
    }
}
