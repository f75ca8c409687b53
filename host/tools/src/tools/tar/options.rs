/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Options {
    pub(super) mode: Mode,
    pub(super) verbose: bool,
    /// Extracted files keep the time of their extraction.
    pub(super) touch: bool,
    /// Extracted files get the usual permissions, whatever the archive says.
    pub(super) plain_permissions: bool,
    /// Of what to pack, with the directory it is relative to; or the only names to extract.
    pub(super) members: Vec<Member>,
    /// Where to extract to.
    pub(super) directory: String,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub(super) directory: String,
    pub(super) name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Create,
    Extract,
}

const USAGE: &str = "say `tar cf - PATH…` or `tar xf - [-C DIR]`";

#[derive(Default)]
struct Reader {
    mode: Option<Mode>,
    verbose: bool,
    touch: bool,
    plain_permissions: bool,
    file: Option<String>,
    members: Vec<Member>,
    directory: String,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self, String> {
        let mut reader = Reader::default();
        let mut args = args.iter().map(String::as_str);
        // `cf` without a dash: values follow in the order of the letters.
        let mut first = true;
        while let Some(arg) = args.next() {
            match arg.strip_prefix('-') {
                Some("-") => args.by_ref().for_each(|name| reader.member(name)),
                Some(long) if long.starts_with('-') => reader.long(&long[1..], &mut args)?,
                Some(letters) if !letters.is_empty() => reader.short(letters, true, &mut args)?,
                None if first => reader.short(arg, false, &mut args)?,
                _ => reader.member(arg),
            }
            first = false;
        }
        reader.finish()
    }
}

impl Reader {
    fn short<'a>(
        &mut self,
        letters: &str,
        attached: bool,
        args: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            let takes_rest = attached && !rest.is_empty() && matches!(letter, 'f' | 'C');
            let mut value = || {
                let value = if takes_rest { Some(rest) } else { args.next() };
                value.map(str::to_owned).ok_or_else(|| format!("option requires an argument -- '{letter}'"))
            };
            match letter {
                'c' => self.set_mode(Mode::Create)?,
                'x' => self.set_mode(Mode::Extract)?,
                'v' => self.verbose = true,
                'm' => self.touch = true,
                'f' => self.file = Some(value()?),
                'C' => self.enter(&value()?),
                // Owners are not kept in any case, permissions by default.
                'p' | 'o' => {}
                'z' | 'j' | 'J' => return Err(format!("-{letter}: compression is left to the other side of the pipe")),
                other => return Err(format!("invalid option -- '{other}'; {USAGE}")),
            }
            if takes_rest {
                break;
            }
        }
        Ok(())
    }

    fn long<'a>(&mut self, option: &str, args: &mut impl Iterator<Item = &'a str>) -> Result<(), String> {
        let (name, attached) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let mut value = || {
            let value = attached.or_else(|| args.next());
            value.map(str::to_owned).ok_or_else(|| format!("option '--{name}' requires an argument"))
        };
        match name {
            "create" => self.set_mode(Mode::Create)?,
            "extract" | "get" => self.set_mode(Mode::Extract)?,
            "verbose" => self.verbose = true,
            "touch" => self.touch = true,
            "file" => self.file = Some(value()?),
            "directory" => self.enter(&value()?),
            "no-same-permissions" => self.plain_permissions = true,
            "no-same-owner"
            | "same-owner"
            | "same-permissions"
            | "preserve-permissions"
            | "numeric-owner"
            | "overwrite"
            | "warning" => {}
            other => return Err(format!("unrecognized option '--{other}'; {USAGE}")),
        }
        Ok(())
    }

    fn set_mode(&mut self, mode: Mode) -> Result<(), String> {
        match self.mode.replace(mode) {
            Some(before) if before != mode => Err(format!("it packs or extracts, not both; {USAGE}")),
            _ => Ok(()),
        }
    }

    /// Relative to the directory that was entered before.
    fn enter(&mut self, directory: &str) {
        self.directory = match directory.starts_with('/') || self.directory.is_empty() {
            true => directory.to_owned(),
            false => format!("{}/{directory}", self.directory),
        };
    }

    fn member(&mut self, name: &str) {
        self.members.push(Member { directory: self.directory.clone(), name: name.to_owned() });
    }

    fn finish(self) -> Result<Options, String> {
        let mode = self.mode.ok_or_else(|| format!("neither -c nor -x; {USAGE}"))?;
        if self.file.as_deref().is_some_and(|file| file != "-") {
            return Err(format!("archives go through stdin and stdout only; {USAGE}"));
        }
        if mode == Mode::Create && self.members.is_empty() {
            return Err("Cowardly refusing to create an empty archive".to_owned());
        }
        Ok(Options {
            mode,
            verbose: self.verbose,
            touch: self.touch,
            plain_permissions: self.plain_permissions,
            members: self.members,
            directory: self.directory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_commands_of_kubectl_cp_are_understood() {
        let packed = parse("cf - /etc/x").unwrap();
        assert_eq!((packed.mode, packed.members[0].name.as_str()), (Mode::Create, "/etc/x"));
        let extracted = parse("-xmf - -C /data").unwrap();
        assert_eq!((extracted.mode, extracted.touch, extracted.directory.as_str()), (Mode::Extract, true, "/data"));
        let plain = parse("--no-same-permissions --no-same-owner -xmf - -C /").unwrap();
        assert!(plain.plain_permissions && plain.touch);
        assert_eq!(parse("xf -").unwrap().members, []);
    }

    #[test]
    fn directories_hold_for_the_members_after_them() {
        let packed = parse("-c -C /a one -C b two --file=- -- -three").unwrap();
        let members: Vec<_> = packed.members.iter().map(|one| (one.directory.as_str(), one.name.as_str())).collect();
        assert_eq!(members, [("/a", "one"), ("/a/b", "two"), ("/a/b", "-three")]);
    }

    #[test]
    fn what_it_cannot_do_is_said() {
        for (line, part) in [
            ("", "neither"),
            ("cf -", "Cowardly"),
            ("czf - x", "compression"),
            ("cf /tmp/x.tar x", "stdin and stdout"),
            ("cxf - x", "not both"),
            ("cf", "requires an argument"),
            ("cf - x --strip", "unrecognized"),
        ] {
            assert!(parse(line).unwrap_err().contains(part), "{line}");
        }
    }
}
