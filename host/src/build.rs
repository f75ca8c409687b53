use std::path::PathBuf;

use wasmk_build::{
    BaseImage, BaseImages, BaseLayer, BuiltImage, DockerfileBuild, DockerfileError, HistoryEntry, Layer, Settings,
};
use wasmk_images::{
    Digest, Empty, FileSystemImage, ImageConfig, ImageLayer, ImageStore, LayerSource, Reference, RunConfig, StoreError,
    UnpackError, store_file_system,
};

/// How an image that is not in the store yet gets there; the error is for the user to read.
pub trait FetchImage {
    fn fetch(&self, reference: &Reference) -> Result<(), String>;
}

/// Builds what a Dockerfile says, from images of the store and those that `fetch` brings there. Blocks.
pub fn build_dockerfile(
    build: &DockerfileBuild,
    store: &ImageStore,
    fetch: &dyn FetchImage,
    say: &dyn Fn(&str),
) -> Result<BuiltImage, DockerfileError> {
    wasmk_build::build_dockerfile(build, &StoredImages { store, fetch }, say)
}

/// Stores a built image under a name; `created` is RFC 3339. Answers the manifest's digest.
pub fn store_built(
    store: &ImageStore,
    reference: &Reference,
    built: &BuiltImage,
    created: &str,
) -> Result<Digest, StoreError> {
    let Settings { env, entrypoint, cmd, working_dir, labels, exposed_ports, user, author } = built.settings.clone();
    let history = built.history.iter().map(|entry| wasmk_images::HistoryEntry {
        created: Some(created.to_owned()),
        created_by: entry.created_by.clone(),
        comment: String::new(),
        empty_layer: entry.empty_layer,
    });
    let config = ImageConfig {
        created: Some(created.to_owned()),
        author,
        architecture: built.platform.architecture.clone(),
        os: built.platform.os.clone(),
        config: RunConfig {
            user,
            exposed_ports: exposed_ports.into_iter().map(|port| (port, Empty {})).collect(),
            env: Some(env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            entrypoint,
            cmd,
            working_dir,
            labels,
        },
        history: history.collect(),
        ..ImageConfig::default()
    };
    let layers = built.layers.iter().map(|layer| match layer {
        Layer::New(new) => {
            ImageLayer { diff_id: new.diff_id.clone(), source: LayerSource::File(new.file.to_path_buf()) }
        }
        Layer::Base(BaseLayer { media_type, digest, size, diff_id }) => ImageLayer {
            diff_id: diff_id.clone(),
            source: LayerSource::Blob { media_type: media_type.clone(), digest: digest.clone(), size: *size },
        },
    });
    store_file_system(store, reference, &FileSystemImage { config, layers: layers.collect() })
}

struct StoredImages<'a> {
    store: &'a ImageStore,
    fetch: &'a dyn FetchImage,
}

impl BaseImages for StoredImages<'_> {
    fn base(&self, name: &str) -> Result<BaseImage, String> {
        let reference: Reference = name.parse().map_err(|error| format!("{name}: {error}"))?;
        if self.store.find(&reference).is_none() {
            self.fetch.fetch(&reference)?;
        }
        let digest = self.store.find(&reference).ok_or_else(|| format!("{name} is not here"))?;
        let failed = |error: UnpackError| format!("{name}: {}", crate::images::chain(&error));
        if let Some(wasm) = self.store.module(&digest).map_err(failed)? {
            return Ok(BaseImage { module: Some(wasm), ..BaseImage::default() });
        }
        let root = self.store.unpack_files(&digest).map_err(failed)?;
        Ok(of_files(self.store.file_system(&digest).map_err(failed)?, root))
    }
}

fn of_files(image: FileSystemImage, root: PathBuf) -> BaseImage {
    let ImageConfig { author, config, history, .. } = image.config;
    let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings {
        env: config.env.iter().flatten().filter_map(pair).collect(),
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        working_dir: config.working_dir.filter(|dir| !dir.is_empty()),
        labels: config.labels,
        exposed_ports: config.exposed_ports.into_keys().collect(),
        user: config.user.filter(|user| !user.is_empty()),
        author,
    };
    let layers = image.layers.into_iter().filter_map(|layer| match layer.source {
        LayerSource::Blob { media_type, digest, size } => {
            Some(BaseLayer { media_type, digest, size, diff_id: layer.diff_id })
        }
        LayerSource::File(_) => None,
    });
    let history =
        history.into_iter().map(|entry| HistoryEntry { created_by: entry.created_by, empty_layer: entry.empty_layer });
    BaseImage { settings, layers: layers.collect(), history: history.collect(), root, module: None }
}
