//! What a service manager is told, as systemd would hear it.

use crate::server::{Server, Settings};
use crate::wait::SOON;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

async fn next(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = timeout(SOON, manager.recv(&mut buffer))
        .await
        .expect("nothing is told")
        .unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn told(message: &str, state: &str) -> bool {
    message.lines().any(|line| line == state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_hears_of_the_start_and_of_the_stop() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut settings = Settings::default();
    settings
        .env
        .push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
    let mut server = Server::start_with(settings).await;
    let ready = next(&manager).await;
    assert!(told(&ready, "READY=1"), "{ready}");
    server.terminate().await;
    let stopping = next(&manager).await;
    assert!(told(&stopping, "STOPPING=1"), "{stopping}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_that_went_away_stops_nothing() {
    let mut settings = Settings::default();
    settings
        .env
        .push(("NOTIFY_SOCKET".to_owned(), "/nonexistent/notify".to_owned()));
    let mut server = Server::start_with(settings).await;
    server.terminate().await;
    let logged = server.logged();
    assert!(logged.contains("cannot tell the service manager"), "{logged}");
}
