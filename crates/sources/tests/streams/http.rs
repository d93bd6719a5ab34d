//! One HTTP/1.1 message after another, by hand: what the scripted server reads, and calls of AWS's JSON protocols
//! that no client of this crate makes.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The head's first line, one of its values, and the body; none at the end of the connection.
pub(crate) async fn message(
    from: &mut BufReader<TcpStream>,
    header: &str,
) -> Option<(String, String, Vec<u8>)> {
    let mut first = String::new();
    from.read_line(&mut first).await.ok().filter(|n| *n > 0)?;
    let (mut wanted, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase() {
            name if name == header => wanted = value.trim().to_owned(),
            name if name == "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.ok()?;
    Some((first, wanted, body))
}

/// Calls `target` of the server on `port` with a body, as a client of `service` would.
pub(crate) async fn call(port: u16, service: &str, target: &str, body: &Value) -> Value {
    let body = body.to_string();
    let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-amz-target: {target}\r\ncontent-type: \
         application/x-amz-json-1.0\r\nauthorization: {scope}, SignedHeaders=host, Signature=0\r\ncontent-length: \
         {}\r\n\r\n",
        body.len()
    );
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    stream
        .get_mut()
        .write_all((head + &body).as_bytes())
        .await
        .unwrap();
    let (status, _, answer) = message(&mut stream, "date").await.expect("an answer");
    let answer = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    assert!(status.contains(" 200 "), "{target}: {status} {answer}");
    answer
}
