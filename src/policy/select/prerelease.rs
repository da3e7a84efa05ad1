//! Which pre-releases a rule takes.
//!
//! Not here: pre-releases that a constraint asks for by naming one (`constraint`).

use crate::image::version::Version;

/// Which pre-releases are candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prerelease {
    None,
    Any,
    /// Those with one of these labels, lower-case: `rc` takes `-rc.1`, `-rc1`, `-rc-1` and `-RC1`.
    Labels(Vec<String>),
}

/// Why a text cannot stand under `prerelease`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrereleaseError {
    #[error("the list of pre-releases is empty: write `none`, `any`, or labels such as `rc`")]
    Empty,
    #[error("`{word}` stands alone: write `none`, `any`, or a list of labels such as `rc, beta`")]
    Alone { word: String },
    #[error("`{word}` is not a label of pre-releases: write `{meant}`, or labels such as `rc`")]
    Truth { word: String, meant: &'static str },
    #[error("`{label}` is not a label of pre-releases: letters, digits and `-`, such as `rc`")]
    Label { label: String },
}

impl Prerelease {
    /// Reads the words of the setting; the number is the place of the word that is wrong.
    pub(super) fn parse(words: &[String]) -> Result<Self, (usize, PrereleaseError)> {
        match words {
            [] => return Err((0, PrereleaseError::Empty)),
            [word] if word == "none" => return Ok(Self::None),
            [word] if word == "any" => return Ok(Self::Any),
            [word] if word == "true" => return Err((0, truth(word, "any"))),
            [word] if word == "false" => return Err((0, truth(word, "none"))),
            _ => {}
        }
        let label = |(place, word): (usize, &String)| {
            let label = word.trim();
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let valid = !label.is_empty() && label.bytes().all(allowed);
            match label {
                "none" | "any" => Err((place, PrereleaseError::Alone { word: word.clone() })),
                _ if !valid => Err((
                    place,
                    PrereleaseError::Label {
                        label: word.clone(),
                    },
                )),
                _ => Ok(label.to_ascii_lowercase()),
            }
        };
        let labels: Result<Vec<_>, _> = words.iter().enumerate().map(label).collect();
        labels.map(Self::Labels)
    }

    /// Whether `version`, release or pre-release, may be taken.
    pub(super) fn takes(&self, version: &Version) -> bool {
        if !version.is_prerelease() {
            return true;
        }
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Labels(labels) => labels.iter().any(|l| begins_with(version.prerelease(), l)),
        }
    }
}

/// `prerelease` is a question to many, who answer it so.
fn truth(word: &str, meant: &'static str) -> PrereleaseError {
    PrereleaseError::Truth {
        word: word.to_owned(),
        meant,
    }
}

/// Whether a pre-release begins with `label` as a word: `rc` begins `rc.1`, `rc1` and `rc-1`, and not `rcx`.
fn begins_with(prerelease: &str, label: &str) -> bool {
    let (Some(start), Some(&last)) = (prerelease.get(..label.len()), label.as_bytes().last())
    else {
        return false;
    };
    let goes_on = prerelease.as_bytes().get(label.len()).is_some_and(|next| {
        (last.is_ascii_alphabetic() && next.is_ascii_alphabetic())
            || (last.is_ascii_digit() && next.is_ascii_digit())
    });
    start.eq_ignore_ascii_case(label) && !goes_on
}

/// The letters that a pre-release begins with: `rc` of `rc.1` and of `rc1`; empty where it begins with a digit.
pub(super) fn label_of(version: &Version) -> &str {
    let text = version.prerelease();
    let end = text.find(|c: char| !c.is_ascii_alphabetic());
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::{Prerelease, PrereleaseError};

    fn words(list: &[&str]) -> Result<Prerelease, (usize, PrereleaseError)> {
        let owned: Vec<String> = list.iter().map(|&w| w.to_owned()).collect();
        Prerelease::parse(&owned)
    }

    #[test]
    fn a_label_takes_what_begins_with_it_as_a_word() {
        let rc = words(&["rc"]).unwrap();
        let takes = |text: &str| rc.takes(&text.parse().unwrap());
        for taken in [
            "1.0.0",
            "1.0.0-rc",
            "1.0.0-rc.1",
            "1.0.0-rc1",
            "1.0.0-rc-1",
            "1.0.0-RC1",
        ] {
            assert!(takes(taken), "{taken}");
        }
        for left in ["1.0.0-rcx", "1.0.0-beta.1", "1.0.0-0", "1.0.0-alpha.rc"] {
            assert!(!takes(left), "{left}");
        }
    }

    #[test]
    fn none_and_any_stand_alone() {
        assert_eq!(words(&["none"]), Ok(Prerelease::None));
        assert_eq!(words(&["any"]), Ok(Prerelease::Any));
        let (place, error) = words(&["rc", "any"]).unwrap_err();
        assert_eq!(place, 1);
        insta::assert_snapshot!(error, @"`any` stands alone: write `none`, `any`, or a list of labels such as `rc, beta`");
        insta::assert_snapshot!(words(&["rc.1"]).unwrap_err().1, @"`rc.1` is not a label of pre-releases: letters, digits and `-`, such as `rc`");
        assert!(words(&[]).is_err());
        insta::assert_snapshot!(words(&["true"]).unwrap_err().1, @"`true` is not a label of pre-releases: write `any`, or labels such as `rc`");
        insta::assert_snapshot!(words(&["false"]).unwrap_err().1, @"`false` is not a label of pre-releases: write `none`, or labels such as `rc`");
    }
}
