//! What stands at the sites of one image in one environment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ptr;
use std::sync::Arc;

use super::remembered::Remembered;
use crate::edit;
use crate::image::Repository;
use crate::manifest::{self, RepoPath, Site, SiteError, Standing};
use crate::policy::{Environment, ImageName};
use crate::world::{BranchFacts, BranchName, Fact, File, World};

/// A site in the file where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) site: Site,
    pub(crate) file: RepoPath,
}

/// A place that changes with a site, since it says by an alias what stands there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SharedPlace {
    pub(crate) file: RepoPath,
    /// One-based line of the alias.
    pub(crate) line: usize,
    pub(crate) path: edit::Path,
}

/// A site of one image on one branch.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) branch: &'a BranchName,
    pub(super) site: &'a Site,
    pub(super) image: &'a Repository,
}

/// What stands at the places of one site, or why it cannot be read.
pub(crate) type SiteStandings = Result<Vec<(Located, Standing)>, String>;

/// What stands at every site, by the addresses of the site and of the image in their policy, which are nowhere twice.
pub(super) struct Standings(HashMap<(*const Site, *const Repository), Arc<SiteStandings>>);

impl Ask<'_> {
    fn key(&self) -> (*const Site, *const Repository) {
        (ptr::from_ref(self.site), ptr::from_ref(self.image))
    }
}

impl fmt::Display for SharedPlace {
    /// `apps/values.yaml:12 worker.image.tag`, on one line whatever the keys hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, path } = self;
        let path = on_one_line(&path.to_string());
        write!(f, "{file}:{line} {path}")
    }
}

impl Standings {
    /// Reads the sites, each file once however many sites are in it, and none of which that is remembered.
    pub(super) fn read<'a>(
        asks: impl IntoIterator<Item = Ask<'a>>,
        world: &World,
        remembered: &mut Remembered,
    ) -> Self {
        let asks: Vec<Ask<'a>> = asks.into_iter().collect();
        let mut known = HashMap::with_capacity(asks.len());
        let mut unread: BTreeMap<_, (&Arc<str>, Vec<Ask<'a>>)> = BTreeMap::new();
        for ask in asks {
            let Some(Fact::Known(facts)) = world.branches.get(ask.branch) else {
                continue;
            };
            match find_file(ask.site, facts) {
                Ok((file, text)) => match remembered.standings(text, (ask.site, file, ask.image)) {
                    Some(standings) => {
                        known.insert(ask.key(), standings);
                    }
                    None => {
                        let of_file = unread.entry((ask.branch, file));
                        of_file.or_insert((text, Vec::new())).1.push(ask);
                    }
                },
                Err(why) => {
                    known.insert(ask.key(), Arc::new(Err(why)));
                }
            }
        }
        for ((_, file), (text, asks)) in unread {
            let scan = manifest::scan(file, text);
            for ask in asks {
                let standings = match &scan {
                    Ok(scan) => manifest::read(ask.site, (file, scan), ask.image),
                    Err(error) => Err(error.clone()),
                };
                let standings = Arc::new(located(ask.site, file, standings));
                remembered.read(text, (ask.site, file, ask.image), standings.clone());
                known.insert(ask.key(), standings);
            }
        }
        Self(known)
    }

    /// What stands at the sites of `image` in `environment`, of which the branch is known.
    pub(super) fn of<'a>(
        &self,
        environment: &'a Environment,
        name: &'a ImageName,
        (branch, image): (&'a BranchName, &'a Repository),
    ) -> Result<Vec<(Located, Standing)>, String> {
        let mut all = Vec::new();
        for (_, standings) in self.each(environment, name, (branch, image)) {
            all.extend(standings.clone()?);
        }
        Ok(all)
    }

    /// The same for each site by itself.
    pub(super) fn each<'a>(
        &self,
        environment: &'a Environment,
        name: &'a ImageName,
        (branch, image): (&'a BranchName, &'a Repository),
    ) -> impl Iterator<Item = (&'a Site, &SiteStandings)> {
        environment.sites_of(name).map(move |site| {
            let ask = Ask {
                branch,
                site,
                image,
            };
            (site, self.0[&ask.key()].as_ref())
        })
    }
}

