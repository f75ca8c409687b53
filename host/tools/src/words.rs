use std::io;

/// An error as the usual tools word it.
pub(crate) fn words(error: &io::Error) -> String {
    let known = match error.kind() {
        _ if error.raw_os_error().is_none() && error.get_ref().is_some() => None,
        io::ErrorKind::NotFound => Some("No such file or directory"),
        io::ErrorKind::PermissionDenied => Some("Permission denied"),
        io::ErrorKind::AlreadyExists => Some("File exists"),
        io::ErrorKind::IsADirectory => Some("Is a directory"),
        io::ErrorKind::NotADirectory => Some("Not a directory"),
        io::ErrorKind::DirectoryNotEmpty => Some("Directory not empty"),
        io::ErrorKind::ReadOnlyFilesystem => Some("Read-only file system"),
        io::ErrorKind::ResourceBusy => Some("Device or resource busy"),
        io::ErrorKind::StorageFull => Some("No space left on device"),
        io::ErrorKind::CrossesDevices => Some("Invalid cross-device link"),
        _ => None,
    };
    known.map_or_else(|| without_number(&error.to_string()), str::to_owned)
}

fn without_number(text: &str) -> String {
    text.split(" (os error").next().unwrap_or(text).to_owned()
}
