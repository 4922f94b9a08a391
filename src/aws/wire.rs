//! DynamoDB calls whose request and answer stay bytes.
//!
//! The SDK keeps credentials, signing, endpoint rules, timeouts, retries and modelled errors; only its
//! serialiser and its deserialiser of *successful* answers are swapped, so that an item crosses the worker
//! exactly as DynamoDB sent it. Everything here is public SDK interface, kept in this one file.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, Error as ErasedError, Input, Output,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use bytes::Bytes;

use crate::error::{Error, Result};

/// One raw call: the request body going out, and the place its answer comes back to.
#[derive(Clone)]
pub(super) struct RawCall {
    target: &'static str,
    body: Bytes,
    answer: Arc<Mutex<Option<Answer>>>,
    is_streamed: bool,
    errors: GeneratedErrors,
    output: fn() -> Output,
}

/// A successful answer's body, in memory or still on its way, and the checksum that DynamoDB announced for it.
enum Answer {
    Whole(Bytes),
    Stream(SdkBody, Option<String>),
}

impl RawCall {
    /// `target` is the `x-amz-target` header, `operation` the SDK's own operation, `output` an empty output of
    /// that operation's type.
    pub(super) fn new(
        target: &'static str,
        operation: &impl RuntimePlugin,
        output: fn() -> Output,
        body: Bytes,
    ) -> Self {
        let errors = GeneratedErrors::of(operation);
        Self { target, body, answer: Arc::default(), is_streamed: false, errors, output }
    }

    /// The same call, whose answer is handed over while it arrives. The SDK retries until the answer begins;
    /// what goes wrong afterwards is the caller's to retry.
    pub(super) fn streamed(self) -> Self {
        Self { is_streamed: true, ..self }
    }

    /// The answer to a call that has succeeded, its checksum verified; empty if it is streamed.
    pub(super) fn answer(&self) -> Bytes {
        match self.lock().take() {
            Some(Answer::Whole(body)) => body,
            _ => Bytes::new(),
        }
    }

    /// The answer to a streamed call that has succeeded.
    pub(super) fn stream(&self) -> AnswerStream {
        let (body, expected) = match self.lock().take() {
            Some(Answer::Stream(body, crc32)) => (body, crc32),
            _ => (SdkBody::empty(), None),
        };
        AnswerStream { body: ByteStream::new(body), expected, actual: crc32fast::Hasher::new() }
    }

    fn keep(&self, answer: Answer) -> Output {
        *self.lock() = Some(answer);
        (self.output)()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A successful answer while it arrives.
pub(super) struct AnswerStream {
    body: ByteStream,
    expected: Option<String>,
    actual: crc32fast::Hasher,
}

/// What is known of a body that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integrity {
    /// It is what DynamoDB sent.
    Verified,
    /// No checksum was announced.
    Unknown,
}

impl AnswerStream {
    /// The next bytes of the body, none at its end. They are to be believed once [`verify`](Self::verify) has
    /// been asked.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(bytes) = self.body.next().await else { return Ok(None) };
        let bytes = bytes.map_err(|error| Error::retryable("read the answer").with_source(error))?;
        self.actual.update(&bytes);
        Ok(Some(bytes))
    }

    /// Compares the checksums of a body that was read to its end.
    pub(super) fn verify(self) -> Result<Integrity> {
        verify_crc32(self.expected.as_deref(), self.actual.finalize()).map_err(Error::retryable)
    }
}

/// Compares the CRC32 of an answer's body with the one DynamoDB sent, which the Rust SDK does not look at.
fn verify_crc32(expected: Option<&str>, actual: u32) -> Result<Integrity, String> {
    match expected {
        None => Ok(Integrity::Unknown),
        Some(expected) if expected.parse() == Ok(actual) => Ok(Integrity::Verified),
        Some(expected) => Err(format!("the answer's checksum is {actual}, DynamoDB sent {expected}")),
    }
}

fn announced_crc32(response: &HttpResponse) -> Option<String> {
    response.headers().get("x-amz-crc32").map(ToOwned::to_owned)
}

/// The body of a successful answer that is in memory. One that is damaged is a response error, which the SDK
/// retries as it does a broken connection.
pub(super) fn verified_body(response: &HttpResponse) -> Result<Bytes, OrchestratorError<ErasedError>> {
    let body = response.body().bytes().unwrap_or_default();
    verify_crc32(announced_crc32(response).as_deref(), crc32fast::hash(body))
        .map_err(|reason| OrchestratorError::response(reason.into()))?;
    Ok(Bytes::copy_from_slice(body))
}

/// A request with a body that is DynamoDB's JSON already.
pub(super) fn raw_request(target: &'static str, body: Bytes) -> Result<HttpRequest, BoxError> {
    let content_length = body.len().to_string();
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    request.headers_mut().insert("x-amz-target", target);
    request.headers_mut().insert("content-length", content_length);
    Ok(request)
}

/// The generated deserialiser of one operation, which reads its errors.
#[derive(Clone, Debug)]
pub(super) struct GeneratedErrors(FrozenLayer);

impl GeneratedErrors {
    pub(super) fn of(operation: &impl RuntimePlugin) -> Self {
        Self(operation.config().expect("every generated operation has a configuration layer"))
    }

    /// Reads the error of a response that is none of success.
    pub(super) fn read(
        &self,
        response: &HttpResponse,
        cfg: &ConfigBag,
    ) -> Result<Output, OrchestratorError<ErasedError>> {
        let generated = self.0.load::<SharedResponseDeserializer>();
        let generated = generated.expect("every generated operation has a deserialiser");
        generated.deserialize_nonstreaming_with_config(response, cfg)
    }
}

/// Bodies hold items: they must never reach a log.
impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall").field("target", &self.target).finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl Intercept for RawCall {
    fn name(&self) -> &'static str {
        "RawCall"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(SharedRequestSerializer::new(self.clone()));
        cfg.interceptor_state().store_put(SharedResponseDeserializer::new(self.clone()));
        Ok(())
    }
}

impl SerializeRequest for RawCall {
    fn serialize_input(&self, _input: Input, _cfg: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        raw_request(self.target, self.body.clone())
    }
}

impl DeserializeResponse for RawCall {
    /// Takes the body before the SDK reads it into memory; an error's it may read.
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _cfg: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<ErasedError>>> {
        if !self.is_streamed || !response.status().is_success() {
            return None;
        }
        let body = mem::replace(response.body_mut(), SdkBody::taken());
        Some(Ok(self.keep(Answer::Stream(body, announced_crc32(response)))))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        cfg: &ConfigBag,
    ) -> Result<Output, OrchestratorError<ErasedError>> {
        if !response.status().is_success() {
            return self.errors.read(response, cfg);
        }
        verified_body(response).map(|body| self.keep(Answer::Whole(body)))
    }
}
