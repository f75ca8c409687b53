//! Carrying out actions.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as ContainerWire, Pod};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use super::context::Context;
use super::{Done, Live, PodTask, news, probing};
use crate::env::{self, ConfigError, Env};
use crate::events::Severity;
use crate::lifecycle::{Action, Intent, KillReason, Observation, ProbeKind, Run};
use crate::logs::{LiveLog, LogOwner};
use crate::programs::{Prepared, Progress, PullPolicy};
use crate::retry::{is_conflict, is_not_found};
use crate::volumes::{self, MountedVolumes};
use crate::{Container, ContainerSpec, Credential, PodIdentity, RequestFault, Stdin};

/// The last report goes out before the object does, if the server takes it within this time.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// After the end of a container its last lines are given this long to reach the log.
const LOG_END_TIMEOUT: Duration = Duration::from_secs(2);
/// `terminationMessagePolicy: FallbackToLogsOnError` takes so much of the log.
pub(super) const MESSAGE_BYTES_MAX: usize = 2048;

impl PodTask {
    pub(super) fn act(&mut self, action: Action) {
        tracing::debug!(pod = self.name(), namespace = self.namespace(), ?action, "act");
        let context = self.context();
        match action {
            Action::Attach => drop(self.jobs.spawn(context.attach())),
            Action::MountVolumes => drop(self.jobs.spawn(context.mount_volumes())),
            Action::EnsureImage { container } => {
                let ran_before = self.state.container(&container).is_some_and(|state| state.image == state.pulled);
                self.jobs.spawn(context.ensure_image(container, ran_before));
            }
            Action::Start { container, restart } => self.start(context, container, restart),
            Action::Kill { container, reason } => self.kill(&container, &reason),
            Action::Probe { container, probe } => self.probe(context, container, probe),
            Action::Route(ready) => self.parts.network.set_routing(&self.uid, ready),
            Action::Drain { settle, deadline } => {
                let left = Duration::try_from(deadline.duration_since(self.now())).unwrap_or_default();
                let running = self.live.values().map(|live| live.handle.clone()).collect();
                self.jobs.spawn(context.drain(settle, left, running));
            }
            Action::Fail { reason, message } => self.tell_pod(Severity::Warning, news::word(&reason), message),
            Action::TearDown { remove } => {
                self.parts.tokens.forget(&self.uid);
                self.parts.network.detach(&self.uid);
                if !matches!(self.intent, Intent::NodeShutdown { .. }) {
                    self.parts.addresses.release(&self.uid);
                }
                self.jobs.spawn(context.tear_down(remove));
            }
            Action::Delete => drop(self.jobs.spawn(context.delete())),
        }
    }

    fn start(&mut self, context: Context, container: String, restart: u32) {
        let prepared = self.programs.get(&container).cloned().expect("invariant: a start follows its image");
        let identity = self.identity();
        self.jobs.spawn(context.start(container, restart, prepared, self.volumes.clone(), identity));
    }

    fn kill(&mut self, container: &str, reason: &KillReason) {
        self.tell_killing(container, reason);
        if let Some(live) = self.live.get(container) {
            live.handle.kill();
        }
    }

    fn probe(&mut self, context: Context, container: String, probe: ProbeKind) {
        let Some(spec) = self.container_spec(&container) else { return };
        let timeout = self.model.container(&container).and_then(|model| model.probe(probe)).map(|model| model.timeout);
        let target = probing::target(spec, probe);
        let timeout = timeout.unwrap_or(Duration::from_secs(1));
        self.jobs.spawn(async move {
            let result = probing::run(&context.parts.network, &context.uid, target, timeout).await;
            Done::Probed { container, probe, result }
        });
    }

    pub(super) fn container_runs(&mut self, container: String, handle: Arc<dyn Container>, log: Arc<LiveLog>) {
        let is_http = self.state.container(&container).and_then(|state| state.is_http) == Some(true);
        self.parts.roster.set_running(&self.uid, &container, Some(handle.clone()));
        self.live.insert(container.clone(), Live { handle: handle.clone(), is_http });
        let name = container.clone();
        self.jobs.spawn(async move {
            let exit = handle.wait().await;
            let _ = tokio::time::timeout(LOG_END_TIMEOUT, log.ended()).await;
            Done::Exited { container: name, exit }
        });
        self.observe(Observation::Started { container });
    }

