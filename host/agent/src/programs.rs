//! From an image's name to something that can run; what many pods ask for is done once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, WeakShared};
use tokio::sync::Semaphore;

use crate::{Credential, Image, ImageError, Images, PrepareError, Program, Runtime};

/// Transfers at once: more only share the line.
const PULLS_MAX: usize = 4;
/// Compilations at once: each takes a CPU and up to some hundred MB.
const PREPARATIONS_MAX: usize = 2;

pub(crate) struct Programs {
    images: Arc<dyn Images>,
    runtime: Arc<dyn Runtime>,
    finds: Flights<String, Result<Option<Image>, ImageError>>,
    pulls: Flights<String, Result<Image, ImageError>>,
    preparations: Flights<String, Result<Arc<dyn Program>, PrepareError>>,
    /// By the image's digest; they live as long as a pod has one.
    ready: Mutex<HashMap<String, Weak<dyn Program>>>,
    pull_permits: Arc<Semaphore>,
    prepare_permits: Arc<Semaphore>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// An image that can be started.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) image: Image,
    pub(crate) program: Arc<dyn Program>,
}

/// Why there is none, as the pod's status calls it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ImageFault {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Whether trying again may help.
    pub(crate) retry: bool,
}

/// What is done on the way, for events.
pub(crate) enum Progress<'a> {
    AlreadyPresent,
    Pulling,
    Pulled { image: &'a Image, took: Duration },
}

impl Programs {
    pub(crate) fn new(images: Arc<dyn Images>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            images,
            runtime,
            finds: Flights::default(),
            pulls: Flights::default(),
            preparations: Flights::default(),
            ready: Mutex::default(),
            pull_permits: Arc::new(Semaphore::new(PULLS_MAX)),
            prepare_permits: Arc::new(Semaphore::new(PREPARATIONS_MAX)),
        }
    }

    /// `ran_before`: the container has had this image, which then does for a restart when the registry is away.
    pub(crate) async fn resolve(
        &self,
        reference: &str,
        policy: PullPolicy,
        credentials: Vec<Credential>,
        ran_before: bool,
        progress: impl Fn(Progress<'_>),
    ) -> Result<Prepared, ImageFault> {
        let image = self.image(reference, policy, credentials, ran_before, progress).await?;
        let program = self.program(&image).await.map_err(|error| {
            let retry = matches!(error, PrepareError::Failed(_));
            ImageFault { reason: "CreateContainerError", message: error.to_string(), retry }
        })?;
        Ok(Prepared { image, program })
    }

    async fn image(
        &self,
        reference: &str,
        policy: PullPolicy,
        credentials: Vec<Credential>,
        ran_before: bool,
        progress: impl Fn(Progress<'_>),
    ) -> Result<Image, ImageFault> {
        let local = self.find(reference).await.map_err(fault)?;
        match (policy, local) {
            (PullPolicy::IfNotPresent | PullPolicy::Never, Some(image)) => {
                progress(Progress::AlreadyPresent);
                Ok(image)
            }
            (PullPolicy::Never, None) => {
                let message = format!("Container image {reference:?} is not present with pull policy of Never");
                Err(ImageFault { reason: "ErrImageNeverPull", message, retry: true })
            }
            (_, local) => {
                progress(Progress::Pulling);
                let started = Instant::now();
                match (self.pull(reference, policy, credentials).await, local) {
                    (Ok(image), _) => {
                        progress(Progress::Pulled { image: &image, took: started.elapsed() });
                        Ok(image)
                    }
                    (Err(ImageError::Unreachable(_)), Some(image)) if ran_before => Ok(image),
                    (Err(error), _) => Err(fault(error)),
                }
            }
        }
    }

    /// Replicas that start together look once.
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        let (images, wanted) = (self.images.clone(), reference.to_owned());
        self.finds.join(reference.to_owned(), async move { images.find(&wanted).await }).await
    }

    async fn pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        credentials: Vec<Credential>,
    ) -> Result<Image, ImageError> {
        // Who logs in differently must not profit from another's login.
        let logins: Vec<_> =
            credentials.iter().map(|c| format!("{}\0{}\0{}", c.registry, c.username, c.password)).collect();
        let key = format!("{reference}\0{policy:?}\0{}", logins.join("\0"));
        let (images, permits, reference) = (self.images.clone(), self.pull_permits.clone(), reference.to_owned());
        let pull = async move {
            let _permit = permits.acquire().await;
            // Another pod's pull may have ended since this one looked.
            if policy == PullPolicy::IfNotPresent
                && let Ok(Some(image)) = images.find(&reference).await
            {
                return Ok(image);
            }
            images.pull(&reference, &credentials).await
        };
        self.pulls.join(key, pull).await
    }

    async fn program(&self, image: &Image) -> Result<Arc<dyn Program>, PrepareError> {
        let known = self.ready.lock().expect("no panic while held").get(&image.digest).and_then(Weak::upgrade);
        if let Some(program) = known {
            return Ok(program);
        }
        let (runtime, permits, wanted) = (self.runtime.clone(), self.prepare_permits.clone(), image.clone());
        let prepare = async move {
            let _permit = permits.acquire().await;
            runtime.prepare(&wanted).await
        };
        let program = self.preparations.join(image.digest.clone(), prepare).await?;
        let mut ready = self.ready.lock().expect("no panic while held");
        ready.retain(|_, program| program.strong_count() > 0);
        ready.insert(image.digest.clone(), Arc::downgrade(&program));
        Ok(program)
    }
}

