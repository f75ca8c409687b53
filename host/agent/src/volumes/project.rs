use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, ProjectedVolumeSource,
    SecretVolumeSource, Volume, VolumeProjection,
};

use super::{FileContent, VolumeContent, VolumeError};
use crate::env::object;
use crate::fields::{self, FieldContext};
use crate::sources::{Gathered, SourceData, SourceKind};
use crate::tokens::TokenRef;

const DEFAULT_MODE: i32 = 0o644;

type Files = BTreeMap<String, FileContent>;

/// What is to be in a volume.
pub(crate) fn project(
    volume: &Volume,
    fields: &FieldContext<'_>,
    sources: &Gathered,
    host_path_roots: &[PathBuf],
) -> Result<VolumeContent, VolumeError> {
    content(volume, fields, sources, host_path_roots)
        .map_err(|message| VolumeError { volume: volume.name.clone(), message })
}

fn content(
    volume: &Volume,
    fields: &FieldContext<'_>,
    sources: &Gathered,
    host_path_roots: &[PathBuf],
) -> Result<VolumeContent, String> {
    if volume.empty_dir.is_some() {
        return Ok(VolumeContent::EmptyDir);
    }
    if let Some(source) = &volume.host_path {
        return host_path(source, host_path_roots);
    }
    if let Some(source) = &volume.config_map {
        return config_map(source, sources).map(VolumeContent::Files);
    }
    if let Some(source) = &volume.secret {
        return secret(source, sources).map(VolumeContent::Files);
    }
    if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        return downward(source.items.iter().flatten(), mode, fields).map(VolumeContent::Files);
    }
    if let Some(source) = &volume.projected {
        return projected(source, fields, sources).map(VolumeContent::Files);
    }
    Err("wasmk has only volumes of type configMap, secret, emptyDir, hostPath, downwardAPI and projected".into())
}

fn config_map(source: &ConfigMapVolumeSource, sources: &Gathered) -> Result<Files, String> {
    let found =
        object(sources, SourceKind::ConfigMap, &source.name, source.optional).map_err(|error| error.to_string())?;
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let what = || format!("configmap {}/{}", sources.namespace, source.name);
    found.map_or(Ok(Files::new()), |data| keys(data, source.items.as_deref(), mode, source.optional, what))
}

fn secret(source: &SecretVolumeSource, sources: &Gathered) -> Result<Files, String> {
    let name = source.secret_name.as_deref().unwrap_or_default();
    let found = object(sources, SourceKind::Secret, name, source.optional).map_err(|error| error.to_string())?;
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let what = || format!("secret {}/{name}", sources.namespace);
    found.map_or(Ok(Files::new()), |data| keys(data, source.items.as_deref(), mode, source.optional, what))
}

/// All keys, or those that `items` name, at their paths.
fn keys(
    data: &SourceData,
    items: Option<&[KeyToPath]>,
    default_mode: i32,
    optional: Option<bool>,
    what: impl Fn() -> String,
) -> Result<Files, String> {
    let mut files = Files::new();
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        for (key, value) in data.values.iter().chain(&data.binary) {
            add(&mut files, key, value.clone(), default_mode)?;
        }
        return Ok(files);
    };
    for item in items {
        match data.values.get(&item.key).or_else(|| data.binary.get(&item.key)) {
            Some(value) => add(&mut files, &item.path, value.clone(), item.mode.unwrap_or(default_mode))?,
            None if optional == Some(true) => (),
            None => return Err(format!("{} references non-existent config key: {}", what(), item.key)),
        }
    }
    Ok(files)
}

fn downward<'a>(
    items: impl IntoIterator<Item = &'a DownwardAPIVolumeFile>,
    default_mode: i32,
    fields: &FieldContext<'_>,
) -> Result<Files, String> {
    let mut files = Files::new();
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(from), _) => fields::field(fields, &from.field_path)?,
            (None, Some(from)) => fields::resource(fields, from, None)?,
            (None, None) => return Err(format!("item {:?} has neither fieldRef nor resourceFieldRef", item.path)),
        };
        add(&mut files, &item.path, text.into_bytes(), item.mode.unwrap_or(default_mode))?;
    }
    Ok(files)
}

fn projected(source: &ProjectedVolumeSource, fields: &FieldContext<'_>, sources: &Gathered) -> Result<Files, String> {
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let mut files = Files::new();
    for part in source.sources.iter().flatten() {
        files.extend(projection(part, mode, fields, sources)?);
    }
    Ok(files)
}

fn projection(
    part: &VolumeProjection,
    mode: i32,
    fields: &FieldContext<'_>,
    sources: &Gathered,
) -> Result<Files, String> {
    if let Some(source) = &part.config_map {
        let name = source.name.clone();
        let volume = ConfigMapVolumeSource {
            default_mode: Some(mode),
            items: source.items.clone(),
            name,
            optional: source.optional,
        };
        return config_map(&volume, sources);
    }
    if let Some(source) = &part.secret {
        let secret_name = Some(source.name.clone());
        let volume = SecretVolumeSource {
            default_mode: Some(mode),
            items: source.items.clone(),
            secret_name,
            optional: source.optional,
        };
        return secret(&volume, sources);
    }
    if let Some(source) = &part.downward_api {
        return downward(source.items.iter().flatten(), mode, fields);
    }
    if let Some(source) = &part.service_account_token {
        let mut files = Files::new();
        match sources.tokens.get(&TokenRef::of(source)) {
            Some(Ok(token)) => add(&mut files, &source.path, token.clone().into_bytes(), mode)?,
            Some(Err(error)) => return Err(format!("failed to fetch token: {error}")),
            None => return Err("no token was asked for".to_owned()),
        }
        return Ok(files);
    }
    Err("wasmk projects only configMap, secret, downwardAPI and serviceAccountToken into volumes".into())
}

/// Below one of the allowed roots; links are followed first, so that none leads out.
fn host_path(source: &HostPathVolumeSource, roots: &[PathBuf]) -> Result<VolumeContent, String> {
    let path = Path::new(&source.path);
    let create = match source.type_.as_deref().unwrap_or_default() {
        "" | "Directory" => false,
        "DirectoryOrCreate" => true,
        other => {
            return Err(format!("hostPath type {other:?} is not supported: a guest can be given directories only"));
        }
    };
    let real = resolve(path).map_err(|error| format!("hostPath {}: {error}", source.path))?;
    let allowed = roots.iter().any(|root| real.starts_with(root.canonicalize().unwrap_or_else(|_| root.clone())));
    if !allowed {
        let roots: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
        let roots = if roots.is_empty() { "none".to_owned() } else { roots.join(", ") };
        return Err(format!(
            "hostPath {} is not below a directory that this node allows (allowed: {roots})",
            source.path
        ));
    }
    if !create && !real.is_dir() {
        return Err(format!("hostPath type check failed: {} is not a directory", source.path));
    }
    Ok(VolumeContent::HostPath { path: real, create })
}

/// The real path of the part that exists, with the rest appended.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(std::io::Error::other("the path must be absolute and without \"..\""));
    }
    let existing = path.ancestors().find(|part| part.exists()).unwrap_or(path);
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    let real = existing.canonicalize()?;
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

fn add(files: &mut Files, path: &str, bytes: Vec<u8>, mode: i32) -> Result<(), String> {
    if !is_inside(path) {
        return Err(format!("path {path:?} must be relative and without \"..\""));
    }
    files.insert(path.to_owned(), FileContent { bytes, mode: mode.try_into().unwrap_or(0o644) });
    Ok(())
}

/// Whether the path stays below what it is relative to.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
