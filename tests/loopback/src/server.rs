//! Sockets and HTTP: accepts connections, reads requests, writes what the cloud answers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_LENGTH, DATE};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cloud::{Cloud, Outcome};
use crate::fault;
use crate::wire::{Reply, Request};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves one address until it is dropped; its connections end with it.
pub(crate) async fn serve(listener: TcpListener, cloud: Arc<Cloud>, door: u32) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(converse(stream, cloud.clone(), door)); }
                // Out of file descriptors, most likely: let some connections end first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, cloud: Arc<Cloud>, door: u32) {
    // Without this, small answers wait for the client's delayed acknowledgement.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| {
        let cloud = cloud.clone();
        async move { answer(&cloud, request, door).await }
    });
    // A connection that ends in an error is a client gone or a fault asked for: nobody to tell.
    hyper::server::conn::http1::Builder::new()
        // Idle connections stay: one that closes under a waiting client would be a fault nobody asked for.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// An error makes hyper close the connection without an answer.
async fn answer(
    cloud: &Arc<Cloud>,
    request: http::Request<Incoming>,
    door: u32,
) -> io::Result<http::Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request { method: head.method, uri: head.uri, headers: head.headers, body };
    // What has arrived is done, whether its client waits for the answer or not: on AWS, too, a receive that
    // nobody listens to takes its message.
    let cloud = Arc::clone(cloud);
    let answered = tokio::spawn({
        let cloud = Arc::clone(&cloud);
        async move { cloud.answer(request, door).await }
    });
    match answered.await.map_err(io::Error::other)? {
        Outcome::Reply(reply) => Ok(dated(response(reply), cloud.clock_ahead.load(Ordering::Relaxed))),
        Outcome::Truncated(reply) => Ok(half_of(reply, Duration::ZERO)),
        Outcome::Stalled(reply, silence) => Ok(half_of(reply, silence)),
        Outcome::Closed => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

fn response(reply: Reply) -> http::Response<Body> {
    let body = Full::new(reply.body).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = http::Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// Hyper adds the right date where there is none.
fn dated(mut response: http::Response<Body>, ahead_seconds: i64) -> http::Response<Body> {
    if ahead_seconds != 0 {
        let date = Timestamp::now() + SignedDuration::from_secs(ahead_seconds);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers_mut().insert(DATE, date.try_into().expect("a date is a header"));
    }
    response
}

/// Announces the whole body, sends half of it and breaks off after a silence.
fn half_of(mut reply: Reply, silence: Duration) -> http::Response<Body> {
    reply.headers.insert(CONTENT_LENGTH, reply.body.len().into());
    let half = fault::halved(&reply.body);
    let frames = stream::unfold(Some(half), move |half| async move {
        match half {
            Some(half) => Some((Ok(Frame::data(half)), None)),
            None => {
                // Lets hyper flush the first half before it learns of the break.
                tokio::task::yield_now().await;
                tokio::time::sleep(silence).await;
                Some((Err(io::ErrorKind::ConnectionReset.into()), None))
            }
        }
    });
    let mut response = response(reply);
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    response
}
