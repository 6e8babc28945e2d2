//! Clocks, environment, randomness, standard output, files.

use simhost_sdk::prelude::*;
use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Instant, SystemTime};
use std::{env, fs, io, thread};

pub fn now() -> Json<Value> {
    let instant = Instant::now();
    let system_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Json(json!({
        "system_time_ns": nanoseconds(system_time),
        "clock_ns": nanoseconds(clock::now()),
        "instant_elapsed_ns": nanoseconds(instant.elapsed()),
    }))
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[derive(Deserialize)]
pub struct Via {
    via: Option<String>,
}

pub fn sleep(Path(ms): Path<u64>, Query(Via { via }): Query<Via>) -> Json<Value> {
    let (instant, system_time, clock_before) = (Instant::now(), SystemTime::now(), clock::now());
    let via = via.unwrap_or_else(|| "thread".into());
    match via.as_str() {
        "sdk" => clock::sleep(Duration::from_millis(ms)),
        _ => thread::sleep(Duration::from_millis(ms)),
    }
    Json(json!({
        "via": via,
        "instant_ns": nanoseconds(instant.elapsed()),
        "system_time_ns": nanoseconds(system_time.elapsed().unwrap_or_default()),
        "clock_ns": nanoseconds(clock::now() - clock_before),
    }))
}

pub fn env() -> Json<Value> {
    let variables: Vec<(String, String)> = env::vars().collect();
    let arguments: Vec<String> = env::args().collect();
    Json(json!({ "env": variables, "args": arguments, "config": config::all() }))
}

pub fn random_draws() -> Json<Value> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    let order: Vec<u32> = (0..20).map(|key| (key, ())).collect::<HashMap<_, _>>().into_keys().collect();
    Json(json!({
        "bytes": bytes,
        "u64": random::u64().to_string(),
        "uniform": random::uniform(0.0..30.0),
        "uuid": random::uuid_v4(),
        "hash_map_order": order,
    }))
}

pub fn print() -> Json<Value> {
    println!("a line on stdout");
    eprintln!("a line on stderr");
    println!("two lines\nin one go");
    println!();
    log::info("a record by the SDK");
    log::write(
        log::Level::Warn,
        "a record with attributes",
        attributes![
            "print.text" => "text",
            "print.int" => 7,
            "print.float" => 0.5,
            "print.bool" => true,
            "print.texts" => &["a", "b"][..],
            "print.ints" => vec![1_i64, 2],
        ],
    );
    print!("begun here, ");
    println!("ended there");
    // The last piece has no end of line: it counts when the request ends.
    print!("left without an end");
    let flushed = io::stdout().flush();
    Json(json!({ "flushed": flushed.is_ok() }))
}

pub fn files() -> Json<Value> {
    Json(json!({
        "read": outcome(fs::read("/etc/passwd")),
        "write": outcome(fs::write("probe.txt", "text")),
        "list": outcome(fs::read_dir("/")),
        "current_dir": outcome(env::current_dir()),
        "tcp_connect": outcome(TcpStream::connect("127.0.0.1:80")),
        "tcp_resolve": outcome(TcpStream::connect("example.org:80")),
        "tcp_listen": outcome(TcpListener::bind("127.0.0.1:0")),
        "udp_bind": outcome(UdpSocket::bind("127.0.0.1:0")),
    }))
}

fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}
