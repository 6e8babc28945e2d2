//! The other side of the control API: one request to a run that goes on.

use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::document::{Order, Trouble};

/// A run that goes on answers sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer: more than the largest topology's faults take.
const BODY: usize = 64 << 20;

/// Asks the run that listens at `address` (`host:port`) for all its faults, or
/// orders one of them about; with the JSON of the answer.
///
/// # Errors
/// Why nobody answers, or what the run has against it.
pub fn ask(address: &str, order: Option<(&str, Order)>) -> Result<String, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime
        .map_err(|error| unanswered(address, &error))?
        .block_on(async { tokio::time::timeout(PATIENCE, exchange(address, order)).await });
    let (status, text) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unanswered(address, &error)),
        Err(_) => return Err(unanswered(address, &"it takes too long")),
    };
    if status == StatusCode::OK {
        return Ok(text);
    }
    Err(serde_json::from_str(&text).unwrap_or_else(|_| unanswered(address, &format!("it says {status}"))))
}

fn unanswered(address: &str, why: &dyn Display) -> Trouble {
    let help = "is the run still going on, and was it started with --control?";
    Trouble::new(502, format!("no answer from {address}: {why}"), help)
}

async fn exchange(
    address: &str,
    order: Option<(&str, Order)>,
) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder().header(header::HOST, address);
    let request = match order {
        None => request.method(Method::GET).uri("/v1/faults").body(Body::empty())?,
        Some((name, order)) => {
            let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
            let body = serde_json::to_vec(&order)?;
            let request = request.method(Method::POST).uri(format!("/v1/faults/{name}"));
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body))?
        }
    };
    let talk = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY).collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec())?))
    };
    // The connection moves the bytes as long as the talk goes on.
    tokio::select! {
        biased;
        answer = talk => answer,
        ended = connection => Err(ended.err().map_or_else(|| "it hung up".into(), Into::into)),
    }
}