/// What stands at the sites, in one text; several where they differ.
pub(super) fn current_text(sites: &[(Located, Standing)]) -> Option<String> {
    let texts: BTreeSet<String> = sites
        .iter()
        .filter_map(|(_, standing)| written(standing))
        .collect();
    (!texts.is_empty()).then(|| texts.into_iter().collect::<Vec<_>>().join(", "))
}

/// A version as it stands, on one line: the tag, or the digest where there is no tag.
pub(crate) fn written(standing: &Standing) -> Option<String> {
    let text = standing.tag.as_ref().or(standing.digest.as_ref())?;
    Some(on_one_line(text))
}

/// The same with the digest beside the tag: of a followed tag, the digest alone tells what stands there.
pub(crate) fn written_whole(standing: &Standing) -> Option<String> {
    match (&standing.tag, &standing.digest) {
        (Some(tag), Some(digest)) => Some(on_one_line(&format!("{tag}@{digest}"))),
        (Some(text), None) | (None, Some(text)) => Some(on_one_line(text)),
        (None, None) => None,
    }
}

/// The places that change with what stands in `file`.
pub(crate) fn shared<'s>(
    file: &'s RepoPath,
    standing: &'s Standing,
) -> impl Iterator<Item = SharedPlace> + 's {
    standing
        .shared
        .iter()
        .map(|edit::Shared { path, line }| SharedPlace {
            file: file.clone(),
            line: *line,
            path: path.clone(),
        })
}

/// Longest text that is told of a file, in characters: a tag has at most 128, and a reason seldom 300.
const TOLD_MAX: usize = 500;

/// `text` as one line that people can read: any text can stand in a file, and a trailer or a row of a table ends with
/// its line.
pub(crate) fn on_one_line(text: &str) -> String {
    let on_one_line = |c: char| if c.is_control() { ' ' } else { c };
    let mut told: String = text.chars().take(TOLD_MAX).map(on_one_line).collect();
    if text.chars().nth(TOLD_MAX).is_some() {
        told.push('…');
    }
    told
}

fn located(
    site: &Site,
    file: &RepoPath,
    standings: Result<Vec<Standing>, SiteError>,
) -> SiteStandings {
    let located = Located {
        site: site.clone(),
        file: file.clone(),
    };
    let standings = standings.map_err(|error| on_one_line(&error.to_string()))?;
    Ok(standings
        .into_iter()
        .map(|standing| (located.clone(), standing))
        .collect())
}

/// The one file of `site` that exists, as text.
fn find_file<'a>(
    site: &Site,
    facts: &'a BranchFacts,
) -> Result<(&'a RepoPath, &'a Arc<str>), String> {
    let mut found = None;
    let files = site.files();
    for path in &files {
        let Some((path, file)) = facts.files.get_key_value(path) else {
            continue;
        };
        let text = match file {
            File::Missing => continue,
            File::Text(text) => text,
            File::NotUtf8 => return Err(format!("`{path}` is not UTF-8")),
            File::Symlink => {
                return Err(format!(
                    "`{path}` is or stands behind a symbolic link, which is never followed"
                ));
            }
            File::LfsPointer => {
                return Err(format!(
                    "`{path}` is a pointer of Git LFS, which keeps its text elsewhere; keep manifests in git itself: `git lfs untrack`, then `git add --renormalize`"
                ));
            }
            File::Folder => return Err(format!("`{path}` is not a file")),
            File::Submodule => {
                return Err(format!(
                    "`{path}` is or lies in a submodule, whose files belong to another repository; let a policy with that one as its `repository` write there"
                ));
            }
            File::TooLarge { size_bytes } => {
                return Err(format!("`{path}` is too large to edit: {size_bytes} bytes"));
            }
        };
        if let Some((other, _)) = found {
            return Err(format!("both `{other}` and `{path}` exist; keep one"));
        }
        found = Some((path, text));
    }
    let is_yaml = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml");
    found.ok_or_else(|| match files.as_slice() {
        [only] => format!("`{only}` does not exist"),
        [_, ..] if is_yaml(site.path.as_str()) => format!(
            "`{0}` is no folder of a kustomization; a values file is named as `{{ helm: {0}, at: PATH }}`",
            site.path
        ),
        several => {
            let names: Vec<String> = several.iter().map(|path| format!("`{path}`")).collect();
            format!("none of {} exists", names.join(", "))
        }
    })
}
