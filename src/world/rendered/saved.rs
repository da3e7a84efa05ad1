//! The part of a world file that is about renderings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Rendered, RenderedFolder, RenderedObject, Rendering};
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedRendering {
    repository: String,
    base: String,
    changed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    folders: Vec<SavedFolder>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedFolder {
    folder: String,
    program: String,
    files: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    objects: Vec<SavedObject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedObject {
    name: String,
    before: String,
    after: String,
}

pub(in crate::world) fn save(rendering: &Rendering, fact: &Fact<Arc<Rendered>>) -> SavedRendering {
    let Rendering {
        repository,
        base,
        changed,
    } = rendering;
    let (unknown, folders) = match fact {
        Fact::Unknown { why } => (Some(why.clone()), Vec::new()),
        Fact::Known(rendered) => {
            let Rendered { folders } = rendered.as_ref();
            (None, folders.iter().map(save_folder).collect())
        }
    };
    SavedRendering {
        repository: repository.to_string(),
        base: base.to_string(),
        changed: changed.clone(),
        unknown,
        folders,
    }
}

fn save_folder(rendered: &RenderedFolder) -> SavedFolder {
    let RenderedFolder {
        folder,
        program,
        files,
        objects,
    } = rendered;
    let (unknown, objects) = match objects {
        Fact::Unknown { why } => (Some(why.clone()), Vec::new()),
        Fact::Known(objects) => (None, objects.iter().map(save_object).collect()),
    };
    SavedFolder {
        // The root has no name of its own.
        folder: match folder.as_str() {
            "" => ".".to_owned(),
            folder => folder.to_owned(),
        },
        program: program.clone(),
        files: files.iter().map(ToString::to_string).collect(),
        unknown,
        objects,
    }
}

fn save_object(object: &RenderedObject) -> SavedObject {
    let RenderedObject {
        name,
        before,
        after,
    } = object;
    SavedObject {
        name: name.clone(),
        before: before.to_string(),
        after: after.to_string(),
    }
}

pub(in crate::world) fn load(
    saved: SavedRendering,
) -> Result<(Rendering, Fact<Arc<Rendered>>), LoadWorldError> {
    let SavedRendering {
        repository,
        base,
        changed,
        unknown,
        folders,
    } = saved;
    let rendering = Rendering {
        repository: parse(&repository, "a repository's name")?,
        base: parse(&base, "a commit")?,
        changed,
    };
    if let Some(why) = unknown {
        return Ok((rendering, Fact::Unknown { why }));
    }
    let folders = folders.into_iter().map(load_folder);
    let folders = folders.collect::<Result<_, _>>()?;
    Ok((rendering, Fact::Known(Arc::new(Rendered { folders }))))
}

fn load_folder(saved: SavedFolder) -> Result<RenderedFolder, LoadWorldError> {
    let SavedFolder {
        folder,
        program,
        files,
        unknown,
        objects,
    } = saved;
    let files = files.iter().map(|file| parse(file, "a path"));
    let objects = objects.into_iter().map(load_object);
    Ok(RenderedFolder {
        folder: parse(&folder, "a path")?,
        program,
        files: files.collect::<Result<_, _>>()?,
        objects: match unknown {
            Some(why) => Fact::Unknown { why },
            None => Fact::Known(Arc::new(objects.collect())),
        },
    })
}

fn load_object(saved: SavedObject) -> RenderedObject {
    let SavedObject {
        name,
        before,
        after,
    } = saved;
    RenderedObject {
        name,
        before: before.into(),
        after: after.into(),
    }
}
