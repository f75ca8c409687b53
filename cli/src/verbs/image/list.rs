use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use wasmk_host::StoredImage;

use super::{Local, show};
use crate::output::template::GoTemplate;
use crate::output::{human, print_aligned};

#[derive(Args)]
pub(crate) struct Images {
    /// Only this repository, or repository and tag; `*` is any text
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Accepted as in Docker: there are no intermediate images to hide
    #[arg(short, long)]
    all: bool,
    /// Print IDs alone
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs
    #[arg(long)]
    no_trunc: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// `table`, `json` (an object a line), or a template such as {{.Repository}}:{{.Tag}}
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
    /// dangling=true|false, label=KEY[=VALUE] or reference=PATTERN; may be given several times
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<Filter>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Filter {
    Dangling(bool),
    Label(String, Option<String>),
    Reference(String),
}

impl std::str::FromStr for Filter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.split_once('=') {
            Some(("dangling", "true" | "1")) => Self::Dangling(true),
            Some(("dangling", "false" | "0")) => Self::Dangling(false),
            Some(("label", label)) => match label.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(label.to_owned(), None),
            },
            Some(("reference", pattern)) => Self::Reference(pattern.to_owned()),
            _ => bail!("use dangling=true, dangling=false, label=KEY, label=KEY=VALUE or reference=PATTERN"),
        })
    }
}

impl Filter {
    pub(super) fn takes(&self, image: &StoredImage) -> bool {
        match self {
            Self::Dangling(wanted) => image.tag.is_none() == *wanted,
            Self::Label(key, value) => {
                let fits =
                    |(name, found): &(String, String)| name == key && value.as_ref().is_none_or(|one| one == found);
                image.labels.iter().any(fits)
            }
            Self::Reference(pattern) => match pattern.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
                Some((name, tag)) => {
                    matches(name, &image.repository) && image.tag.as_ref().is_some_and(|own| matches(tag, own))
                }
                None => matches(pattern, &image.repository),
            },
        }
    }
}

impl Images {
    pub(crate) fn run(self) -> Result<()> {
        let mut filters = self.filters.clone();
        filters.extend(self.name.clone().map(Filter::Reference));
        let mut images = Local::open()?.store.images();
        images.retain(|image| filters.iter().all(|filter| filter.takes(image)));
        // The newest first, as Docker does; those that do not say last.
        images.sort_by(|one, other| {
            other
                .created
                .cmp(&one.created)
                .then_with(|| (&one.repository, &one.tag).cmp(&(&other.repository, &other.tag)))
        });
        if self.quiet {
            let mut ids: Vec<String> = images.iter().map(|image| show::id(&image.digest, self.no_trunc)).collect();
            ids.dedup();
            ids.iter().for_each(|id| println!("{id}"));
            return Ok(());
        }
        match self.format.as_str() {
            "table" => self.table(&images),
            "json" => images.iter().for_each(|image| println!("{}", self.fields(image))),
            template => {
                let template: GoTemplate = template.parse()?;
                for image in &images {
                    println!("{}", template.render(&self.fields(image))?);
                }
            }
        }
        Ok(())
    }

    fn table(&self, images: &[StoredImage]) {
        let columns: &[(&str, &str)] = match self.digests {
            true => &[
                ("REPOSITORY", "Repository"),
                ("TAG", "Tag"),
                ("DIGEST", "Digest"),
                ("IMAGE ID", "ID"),
                ("CREATED", "CreatedSince"),
                ("SIZE", "Size"),
            ],
            false => &[
                ("REPOSITORY", "Repository"),
                ("TAG", "Tag"),
                ("IMAGE ID", "ID"),
                ("CREATED", "CreatedSince"),
                ("SIZE", "Size"),
            ],
        };
        let mut lines = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>()];
        for image in images {
            let fields = self.fields(image);
            lines
                .push(columns.iter().map(|(_, field)| fields[field].as_str().unwrap_or_default().to_owned()).collect());
        }
        print_aligned(&lines, &mut Vec::new());
    }

    fn fields(&self, image: &StoredImage) -> Value {
        let created = image.created.as_deref();
        json!({
            "Repository": image.repository,
            "Tag": image.tag.as_deref().unwrap_or("<none>"),
            "Digest": image.digest.as_str(),
            "ID": show::id(&image.digest, self.no_trunc),
            "CreatedAt": created.unwrap_or("N/A"),
            "CreatedSince": show::since(created),
            "Size": human::size(image.size_bytes),
        })
    }
}

/// `*` is any text, parts of the name included.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
            places.into_iter().any(|place| matches(rest, &text[place..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_what_they_say() {
        let image = |repository: &str, tag: Option<&str>| StoredImage {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
            created: None,
            labels: vec![("stage".to_owned(), "test".to_owned())],
            size_bytes: 1,
        };
        let takes =
            |filter: &str, repository: &str, tag| filter.parse::<Filter>().unwrap().takes(&image(repository, tag));
        assert!(takes("dangling=true", "a", None) && !takes("dangling=true", "a", Some("v1")));
        assert!(
            takes("label=stage", "a", None)
                && takes("label=stage=test", "a", None)
                && !takes("label=stage=x", "a", None)
        );
        assert!(takes("reference=team/*", "team/a", Some("v1")) && !takes("reference=team/*", "a", Some("v1")));
        assert!(takes("reference=*a:v*", "team/a", Some("v1")) && !takes("reference=a:v2", "a", Some("v1")));
        assert!(takes("reference=localhost:5000/a", "localhost:5000/a", Some("v1")));
        assert!("before=x".parse::<Filter>().is_err());
    }
}
