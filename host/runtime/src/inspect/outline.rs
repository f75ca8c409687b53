use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    Encoding, InstanceTypeDeclaration, Parser, Payload,
};

use super::InspectError;

/// Names at the top level of a file.
#[derive(Default)]
pub(super) struct Outline {
    pub(super) is_component: bool,
    /// Of a component: what it uses of each interface.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Of a module.
    pub(super) module_imports: BTreeSet<(String, String)>,
    pub(super) exports: BTreeSet<String>,
    /// The component's type index space: the functions of those that are instances.
    types: Vec<Option<Vec<String>>>,
}

impl Outline {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, InspectError> {
        let mut outline = Outline::default();
        let mut depth = 0;
        let mut section = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| unreadable(error, section))?;
            if let Some((_, range)) = payload.as_section() {
                section = range.start;
            }
            match payload {
                Payload::Version { encoding, .. } if depth == 0 && section == 0 => {
                    outline.is_component |= encoding == Encoding::Component;
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                payload if depth == 0 => outline.add(payload).map_err(|error| unreadable(error, section))?,
                _ => {}
            }
        }
        Ok(outline)
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    self.module_imports.insert((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    self.exports.insert(export?.name.to_owned());
                }
            }
            Payload::ComponentTypeSection(reader) => {
                for kind in reader {
                    self.types.push(functions(&kind?));
                }
            }
            Payload::ComponentAliasSection(reader) => {
                for alias in reader {
                    self.add_alias(&alias?);
                }
            }
            Payload::ComponentImportSection(reader) => {
                for import in reader {
                    let import = import?;
                    let functions = match import.ty {
                        ComponentTypeRef::Instance(index) => self.types.get(index as usize).cloned().flatten(),
                        ComponentTypeRef::Type(_) => {
                            self.types.push(None);
                            None
                        }
                        _ => None,
                    };
                    self.imports.insert(import.name.name.to_owned(), functions.unwrap_or_default());
                }
            }
            Payload::ComponentExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Instance => drop(self.exports.insert(export.name.name.to_owned())),
                        ComponentExternalKind::Type => self.types.push(None),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Aliases of types have numbers among the types, whatever they stand for.
    fn add_alias(&mut self, alias: &ComponentAlias<'_>) {
        let is_type = matches!(
            alias,
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
                | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
        );
        if is_type {
            self.types.push(None);
        }
    }
}

fn functions(kind: &ComponentType<'_>) -> Option<Vec<String>> {
    let ComponentType::Instance(declarations) = kind else { return None };
    let functions = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(_) } => Some(name.name.to_owned()),
        _ => None,
    });
    Some(functions.collect())
}

fn unreadable(error: BinaryReaderError, section: usize) -> InspectError {
    let eof = error.message().contains("unexpected end") || error.message().contains("unexpected-eof");
    if eof {
        InspectError::Truncated { offset: section as u64 }
    } else {
        InspectError::Malformed { offset: error.offset() as u64, message: error.message().to_owned() }
    }
}
