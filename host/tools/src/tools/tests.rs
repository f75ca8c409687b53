//! Each tool over a read-only root and a writable mount at `/data`, with secrets of the host's beside both.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Call, GuestPath, Mount, Tree, find};

struct World {
    dir: TempDir,
    tree: Tree,
    env: Vec<(String, String)>,
}

#[derive(Debug)]
struct Ran {
    code: u8,
    stdout: Vec<u8>,
    stderr: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("root/etc/app")).unwrap();
        fs::create_dir_all(at("data/sub")).unwrap();
        fs::write(at("secret"), "the host's own").unwrap();
        fs::write(at("root/etc/app/settings"), "a=1\n").unwrap();
        fs::write(at("root/.hidden"), "").unwrap();
        fs::write(at("data/file"), "text\n").unwrap();
        let mounts = [("root", "/", true), ("data", "/data", false)];
        let hosts: Vec<_> = mounts.iter().map(|(host, guest, read_only)| (at(host), *guest, *read_only)).collect();
        let tree =
            Tree::open(hosts.iter().map(|(host, guest, read_only)| Mount { host, guest, read_only: *read_only }));
        World { tree: tree.unwrap(), dir, env: vec![("GREETING".into(), "hello".into())] }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn run(&self, line: &str) -> Ran {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, stdin: &[u8]) -> Ran {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (mut stdin, mut stdout, mut stderr) = (stdin, Vec::new(), Vec::new());
        let code = find(&argv[0]).unwrap().run(Call {
            argv: &argv,
            env: &self.env,
            working_dir: GuestPath::new("/data"),
            tree: &self.tree,
            stdin: &mut stdin,
            stdout: &mut stdout,
            stderr: &mut stderr,
            is_cancelled: &|| false,
        });
        Ran { code, stdout, stderr: String::from_utf8(stderr).unwrap() }
    }

    #[track_caller]
    fn check(&self, line: &str, code: u8, stdout: &str, stderr: &str) {
        let ran = self.run(line);
        let said = (ran.code, String::from_utf8(ran.stdout).unwrap(), ran.stderr);
        assert_eq!(said, (code, stdout.to_owned(), stderr.to_owned()), "{line}");
    }
}

#[test]
fn small_tools_do_as_their_namesakes() {
    let world = World::new();
    world.check("true", 0, "", "");
    world.check("false", 1, "", "");
    world.check("pwd", 0, "/data\n", "");
    world.check("echo one two", 0, "one two\n", "");
    world.check("echo -n one", 0, "one", "");
    world.check("env", 0, "GREETING=hello\n", "");
    world.check("cat file /etc/app/settings", 0, "text\na=1\n", "");
    world.check("cat nothing file", 1, "text\n", "cat: nothing: No such file or directory\n");
    world.check("cat /etc", 1, "", "cat: /etc: Is a directory\n");
    world.check("ls", 0, "file\nsub\n", "");
    world.check("ls /", 0, "data\netc\n", "");
    world.check("ls -A / file", 0, "file\n/:\n.hidden\ndata\netc\n", "");
    world.check("ls /nowhere", 2, "", "ls: cannot access '/nowhere': No such file or directory\n");
    world.check("ls --colour", 2, "", "ls: unrecognized option '--colour'\n");
    assert_eq!(world.run_with("cat", b"from stdin").stdout, b"from stdin");
    let long = String::from_utf8(world.run("ls -l").stdout).unwrap();
    assert!(long.starts_with("-rw") && long.contains("        5 ") && long.contains("\ndrwx"), "{long}");
}

#[test]
fn tests_answer_by_their_exit_code() {
    let world = World::new();
    for (line, code) in [
        ("test -d /data", 0),
        ("test -d /data/file", 1),
        ("test -f file", 0),
        ("test -e /etc/app", 0),
        ("test -e /nowhere", 1),
        ("test ! -e /nowhere", 0),
        ("test -w /data", 0),
        ("test -w /etc", 1),
        ("test -s file", 0),
        ("test a = b", 1),
        ("test -Q x", 2),
    ] {
        assert_eq!(world.run(line).code, code, "{line}");
    }
}

