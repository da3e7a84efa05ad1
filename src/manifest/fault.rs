//! Faults: why a site cannot be read or written exactly.
//!
//! Not here: what is wrong with the YAML itself (`edit::Reason`).

use super::RepoPath;
use crate::edit::{Known, Path, Reason, Refusal};
use crate::image::{Repository, Tag};

/// Why a site cannot be read or written exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub(crate) struct SiteError {
    pub(crate) file: RepoPath,
    /// One-based.
    pub(crate) line: Option<usize>,
    pub(crate) reason: String,
}

/// A [`SiteError`] before the file's name is put to it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) cause: Cause,
}

/// Why a site cannot be read or written exactly.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Edit(#[from] Reason),
    #[error(
        "a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`"
    )]
    DigestStands,
    #[error("the digest of `{tag}` is not known, and this site is written with it")]
    DigestUnknown { tag: Tag },
    #[error("`{found}` stands here, not `{image}`")]
    OtherImage { found: String, image: Repository },
    #[error(
        "`{key}` beside this holds the version; let `at` name that, or the map that holds both"
    )]
    VersionBeside { key: String },
    #[error("the map has no `repository`, `name`, `image`, `tag` or `version`")]
    NotAnImageMap,
    #[error("Helm reads the first document of a values file only, and this is another")]
    NotFirstDocument,
    #[error(
        "kustomize takes the name `{name}` for a pattern that `{image}` matches too; write the image's name out"
    )]
    PatternName { name: String, image: Repository },
    #[error(
        "kustomize takes the name `{start}…` for a pattern, which is too large to say whether `{image}` matches it; write the image's name out"
    )]
    LargePattern { start: String, image: Repository },
    #[error("no {what} here is `{image}`; {known}")]
    NoneHere {
        /// What was looked through: `item`, `container`.
        what: &'static str,
        image: Repository,
        known: Known,
    },
    #[error(
        "no Kubernetes object stands here, none with `kind`; a values file is named as `{{ helm: FILE, at: PATH }}`, a kustomization by its folder"
    )]
    NoObjects,
    #[error("an object of kind `{kind}` has no containers; as a site it is named {form}")]
    OtherForm {
        kind: String,
        /// How such a site is written: ``as `{ … }` ``.
        form: &'static str,
    },
    #[error("no container here is `{image}`, but `{path}` says it; name that place by `at`")]
    NotInContainers { image: Repository, path: Path },
    #[error(
        "`{path}` is in several objects, again on line {again}; say which one by `document: KIND/NAME`"
    )]
    SeveralObjects { path: Path, again: usize },
    #[error("the image stands in more than {limit} places here, which is more than one can review")]
    TooManyPlaces { limit: usize },
    #[error("merge keys (`<<`) give the maps of this file more than {limit} pairs")]
    TooManyMerged { limit: usize },
    #[error(
        "`{text}` is no marker of Flux; write `# {{\"$imagepolicy\": \"namespace:name\"}}`, with `:tag`, `:name` or `:digest` behind the name, and nothing else in the comment"
    )]
    NotAMarker { text: String },
    #[error(
        "a marker ends with the policy's name, or with `:tag`, `:name` or `:digest` behind it, not with `:{suffix}`"
    )]
    MarkerSuffix { suffix: String },
    #[error(
        "the marker of `{policy}` stands behind no value; write it on the line where the value ends, behind it, and an empty value as `\"\"`"
    )]
    MarksNothing { policy: String },
    #[error("the markers of `{policy}` here are for its name only, and no version is marked")]
    MarksNoVersion { policy: String },
    #[error("the marker of `{policy}` is commented out here, and marks nothing")]
    MarkerInComment { policy: String },
    #[error("no marker here names `{policy}`; {known}")]
    NotMarked { policy: String, known: Known },
    #[error("the marker says that {part} stands here, not `{found}`")]
    MarksOther {
        /// `a tag`, `a digest`.
        part: &'static str,
        found: String,
    },
    #[error("the file has no Application or ApplicationSet of Argo CD; {known}")]
    NoApplication { known: Known },
    #[error(
        "nothing in the sources here names `{image}`; {known}; where the chart has the name, say `at:` which of its values holds the version"
    )]
    NoneInSources { image: Repository, known: Known },
    #[error(
        "no source has `{at}` in its `helm.parameters`, `helm.valuesObject` or `helm.values`; {known}"
    )]
    NoValue { at: Path, known: Known },
    #[error(
        "`{text}` is filled in by Argo CD from its build environment; write the version itself once"
    )]
    Filled { text: String },
    #[error(
        "Helm reads the parameter's value `{value}` as a number or a word of its own, not as text; let the parameter stand here with `forceString: true`"
    )]
    NotText { value: String },
    #[error(
        "{} {by} choose the version; write one version here once",
        letting(found, key)
    )]
    Range {
        found: String,
        /// The key that says it, or does not.
        key: &'static str,
        by: &'static str,
    },
    #[error(
        "a chart's version stands here, which has no room for a digest; let the policy `write: tag`"
    )]
    ChartDigest,
    #[error(
        "`{found}` is the tag of a chart, which is not found by it; write its version here once: `{}`",
        found.replace('_', "+")
    )]
    ChartTag { found: String },
    #[error(
        "`{tag}` is no version, and Helm finds a chart by nothing else; let the policy's `tags` take versions alone"
    )]
    NoChartVersion { tag: String },
    #[error(
        "no `digest` stands beside the tag here; let it stand here once as `digest: \"\"`, or let the policy `write: tag`"
    )]
    TagAlone,
    #[error(
        "Argo CD takes `oci://{repository}` for the whole repository and passes over `chart`; write `repoURL: {repository}` without `oci://`, or `repoURL: oci://{repository}/{chart}` with `path: .`"
    )]
    ChartPassedOver { repository: String, chart: String },
    #[error(
        "no chart in `helmCharts` here is `{image}`; {known}; where others of the policy's images stand here, say which: `{{ kustomization: FOLDER, image: NAME }}`"
    )]
    NoChart { image: Repository, known: Known },
    #[error("`helmCharts` has `{image}` as a chart; name it in the policy as one: `oci://{image}`")]
    IsChart { image: Repository },
    #[error(
        "the image's digest stands on line {digest}, in other values than its tag here; let both stand in one of them"
    )]
    Apart { digest: usize },
    #[error(
        "`{at}` is in several sources, again on line {again}; say which by `document:`, or by the whole path as a `yaml:` site"
    )]
    SeveralSources { at: Path, again: usize },
    #[error(
        "`values` is not read while `valuesObject` stands beside it; write the one or the other"
    )]
    ValuesUnread,
    #[error(
        "this text says the version in several places, of which parameters name the image of one; say `at:` which of its values holds the version"
    )]
    SeveralInText,
    #[error(
        "nothing in the sources here names `{image}`, and `{key}`, which may, is not edited; let the version stand in a source itself, or say `at:` which of the chart's values holds it"
    )]
    InPatch {
        /// Where the patch stands: `templatePatch`, `kustomize.patches`.
        key: &'static str,
        image: Repository,
    },
    #[error(
        "generators stand here within generators more than {limit} deep, or within themselves by an alias"
    )]
    GeneratorsTooDeep { limit: usize },
    #[error("the file has more than {limit} {what}, counted as often as aliases repeat them")]
    TooMany { limit: usize, what: &'static str },
}

/// How a revision that is no version is told.
fn letting(found: &str, key: &str) -> String {
    match found {
        "" => format!("no `{key}` lets"),
        found => format!("`{found}` lets"),
    }
}

impl Fault {
    pub(super) fn at(line: usize, cause: Cause) -> Self {
        Self {
            line: Some(line),
            cause,
        }
    }

    /// The fault of YAML that stands in a block below `above` lines of the file.
    pub(super) fn in_block(self, above: usize) -> Self {
        let Self { line, cause } = self;
        Self {
            line: Some(above + line.unwrap_or(1)),
            cause,
        }
    }

    pub(super) fn of(self, file: &RepoPath) -> SiteError {
        let Self { line, cause } = self;
        SiteError {
            file: file.clone(),
            line,
            reason: cause.to_string(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(Refusal { line, reason }: Refusal) -> Self {
        let cause = Cause::Edit(reason);
        Self { line, cause }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self { line: None, cause }
    }
}
