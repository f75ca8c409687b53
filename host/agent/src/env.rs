//! A container's environment, command line and what they refer to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Service};

use crate::Image;
use crate::fields::{self, FieldContext};
use crate::sources::{Gathered, SourceKind, SourceRef};

/// Why a container cannot be configured; the text names the object and the key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

/// In the order of names: what came from the image, services, `envFrom` and `env`, the later winning.
pub(crate) type Env = BTreeMap<String, String>;

pub(crate) fn environment(
    container: &Container,
    image: &Image,
    services: Env,
    fields: &FieldContext<'_>,
    sources: &Gathered,
) -> Result<Env, ConfigError> {
    let mut own = Env::new();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let config = from.config_map_ref.as_ref().map(|from| (SourceKind::ConfigMap, &from.name, from.optional));
        let secret = from.secret_ref.as_ref().map(|from| (SourceKind::Secret, &from.name, from.optional));
        for (kind, name, optional) in config.into_iter().chain(secret) {
            let Some(data) = object(sources, kind, name, optional)? else { continue };
            for (key, value) in &data.values {
                own.insert(format!("{prefix}{key}"), String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(from)) => from_source(container, from, fields, sources)?,
            (value, None) => {
                let known = |name: &str| own.get(name).or_else(|| services.get(name)).cloned();
                Some(expand(value.as_deref().unwrap_or_default(), known))
            }
        };
        if let Some(value) = value {
            own.insert(variable.name.clone(), value);
        }
    }
    let mut all: Env = image.env.iter().cloned().collect();
    all.extend(services);
    all.extend(own);
    Ok(all)
}

/// `argv` of the container: its `command` replaces the image's entrypoint and arguments, its `args` only the latter.
pub(crate) fn command_line(container: &Container, image: &Image, env: &Env) -> Vec<String> {
    let filled = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let (command, args) = (filled(&container.command), filled(&container.args));
    let expanded = |list: Vec<String>| list.into_iter().map(|text| expand(&text, |name| env.get(name).cloned()));
    let mut argv: Vec<String> = match (command, args) {
        (Some(command), args) => expanded(command).chain(expanded(args.unwrap_or_default())).collect(),
        (None, Some(args)) => entrypoint(container, image).into_iter().chain(expanded(args)).collect(),
        (None, None) => entrypoint(container, image).into_iter().chain(image.cmd.iter().cloned()).collect(),
    };
    if argv.is_empty() {
        argv.push(container.name.clone());
    }
    argv
}

/// Replaces each `$(NAME)` that is known; `$$` stands for `$`, and what is unknown stays as it is.
pub(crate) fn expand(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let (mut output, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match known(name) {
                Some(value) => output.push_str(&value),
                None => output.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            output.push('$');
            rest = after;
        }
    }
    output + rest
}

/// The ConfigMaps and Secrets that a container's environment needs.
pub(crate) fn references(container: &Container) -> BTreeSet<SourceRef> {
    let mut refs = BTreeSet::new();
    for from in container.env_from.iter().flatten() {
        refs.extend(from.config_map_ref.as_ref().map(|from| SourceRef::new(SourceKind::ConfigMap, &from.name)));
        refs.extend(from.secret_ref.as_ref().map(|from| SourceRef::new(SourceKind::Secret, &from.name)));
    }
    for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        refs.extend(from.config_map_key_ref.as_ref().map(|from| SourceRef::new(SourceKind::ConfigMap, &from.name)));
        refs.extend(from.secret_key_ref.as_ref().map(|from| SourceRef::new(SourceKind::Secret, &from.name)));
    }
    refs
}

/// The variables that Docker links had, for each Service of the pod's namespace and for the API's own.
pub(crate) fn service_variables<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    links: bool,
) -> Env {
    let mut env = Env::new();
    for service in services {
        let meta = &service.metadata;
        let Some(name) = meta.name.as_deref() else { continue };
        let of_pod = links && meta.namespace.as_deref() == Some(namespace);
        let of_api = meta.namespace.as_deref() == Some("default") && name == "kubernetes";
        if of_pod || of_api {
            add_service(&mut env, name, service);
        }
    }
    env
}

fn add_service(env: &mut Env, name: &str, service: &Service) {
    let Some(spec) = &service.spec else { return };
    let Some(ip) = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else { return };
    let prefix = name.replace('-', "_").to_uppercase();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return };
    env.insert(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
    env.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{ip}:{}", protocol.to_lowercase(), port.port);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            env.insert(
                format!("{prefix}_SERVICE_PORT_{}", name.replace('-', "_").to_uppercase()),
                port.port.to_string(),
            );
        }
        env.entry(format!("{prefix}_PORT")).or_insert_with(|| url.clone());
        let base = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        env.insert(format!("{base}_PROTO"), protocol.to_lowercase());
        env.insert(format!("{base}_PORT"), port.port.to_string());
        env.insert(format!("{base}_ADDR"), ip.to_owned());
        env.insert(base, url);
    }
}

/// `None` when it is optional and not there.
fn from_source(
    container: &Container,
    from: &EnvVarSource,
    fields: &FieldContext<'_>,
    sources: &Gathered,
) -> Result<Option<String>, ConfigError> {
    if let Some(from) = &from.config_map_key_ref {
        return key(sources, SourceKind::ConfigMap, &from.name, &from.key, from.optional);
    }
    if let Some(from) = &from.secret_key_ref {
        return key(sources, SourceKind::Secret, &from.name, &from.key, from.optional);
    }
    if let Some(from) = &from.field_ref {
        return fields::field(fields, &from.field_path).map(Some).map_err(ConfigError);
    }
    if let Some(from) = &from.resource_field_ref {
        return fields::resource(fields, from, Some(container)).map(Some).map_err(ConfigError);
    }
    Err(ConfigError("an environment variable has a valueFrom that names no source that wasmk has".into()))
}

fn key(
    sources: &Gathered,
    kind: SourceKind,
    name: &str,
    key: &str,
    optional: Option<bool>,
) -> Result<Option<String>, ConfigError> {
    let Some(data) = object(sources, kind, name, optional)? else { return Ok(None) };
    match data.values.get(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError(format!("couldn't find key {key} in {} {}/{name}", kind.as_str(), sources.namespace))),
    }
}

/// `None` when it is optional and not there.
pub(crate) fn object<'a>(
    sources: &'a Gathered,
    kind: SourceKind,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a crate::sources::SourceData>, ConfigError> {
    match sources.get(kind, name) {
        Some(Ok(data)) => Ok(Some(data)),
        Some(Err(error)) => {
            Err(ConfigError(format!("{} {name:?} could not be read: {error}", kind.as_str().to_lowercase())))
        }
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError(format!("{} {name:?} not found", kind.as_str().to_lowercase()))),
    }
}

/// The image's own words, else the name of its file; a bare wasm file has only the image's name.
fn entrypoint(container: &Container, image: &Image) -> Vec<String> {
    if !image.entrypoint.is_empty() {
        return image.entrypoint.clone();
    }
    let name = match &image.rootfs {
        Some(_) => image.wasm.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        None => container.image.as_deref().map(|reference| short_name(reference).to_owned()),
    };
    name.into_iter().collect()
}

/// `worker` of `registry:5000/team/worker:v1`.
fn short_name(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests;