impl PullPolicy {
    /// `imagePullPolicy`, or Kubernetes' default for the image's tag.
    pub(crate) fn new(policy: Option<&str>, reference: &str) -> Self {
        match policy {
            Some("Always") => Self::Always,
            Some("IfNotPresent") => Self::IfNotPresent,
            Some("Never") => Self::Never,
            _ => {
                let name = reference.rsplit('/').next().unwrap_or(reference);
                let latest = !reference.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
                if latest { Self::Always } else { Self::IfNotPresent }
            }
        }
    }
}

fn fault(error: ImageError) -> ImageFault {
    let (reason, retry) = match &error {
        ImageError::InvalidName(_) => ("InvalidImageName", false),
        ImageError::NotFound(_) | ImageError::Unauthorized(_) | ImageError::Unreachable(_) => ("ErrImagePull", true),
        ImageError::Broken(_) => ("CreateContainerError", true),
    };
    ImageFault { reason, message: error.to_string(), retry }
}

/// Futures that are run once however many ask, by key.
///
/// Kept weakly: a shared future only goes on while somebody waits for it, so one that everybody left must go, with the
/// permits that it holds.
struct Flights<K, T: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>);

impl<K: Clone + Eq + Hash, T: Clone + Send + 'static> Flights<K, T> {
    /// A caller that goes away does not stop it for the others; the last one does.
    async fn join(&self, key: K, make: impl Future<Output = T> + Send + 'static) -> T {
        let flight = {
            let mut flights = self.0.lock().expect("no panic while held");
            flights.retain(|_, flight| flight.upgrade().is_some());
            match flights.get(&key).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = make.boxed().shared();
                    flights.insert(key, flight.downgrade().expect("a future that nobody polled is not done"));
                    flight
                }
            }
        };
        flight.await
    }
}

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_always_pulled() {
        let policy = |reference| PullPolicy::new(None, reference);
        assert_eq!(policy("hello"), PullPolicy::Always);
        assert_eq!(policy("hello:latest"), PullPolicy::Always);
        assert_eq!(policy("registry:5000/hello"), PullPolicy::Always);
        assert_eq!(policy("hello:v1"), PullPolicy::IfNotPresent);
        assert_eq!(policy("hello@sha256:00"), PullPolicy::IfNotPresent);
        assert_eq!(PullPolicy::new(Some("Never"), "hello"), PullPolicy::Never);
    }

    #[tokio::test]
    async fn what_everybody_left_gives_its_permit_back() {
        let flights = Flights::<&str, u32>::default();
        let permits = Arc::new(Semaphore::new(1));
        let holder = permits.clone();
        let mut abandoned = Box::pin(flights.join("a", async move {
            let _permit = holder.acquire_owned().await.unwrap();
            std::future::pending().await
        }));
        assert!(futures::poll!(&mut abandoned).is_pending());
        assert_eq!(permits.available_permits(), 0);
        drop(abandoned);
        assert_eq!(flights.join("a", async { 7 }).await, 7);
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn what_many_ask_for_is_done_once() {
        let flights = Flights::<&str, u32>::default();
        let made = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let once = || {
            let (made, gate) = (made.clone(), gate.clone());
            async move {
                let _open = gate.acquire().await;
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
            }
        };
        let all = futures::future::join_all((0..10).map(|_| flights.join("a", once())));
        tokio::pin!(all);
        // Everybody has joined before it can end.
        assert!(futures::poll!(&mut all).is_pending());
        gate.add_permits(1);
        assert_eq!(all.await, [1; 10]);
        assert_eq!(flights.join("a", once()).await, 2);
    }
}
