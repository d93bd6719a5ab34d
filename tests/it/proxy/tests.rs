//! What whoever asks gets, and what the component hears of it.

use super::http::{Kind, Message, read};
use super::{Fault, Proxy, Rates, Weather};
use crate::wait::{SOON, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &str = "{\"an\":\"answer\"}";
const TARGET: &str = "AmazonSQS.ReceiveMessage";

/// A component that answers in chunks, and never to `Hang`; how many requests it heard.
async fn component() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let request = read(&mut stream, Kind::Request).await.unwrap().unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            if request.target() == "Hang" {
                tokio::spawn(async move { read(&mut stream, Kind::Request).await });
                continue;
            }
            let (one, other) = ANSWER.split_at(5);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
                other.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
}

/// Asks on a connection of its own: the answer's status and body.
async fn ask(proxy: &Proxy, target: &str) -> Option<(String, String)> {
    let stream = TcpStream::connect(proxy.url.trim_start_matches("http://")).await;
    let mut stream = BufReader::new(stream.unwrap());
    let head = format!("POST / HTTP/1.1\r\nX-Amz-Target: {target}\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(head.as_bytes()).await.ok()?;
    let Message { first, body, .. } = read(&mut stream, Kind::Answer).await.ok()??;
    let status = first.split(' ').nth(1).unwrap().to_owned();
    Some((status, String::from_utf8(body).unwrap()))
}

#[tokio::test]
async fn every_kind_of_fault_is_what_it_says() {
    let (url, heard) = component().await;
    for (n, fault) in Fault::ALL.into_iter().enumerate() {
        let mut rates = Rates([0; 6]);
        rates.0[n] = 20;
        let proxy = Proxy::before(&url, 1, rates).await;
        let (good, before) = (
            ("200".to_owned(), ANSWER.to_owned()),
            heard.load(Ordering::SeqCst),
        );
        assert_eq!(ask(&proxy, TARGET).await, Some(good.clone()), "calm");
        proxy.set(Weather::Rough);
        let answer = ask(&proxy, TARGET).await;
        let hears = heard.load(Ordering::SeqCst) - before - 1;
        let status = answer.as_ref().map(|(status, _)| status.as_str());
        match fault {
            Fault::Delay => assert_eq!((answer.as_ref(), hears), (Some(&good), 1)),
            Fault::ResetBefore => assert_eq!((status, hears), (None, 0)),
            Fault::ResetAfter | Fault::CutAnswer => assert_eq!((status, hears), (None, 1)),
            Fault::ServerError => assert!(matches!(status, Some("500" | "503")) && hears == 0),
            Fault::Throttle => {
                assert!(answer.unwrap().1.contains("Thrott"));
                assert_eq!(hears, 0);
            }
        }
        let counts = proxy.counts();
        assert_eq!((counts.hits(fault, "ReceiveMessage"), counts.total()), (1, 2));
    }
}

#[tokio::test]
async fn a_cut_ends_what_is_on_its_way_and_lets_nothing_through() {
    let (url, heard) = component().await;
    let proxy = Proxy::before(&url, 1, Rates::ROUGH).await;
    let (hung, ()) = tokio::join!(ask(&proxy, "Hang"), async {
        until("the request to arrive", SOON, async || {
            (heard.load(Ordering::SeqCst) == 1).then_some(())
        })
        .await;
        proxy.set(Weather::CutOff);
    });
    assert_eq!((hung, ask(&proxy, TARGET).await), (None, None));
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    proxy.set(Weather::Calm);
    assert!(ask(&proxy, TARGET).await.is_some());
    let counts = proxy.counts();
    assert_eq!(counts.most_outstanding["Hang"], 1);
    proxy.count_anew();
    assert_eq!(
        proxy.counts().most_outstanding["Hang"],
        0,
        "nothing is on its way"
    );
}
