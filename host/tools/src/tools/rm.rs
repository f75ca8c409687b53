use std::io;

use super::flags;
use crate::path::GuestPath;
use crate::tool::Call;
use crate::tree::Kind;
use crate::words::words;

/// `rm [-r] [-f] FILE…`. Links are removed, never followed.
pub(crate) fn rm(call: &mut Call<'_>) -> io::Result<u8> {
    let long = [("recursive", 'r'), ("force", 'f')];
    let Some(flags) = flags::parse(call, "rRf", &long)? else { return Ok(1) };
    if flags.operands.is_empty() && !flags.has('f') {
        call.complain("missing operand")?;
        return Ok(1);
    }
    let recursive = flags.has('r') || flags.has('R');
    let mut code = 0;
    for operand in &flags.operands {
        let path = call.path(operand);
        match remove(call, &path, recursive)? {
            Err(error) if error.kind() == io::ErrorKind::NotFound && flags.has('f') => {}
            Err(error) => {
                call.complain(&format!("cannot remove '{operand}': {}", words(&error)))?;
                code = 1;
            }
            Ok(()) => {}
        }
    }
    Ok(code)
}

/// The outer error means that nobody waits any more.
fn remove(call: &Call<'_>, path: &GuestPath, recursive: bool) -> io::Result<io::Result<()>> {
    let kind = match call.tree.link_details(path) {
        Ok(details) => details.kind,
        Err(error) => return Ok(Err(error)),
    };
    match kind {
        Kind::Directory if recursive => remove_all(call, path),
        Kind::Directory => Ok(Err(io::ErrorKind::IsADirectory.into())),
        Kind::File | Kind::Link | Kind::Other => Ok(call.tree.remove_file(path)),
    }
}

/// What is in it first, without recursion: a guest decides how deep its directories are.
fn remove_all(call: &Call<'_>, top: &GuestPath) -> io::Result<io::Result<()>> {
    let mut waiting = vec![(top.clone(), false)];
    while let Some((path, is_empty)) = waiting.pop() {
        call.check_wanted()?;
        let step = if is_empty { call.tree.remove_directory(&path) } else { open(call, path, &mut waiting) };
        if let Err(error) = step {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn open(call: &Call<'_>, path: GuestPath, waiting: &mut Vec<(GuestPath, bool)>) -> io::Result<()> {
    if call.tree.link_details(&path)?.kind != Kind::Directory {
        return call.tree.remove_file(&path);
    }
    let names = call.tree.list(&path)?;
    let children: Vec<_> = names.iter().map(|name| (path.child(name), false)).collect();
    waiting.push((path, true));
    waiting.extend(children);
    Ok(())
}
