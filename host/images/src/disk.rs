//! How full the disk is.

use std::path::Path;

/// Of the file system that a path is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpace {
    pub total_bytes: u64,
    /// To whoever is not root.
    pub available_bytes: u64,
}

/// The kubelet's `imageGCHighThresholdPercent`: from here on images go.
const FULL_PERCENT: u64 = 85;
/// The kubelet's `imageGCLowThresholdPercent`: until so much is in use.
const WELL_PERCENT: u64 = 80;

impl DiskSpace {
    /// What has to go for the disk to be well; 0 when it is.
    pub fn bytes_to_free(self) -> u64 {
        let used = self.total_bytes.saturating_sub(self.available_bytes);
        let part = |percent: u64| (u128::from(self.total_bytes) * u128::from(percent) / 100) as u64;
        if used > part(FULL_PERCENT) { used - part(WELL_PERCENT) } else { 0 }
    }
}

/// `None` where the system does not say.
#[cfg(unix)]
pub fn disk_space(path: &Path) -> Option<DiskSpace> {
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
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize as u64);
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
    let [blocks, free, available] = [stat.f_blocks as u64, stat.f_bfree as u64, stat.f_bavail as u64];
    // As df counts: what only root may use, or a quota keeps back, is neither used nor there.
    let used = blocks.saturating_sub(free);
    Some(DiskSpace { total_bytes: bytes(used.saturating_add(available)), available_bytes: bytes(available) })
}

#[cfg(windows)]
pub fn disk_space(path: &Path) -> Option<DiskSpace> {
    use std::os::windows::ffi::OsStrExt;
    unsafe extern "system" {
        fn GetDiskFreeSpaceExW(path: *const u16, available: *mut u64, total: *mut u64, free: *mut u64) -> i32;
    }
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let (mut available_bytes, mut total_bytes, mut free) = (0, 0, 0);
    // SAFETY: `path` ends with a zero and the others point to live u64s.
    let done = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut available_bytes, &mut total_bytes, &mut free) };
    (done != 0).then_some(DiskSpace { total_bytes, available_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_emptied_to_the_lower_mark() {
        let free = |available_bytes| DiskSpace { total_bytes: 1000, available_bytes }.bytes_to_free();
        assert_eq!([free(1000), free(150), free(149), free(0)], [0, 0, 51, 200]);
    }

    #[test]
    fn the_system_says_how_full_it_is() {
        let space = disk_space(&std::env::temp_dir()).unwrap();
        assert!(space.total_bytes > 0 && space.available_bytes <= space.total_bytes);
    }
}
