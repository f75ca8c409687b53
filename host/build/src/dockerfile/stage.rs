//! What each stage comes to: its files, its settings and what every step adds. Pure but for what [`World`] reads.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::copy::{Copy, absolute, copy};
use super::error::Fault;
use super::expand::{Variables, expand, expand_words};
use super::files::{FILES_MAX, Files, Node, Tree};
use super::ignore::Ignore;
use super::parse::{Dockerfile, Instruction, Stage, Step, Transfer};
use crate::{BaseImage, Platform, Settings};

/// What a build reads from.
pub(crate) trait World {
    fn context(&self) -> &dyn Files;

    /// An image with its files.
    fn image(&self, name: &str) -> Result<(BaseImage, Tree), String>;
}

/// How a file is to be built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) build_args: Vec<(String, String)>,
    pub(crate) target: Option<String>,
    pub(crate) platform: Platform,
}

/// A stage that was gone through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) base: BaseImage,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<DoneStep>,
    pub(crate) tree: Tree,
    /// Whether this stage has a `CMD` of its own.
    has_cmd: bool,
    working_dir: String,
    arguments: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct DoneStep {
    pub(crate) text: String,
    /// What its layer holds; nothing where it makes none.
    pub(crate) entries: Rc<Vec<(String, Node)>>,
}

/// The stage that was asked for, and what is to be said about the way to it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stage: Done,
    pub(crate) warnings: Vec<Fault>,
}

/// Goes through the stages that the target needs. `say` is told of each step before it is done.
pub(crate) fn evaluate(
    file: &Dockerfile,
    request: &Request,
    world: &dyn World,
    say: &dyn Fn(&str),
) -> Result<Outcome, Fault> {
    let target = target(file, request.target.as_deref())?;
    let mut evaluation = Evaluation {
        file,
        request,
        world,
        globals: Vec::new(),
        done: Vec::new(),
        warnings: Vec::new(),
        used: BTreeSet::new(),
    };
    evaluation.globals()?;
    let needed = evaluation.needed(target)?;
    refuse(file, &needed)?;
    let total: usize = needed.iter().map(|&index| file.stages[index].steps.len() + 1).sum();
    let mut count = 0;
    let say = |text: &str| {
        count += 1;
        say(&format!("[{count}/{total}] {text}"));
    };
    evaluation.run(&needed, say)?;
    let Evaluation { mut done, mut warnings, used, .. } = evaluation;
    for (name, _) in &request.build_args {
        if !used.contains(name) && !PREDEFINED.contains(&name.as_str()) {
            warnings.push(Fault::new(1, format!("--build-arg {name} is not used: no ARG {name} takes it")));
        }
    }
    Ok(Outcome { stage: done.remove(target).expect("invariant: the target is needed"), warnings })
}

/// Arguments that Docker takes without `ARG`; they are for programs that run.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

fn target(file: &Dockerfile, name: Option<&str>) -> Result<usize, Fault> {
    let last = file.stages.len() - 1;
    let Some(name) = name else { return Ok(last) };
    let by_name = |stage: &Stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
    let by_number = name.parse().ok().filter(|&index: &usize| index <= last);
    file.stages.iter().position(by_name).or(by_number).ok_or_else(|| {
        let names: Vec<&str> = file.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        let known = if names.is_empty() { "there are no named stages".to_owned() } else { names.join(", ") };
        Fault::new(1, format!("there is no stage {name:?} (--target): {known}"))
    })
}

/// Before anything is read or fetched: what is refused in a stage that is needed ends the build.
fn refuse(file: &Dockerfile, needed: &[usize]) -> Result<(), Fault> {
    let steps = needed.iter().flat_map(|&index| &file.stages[index].steps);
    for step in steps {
        if let Instruction::Refused(why) = &step.instruction {
            return Err(Fault::new(step.line, why.clone()));
        }
    }
    Ok(())
}

struct Evaluation<'a> {
    file: &'a Dockerfile,
    request: &'a Request,
    world: &'a dyn World,
    /// What `ARG` before the first `FROM` set.
    globals: Vec<(String, String)>,
    done: Stages,
    warnings: Vec<Fault>,
    /// Build arguments that an `ARG` took.
    used: BTreeSet<String>,
}

/// By their number, as far as they are needed.
type Stages = Vec<Option<Done>>;

