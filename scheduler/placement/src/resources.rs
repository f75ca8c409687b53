use std::collections::BTreeMap;

use serde_json::Value;
use wasmk_api::quantity::{Bytes, MilliCpu};
use wasmk_api::{Object, Quantity};

/// Amounts of what a node has and a pod asks for.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Resources {
    pub(crate) cpu: MilliCpu,
    pub(crate) memory: Bytes,
    pub(crate) storage: Bytes,
    pub(crate) pods: i64,
    /// Any other resource, in whole units.
    pub(crate) extended: BTreeMap<String, i64>,
}

impl Resources {
    /// A resource list such as `status.allocatable`. What cannot be read counts as nothing: the API checked it.
    pub(crate) fn from_list(list: &Value) -> Self {
        let mut resources = Self::default();
        for (name, value) in list.as_object().into_iter().flatten() {
            let amount = Quantity::from_value(value).unwrap_or(Quantity::ZERO);
            resources.add_named(name, amount);
        }
        resources
    }

    /// What a pod takes of its node: the larger of what its containers need together and what each init container needs,
    /// with sidecars and overhead on top. Source: `resourcehelper.PodRequests`.
    pub(crate) fn requested_by(pod: &Object) -> Self {
        let spec = &pod.value()["spec"];
        let mut running = Self::default();
        for container in list(&spec["containers"]) {
            running.add(&Self::of_container(container));
        }
        let (mut sidecars, mut starting) = (Self::default(), Self::default());
        for container in list(&spec["initContainers"]) {
            let request = Self::of_container(container);
            if container["restartPolicy"] == "Always" {
                sidecars.add(&request);
                starting.raise_to(&sidecars);
            } else {
                let mut step = sidecars.clone();
                step.add(&request);
                starting.raise_to(&step);
            }
        }
        running.add(&sidecars);
        running.raise_to(&starting);
        running.add(&Self::from_list(&spec["overhead"]));
        running.pods = 1;
        running
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.storage += other.storage;
        self.pods = self.pods.saturating_add(other.pods);
        for (name, amount) in &other.extended {
            let own = self.extended.entry(name.clone()).or_default();
            *own = own.saturating_add(*amount);
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.cpu -= other.cpu;
        self.memory -= other.memory;
        self.storage -= other.storage;
        self.pods = self.pods.saturating_sub(other.pods);
        for (name, amount) in &other.extended {
            let own = self.extended.entry(name.clone()).or_default();
            *own = own.saturating_sub(*amount);
        }
    }

    /// Whether `asked` fits beside what is `used` of these. A resource that is not asked for is not looked at, so that an
    /// overfull node still takes pods that ask for nothing of it.
    pub(crate) fn fits(&self, used: &Self, asked: &Self) -> bool {
        used.pods.saturating_add(asked.pods) <= self.pods
            && (asked.cpu.0 == 0 || used.cpu + asked.cpu <= self.cpu)
            && (asked.memory.0 == 0 || used.memory + asked.memory <= self.memory)
            && (asked.storage.0 == 0 || used.storage + asked.storage <= self.storage)
            && asked
                .extended
                .iter()
                .all(|(name, amount)| used.extended(name).saturating_add(*amount) <= self.extended(name))
    }

    /// The resources of which `asked` does not fit, by name.
    pub(crate) fn short_of(&self, used: &Self, asked: &Self) -> Vec<String> {
        let short = |asked: i64, used: i64, all: i64| asked > 0 && used.saturating_add(asked) > all;
        let named = [
            ("cpu", short(asked.cpu.0, used.cpu.0, self.cpu.0)),
            ("ephemeral-storage", short(asked.storage.0, used.storage.0, self.storage.0)),
            ("memory", short(asked.memory.0, used.memory.0, self.memory.0)),
        ];
        let extended =
            asked.extended.iter().filter(|(name, amount)| short(**amount, used.extended(name), self.extended(name)));
        let extended = extended.map(|(name, _)| name.clone());
        named.into_iter().filter(|(_, short)| *short).map(|(name, _)| name.to_owned()).chain(extended).collect()
    }

    /// One resource's amount as a number to compare and as text to show.
    pub(crate) fn named(&self, name: &str) -> (i64, String) {
        match name {
            "cpu" => (self.cpu.0, self.cpu.to_string()),
            "memory" => (self.memory.0, self.memory.to_string()),
            "ephemeral-storage" => (self.storage.0, self.storage.to_string()),
            "pods" => (self.pods, self.pods.to_string()),
            other => (self.extended(other), self.extended(other).to_string()),
        }
    }

    fn of_container(container: &Value) -> Self {
        let (requests, limits) = (&container["resources"]["requests"], &container["resources"]["limits"]);
        let mut resources = Self::from_list(requests);
        // A limit without a request is the request.
        for (name, value) in limits.as_object().into_iter().flatten().filter(|(name, _)| requests.get(name).is_none()) {
            resources.add_named(name, Quantity::from_value(value).unwrap_or(Quantity::ZERO));
        }
        resources
    }

    fn add_named(&mut self, name: &str, amount: Quantity) {
        match name {
            "cpu" => self.cpu += amount.into(),
            "memory" => self.memory += amount.into(),
            "ephemeral-storage" => self.storage += amount.into(),
            "pods" => self.pods = self.pods.saturating_add(amount.units()),
            other => {
                let own = self.extended.entry(other.to_owned()).or_default();
                *own = own.saturating_add(amount.units());
            }
        }
    }

    fn raise_to(&mut self, other: &Self) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.storage = self.storage.max(other.storage);
        for (name, amount) in &other.extended {
            let own = self.extended.entry(name.clone()).or_default();
            *own = (*own).max(*amount);
        }
    }

    fn extended(&self, name: &str) -> i64 {
        self.extended.get(name).copied().unwrap_or(0)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
