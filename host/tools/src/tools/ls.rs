use std::ffi::OsStr;
use std::io;

use super::flags::{self, Flags};
use crate::path::GuestPath;
use crate::tool::Call;
use crate::tree::{Details, Kind};
use crate::words::words;

/// `ls [-l] [-a|-A] [-d] [-1] [PATH…]`.
pub(crate) fn ls(call: &mut Call<'_>) -> io::Result<u8> {
    let Some(flags) = flags::parse(call, "laAd1", &[("all", 'a'), ("almost-all", 'A'), ("directory", 'd')])? else {
        return Ok(2);
    };
    let operands = if flags.operands.is_empty() { vec!["."] } else { flags.operands.clone() };
    let mut code = 0;
    let mut directories = Vec::new();
    for operand in &operands {
        let path = call.path(operand);
        // With `-l` a link is shown as what it is, without it its directory is entered.
        let found =
            if flags.has('l') || flags.has('d') { call.tree.link_details(&path) } else { call.tree.details(&path) };
        match found {
            Ok(details) if details.kind == Kind::Directory && !flags.has('d') => directories.push((*operand, path)),
            Ok(details) => line(call, &flags, operand, &path, &details)?,
            Err(error) => {
                call.complain(&format!("cannot access '{operand}': {}", words(&error)))?;
                code = 2;
            }
        }
    }
    for (index, (operand, path)) in directories.iter().enumerate() {
        if operands.len() > 1 {
            writeln!(call.stdout, "{}{operand}:", if index > 0 { "\n" } else { "" })?;
        }
        if !directory(call, &flags, operand, path)? {
            code = 2;
        }
    }
    Ok(code)
}

fn directory(call: &mut Call<'_>, flags: &Flags<'_>, operand: &str, path: &GuestPath) -> io::Result<bool> {
    let names = match call.tree.list(path) {
        Ok(names) => names,
        Err(error) => {
            call.complain(&format!("cannot open directory '{operand}': {}", words(&error)))?;
            return Ok(false);
        }
    };
    if flags.has('a') {
        for (name, path) in [(".", path.clone()), ("..", path.parent())] {
            entry(call, flags, OsStr::new(name), &path)?;
        }
    }
    let is_shown = |name: &OsStr| flags.has('a') || flags.has('A') || !name.to_string_lossy().starts_with('.');
    for name in names.iter().filter(|name| is_shown(name)) {
        entry(call, flags, name, &path.child(name))?;
    }
    Ok(true)
}

fn entry(call: &mut Call<'_>, flags: &Flags<'_>, name: &OsStr, path: &GuestPath) -> io::Result<()> {
    match call.tree.link_details(path) {
        Ok(details) => line(call, flags, &name.to_string_lossy(), path, &details),
        // Gone since the directory was read.
        Err(_) => Ok(()),
    }
}

fn line(call: &mut Call<'_>, flags: &Flags<'_>, name: &str, path: &GuestPath, details: &Details) -> io::Result<()> {
    if !flags.has('l') {
        return writeln!(call.stdout, "{name}");
    }
    let target = match details.kind {
        Kind::Link => call.tree.link_target(path).map(|target| format!(" -> {}", target.display())).unwrap_or_default(),
        _ => String::new(),
    };
    let time = jiff::Timestamp::try_from(details.modified).unwrap_or_default().strftime("%Y-%m-%d %H:%M").to_string();
    writeln!(call.stdout, "{} 1 root root {:>9} {time} {name}{target}", permissions(details), details.bytes)
}

/// `drwxr-xr-x`.
fn permissions(details: &Details) -> String {
    let kind = match details.kind {
        Kind::Directory => 'd',
        Kind::Link => 'l',
        Kind::File => '-',
        Kind::Other => '?',
    };
    let bits = (0..9).map(|bit| if details.mode & (0o400 >> bit) == 0 { '-' } else { ['r', 'w', 'x'][bit % 3] });
    std::iter::once(kind).chain(bits).collect()
}
