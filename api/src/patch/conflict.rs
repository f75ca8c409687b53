//! The words in which an apply is refused. Source: `managedfields/internal/conflict.go`.

use super::fieldset::FieldSet;
use super::managed::{ManagerId, Operation};
use crate::{Cause, Reason, Status};

/// Fields that an apply would change, by the other manager that owns them.
pub(super) type Conflicts = Vec<(ManagerId, FieldSet)>;

/// 409 with one `FieldManagerConflict` cause a field.
pub(super) fn status(conflicts: &Conflicts) -> Status {
    let mut conflicts: Vec<_> = conflicts.iter().collect();
    conflicts.sort_by_key(|(id, _)| (&id.manager, id.operation, &id.api_version, &id.subresource));
    let of_manager = |(id, fields): &(ManagerId, FieldSet)| (describe(id), fields.paths());
    let described: Vec<(String, Vec<String>)> = conflicts.into_iter().map(of_manager).collect();
    let count: usize = described.iter().map(|(_, paths)| paths.len()).sum();
    let message = match described.as_slice() {
        [(manager, paths)] if count == 1 => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths[0])
        }
        many => {
            let lines = many.iter().flat_map(|(manager, paths)| {
                let header = format!("conflicts with {manager}:");
                std::iter::once(header).chain(paths.iter().map(|path| format!("- {path}")))
            });
            format!("Apply failed with {count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    let mut status = Status::new(Reason::Conflict, message);
    status.causes = described
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
        .map(|(manager, path)| Cause::new("FieldManagerConflict", path, format!("conflict with {manager}")))
        .collect();
    status
}

fn describe(id: &ManagerId) -> String {
    let mut text = format!("{:?}", id.manager);
    if !id.subresource.is_empty() {
        text = format!("{text} with subresource {:?}", id.subresource);
    }
    match id.operation {
        Operation::Update => format!("{text} using {}", id.api_version),
        Operation::Apply => text,
    }
}
