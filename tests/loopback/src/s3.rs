//! S3: an in-memory store behind the s3s protocol crate, path-style.

mod chunked;
mod digest;
mod listing;
mod multipart;
mod operations;
mod settings;
mod store;
mod target;
mod view;

pub use settings::BucketSettings;
pub(crate) use target::target;
pub use view::BucketView;

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::call::Call;
use crate::caller::Service;
use crate::wire::{Refusal, Reply, Request};
use operations::{Operations, Owner};
use store::{Bucket, Store};

pub(crate) struct S3 {
    store: Arc<Store>,
    protocol: S3Service,
}

impl S3 {
    pub(crate) fn new() -> Self {
        let store = Arc::new(Store::default());
        let protocol = S3ServiceBuilder::new(Operations::new(store.clone())).build();
        Self { store, protocol }
    }

    pub(crate) fn create_bucket(&self, name: &str, account: &str, region: &str) {
        self.store.create(name, account, region);
    }

    pub(crate) fn view(&self, name: &str) -> BucketView {
        BucketView::new(self.store.bucket(name))
    }

    pub(crate) async fn answer(&self, call: &Call, request: Request) -> Reply {
        if let Some(refused) = self.refuse(call, request.header("x-amz-expected-bucket-owner")) {
            return refused;
        }
        match self.run(call, request).await {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply(Service::S3),
        }
    }

    /// The bucket must be there, belong to the caller's account and to the owner expected, and lie in the region
    /// signed for.
    fn refuse(&self, call: &Call, expected_owner: Option<&str>) -> Option<Reply> {
        if matches!(call.action.as_str(), "CreateBucket" | "ListBuckets") {
            return None;
        }
        let name = call.resource.split('/').next().unwrap_or_default();
        match self.store.bucket(name) {
            None => Some(no_such_bucket().reply(Service::S3)),
            Some(bucket) if bucket.account != call.account => Some(access_denied().reply(Service::S3)),
            Some(bucket) if expected_owner.is_some_and(|owner| owner != bucket.account) => {
                Some(access_denied().reply(Service::S3))
            }
            Some(bucket) if bucket.region != call.region => Some(elsewhere(&bucket)),
            Some(_) => None,
        }
    }

    async fn run(&self, call: &Call, request: Request) -> Result<Reply, Refusal> {
        let request = into_s3s(chunked::unwrap(request)?, call);
        let response = self.protocol.call(request).await.map_err(|error| internal(&format!("{error:?}")))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| internal(&error.to_string()))?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body }.with("x-amz-request-id", "LOOPBACK"))
    }
}

/// s3s verifies signatures when it sees one; here the caller is already known.
fn into_s3s(mut request: Request, call: &Call) -> s3s::HttpRequest {
    request.headers.remove(AUTHORIZATION);
    request.headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    let mut inner = http::Request::new(s3s::Body::from(request.body));
    *inner.method_mut() = request.method;
    *inner.uri_mut() = request.uri;
    *inner.headers_mut() = request.headers;
    inner.extensions_mut().insert(Owner { account: call.account.clone(), region: call.region.clone() });
    inner
}

/// AWS answers 301 with the region to go to.
fn elsewhere(bucket: &Bucket) -> Reply {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
    Refusal::new(StatusCode::MOVED_PERMANENTLY.as_u16(), "PermanentRedirect", message)
        .reply(Service::S3)
        .with("x-amz-bucket-region", &bucket.region)
}

fn no_such_bucket() -> Refusal {
    Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist")
}

fn access_denied() -> Refusal {
    Refusal::new(403, "AccessDenied", "Access Denied")
}

fn internal(message: &str) -> Refusal {
    Refusal::new(500, "InternalError", message)
}
