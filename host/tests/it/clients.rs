//! Clients that mean no good, or are slow: what they cost is bounded, and what is refused
//! says why.

mod http2;
mod refusals;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support;
use crate::support::http::{Connection, Upstream};
use crate::support::server::Server;
use crate::support::{PATIENCE, Topology};

/// Between two looks at who is answered; how long, no test depends on.
const A_MOMENT: Duration = Duration::from_millis(5);

/// Clients of this topology have little time.
fn hurried() -> Topology {
    Topology::probe().with("[limits]", "client-time = \"100ms\"")
}

/// A connection, to be written to byte for byte.
fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn a_client_that_has_said_everything_gets_its_answer() {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url());
    let server = Server::start(&topology, &[]);
    let mut client = server.connect();
    client.request("GET /call?service=legacy&path=/x", &[], "").no_more_from_here();
    let (_, mut call) = upstream.accept();
    call.respond("200 OK", "done");
    assert_eq!(client.receive().json()["body"], "done");
    assert_eq!(client.rest(), "", "the connection ends with the answer");
    server.stop().success();
}

/// None of them sends a whole request.
#[test]
fn a_request_that_does_not_end_is_ended() {
    let topology = hurried();
    let server = Server::start(&topology, &[]);
    let halves =
        ["", "P", "PRI * HTTP/2.0\r\n", "G", "GET /now HTTP/1.1\r\nHo", "GET /now HTTP/1.1\r\nHost: a\r\n"];
    let mut clients: Vec<_> = halves.map(|half| (half, server.connect())).into();
    for (half, client) in &mut clients {
        client.send(half);
    }
    for (half, client) in &mut clients {
        assert_eq!(client.rest(), "", "{half:?}");
    }
    let mut client = server.connect();
    let answer = client.send("POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab").receive();
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.json()["bound"], "limits.client-time");
    assert!(answer.body.contains("limits.client-time = 100ms"), "{}", answer.body);
    server.stop().success();
}

/// It sends one request after the other and takes no answer. Its system and that of the
/// server take some of them.
#[test]
fn a_client_that_does_not_read_is_sent_away() {
    let topology = hurried();
    let server = Server::start(&topology, &[]);
    let mut client = connect(&server);
    let request = "GET /headers HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let error = loop {
        if let Err(error) = client.write_all(request.as_bytes()) {
            break error;
        }
    };
    assert!(
        [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe].contains(&error.kind()),
        "{error}"
    );
    server.stop().success();
}

/// Each of them announces a body and keeps the end of it to itself.
#[test]
fn bodies_of_many_connections_are_bounded_together() {
    let topology = Topology::probe().with("[limits]", "bodies = \"8MiB\"");
    let server = Server::start(&topology, &[]);
    let body = "x".repeat((3 << 20) - 1);
    let head = format!("POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 3 << 20);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        // One that is refused may not be taken to its end.
        client.try_send(&format!("{head}{body}"));
    }
    // Two fit, whichever they are.
    let refused = (0..clients.len()).cycle().find(|at| !clients[*at].is_silent_for(A_MOMENT));
    let mut refused = clients.remove(refused.expect("one is refused"));
    let answer = refused.receive();
    assert_eq!((answer.status(), &answer.json()["bound"]), (503, &"limits.bodies".into()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    for client in &mut clients {
        let answer = client.send("x").receive();
        assert_eq!(answer.status(), 200);
    }
    server.stop().success();
}

/// Each answers all of its response but the last byte.
#[test]
fn responses_of_real_servers_are_bounded_together() {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url()).with("[services.front]", "workers = 32");
    let server = Server::start(&topology, &[]);
    let length = 16 << 20;
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length - 1));
    let mut clients: Vec<_> = (0..17).map(|_| server.connect()).collect();
    std::thread::scope(|scope| {
        let mut open = Vec::new();
        for client in &mut clients {
            client.request("GET /call?service=legacy&path=/x", &[], "");
            let (_, mut call) = upstream.accept();
            let response = &response;
            // It stays open until all that it can hold has been tried.
            open.push(scope.spawn(move || (call.try_send(response), call)));
        }
        let refused = (0..clients.len()).cycle().find(|at| !clients[*at].is_silent_for(A_MOMENT));
        let answer = clients[refused.expect("one is refused")].receive();
        let said = answer.json()["message"].to_string();
        assert!(said.contains("responses of real servers exceed 268435456 bytes together"), "{answer:?}");
    });
    if let Some(peak) = support::cost::memory(server.id()) {
        assert!(peak < 1 << 30, "{} MiB", peak >> 20);
    }
    server.stop();
}

#[test]
fn a_connection_that_was_refused_is_closed_when_its_client_has_read_why() {
    let topology = Topology::probe().with("[limits]", "body = \"1KiB\"");
    let server = Server::start(&topology, &[]);
    let mut client = connect(&server);
    client.write_all(b"POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n").expect("a head");
    client.write_all(&[b'x'; 300_000]).expect("the server reads on");
    client.shutdown(Shutdown::Write).expect("a connection");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer, and an orderly end");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stop().success();
}

/// Whoever is silent holds a place only as long as nobody else wants it.
#[test]
fn idle_connections_do_not_hold_the_control_api_up() {
    let topology = Topology::probe();
    let mut command = topology.command(&["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    let mut server = Server::launch(&mut command);
    let line = server.wait_for("control on http://");
    let address: std::net::SocketAddr =
        line.trim_start_matches("control on http://").parse().expect("an address");
    let ask = "GET /v1/faults HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let mut silent: Vec<_> = (0..200).map(|_| Connection::open(address)).collect();
    let mut half: Vec<_> = (0..200).map(|_| Connection::open(address)).collect();
    for client in &mut half {
        client.try_send("GET /v1/fau");
    }
    let mut served = Connection::open(address);
    assert_eq!(served.send(ask).receive().status(), 200);
    for _ in 0..200 {
        silent.push(Connection::open(address));
    }
    assert_eq!(Connection::open(address).send(ask).receive().status(), 200);
    assert_eq!(silent[0].rest(), "", "who has been silent for longest has gone");
    server.stop().success();
}

#[cfg(unix)]
#[test]
fn connections_that_the_system_has_no_room_for_wait_and_that_is_said_once() {
    let topology = Topology::probe();
    let mut command = topology.in_shell("ulimit -n 60", &["--listen", "127.0.0.1:0"]);
    let mut server = Server::spawn(&mut command);
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    server.wait_for("warning: new connections wait: ");
    assert_eq!(clients[0].get("/now", &[]).status(), 200, "who is in is served");
    let mut last = clients.pop().expect("a client");
    last.request("GET /now", &[], "");
    drop(clients);
    assert_eq!(last.receive().status(), 200, "who waits is served when others have gone");
    let finished = server.stop();
    assert_eq!(finished.success().matches("new connections wait").count(), 0);
    assert_eq!(finished.stderr.matches("new connections wait").count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("ulimit -n"), "{}", finished.stderr);
}
