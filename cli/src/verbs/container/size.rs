//! Docker's amounts as Kubernetes' quantities.

use std::str::FromStr;

/// `64m`, `1g`, `512k`, bytes: powers of 1024, as Docker counts. Kubernetes' own `64Mi` is understood, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory(pub(super) String);

/// `.5`, `2`: CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cpus(pub(super) String);

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no amount of memory: write 64m, 1g, 512k or bytes");
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (count, unit) = text.split_at(digits);
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let suffix = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => "",
            "k" | "kb" | "ki" | "kib" => "Ki",
            "m" | "mb" | "mi" | "mib" => "Mi",
            "g" | "gb" | "gi" | "gib" => "Gi",
            "t" | "tb" | "ti" | "tib" => "Ti",
            _ => return Err(wrong()),
        };
        if count == 0 { Err(wrong()) } else { Ok(Self(format!("{count}{suffix}"))) }
    }
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no number of CPUs: write .5, 1 or 2.5");
        let cpus: f64 = text.parse().map_err(|_| wrong())?;
        let millis = (cpus * 1000.0).round();
        if (1.0..1e9).contains(&millis) { Ok(Self(format!("{millis}m"))) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_docker_writes_them() {
        let memory = |text: &str| text.parse::<Memory>().map(|memory| memory.0);
        assert_eq!(memory("64m").unwrap(), "64Mi");
        assert_eq!(memory("1G").unwrap(), "1Gi");
        assert_eq!(memory("64Mi").unwrap(), "64Mi");
        assert_eq!(memory("1048576").unwrap(), "1048576");
        for wrong in ["", "m", "0", "64x", "-1m", "1.5g"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
        let cpus = |text: &str| text.parse::<Cpus>().map(|cpus| cpus.0);
        assert_eq!(cpus(".5").unwrap(), "500m");
        assert_eq!(cpus("2").unwrap(), "2000m");
        for wrong in ["", "0", "-1", "nan", "inf", "many"] {
            assert!(cpus(wrong).is_err(), "{wrong}");
        }
    }
}
