//! A client that keeps connections busy, and a receiver that takes any spans.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::clock::Stopwatch;

/// The order of the tutorials' first `curl` line.
pub const ORDER: &str = r#"{"item":"book","quantity":2,"price":9.99}"#;

/// Sends orders over `connections` connections for `time`; returns orders answered
/// 201 for each second of it.
pub async fn orders(address: SocketAddr, connections: usize, time: Duration) -> std::io::Result<f64> {
    let watch = Stopwatch::start();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let mut connection = connect(address).await?;
        clients.spawn(async move {
            let mut answered = 0_u64;
            while watch.elapsed() < time {
                match order(&mut connection, address).await {
                    Ok(true) => answered += 1,
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
            answered
        });
    }
    let answered: u64 = clients.join_all().await.into_iter().sum();
    Ok(answered as f64 / watch.elapsed().as_secs_f64())
}

/// Opens a connection that stays open.
pub async fn connect(address: SocketAddr) -> std::io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one order; whether it was answered 201.
pub async fn order(connection: &mut SendRequest<Full<Bytes>>, address: SocketAddr) -> hyper::Result<bool> {
    connection.ready().await?;
    let request = http::Request::post("/orders")
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(ORDER))
        .expect("it is a valid request");
    let response = connection.send_request(request).await?;
    let created = response.status() == http::StatusCode::CREATED;
    response.into_body().collect().await?;
    Ok(created)
}

/// Takes OTLP over HTTP on a free port of this machine, and forgets it.
pub async fn receiver() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .fallback(async |_: Bytes| [(header::CONTENT_TYPE, "application/x-protobuf")])
        .layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
