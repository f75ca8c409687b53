//! The protobuf form of OpenAPI v2 (`gnostic-models/openapiv2/OpenAPIv2.proto`): for each kind a PATCH operation that
//! declares `dryRun`, which is how kubectl up to 1.26 finds out that a server can do dry runs.

use wasmk_api::kind::{self, Kind};

use crate::protobuf::wire::{message, text};

pub(super) fn document() -> Vec<u8> {
    let info = [text(1, "wasmk"), text(2, "v1.34.0")].concat();
    let paths: Vec<u8> = kind::all().iter().flat_map(|kind| message(2, &named_path(kind))).collect();
    [text(1, "2.0"), message(2, &info), message(8, &paths)].concat()
}

fn named_path(kind: &Kind) -> Vec<u8> {
    let path_item = message(8, &patch_operation(kind));
    [text(1, &super::v3::item_path(kind)), message(2, &path_item)].concat()
}

fn patch_operation(kind: &Kind) -> Vec<u8> {
    let query_parameter = [text(2, "query"), text(4, "dryRun"), text(6, "string")].concat();
    let parameter = message(1, &message(2, &message(3, &query_parameter)));
    let yaml = format!("group: \"{}\"\nkind: {}\nversion: {}\n", kind.group, kind.kind, kind.version);
    let extension = [text(1, "x-kubernetes-group-version-kind"), message(2, &text(2, &yaml))].concat();
    [message(8, &parameter), message(13, &extension)].concat()
}
