//! The places that policies write: what each `update` means, and that no two write one place.

use super::artifact::ArtifactKind;
use super::check_policy::{Check, Context};
use super::claim::{Claim, Ground, Refused};
use super::forms::{self, Image};
use super::raw::{KustomizationUpdate, MarkersUpdate};
use super::shape::{NamedEntry, Placed, list};
use super::source::Span;
use crate::edit::{Aliases, Document, Reach};
use crate::manifest::{Form, Site};
use crate::policy::{Deliver, ImageName, Update};

impl Check<'_> {
    /// What one `update` means, each part with the place that a message points to.
    pub(super) fn updates(
        &mut self,
        Placed { value, span, .. }: Placed<forms::Update>,
        context: &Context<'_>,
    ) -> Vec<(Update, Span)> {
        let (path, form, reach, image) = match value {
            forms::Update::Kustomize(raw) => return self.in_kustomization(raw, context),
            forms::Update::Helm(raw) => {
                let at = raw.at.value;
                let reach = reach(None, raw.through_alias);
                (raw.helm, Form::Helm { at }, reach, raw.image)
            }
            forms::Update::Yaml(raw) => {
                let at = raw.at.value;
                let reach = reach(raw.document, raw.through_alias);
                (raw.yaml, Form::Yaml { at }, reach, raw.image)
            }
            forms::Update::Manifest(raw) => {
                let at = raw.at.map(|at| at.value);
                let reach = reach(raw.document, raw.through_alias);
                (raw.manifest, Form::Manifest { at }, reach, raw.image)
            }
            forms::Update::Application(raw) => {
                let at = raw.at.map(|at| at.value);
                let reach = reach(raw.document, raw.through_alias);
                (raw.application, Form::Application { at }, reach, raw.image)
            }
            forms::Update::Markers(raw) => return self.marked(raw, context),
        };
        let image = self.image_at(&form, (image, span), context);
        let site = Site {
            path: path.value,
            form,
            reach,
        };
        vec![(Update { site, image }, span)]
    }

    /// One update for all images that stand in a kustomization; where the policy has charts, one for each, since they stand
    /// elsewhere in it.
    fn in_kustomization(
        &mut self,
        raw: KustomizationUpdate,
        context: &Context<'_>,
    ) -> Vec<(Update, Span)> {
        let KustomizationUpdate {
            kustomization,
            image,
        } = raw;
        if let Some(image) = &image {
            self.known_image(image, context);
        }
        let span = kustomization.span;
        let update = |form: Form, image: Option<ImageName>| {
            let site = Site {
                path: kustomization.value.clone(),
                form,
                reach: Reach::default(),
            };
            (Update { site, image }, span)
        };
        let kinds = context.images.iter().filter_map(|entry| {
            let Image(value) = entry.value.as_ref()?;
            Some((&entry.key.value, value.repository.value.kind))
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
    fn marked(&mut self, raw: MarkersUpdate, context: &Context<'_>) -> Vec<(Update, Span)> {
        let MarkersUpdate {
            markers,
            policies,
            through_alias,
        } = raw;
        let mut updates = Vec::new();
        for NamedEntry { key, value } in policies.entries {
            let Some(image) = value else { continue };
            self.known_image(&image, context);
            let site = Site {
                path: markers.value.clone(),
                form: Form::Markers {
                    policy: key.value.0,
                },
                reach: reach(None, through_alias),
            };
            let image = Some(image.value);
            updates.push((Update { site, image }, key.span));
        }
        updates
    }

    /// Which image stands at a place: all of the policy's where the form finds each by its repository.
    fn image_at(
        &mut self,
        form: &Form,
        (image, span): (Option<Placed<ImageName>>, Span),
        context: &Context<'_>,
    ) -> Option<ImageName> {
        match (&image, context.images) {
            (Some(image), _) => self.known_image(image, context),
            (None, [first, _, ..]) if holds_one(form) => self.faults.error_with_hint(
                span,
                "the policy has several images, and this place holds one",
                format!("say which with `image: {}`", first.key.value),
            ),
            (None, _) => {}
        }
        image.map(|image| image.value)
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
        for Image(entry) in written.take(count) {
            let image = Some(entry.repository.value.repository.clone());
            let claim = Claim::new((&by, span), site, image);
            let Err(Refused { first, hint }) = self.claims.add(&ground, claim) else {
                continue;
            };
            let (by, place) = (first.by.clone(), first.span);
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

fn reach(document: Option<Placed<Document>>, through_alias: Option<bool>) -> Reach {
    Reach {
        document: document.map(|document| document.value),
        aliases: match through_alias {
            Some(true) => Aliases::Followed,
            Some(false) | None => Aliases::Refused,
        },
    }
}
