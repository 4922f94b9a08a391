//! Requests as they arrive, replies as they leave, and each service's way to say no.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::json;

use crate::caller::Service;

pub(crate) const AMZ_JSON_1_0: &str = "application/x-amz-json-1.0";
pub(crate) const AMZ_JSON_1_1: &str = "application/x-amz-json-1.1";

/// A request whose body has been read.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into() }.with("x-amzn-requestid", &request_id())
    }

    /// Adds a header; a value no header can carry is left out.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// DynamoDB sends the CRC32 of every body; the SDK checks it.
    pub(crate) fn with_crc32(self) -> Self {
        let crc32 = crc32fast::hash(&self.body).to_string();
        self.with("x-amz-crc32", &crc32)
    }
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// An error answer before it has a service's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// The caller's mistake: status 400.
    pub(crate) fn bad_request(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// This refusal as `service` words it on the wire.
    pub(crate) fn reply(&self, service: Service) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        match service {
            Service::DynamoDb => {
                Reply::new(status, AMZ_JSON_1_0, self.json(dynamodb_namespace(&self.code))).with_crc32()
            }
            Service::Sqs => Reply::new(status, AMZ_JSON_1_0, self.json("com.amazonaws.sqs#"))
                .with("x-amzn-query-error", &self.query_error()),
            Service::Ssm | Service::Scaling => Reply::new(status, AMZ_JSON_1_1, self.json("")),
            Service::Sts => Reply::new(status, "text/xml", self.sts_xml()),
            Service::S3 => Reply::new(status, "application/xml", self.s3_xml()),
        }
    }

    fn json(&self, namespace: &str) -> String {
        json!({ "__type": format!("{namespace}{}", self.code), "message": self.message }).to_string()
    }

    /// SQS kept the codes of its old query protocol beside the new ones; SDKs go by them.
    fn query_error(&self) -> String {
        let fault = if self.status >= 500 { "Receiver" } else { "Sender" };
        format!("{};{fault}", crate::sqs::query_code(&self.code))
    }

    fn sts_xml(&self) -> String {
        let fault = if self.status >= 500 { "Receiver" } else { "Sender" };
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
             <Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            escape_xml(&self.code),
            escape_xml(&self.message),
            request_id()
        )
    }

    fn s3_xml(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message>\
             <RequestId>{}</RequestId></Error>",
            escape_xml(&self.code),
            escape_xml(&self.message),
            request_id()
        )
    }
}

/// DynamoDB's errors come from three layers, each with its own namespace.
pub(crate) fn dynamodb_namespace(code: &str) -> &'static str {
    match code {
        "ValidationException" => "com.amazon.coral.validate#",
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException"
        | "SerializationException"
        | "ServiceUnavailable"
        | "ThrottlingException"
        | "UnknownOperationException"
        | "UnrecognizedClientException" => "com.amazon.coral.service#",
        _ => "com.amazonaws.dynamodb.v20120810#",
    }
}

pub(crate) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Lower-case hexadecimal, as ETags and SQS digests are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
