//! The places that policies write: what each `update` means, and that no two write one place.

use super::artifact::ArtifactKind;
use super::blank::{Blank, Fill, Names};
use super::check_policy::{Check, Context};
use super::claim::{Claim, Ground, Refused};
use super::forms;
use super::nouns::MarkerPolicy;
use super::raw::{
    ApplicationUpdate, HelmUpdate, KustomizationUpdate, ManifestUpdate, MarkersUpdate, YamlUpdate,
};
use super::shape::{NamedEntry, Placed, list};
use super::source::Span;
use crate::edit::{Aliases, Document, Reach};
use crate::manifest::{Form, Site};
use crate::policy::{Deliver, ImageName, Update};

/// A site, and which image it says to be there.
type Found<'w> = (Site, Option<&'w Placed<ImageName>>);

impl Check<'_> {
    /// What one `update` means, each part with the place that a message points to.
    pub(super) fn updates(
        &mut self,
        Placed { value, span, .. }: &Placed<forms::Update>,
        (names, context): (Names<'_>, &Context<'_>),
    ) -> Vec<(Update, Span)> {
        let found = match value {
            forms::Update::Kustomize(raw) => {
                return self.in_kustomization(raw, (names, context));
            }
            forms::Update::Markers(raw) => return self.marked(raw, (names, context)),
            forms::Update::Helm(raw) => self.helm(raw, names),
            forms::Update::Yaml(raw) => self.yaml(raw, names),
            forms::Update::Manifest(raw) => self.manifest(raw, names),
            forms::Update::Application(raw) => self.argo(raw, names),
        };
        let Some((site, image)) = found else {
            return Vec::new();
        };
        let image = self.image_at(&site.form, (image, *span), context);
        vec![(Update { site, image }, *span)]
    }

    fn helm<'w>(&mut self, raw: &'w HelmUpdate, names: Names<'_>) -> Option<Found<'w>> {
        let HelmUpdate {
            helm,
            at,
            through_alias,
            image,
        } = raw;
        let at = at.filled(names, self.faults)?;
        let site = Site {
            path: helm.filled(names, self.faults)?,
            form: Form::Helm { at },
            reach: reach(None, *through_alias),
        };
        Some((site, image.as_ref()))
    }

    fn yaml<'w>(&mut self, raw: &'w YamlUpdate, names: Names<'_>) -> Option<Found<'w>> {
        let YamlUpdate {
            yaml,
            at,
            document,
            through_alias,
            image,
        } = raw;
        let at = at.filled(names, self.faults)?;
        let document = self.some(document.as_ref(), names)?;
        let site = Site {
            path: yaml.filled(names, self.faults)?,
            form: Form::Yaml { at },
            reach: reach(document, *through_alias),
        };
        Some((site, image.as_ref()))
    }

    fn manifest<'w>(&mut self, raw: &'w ManifestUpdate, names: Names<'_>) -> Option<Found<'w>> {
        let ManifestUpdate {
            manifest,
            at,
            document,
            through_alias,
            image,
        } = raw;
        let at = self.some(at.as_ref(), names)?;
        let document = self.some(document.as_ref(), names)?;
        let site = Site {
            path: manifest.filled(names, self.faults)?,
            form: Form::Manifest { at },
            reach: reach(document, *through_alias),
        };
        Some((site, image.as_ref()))
    }

    fn argo<'w>(&mut self, raw: &'w ApplicationUpdate, names: Names<'_>) -> Option<Found<'w>> {
        let ApplicationUpdate {
            application,
            at,
            document,
            through_alias,
            image,
        } = raw;
        let at = self.some(at.as_ref(), names)?;
        let document = self.some(document.as_ref(), names)?;
        let site = Site {
            path: application.filled(names, self.faults)?,
            form: Form::Application { at },
            reach: reach(document, *through_alias),
        };
        Some((site, image.as_ref()))
    }

    /// Fills in what may be missing; `None` where the names do not fit.
    #[expect(clippy::option_option, reason = "what is missing is no fault")]
    fn some<T: Fill>(
        &mut self,
        written: Option<&Placed<Blank<T>>>,
        names: Names<'_>,
    ) -> Option<Option<T>> {
        match written {
            Some(written) => written.filled(names, self.faults).map(Some),
            None => Some(None),
        }
    }

    /// One update for all images that stand in a kustomization; where the policy has charts, one for each, since they stand
    /// elsewhere in it.
    fn in_kustomization(
        &mut self,
        raw: &KustomizationUpdate,
        (names, context): (Names<'_>, &Context<'_>),
    ) -> Vec<(Update, Span)> {
        let KustomizationUpdate {
            kustomization,
            image,
        } = raw;
        if let Some(image) = image {
            self.known_image(image, context);
        }
        let span = kustomization.span;
        let Some(path) = kustomization.filled(names, self.faults) else {
            return Vec::new();
        };
        let update = |form: Form, image: Option<ImageName>| {
            let site = Site {
                path: path.clone(),
                form,
                reach: Reach::default(),
            };
            (Update { site, image }, span)
        };
        let kinds = context.images.iter().filter_map(|entry| {
            let kind = entry.value.as_ref()?.artifact.kind;
            Some((&entry.key.value, kind))
        });
        let kinds: Vec<_> = kinds.collect();
        if image.is_none() && kinds.iter().all(|(_, kind)| *kind == ArtifactKind::Image) {
            return vec![update(Form::Kustomize, None)];
        }
        let here = kinds.into_iter().filter(|(name, _)| {
            let named = image.as_ref().map(|image| &image.value);
            named.is_none_or(|named| named == *name)
        });
        let form = |kind| match kind {
            ArtifactKind::Image => Form::Kustomize,
            ArtifactKind::Chart => Form::HelmCharts,
        };
        here.map(|(name, kind)| update(form(kind), Some(name.clone())))
            .collect()
    }

    /// One update for each image policy of Flux.
    fn marked(
        &mut self,
        raw: &MarkersUpdate,
        (names, context): (Names<'_>, &Context<'_>),
    ) -> Vec<(Update, Span)> {
        let MarkersUpdate {
            markers,
            policies,
            through_alias,
        } = raw;
        let Some(path) = markers.filled(names, self.faults) else {
            return Vec::new();
        };
        let mut updates = Vec::new();
        for NamedEntry { key, value } in &policies.entries {
            let Some(image) = value else { continue };
            self.known_image(image, context);
            let Some(MarkerPolicy(policy)) = key.filled(names, self.faults) else {
                continue;
            };
            let site = Site {
                path: path.clone(),
                form: Form::Markers { policy },
                reach: reach(None, *through_alias),
            };
            let image = Some(image.value.clone());
            updates.push((Update { site, image }, key.span));
        }
        updates
    }

    /// Which image stands at a place: all of the policy's where the form finds each by its repository.
    fn image_at(
        &mut self,
        form: &Form,
        (image, span): (Option<&Placed<ImageName>>, Span),
        context: &Context<'_>,
    ) -> Option<ImageName> {
        match (image, &context.images[..]) {
            (Some(image), _) => self.known_image(image, context),
            (None, [first, _, ..]) if holds_one(form) => self.faults.error_with_hint(
                span,
                "the policy has several images, and this place holds one",
                format!("say which with `image: {}`", first.key.value),
            ),
            (None, _) => {}
        }
        image.map(|image| image.value.clone())
    }

    fn known_image(&mut self, image: &Placed<ImageName>, context: &Context<'_>) {
        let names = context.images.iter().map(|image| image.key.value.as_str());
        let names: Vec<_> = names.collect();
        if !names.contains(&image.value.as_str()) {
            self.faults.error_with_hint(
                image.span,
                format!("the policy has no image `{}`", image.value),
                format!("known: {}", list(&names)),
            );
        }
    }

    /// Notes that an environment writes a place, and refuses a place that another one writes.
    pub(super) fn claim(
        &mut self,
        update: &Update,
        (deliver, span): (&Deliver, Span),
        context: &Context<'_>,
        environment: &str,
    ) {
        let Some(repository) = context.repository else {
            return;
        };
        let own = match deliver {
            Deliver::Commit { branch } => branch.as_ref(),
            Deliver::PullRequest(requests) => requests.branch.as_ref(),
        };
        let default = self.branches.and_then(|branches| branches.get(repository));
        let Update { site, image } = update;
        let ground = Ground::of(repository, own.or(default), site);
        let entries = context.images.iter();
        let written = entries.filter(|entry| image.as_ref().is_none_or(|i| *i == entry.key.value));
        let written = written.filter_map(|entry| entry.value.as_ref());
        let by = format!("`{environment}` of `{}`", context.policy);
        // Where it is not said which image of several one place holds, that is a fault of its own.
        let count = if holds_one(&site.form) { 1 } else { usize::MAX };
        for known in written.take(count) {
            let image = Some(known.artifact.repository.clone());
            let claim = Claim::new((&by, span), site, image);
            let Err(Refused { first, hint }) = self.shared.claims.add(&ground, claim) else {
                continue;
            };
            let (by, place) = (first.by.clone(), first.span);
            let hint = match place == span {
                true => Some("`{policy}` in the path tells apart the policies that share it"),
                false => hint,
            };
            let message = format!("{by} writes here too, in {}", self.at(place));
            match hint {
                Some(hint) => self.faults.error_with_hint(span, message, hint),
                None => self.faults.error(span, message),
            }
            return;
        }
    }
}

/// Whether a form names one place, which holds one image; the others find each image by its repository.
fn holds_one(form: &Form) -> bool {
    match form {
        Form::Kustomize
        | Form::HelmCharts
        | Form::Manifest { at: None }
        | Form::Application { at: None } => false,
        Form::Helm { .. }
        | Form::Yaml { .. }
        | Form::Manifest { at: Some(_) }
        | Form::Application { at: Some(_) }
        | Form::Markers { .. } => true,
    }
}

fn reach(document: Option<Document>, through_alias: Option<bool>) -> Reach {
    Reach {
        document,
        aliases: match through_alias {
            Some(true) => Aliases::Followed,
            Some(false) | None => Aliases::Refused,
        },
    }
}
