use proptest::prelude::*;

use super::*;
use crate::patch::apply_strategic_merge;
use crate::patch::compare::{compare, field_set, merge};

/// Go with their last field, whoever owns that.
const STRUCTS: [&str; 4] = [".spec", ".spec.template", ".spec.template.spec", ".spec.template.spec.containers"];

/// Small Deployments that collide often: few names, few values.
fn config() -> impl Strategy<Value = Value> {
    let value = || prop::sample::select(vec!["1", "2"]);
    let labels = || prop::collection::btree_map("[ab]", value(), 0..3);
    let env = prop::collection::btree_map("[XY]", value(), 0..3);
    let container = (prop::option::of(value()), env, prop::option::of(prop::collection::vec(value(), 0..2)));
    let containers = prop::collection::btree_map("[cde]", container, 0..3)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>())
        .prop_shuffle();
    (prop::option::of(labels()), prop::option::of(1..3i64), prop::option::of(containers)).prop_map(
        |(labels, replicas, containers)| {
            let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
            if let Some(labels) = labels {
                object["metadata"]["labels"] = json!(labels);
            }
            if let Some(replicas) = replicas {
                object["spec"]["replicas"] = json!(replicas);
            }
            if let Some(containers) = containers {
                let list = containers.into_iter().map(|(name, (image, env, args))| {
                    let mut container = json!({"name": name});
                    if let Some(image) = image {
                        container["image"] = json!(image);
                    }
                    if !env.is_empty() {
                        let env: Vec<Value> =
                            env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
                        container["env"] = json!(env);
                    }
                    if let Some(args) = args {
                        container["args"] = json!(args);
                    }
                    container
                });
                object["spec"]["template"]["spec"]["containers"] = list.collect();
            }
            object
        },
    )
}

/// Which manager does what with which config: 0 updates, the others apply by force.
fn history() -> impl Strategy<Value = Vec<(usize, Value)>> {
    prop::collection::vec((0..3usize, config()), 1..6)
}

fn replay(history: &[(usize, Value)]) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (manager, config) in history {
        live = Some(match manager {
            0 => {
                let mut new = config.clone();
                if let Some(live) = &live {
                    new = merge(live, &new, type_of(live));
                }
                write(live.as_ref(), new, "ed")
            }
            _ => ssa(live.as_ref(), config, &format!("m{manager}"), true, 0).unwrap(),
        });
    }
    live
}

fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    object
}

proptest! {
    #[test]
    fn strategic_merge_twice_is_once(live in config(), patch in config()) {
        let once = apply_strategic_merge(&live, &patch, type_of(&live)).unwrap();
        prop_assert_eq!(&apply_strategic_merge(&once, &patch, type_of(&live)).unwrap(), &once);
    }

    #[test]
    fn applying_twice_is_once(history in history(), config in config()) {
        let live = replay(&history);
        let once = ssa(live.as_ref(), &config, "m1", true, 1).unwrap();
        prop_assert_eq!(&ssa(Some(&once), &config, "m1", false, 2).unwrap(), &once);
    }

    #[test]
    fn what_is_applied_is_there_and_owned(history in history(), config in config()) {
        let applied = ssa(replay(&history).as_ref(), &config, "m1", true, 1).unwrap();
        let object_type = type_of(&config);
        prop_assert_eq!(&merge(&applied, &config, object_type), &applied);
        let wanted = field_set(&config, object_type).unwrap().paths();
        let mine = owners(&applied).into_iter().find(|owner| owner.starts_with("m1 ")).unwrap_or_default();
        for path in wanted.iter().filter(|path| !path.ends_with("ersion") && !path.ends_with("kind") && *path != ".metadata.name") {
            prop_assert!(mine.contains(path.as_str()), "{path} not in {mine}");
        }
    }

    #[test]
    fn only_what_the_applier_owned_alone_is_removed(history in history(), config in config()) {
        let Some(live) = replay(&history) else { return Ok(()) };
        let applied = ssa(Some(&live), &config, "m1", true, 1).unwrap();
        let removed = compare(&plain(&live), &plain(&applied), type_of(&live)).removed.paths();
        let others: Vec<String> = owners(&live).into_iter().filter(|owner| !owner.starts_with("m1 ")).collect();
        for path in removed.into_iter().filter(|path| !STRUCTS.contains(&path.as_str())) {
            let owned = others.iter().any(|owner| owner.split(' ').any(|one| one == path));
            let mine = owners(&live).iter().any(|owner| owner.starts_with("m1 ") && owner.contains(&path));
            // An item goes with everything in it when the applier alone owned the item.
            prop_assert!(mine || inside_owned_item(&live, &path), "{path} was not m1's");
            prop_assert!(!owned || inside_owned_item(&live, &path), "{path} was another's too");
        }
    }

    #[test]
    fn owned_fields_exist(history in history()) {
        let Some(live) = replay(&history) else { return Ok(()) };
        let there = compare(&json!({}), &plain(&live), type_of(&live)).added.paths();
        for owner in owners(&live) {
            for path in owner.split(' ').skip(2).filter(|path| !STRUCTS.contains(path)) {
                prop_assert!(there.iter().any(|one| one == path), "{path} of {owner} is not in {live}");
            }
        }
    }
}

fn inside_owned_item(live: &Value, path: &str) -> bool {
    let items = path.match_indices("\"]").map(|(end, _)| &path[..end + 2]);
    let owners = owners(live);
    let holders =
        |item: &str| owners.iter().filter(|owner| owner.split(' ').any(|one| one == item)).collect::<Vec<_>>();
    items.map(holders).any(|holders| matches!(&holders[..], [one] if one.starts_with("m1 ")))
}