#[test]
fn directories_and_files_come_and_go_where_they_may() {
    let world = World::new();
    world.check("mkdir new", 0, "", "");
    world.check("mkdir new", 1, "", "mkdir: cannot create directory 'new': File exists\n");
    world.check("mkdir a/b", 1, "", "mkdir: cannot create directory 'a/b': No such file or directory\n");
    world.check("mkdir -p a/b new", 0, "", "");
    assert!(world.host("data/a/b").is_dir());
    world.check("rm a", 1, "", "rm: cannot remove 'a': Is a directory\n");
    world.check("rm -r a file", 0, "", "");
    assert!(!world.host("data/a").exists() && !world.host("data/file").exists());
    world.check("rm file", 1, "", "rm: cannot remove 'file': No such file or directory\n");
    world.check("rm -f file", 0, "", "");
    world.check("rm -rf /data", 1, "", "rm: cannot remove '/data': Device or resource busy\n");
}

#[test]
fn what_is_mounted_read_only_stays_as_it_is() {
    let world = World::new();
    world.check("mkdir /etc/new", 1, "", "mkdir: cannot create directory '/etc/new': Read-only file system\n");
    let settings = "/etc/app/settings";
    world.check(&format!("rm {settings}"), 1, "", "rm: cannot remove '/etc/app/settings': Read-only file system\n");
    assert_eq!(world.run("rm -rf /etc").code, 1);
    let archive = world.run("tar cf - file").stdout;
    let ran = world.run_with("tar xf - -C /etc", &archive);
    assert_eq!((ran.code, ran.stderr.lines().next()), (2, Some("tar: file: Cannot open: Read-only file system")));
    assert!(world.host("root/etc/app/settings").exists() && !world.host("root/etc/file").exists());
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_but_inside() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    symlink(world.host("secret"), world.host("data/absolute")).unwrap();
    symlink("../secret", world.host("data/climbing")).unwrap();
    symlink("..", world.host("data/above")).unwrap();
    symlink("file", world.host("data/inside")).unwrap();
    world.check("cat inside", 0, "text\n", "");
    for line in ["cat absolute", "cat climbing", "cat above/secret", "cat ../secret", "cat ../../../secret"] {
        let ran = world.run(line);
        assert_eq!((ran.code, ran.stdout.as_slice()), (1, &b""[..]), "{line}");
    }
    // Removing a link removes the link; nothing behind it.
    world.check("rm -r absolute above", 0, "", "");
    assert!(world.host("secret").exists());
    // Extracting never goes through one that leads out.
    let mut archive = Archive::new();
    archive.file("climbing", "overwritten");
    archive.file("out/file", "x");
    symlink(world.dir.path(), world.host("data/out")).unwrap();
    let ran = world.run_with("tar xf -", &archive.bytes());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(fs::read_to_string(world.host("secret")).unwrap(), "the host's own");
    assert!(!world.host("file").exists());
    // The link itself was replaced, as tar does.
    assert_eq!(fs::read_to_string(world.host("data/climbing")).unwrap(), "overwritten");
}

#[test]
fn the_way_to_a_mount_is_there_without_an_image() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), "k").unwrap();
    let tree = Tree::open([Mount { host: dir.path(), guest: "/etc/app/secret", read_only: true }]).unwrap();
    let world = World { tree, dir, env: Vec::new() };
    world.check("ls /", 0, "etc\n", "");
    world.check("ls /etc/app", 0, "secret\n", "");
    world.check("cat /etc/app/secret/key", 0, "k", "");
    world.check("mkdir /etc/new", 1, "", "mkdir: cannot create directory '/etc/new': Read-only file system\n");
    assert_eq!(world.run("ls /usr").code, 2);
}

#[test]
fn what_is_packed_comes_out_the_same() {
    let world = World::new();
    fs::write(world.host("data/sub/large"), vec![7; 300_000]).unwrap();
    let long = "n".repeat(150);
    fs::write(world.host("data/sub").join(&long), "long").unwrap();
    let packed = world.run("tar cf - -C /data sub file");
    assert_eq!((packed.code, packed.stderr.as_str()), (0, ""));
    world.run("mkdir copy");
    let ran = world.run_with("tar -xmf - -C /data/copy", &packed.stdout);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(fs::read(world.host("data/copy/sub/large")).unwrap(), vec![7; 300_000]);
    assert_eq!(fs::read_to_string(world.host("data/copy/sub").join(long)).unwrap(), "long");
    assert_eq!(fs::read_to_string(world.host("data/copy/file")).unwrap(), "text\n");
}

