//! A DynamoDB and an S3 that cost next to nothing, so that what is measured is the client.
//!
//! Pages are rendered once and sent from memory, a thread to a connection. No signature is checked, nothing
//! that is put is kept but small objects. It stops when its stdin is closed, so it never outlives the bench.

mod counters;
mod dynamodb;
mod http;
mod pages;
mod s3;

use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Result;

use self::counters::Counters;
pub(crate) use self::counters::Report;
use self::dynamodb::DynamoDb;
pub(crate) use self::dynamodb::Pace;
use self::http::{Answer, Connection, Request};
use self::s3::S3;

struct Server {
    dynamodb: DynamoDb,
    s3: S3,
    counters: Counters,
}

/// Serves until stdin is closed. The first line on stdout is the endpoint; each line on stdin is answered
/// with a [`Report`] of what came since the last one.
pub(crate) fn serve(pace: Pace) -> Result<()> {
    let server =
        Arc::new(Server { dynamodb: DynamoDb::new(pace), s3: S3::default(), counters: Counters::default() });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("http://{}", listener.local_addr()?);
    let accepting = Arc::clone(&server);
    thread::spawn(move || accept(&listener, &accepting));
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", serde_json::to_string(&server.counters.take()?)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    for stream in listener.incoming().flatten() {
        let server = Arc::clone(server);
        // A client that goes away in the middle is that client's failure.
        thread::spawn(move || server.serve(stream));
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut connection = Connection::new(stream)?;
        while let Some(request) = connection.read()? {
            let answer = self.answer(&request);
            connection.write(&answer)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        match request.header("x-amz-target") {
            Some(target) => {
                let action = target.rsplit('.').next().unwrap_or_default();
                self.dynamodb.answer(action, request, &self.counters)
            }
            None => self.s3.answer(request, &self.counters, self.dynamodb.pages()),
        }
    }
}