    /// Compares the volumes with their sources while containers run.
    pub(super) fn sync_volumes(&mut self) {
        self.sync_at = None;
        let context = self.context();
        self.jobs.spawn(async move {
            // What cannot be had now stays as it is in the volume.
            if let Err(error) = context.set_up_volumes().await {
                tracing::debug!(%error, "a volume was not brought up to date");
            }
            Done::Synced
        });
    }

    pub(super) fn measure_volumes(&mut self) {
        self.measure_at = None;
        let (pod, dirs, uid) = (self.pod.clone(), self.parts.dirs.clone(), self.uid.clone());
        self.jobs.spawn_blocking(move || Done::Measured { overfull: volumes::overfull(&pod, &dirs, &uid) });
    }

    fn identity(&self) -> PodIdentity {
        let context = self.context();
        context.identity(self.state.ip.expect("invariant: a start follows the network"))
    }

    pub(super) fn kill_reason(&self, container: &str) -> Option<&KillReason> {
        match &self.state.container(container)?.run {
            Run::Running { killing, .. } => killing.as_ref(),
            _ => None,
        }
    }
}

impl Context {
    async fn attach(self) -> Done {
        let ip = match self.parts.addresses.allocate(&self.uid).await {
            Ok(ip) => ip,
            Err(error) => return Done::Observed(Observation::AttachFailed(error.to_string())),
        };
        match self.parts.network.attach(&self.identity(ip)).await {
            Ok(()) => Done::Observed(Observation::Attached(ip)),
            Err(error) => Done::Observed(Observation::AttachFailed(error.to_string())),
        }
    }

    async fn mount_volumes(self) -> Done {
        match self.set_up_volumes().await {
            Ok(volumes) => Done::Mounted(volumes),
            Err(message) => Done::Observed(Observation::MountFailed(message)),
        }
    }

    async fn set_up_volumes(&self) -> Result<MountedVolumes, String> {
        let mut sources = self.parts.sources.gather(self.namespace(), volumes::references(&self.pod)).await;
        sources.tokens = self.parts.tokens.gather(&self.pod, &self.uid).await;
        let config = &self.parts.config;
        let fields = self.fields(None);
        let mut contents = Vec::new();
        for volume in volumes::volumes(&self.pod) {
            let content = volumes::project(volume, &fields, &sources, &config.host_path_roots);
            contents.push((volume.name.clone(), content.map_err(|error| error.to_string())?));
        }
        let (dirs, uid, ground) = (self.parts.dirs.clone(), self.uid.clone(), self.ground.clone());
        let place = move || {
            let place = |(name, content): (String, volumes::VolumeContent)| {
                let mounted = volumes::materialize(dirs.volume(&uid, &name), &content);
                let mounted =
                    mounted.map_err(|error| format!("MountVolume.SetUp failed for volume {name:?} : {error}"))?;
                Ok((name, mounted))
            };
            let removed = || Err("the pod was removed".to_owned());
            ground.write(|| contents.into_iter().map(place).collect()).unwrap_or_else(removed)
        };
        blocking(place).await
    }

