//! Which operation a request is, before its body is looked at: for the recorder, the faults and the policies.

use http::Method;

use crate::wire::Request;

/// Action and resource (`bucket` or `bucket/key`) of a call.
pub(crate) fn target(request: &Request) -> (String, String) {
    let path = decode(request.uri.path().trim_start_matches('/'));
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let parameters = Parameters(request.uri.query().unwrap_or_default());
    let action = match (bucket.is_empty(), key.is_empty()) {
        (true, _) => "ListBuckets",
        (_, true) => bucket_action(&request.method, &parameters),
        _ => object_action(request, &parameters),
    };
    let resource = if key.is_empty() { bucket } else { &path };
    (action.to_owned(), resource.to_owned())
}

fn bucket_action(method: &Method, parameters: &Parameters) -> &'static str {
    match *method {
        Method::PUT => "CreateBucket",
        Method::HEAD => "HeadBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if parameters.have("delete") => "DeleteObjects",
        Method::GET if parameters.have("location") => "GetBucketLocation",
        Method::GET if parameters.have("versioning") => "GetBucketVersioning",
        Method::GET if parameters.have("object-lock") => "GetObjectLockConfiguration",
        Method::GET if parameters.have("encryption") => "GetBucketEncryption",
        Method::GET if parameters.have("publicAccessBlock") => "GetPublicAccessBlock",
        Method::GET if parameters.have("uploads") => "ListMultipartUploads",
        Method::GET if parameters.have("list-type") => "ListObjectsV2",
        _ => "Unknown",
    }
}

fn object_action(request: &Request, parameters: &Parameters) -> &'static str {
    match request.method {
        Method::GET if parameters.have("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::PUT if parameters.have("uploadId") => "UploadPart",
        Method::PUT if request.headers.contains_key("x-amz-copy-source") => "CopyObject",
        Method::PUT => "PutObject",
        Method::DELETE if parameters.have("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::POST if parameters.have("uploads") => "CreateMultipartUpload",
        Method::POST if parameters.have("uploadId") => "CompleteMultipartUpload",
        _ => "Unknown",
    }
}

/// The names in a query string.
struct Parameters<'a>(&'a str);

impl Parameters<'_> {
    fn have(&self, name: &str) -> bool {
        self.0.split('&').any(|pair| pair.split('=').next() == Some(name))
    }
}

/// Percent-decodes a path. What a query would give a meaning of its own (`+`, `&`, `=`) means itself.
fn decode(path: &str) -> String {
    let literal = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(literal.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
