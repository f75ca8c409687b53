use std::path::Path;

use super::system;

/// What the node has for its pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resources {
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    /// Of the file system that holds the data directory.
    pub disk_bytes: u64,
}

impl Resources {
    /// Asks the system; what it does not tell is taken to be small rather than endless.
    pub fn detect(data_dir: &Path) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
        let existing = data_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        Self {
            cpu_millis: cpus * 1000,
            memory_bytes: system::memory_bytes().unwrap_or(1 << 30),
            disk_bytes: system::disk_bytes(existing).unwrap_or(1 << 30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let resources = Resources::detect(Path::new("/no/such/directory"));
        assert!(resources.cpu_millis >= 1000);
        assert!(resources.memory_bytes >= 64 << 20);
        assert!(resources.disk_bytes >= 64 << 20);
    }
}