    async fn ensure_image(self, container: String, ran_before: bool) -> Done {
        let spec = self.container(&container);
        let reference = spec.image.clone().unwrap_or_default();
        let policy = PullPolicy::new(spec.image_pull_policy.as_deref(), &reference);
        let credentials = self.credentials().await;
        let tell = |reason, message| self.tell(&container, Severity::Normal, reason, message);
        let progress = |progress: Progress<'_>| match progress {
            Progress::AlreadyPresent => {
                tell("Pulled", format!("Container image {reference:?} already present on machine"));
            }
            Progress::Pulling => tell("Pulling", format!("Pulling image {reference:?}")),
            Progress::Pulled { image, took } => tell(
                "Pulled",
                format!(
                    "Successfully pulled image {reference:?} in {took:.3?}. Image size: {} bytes.",
                    image.size_bytes
                ),
            ),
        };
        match self.parts.programs.resolve(&reference, policy, credentials, ran_before, progress).await {
            Ok(prepared) => Done::Prepared { container, prepared },
            Err(fault) => {
                let (reason, message, retry) = (fault.reason.to_owned(), fault.message, fault.retry);
                Done::Observed(Observation::ImageFailed { container, reason, message, retry })
            }
        }
    }

    async fn credentials(&self) -> Vec<Credential> {
        let refs = crate::credentials::references(&self.pod);
        if refs.is_empty() {
            return Vec::new();
        }
        let found = self.parts.sources.gather(self.namespace(), refs.clone()).await;
        let data = refs.iter().filter_map(|secret| found.get(secret.kind, &secret.name)?.ok());
        data.flat_map(crate::credentials::parse).collect()
    }

    async fn start(
        self,
        container: String,
        restart: u32,
        prepared: Prepared,
        volumes: MountedVolumes,
        identity: PodIdentity,
    ) -> Done {
        let failed = |container, reason: &str, message| {
            Done::Observed(Observation::StartFailed { container, reason: reason.to_owned(), message })
        };
        let env = match self.environment(&container, &prepared, &identity).await {
            Ok(env) => env,
            Err(error) => return failed(container, "CreateContainerConfigError", error.to_string()),
        };
        let made = {
            let (context, name, prepared) = (self.clone(), container.clone(), prepared.clone());
            blocking(move || context.make(&name, restart, &prepared, &volumes, env, identity)).await
        };
        let (spec, log) = match made {
            Ok(made) => made,
            Err(MakeError::Config(error)) => return failed(container, "CreateContainerConfigError", error.to_string()),
            Err(MakeError::Log(error)) => {
                return failed(container, "CreateContainerError", format!("create its log: {error}"));
            }
        };
        self.tell(&container, Severity::Normal, "Created", format!("Created container: {container}"));
        match prepared.program.start(spec).await {
            Ok(handle) => Done::Running { container, handle, log },
            Err(error) => failed(container, "RunContainerError", error.to_string()),
        }
    }

    async fn environment(
        &self,
        container: &str,
        prepared: &Prepared,
        identity: &PodIdentity,
    ) -> Result<Env, ConfigError> {
        let spec = self.container(container);
        let refs = env::references(spec);
        let sources = self.parts.sources.gather(self.namespace(), refs).await;
        let links = self.pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        let services = self.parts.services.variables(self.namespace(), links).await;
        let fields = self.fields(Some(identity.ip));
        let mut env = env::environment(spec, &prepared.image, services, &fields, &sources)?;
        env.entry("HOSTNAME".into()).or_insert_with(|| identity.hostname.clone());
        Ok(env)
    }

    /// Blocks: looks at and makes directories.
    fn make(
        &self,
        container: &str,
        restart: u32,
        prepared: &Prepared,
        volumes: &MountedVolumes,
        env: Env,
        identity: PodIdentity,
    ) -> Result<(ContainerSpec, Arc<LiveLog>), MakeError> {
        let (spec, image) = (self.container(container), &prepared.image);
        let mounts =
            volumes::mounts(spec, image, volumes, &env, &self.parts.dirs, &self.uid).map_err(MakeError::Config)?;
        let owner = LogOwner { namespace: self.namespace(), name: &identity.name, uid: &self.uid };
        let (logs, live) = self.parts.logs.start(owner, container, restart).map_err(MakeError::Log)?;
        let limit = |resource: &str| {
            let limits = spec.resources.as_ref()?.limits.as_ref()?;
            wasmk_api::Quantity::parse(&limits.get(resource)?.0).ok().filter(|quantity| !quantity.is_zero())
        };
        let requests_per_instance = requests_per_instance(&self.pod).map_err(MakeError::Config)?;
        let made = ContainerSpec {
            container: container.to_owned(),
            argv: env::command_line(spec, image, &env),
            env: env.into_iter().collect(),
            working_dir: spec.working_dir.clone().or_else(|| image.working_dir.clone()),
            mounts,
            stdin: stdin(spec),
            ports: tcp_ports(spec),
            memory_bytes_max: limit("memory").map(|quantity| quantity.units().unsigned_abs()),
            cpu_millis_max: limit("cpu").map(|quantity| quantity.milli().unsigned_abs()),
            requests_per_instance,
            logs,
            on_fault: self.on_fault(container),
            pod: identity,
        };
        Ok((made, live))
    }

    fn on_fault(&self, container: &str) -> crate::OnFault {
        let (context, container) = (self.clone(), container.to_owned());
        Arc::new(move |fault: RequestFault| {
            let what = if fault.out_of_memory { "ran out of memory" } else { "failed" };
            let message = format!("A request to container {container} {what}: {}", fault.message);
            context.tell(&container, Severity::Warning, "RequestFailed", message);
        })
    }

    /// Waits for what is in flight, and for those containers that can be told to end, by the end of their input.
    async fn drain(self, settle: Duration, left: Duration, running: Vec<Arc<dyn Container>>) -> Done {
        tokio::time::sleep(settle).await;
        let left = left.saturating_sub(settle);
        let told = running.into_iter().filter(|container| container.end_input());
        let ended = futures::future::join_all(told.map(|container| async move { container.wait().await }));
        let (remaining, _) = tokio::join!(self.parts.network.drain(&self.uid, left), tokio::time::timeout(left, ended));
        Done::Drained { clean: remaining == 0 }
    }

    async fn tear_down(self, remove: bool) -> Done {
        if remove {
            let context = self.clone();
            blocking(move || context.ground.clone().remove(|| context.remove_from_disk())).await;
        }
        Done::Observed(Observation::TornDown { removed: remove })
    }

    fn remove_from_disk(&self) {
        let name = self.pod.metadata.name.as_deref().unwrap_or_default();
        self.parts.logs.remove(LogOwner { namespace: self.namespace(), name, uid: &self.uid });
        if let Err(error) = self.parts.dirs.remove(&self.uid) {
            tracing::warn!(pod = name, %error, "a pod's directory was not removed");
        }
    }

    async fn delete(self) -> Done {
        let _ = tokio::time::timeout(LAST_REPORT_TIMEOUT, self.parts.reports.settled(&self.uid)).await;
        let api = Api::<Pod>::namespaced(self.parts.client.clone(), self.namespace());
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(self.uid.0.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(self.pod.metadata.name.as_deref().unwrap_or_default(), &params).await {
            // Gone, or another pod has the name: ours is no more either way.
            Err(error) if !is_not_found(&error) && !is_conflict(&error) => {
                Done::Observed(Observation::DeleteFailed(error.to_string()))
            }
            _ => Done::Observed(Observation::Deleted),
        }
    }
}

enum MakeError {
    Config(ConfigError),
    Log(std::io::Error),
}

fn tcp_ports(spec: &ContainerWire) -> Vec<u16> {
    let ports = spec.ports.iter().flatten().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    ports.filter_map(|port| port.container_port.try_into().ok()).collect()
}

fn stdin(spec: &ContainerWire) -> Stdin {
    match (spec.stdin, spec.stdin_once) {
        (Some(true), Some(true)) => Stdin::Once,
        (Some(true), _) => Stdin::Open,
        _ => Stdin::Closed,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The annotation of a pod whose guests may keep state from one request to the next, or start too slowly to do so for each.
const REQUESTS_PER_INSTANCE: &str = "wasmk.dev/requests-per-instance";

fn requests_per_instance(pod: &Pod) -> Result<Option<NonZeroU32>, ConfigError> {
    let Some(text) = pod.metadata.annotations.as_ref().and_then(|all| all.get(REQUESTS_PER_INSTANCE)) else {
        return Ok(None);
    };
    let wanted =
        || ConfigError(format!("metadata.annotations[{REQUESTS_PER_INSTANCE}]: {text:?} is no number from 1 on"));
    text.parse().map(Some).map_err(|_| wanted())
}
