/// Work of milliseconds, which requests must not wait behind. A panic in it goes on in the caller.
pub(crate) async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down: nobody polls us again.
            Err(_) => std::future::pending().await,
        },
    }
}