impl Evaluation<'_> {
    fn globals(&mut self) -> Result<(), Fault> {
        for step in &self.file.arguments {
            let Instruction::Arg(names) = &step.instruction else {
                return Err(Fault::new(step.line, "only ARG may stand before the first FROM"));
            };
            for (name, default) in names {
                let value = match (self.build_arg(name), default) {
                    (Some(value), _) => Some(value),
                    (None, Some(default)) => Some(self.expanded(step.line, default, &self.global_variables())?),
                    (None, None) => None,
                };
                self.globals.extend(value.map(|value| (name.clone(), value)));
            }
        }
        Ok(())
    }

    fn build_arg(&mut self, name: &str) -> Option<String> {
        let (_, value) = self.request.build_args.iter().rev().find(|(own, _)| own == name)?;
        self.used.insert(name.to_owned());
        Some(value.clone())
    }

    fn global_variables(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let (globals, platform) = (self.globals.clone(), self.request.platform.clone());
        move |name| find(&globals, name).or_else(|| platform_argument(&platform, name))
    }

    fn expanded(&self, line: usize, text: &str, variables: &dyn Variables) -> Result<String, Fault> {
        expand(text, self.file.escape, variables).map_err(|message| Fault::new(line, message))
    }

    /// The stages that the target is made from, itself included, in the order of the file.
    fn needed(&mut self, target: usize) -> Result<Vec<usize>, Fault> {
        let mut needed = BTreeSet::from([target]);
        for index in (0..=target).rev() {
            if !needed.contains(&index) {
                continue;
            }
            let stage = &self.file.stages[index];
            needed.extend(self.stage_before(index, &self.from(stage)?));
            for step in &stage.steps {
                if let Instruction::Copy(transfer) = &step.instruction
                    && let Some((_, Some(from))) = transfer.flags.iter().find(|(name, _)| name == "from")
                {
                    needed.extend(self.source_stage(index, from));
                }
            }
        }
        Ok(needed.into_iter().collect())
    }

    /// What follows `FROM`.
    fn from(&self, stage: &Stage) -> Result<String, Fault> {
        let image = self.expanded(stage.line, &stage.image, &self.global_variables())?;
        if image.is_empty() {
            return Err(Fault::new(stage.line, format!("FROM {} names no image: the ARG has no value", stage.image)));
        }
        Ok(image)
    }

    /// The stage that a name or number means to stage `index`.
    fn stage_before(&self, index: usize, name: &str) -> Option<usize> {
        let is_named = |stage: &Stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.file.stages[..index].iter().rposition(is_named)
    }

    fn run(&mut self, needed: &[usize], mut say: impl FnMut(&str)) -> Result<(), Fault> {
        self.done.resize_with(self.file.stages.len(), || None);
        for &index in needed {
            let stage = &self.file.stages[index];
            say(&stage.text);
            let mut done = self.start(index)?;
            for step in &stage.steps {
                say(&step.text);
                let entries = self.step(index, &mut done, step)?;
                done.check_size().map_err(|message| Fault::new(step.line, message))?;
                done.steps.push(DoneStep { text: step.text.clone(), entries: Rc::new(entries) });
                if done.tree.len() > FILES_MAX {
                    return Err(Fault::new(step.line, format!("the image has more than {FILES_MAX} files")));
                }
            }
            self.done[index] = Some(done);
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> Result<Done, Fault> {
        let stage = &self.file.stages[index];
        if let Some(platform) = &stage.platform {
            let platform = self.expanded(stage.line, platform, &self.global_variables())?;
            if platform.parse::<Platform>().is_err() {
                let text = format!("--platform={platform} is left out: what is built here is for wasm");
                self.warnings.push(Fault::new(stage.line, text));
            }
        }
        let image = self.from(stage)?;
        if image == "scratch" {
            return Ok(Done::default());
        }
        if let Some(before) = self.stage_before(index, &image) {
            let before = self.done[before].clone().expect("invariant: stages before are done");
            return Ok(Done { has_cmd: false, arguments: Vec::new(), ..before });
        }
        let (base, tree) = self.world.image(&image).map_err(|message| Fault::new(stage.line, message))?;
        let mut settings = base.settings.clone();
        let mut steps = Vec::new();
        if base.module.is_some() {
            let entries = super::files::walk(&tree, "").map_err(|message| Fault::new(stage.line, message))?;
            settings.entrypoint = entries.first().map(|(path, _)| vec![format!("/{path}")]);
            steps.push(DoneStep { text: format!("the wasm file of {image}"), entries: Rc::new(entries) });
        }
        let working_dir = absolute(settings.working_dir.as_deref().unwrap_or_default(), "");
        Ok(Done { base, settings, steps, tree, working_dir, ..Done::default() })
    }

    /// Does one step; answers what it adds to the files.
    fn step(&mut self, index: usize, done: &mut Done, step: &Step) -> Result<Vec<(String, Node)>, Fault> {
        let line = step.line;
        let variables = done.variables();
        match &step.instruction {
            Instruction::Copy(transfer) => return self.transfer(index, done, line, transfer, false),
            Instruction::Add(transfer) => return self.transfer(index, done, line, transfer, true),
            Instruction::Workdir(path) => {
                let path = self.expanded(line, path, &variables)?;
                done.working_dir = absolute(&path, &done.working_dir);
                done.settings.working_dir = Some(format!("/{}", done.working_dir));
                return Ok(done.directory());
            }
            // One instruction's variables are those from before it.
            Instruction::Env(pairs) => {
                for (name, value) in self.pairs(line, pairs, &variables)? {
                    set(&mut done.settings.env, name, value);
                }
            }
            Instruction::Label(pairs) => done.settings.labels.extend(self.pairs(line, pairs, &variables)?),
            Instruction::Arg(names) => {
                for (name, default) in names {
                    if let Some(value) = self.argument(line, name, default.as_deref(), done)? {
                        set(&mut done.arguments, name.clone(), value);
                    }
                }
            }
            Instruction::User(user) => done.settings.user = Some(self.expanded(line, user, &variables)?),
            Instruction::Maintainer(author) => done.settings.author = Some(author.clone()),
            Instruction::Expose(ports) => {
                for port in ports {
                    let words = expand_words(port, self.file.escape, &variables);
                    for word in words.map_err(|message| Fault::new(line, message))? {
                        done.settings.exposed_ports.extend(exposed(&word).map_err(|text| Fault::new(line, text))?);
                    }
                }
            }
            Instruction::Entrypoint(words) => {
                done.settings.entrypoint = Some(words.clone());
                // The base's arguments were for the base's program.
                if !done.has_cmd {
                    done.settings.cmd = None;
                }
            }
            Instruction::Cmd(words) => {
                done.settings.cmd = Some(words.clone());
                done.has_cmd = true;
            }
            Instruction::Ignored(why) => self.warnings.push(Fault::new(line, why.clone())),
            Instruction::Refused(why) => return Err(Fault::new(line, why.clone())),
            Instruction::Nothing => {}
        }
        Ok(Vec::new())
    }

    fn pairs(
        &self,
        line: usize,
        pairs: &[(String, String)],
        variables: &dyn Variables,
    ) -> Result<Vec<(String, String)>, Fault> {
        let expanded = |text: &String| self.expanded(line, text, variables);
        pairs.iter().map(|(name, value)| Ok((expanded(name)?, expanded(value)?))).collect()
    }

    /// From the command line, the default, what stands before the first `FROM`, or the platform.
    fn argument(
        &mut self,
        line: usize,
        name: &str,
        default: Option<&str>,
        done: &Done,
    ) -> Result<Option<String>, Fault> {
        if let Some(value) = self.build_arg(name) {
            return Ok(Some(value));
        }
        if let Some(default) = default {
            return self.expanded(line, default, &done.variables()).map(Some);
        }
        Ok(self.global_variables()(name))
    }

    fn transfer(
        &mut self,
        index: usize,
        done: &mut Done,
        line: usize,
        transfer: &Transfer,
        is_add: bool,
    ) -> Result<Vec<(String, Node)>, Fault> {
        let fault = |message: String| Fault::new(line, message);
        let variables = done.variables();
        let keyword = if is_add { "ADD" } else { "COPY" };
        let mut flags = Flags { unpacks: is_add, ..Flags::default() };
        for (name, value) in &transfer.flags {
            let value = value.as_deref().map(|value| self.expanded(line, value, &variables)).transpose()?;
            flags.read(keyword, name, value).map_err(fault)?;
        }
        if flags.changes_owner {
            let text = "--chown is left out: guests have no users, and the image's files are read-only".to_owned();
            self.warnings.push(Fault::new(line, text));
        }
        let sources = transfer.sources.iter().map(|path| self.expanded(line, path, &variables));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        if let Some(remote) = sources.iter().find(|source| is_add && is_remote(source)) {
            let text = format!(
                "ADD {remote}: nothing is downloaded while an image is built; fetch it first, and COPY the file"
            );
            return Err(fault(text));
        }
        let destination = self.expanded(line, &transfer.destination, &variables)?;
        let working_dir = done.working_dir.clone();
        let request = Copy {
            sources: &sources,
            destination: &destination,
            working_dir: &working_dir,
            mode: flags.mode,
            exclude: Ignore::of(&flags.exclude).map_err(fault)?,
            unpacks: flags.unpacks,
        };
        let copied = match flags.from.as_deref() {
            None => copy(&request, self.world.context(), &mut done.tree),
            Some(name) => {
                let image;
                let files: &dyn Files = match self.source_stage(index, name) {
                    Some(before) => &self.done[before].as_ref().expect("invariant: stages before are done").tree,
                    None => {
                        image = self.world.image(name).map_err(fault)?.1;
                        &image
                    }
                };
                copy(&request, files, &mut done.tree)
            }
        };
        copied.map_err(|message| fault(format!("{keyword}: {message}")))
    }

    /// `--from` may count stages as well as name them.
    fn source_stage(&self, index: usize, name: &str) -> Option<usize> {
        let by_number = name.parse().ok().filter(|&number: &usize| number < index);
        self.stage_before(index, name).or(by_number)
    }
}

impl Done {
    /// `ENV` wins over `ARG`.
    fn variables(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let (env, arguments) = (self.settings.env.clone(), self.arguments.clone());
        move |name| find(&env, name).or_else(|| find(&arguments, name))
    }

    fn check_size(&self) -> Result<(), String> {
        let Settings { env, labels, .. } = &self.settings;
        let pairs = env.iter().chain(&self.arguments).map(|(name, value)| name.len() + value.len());
        let size = pairs.chain(labels.iter().map(|(name, value)| name.len() + value.len())).sum::<usize>();
        match size {
            ..=SETTINGS_BYTES_MAX => Ok(()),
            _ => Err(format!("variables and labels are longer than {SETTINGS_BYTES_MAX} bytes")),
        }
    }

    /// Makes the working directory, if it is not there.
    fn directory(&mut self) -> Vec<(String, Node)> {
        match self.tree.node(&self.working_dir) {
            Ok(Some(_)) => Vec::new(),
            _ => self.tree.insert(&self.working_dir, Node::Directory { mode: super::files::DIRECTORY_MODE }),
        }
    }
}

/// Of an image's variables and labels together: manifests and configurations are read as a whole.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
struct Flags {
    from: Option<String>,
    mode: Option<u32>,
    exclude: Vec<String>,
    changes_owner: bool,
    unpacks: bool,
}

impl Flags {
    fn read(&mut self, keyword: &str, name: &str, value: Option<String>) -> Result<(), String> {
        let wanted = || format!("{keyword} --{name} wants a value: --{name}=…");
        match name {
            "from" if keyword == "COPY" => self.from = Some(value.filter(|from| !from.is_empty()).ok_or_else(wanted)?),
            "chmod" => {
                let text = value.ok_or_else(wanted)?;
                let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
                self.mode = Some(mode.ok_or_else(|| format!("--chmod={text} is no octal mode such as 755"))?);
            }
            "chown" => self.changes_owner = true,
            "exclude" => self.exclude.push(value.ok_or_else(wanted)?),
            "unpack" if keyword == "ADD" => self.unpacks = value.as_deref().is_none_or(|value| value == "true"),
            // How layers are stacked, and what concerns downloads.
            "link" => {}
            "checksum" | "keep-git-dir" if keyword == "ADD" => {}
            "parents" => return Err("--parents is not supported: name the destination of each directory".to_owned()),
            _ => return Err(format!("{keyword} has no flag --{name}")),
        }
        Ok(())
    }
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://"].iter().any(|start| source.starts_with(start))
}

/// Of one range.
const PORTS_MAX: u16 = 10_000;

/// `80`, `80/tcp`, `8000-8010/udp` as an image's configuration lists them.
fn exposed(text: &str) -> Result<Vec<String>, String> {
    let invalid = || format!("EXPOSE {text}: write PORT, PORT/tcp, PORT/udp or FIRST-LAST");
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(invalid());
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(invalid);
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(ports)?, port(ports)?),
    };
    if last < first {
        return Err(invalid());
    }
    if last - first >= PORTS_MAX {
        return Err(format!("EXPOSE {text}: that is more than {PORTS_MAX} ports"));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Arguments that every build has.
fn platform_argument(platform: &Platform, name: &str) -> Option<String> {
    let Platform { os, architecture } = platform;
    match name {
        "TARGETPLATFORM" | "BUILDPLATFORM" => Some(format!("{os}/{architecture}")),
        "TARGETOS" | "BUILDOS" => Some(os.clone()),
        "TARGETARCH" | "BUILDARCH" => Some(architecture.clone()),
        "TARGETVARIANT" | "BUILDVARIANT" => Some(String::new()),
        _ => None,
    }
}

fn find(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.clone())
}

/// In the place of an older value.
fn set(pairs: &mut Vec<(String, String)>, name: String, value: String) {
    match pairs.iter_mut().find(|(own, _)| *own == name) {
        Some((_, own)) => *own = value,
        None => pairs.push((name, value)),
    }
}
