//! CPU work off the async threads.

use crate::error::{Error, Result};

/// Runs work that takes longer than an async thread may be held up, on a thread of its own.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| Error::retryable("a blocking task ended early").with_source(error))?
}
