//! The gate `platforms`: what an image must have been built for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Finding, GateName, Verdict};

/// The platforms that an image must have, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platforms(pub(crate) BTreeSet<Platform>);

/// What an image is built for: `linux/amd64`, `linux/arm/v7`. Spellings of one platform are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    /// `None` where the architecture alone says as much: `arm64` is `arm64/v8`.
    variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform")]
pub(crate) struct ParsePlatformError {
    text: String,
}

impl Platforms {
    /// How a version stands that was `built` for these platforms, or of which that could not be read, with the reason.
    pub(crate) fn judge(&self, built: Result<&[String], &str>) -> Finding {
        let (verdict, why) = match built {
            Err(why) => (Verdict::Unknown, why.to_owned()),
            Ok(built) => self.compare(built),
        };
        Finding {
            gate: GateName::Platforms,
            verdict,
            why,
            next: None,
        }
    }

    fn compare(&self, built: &[String]) -> (Verdict, String) {
        // A platform that no one can ask for satisfies nobody.
        let built = built.iter().filter_map(|platform| platform.parse().ok());
        let built: BTreeSet<Platform> = built.collect();
        let missing: BTreeSet<&Platform> = self.0.difference(&built).collect();
        match (missing.is_empty(), built.is_empty()) {
            (true, _) => (
                Verdict::Passed,
                format!("it is built for {}", list(&self.0)),
            ),
            (false, false) => {
                let why = format!(
                    "it is not built for {}, only for {}",
                    list(missing),
                    list(&built)
                );
                (Verdict::Failed, why)
            }
            (false, true) => {
                let why = format!("it does not say that it is built for {}", list(missing));
                (Verdict::Failed, why)
            }
        }
    }
}

fn list<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    let names: Vec<String> = platforms.into_iter().map(Platform::to_string).collect();
    names.join(", ")
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// Spellings count as containerd takes them, which asks registries for images:
    /// <https://github.com/containerd/platforms/blob/main/database.go>.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = || ParsePlatformError { text: s.to_owned() };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let lower = s.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let is_valid = |part: &&str| !part.is_empty() && part.chars().all(allowed);
        let (os, architecture, variant) = match parts[..] {
            _ if !parts.iter().all(is_valid) => return Err(refused()),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            [..] => return Err(refused()),
        };
        let (architecture, variant) = match (architecture, variant) {
            ("i386", _) => ("386", None),
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            as_written => as_written,
        };
        Ok(Self {
            os: if os == "macos" { "darwin" } else { os }.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            os,
            architecture,
            variant,
        } = self;
        write!(f, "{os}/{architecture}")?;
        match variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Platform, Platforms, Verdict};

    fn judged(wanted: &[&str], built: &[&str]) -> Finding {
        let wanted = wanted.iter().map(|platform| platform.parse().unwrap());
        let built: Vec<String> = built.iter().map(ToString::to_string).collect();
        Platforms(wanted.collect()).judge(Ok(&built))
    }

    #[test]
    fn an_image_that_has_all_platforms_passes() {
        let found = judged(
            &["linux/arm64", "linux/amd64"],
            &["linux/amd64", "linux/arm64/v8", "linux/s390x"],
        );
        assert_eq!((found.verdict, found.next), (Verdict::Passed, None));
        insta::assert_snapshot!(found.why, @"it is built for linux/amd64, linux/arm64");
    }

    #[test]
    fn an_image_that_lacks_one_never_passes_since_a_digest_does_not_change() {
        let found = judged(&["linux/amd64", "linux/arm64"], &["linux/amd64"]);
        assert_eq!((found.verdict, found.next), (Verdict::Failed, None));
        insta::assert_snapshot!(found.why, @"it is not built for linux/arm64, only for linux/amd64");
        let found = judged(&["linux/amd64"], &[]);
        assert_eq!(found.verdict, Verdict::Failed);
        insta::assert_snapshot!(found.why, @"it does not say that it is built for linux/amd64");
    }

    #[test]
    fn an_image_that_cannot_be_read_is_unknown() {
        let wanted = Platforms(["linux/amd64".parse().unwrap()].into());
        let found = wanted.judge(Err("ghcr.io did not answer"));
        assert_eq!(found.verdict, Verdict::Unknown);
        assert_eq!(found.why, "ghcr.io did not answer");
    }

    #[test]
    fn spellings_of_one_platform_are_one() {
        for (one, other) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/aarch64", "Linux/ARM64"),
            ("linux/x86_64", "linux/amd64/v1"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/7"),
            ("linux/armel", "linux/arm/v6"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            let parse = |text: &str| text.parse::<Platform>().unwrap();
            assert_eq!(parse(one), parse(other), "{one} {other}");
        }
        let differ = judged(
            &["linux/amd64/v3", "linux/arm/v7"],
            &["linux/amd64", "linux/arm/v6"],
        );
        insta::assert_snapshot!(differ.why, @"it is not built for linux/amd64/v3, linux/arm/v7, only for linux/amd64, linux/arm/v6");
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "amd64",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "linux/amd 64",
        ] {
            let error = text.parse::<Platform>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a platform"));
        }
    }
}
