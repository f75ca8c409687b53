use std::io::{BufRead, IsTerminal, Read, Write};

use anyhow::{Context, Result, bail};
use clap::Args;
use wasmk_host::{Registries, check_login, registry_key};

use super::Local;

#[derive(Args)]
pub(crate) struct Login {
    /// The registry, such as ghcr.io or localhost:5000 [default: the default registry]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    #[arg(short, long)]
    username: Option<String>,
    /// Others on this machine can see it: prefer --password-stdin
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(crate) struct Logout {
    /// The registry [default: the default registry]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Login {
    pub(crate) async fn run(self) -> Result<()> {
        let registries = Local::open()?.registries();
        let host = host(&registries, self.server.as_deref())?;
        let username = match &self.username {
            Some(name) => name.clone(),
            None => ask("Username: ")?,
        };
        let password = self.password()?;
        if username.is_empty() || password.is_empty() {
            bail!("a login needs a user and a password; say them by -u USER --password-stdin");
        }
        let login = wasmk_host::Login { username, password };
        check_login(&registries, &host, &login).await?;
        registries.store_login(&host, &login)?;
        eprintln!("The login is kept, unencrypted, in {}.", registries.file().display());
        println!("Login Succeeded");
        Ok(())
    }

    fn password(&self) -> Result<String> {
        if let Some(password) = &self.password {
            eprintln!("WARNING! Using --password on the command line is insecure. Use --password-stdin.");
            return Ok(password.clone());
        }
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read the password from standard input")?;
            return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
        }
        let _quiet = Quiet::new();
        let password = ask("Password: ")?;
        eprintln!();
        Ok(password)
    }
}

impl Logout {
    pub(crate) fn run(self) -> Result<()> {
        let registries = Local::open()?.registries();
        let host = host(&registries, self.server.as_deref())?;
        match registries.remove_login(&host)? {
            true => println!("Removing login credentials for {host}"),
            false => println!("Not logged in to {host}"),
        }
        Ok(())
    }
}

fn host(registries: &Registries, server: Option<&str>) -> Result<String> {
    let named = match server {
        Some(server) => Some(server.to_owned()),
        None => registries.default_registry()?,
    };
    Ok(registry_key(&named.context("name the registry, such as ghcr.io")?))
}

fn ask(prompt: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("there is nobody to ask for the login; say it by -u USER --password-stdin");
    }
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Quiet {
    #[cfg(unix)]
    before: Option<libc::termios>,
}

impl Quiet {
    #[cfg(unix)]
    fn new() -> Self {
        let mut settings = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the first call fills the struct when it answers 0, the second only reads it.
        let before = unsafe {
            if libc::tcgetattr(0, settings.as_mut_ptr()) == 0 {
                let before = settings.assume_init();
                let mut quiet = before;
                quiet.c_lflag &= !libc::ECHO;
                libc::tcsetattr(0, libc::TCSANOW, &quiet);
                Some(before)
            } else {
                None
            }
        };
        Self { before }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the call only reads the struct.
            unsafe { libc::tcsetattr(0, libc::TCSANOW, before) };
        }
    }
}