#[test]
fn names_in_archives_are_relative_as_kubectl_expects() {
    let world = World::new();
    let packed = world.run("tar cf - /etc/app");
    assert_eq!(packed.stderr, "tar: Removing leading `/' from member names\n");
    let mut archive = tar::Archive::new(packed.stdout.as_slice());
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["etc/app/", "etc/app/settings"]);
    let missing = world.run("tar cf - nothing file");
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.starts_with("tar: nothing: Cannot stat: No such file or directory\n"), "{}", missing.stderr);
}

#[test]
fn members_that_lead_outside_are_left_out() {
    let world = World::new();
    let mut archive = Archive::new();
    archive.file("../escaped", "x");
    archive.file("sub/../../escaped", "x");
    archive.file("/rooted", "inside");
    archive.link("up", "../../secret");
    archive.link("rooted-link", "/etc/passwd");
    archive.hard_link("hard", "../secret");
    archive.file("fine", "y");
    let ran = world.run_with("tar xf -", &archive.bytes());
    assert_eq!(ran.code, 2);
    for part in [
        "../escaped: Member name contains '..'",
        "sub/../../escaped: Member name contains '..'",
        "up: Cannot open: a link to ../../secret leads outside",
        "rooted-link: Cannot open: a link to /etc/passwd leads outside",
        "../secret: Member name contains '..'",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!world.host("escaped").exists() && !world.host("data/up").is_symlink());
    assert_eq!(fs::read_to_string(world.host("data/rooted")).unwrap(), "inside");
    assert_eq!(fs::read_to_string(world.host("data/fine")).unwrap(), "y");
}

#[test]
fn damaged_archives_are_refused_and_endless_names_are_not_read() {
    let world = World::new();
    let whole = world.run("tar cf - file").stdout;
    let ran = world.run_with("tar xf -", &whole[..514]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(world.run_with("tar xf -", &[b'x'; 2048]).code, 2);
    let mut archive = Archive::new();
    archive.entry(tar::EntryType::GNULongName, "././@LongLink", "", &vec![b'n'; 1 << 20]);
    archive.file("short", "x");
    let ran = world.run_with("tar xf -", &archive.bytes());
    assert_eq!((ran.code, ran.stderr.contains("longer than any path")), (2, true), "{}", ran.stderr);
}

#[test]
fn a_tool_ends_when_nobody_wants_its_work() {
    let world = World::new();
    for number in 0..10 {
        fs::write(world.host("data/sub").join(number.to_string()), "").unwrap();
    }
    let asked = Cell::new(0);
    let argv = ["rm", "-r", "sub"].map(str::to_owned);
    let code = find("rm").unwrap().run(Call {
        argv: &argv,
        env: &[],
        working_dir: GuestPath::new("/data"),
        tree: &world.tree,
        stdin: &mut io::empty(),
        stdout: &mut io::sink(),
        stderr: &mut io::sink(),
        is_cancelled: &|| {
            asked.set(asked.get() + 1);
            asked.get() > 3
        },
    });
    assert_eq!(code, 141);
    assert!(fs::read_dir(world.host("data/sub")).unwrap().count() > 5);
}

#[test]
fn tools_are_found_by_name_and_where_programs_usually_lie() {
    for (command, found) in [("tar", true), ("/bin/tar", true), ("/usr/bin/ls", true), ("bash", false), ("./ls", false)]
    {
        assert_eq!(find(command).is_some(), found, "{command}");
    }
    assert!(crate::names().is_sorted());
}

/// Writes entries that a well-behaved builder would refuse.
struct Archive(Vec<u8>);

impl Archive {
    fn new() -> Self {
        Archive(Vec::new())
    }

    fn file(&mut self, name: &str, content: &str) {
        self.entry(tar::EntryType::Regular, name, "", content.as_bytes());
    }

    fn link(&mut self, name: &str, target: &str) {
        self.entry(tar::EntryType::Symlink, name, target, b"");
    }

    fn hard_link(&mut self, name: &str, target: &str) {
        self.entry(tar::EntryType::Link, name, target, b"");
    }

    fn entry(&mut self, kind: tar::EntryType, name: &str, target: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}
