use serde_json::{Value, json};

use super::columns::PrinterColumns;
use super::scale::ScalePaths;
use super::schema::Schema;
use super::{keep, keep_text, node};
use crate::kind::Kind;
use crate::schema::Node;
use crate::write::metadata::remove;

/// The kinds that a CustomResourceDefinition makes.
#[derive(Debug)]
pub(crate) struct Definition {
    /// What objects are stored as.
    pub(crate) stored: &'static Kind,
    /// One a served version.
    pub(crate) served: Vec<&'static Kind>,
}

/// What a [`Kind`] knows of the version of the definition that made it.
pub(crate) struct CustomKind {
    pub(crate) schema: Schema,
    pub(crate) node: Node,
    pub(crate) scale: Option<ScalePaths>,
    /// The schema as the definition has it, for OpenAPI.
    pub(crate) published: Value,
    /// For each request, when the version is deprecated.
    pub(crate) warning: Option<String>,
}

impl Definition {
    /// Everything that the kinds depend on; definitions that agree in it make the same kinds.
    pub(super) fn identity(crd: &Value) -> Value {
        let spec = &crd["spec"];
        json!([spec["group"], crd["status"]["acceptedNames"], spec["scope"], spec["versions"], spec["conversion"]])
    }

    /// Makes the kinds, for as long as the process lives. `None` without a storage version, which no definition passes
    /// its check with.
    pub(super) fn build(crd: &Value) -> Option<Self> {
        let versions = crd["spec"]["versions"].as_array()?;
        let storage = versions.iter().find(|version| version["storage"] == true)?;
        let stored: &'static Kind = keep(kind(crd, storage, None));
        let served = versions.iter().filter(|version| version["served"] == true);
        let served = served.map(|version| match version["storage"] == true {
            true => stored,
            false => keep(kind(crd, version, Some(stored))),
        });
        Some(Self { stored, served: served.collect() })
    }
}

fn kind(crd: &Value, version: &Value, stored_as: Option<&'static Kind>) -> Kind {
    let (spec, names) = (&crd["spec"], &crd["status"]["acceptedNames"]);
    let text = |value: &Value| keep_text(value.as_str().unwrap_or_default());
    let plain = Kind::plain(
        text(&spec["group"]),
        text(&version["name"]),
        text(&names["kind"]),
        text(&names["listKind"]),
        text(&names["plural"]),
        text(&names["singular"]),
    );
    let has_status = version["subresources"]["status"].is_object();
    let has_scale = version["subresources"]["scale"].is_object();
    Kind {
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        subresources: match (has_status, has_scale) {
            (true, true) => &["scale", "status"],
            (true, false) => &["status"],
            (false, true) => &["scale"],
            (false, false) => &[],
        },
        selectable: selectable(version),
        columns: keep(PrinterColumns::parse(version)),
        has_generation: true,
        has_status,
        prepare_create: if has_status { |object, _| remove(object, "status") } else { |_, _| {} },
        custom: Some(keep(CustomKind::new(&plain, version))),
        stored_as,
        ..plain
    }
}

impl CustomKind {
    pub(crate) fn has_rules(&self) -> bool {
        self.schema.has_rules
    }

    pub(super) fn new(kind: &Kind, version: &Value) -> Self {
        let published = version["schema"]["openAPIV3Schema"].clone();
        let schema = Schema::parse(&published);
        let warning = (version["deprecated"] == true).then(|| match version["deprecationWarning"].as_str() {
            Some(warning) => warning.to_owned(),
            None => format!("{}/{} {} is deprecated", kind.group, kind.version, kind.kind),
        });
        Self {
            node: node::of_kind(&schema),
            schema,
            scale: ScalePaths::parse(&version["subresources"]["scale"]),
            published,
            warning,
        }
    }
}

fn selectable(version: &Value) -> &'static [&'static str] {
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let paths = fields.filter_map(|field| field["jsonPath"].as_str()?.strip_prefix('.'));
    keep(paths.map(keep_text).collect::<Vec<_>>())
}

fn texts(list: &Value) -> &'static [&'static str] {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    keep(texts.map(keep_text).collect::<Vec<_>>())
}
