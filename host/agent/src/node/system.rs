//! What the operating system says about the machine.

use std::path::Path;

/// For `Node.status.nodeInfo`; what is unknown is empty.
#[derive(Clone, Default, Debug)]
pub(crate) struct SystemInfo {
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
    pub(crate) system_uuid: String,
    pub(crate) kernel_version: String,
    pub(crate) os_image: String,
}

impl SystemInfo {
    pub(crate) fn detect() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            machine_id: read("/etc/machine-id"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            system_uuid: read("/sys/class/dmi/id/product_uuid"),
            kernel_version: read("/proc/sys/kernel/osrelease"),
            os_image: os_image(&read("/etc/os-release")).unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

/// Kubernetes' (Go's) name of this architecture.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Kubernetes' (Go's) name of this operating system.
pub(crate) fn operating_system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn os_image(os_release: &str) -> Option<String> {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The machine's memory, or that of its control group when that is less.
#[cfg(target_os = "linux")]
pub(super) fn memory_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = group.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(u64::MAX);
    Some(machine.min(limit))
}

#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn memory_bytes() -> Option<u64> {
    // SAFETY: sysconf takes a plain number and touches no memory of ours.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    Some(u64::try_from(pages).ok()? * u64::try_from(size).ok()?)
}

#[cfg(windows)]
pub(super) fn memory_bytes() -> Option<u64> {
    unsafe extern "system" {
        fn GetPhysicallyInstalledSystemMemory(kilobytes: *mut u64) -> i32;
    }
    let mut kilobytes = 0;
    // SAFETY: the pointer is to a live u64, which is all that the function writes.
    (unsafe { GetPhysicallyInstalledSystemMemory(&mut kilobytes) } != 0).then_some(kilobytes * 1024)
}

#[cfg(unix)]
pub(super) fn disk_bytes(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a NUL, and `stat` has room for what the call writes when it answers 0.
    let stat = unsafe {
        if libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
    Some(stat.f_blocks as u64 * stat.f_frsize as u64)
}

#[cfg(windows)]
pub(super) fn disk_bytes(path: &Path) -> Option<u64> {
    use std::os::windows::ffi::OsStrExt;
    unsafe extern "system" {
        fn GetDiskFreeSpaceExW(path: *const u16, available: *mut u64, total: *mut u64, free: *mut u64) -> i32;
    }
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let (mut available, mut total, mut free) = (0, 0, 0);
    // SAFETY: `path` ends with a zero and the others point to live u64s.
    (unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut available, &mut total, &mut free) } != 0).then_some(total)
}
